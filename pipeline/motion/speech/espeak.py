"""eSpeak NG, a separate program that speaks about a hundred languages and tells when each phoneme begins."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.errors import MotionError
from pipeline.files import whole_file
from pipeline.motion.speech.espeak_process import MISSING

HELPER = Path(__file__).with_name("espeak_process.py")
LAUNCH = [sys.executable, "-I", str(HELPER)]
LONGEST_WORK = 60.0
"""Seconds for one request; a thousand words take less than one."""
LONGEST_SECONDS = 600.0
MOST_CHARACTERS = 2000
MOST_SHOWN = 40
BETTER_VOICE = {"sit/cmn": "sit/cmn-Latn-pinyin"}
"""The first voice of Mandarin reads pinyin, which its dictionary makes of every character, as if it were English."""
HOW_TO_GET = "eSpeak NG, which speaks the text, is not on this machine; install it with: apt-get install espeak-ng"


@dataclass(frozen=True)
class Phoneme:
    """What eSpeak NG says at one time."""

    ipa: str
    """Empty for a pause."""
    start: float
    """Seconds from the beginning of the sound file."""
    length: float


@dataclass(frozen=True)
class Utterance:
    """A text, spoken."""

    phonemes: tuple[Phoneme, ...]
    seconds: float
    """Length of the sound file."""


def languages() -> dict[str, str]:
    """Language code → name, by name; empty where eSpeak NG is not installed, which is looked for again each time."""
    try:
        voices = _voices()
    except MotionError:
        return {}
    names: dict[str, str] = {}
    for voice in voices:
        names.setdefault(voice["codes"][0][0], voice["name"].replace("_", " "))
    return dict(sorted(names.items(), key=lambda entry: entry[1]))


def language_name(code: str) -> str:
    """``English`` for ``en``, ``English (Great Britain)`` for ``en-gb``; the code itself where nothing is known."""
    known = languages()
    regional = [name.split(" (")[0] for region, name in known.items() if region.startswith(f"{code}-")]
    return known.get(code) or (regional[0] if regional else code)


def speak(text: str, language: str, path: Path, before: float = 0.0, after: float = 0.0) -> Utterance:
    """Write ``text``, read aloud, as a WAV file with seconds of silence before and after.

    Raises `MotionError` where eSpeak NG is missing, does not know the language or finds nothing to say, and for more
    than `MOST_CHARACTERS` characters.
    """
    plain = plain_text(text)
    with whole_file(path) as partial:
        answer = _ask(
            do="speak",
            text=plain,
            voice=_voice_file(language),
            path=str(partial),
            before=before,
            after=after,
            longest=LONGEST_SECONDS,
        )
        phonemes = _phonemes(answer["phonemes"], answer["seconds"] - after)
        if not any(phoneme.ipa for phoneme in phonemes):
            raise MotionError(
                f"{_shown(plain)} holds nothing that can be said in {languages().get(language, language)}"
            )
        if answer["seconds"] > LONGEST_SECONDS:
            raise MotionError(f"the text takes longer than {LONGEST_SECONDS / 60:.0f} minutes to say; shorten it")
    return Utterance(phonemes, answer["seconds"])


def pronounce(words: Sequence[str], language: str) -> list[str]:
    """The IPA of each word. Raises `MotionError` where eSpeak NG is missing or does not know the language."""
    return _ask(do="pronounce", words=[_without_controls(word) for word in words], voice=_voice_file(language))


def plain_text(text: str) -> str:
    """One line without control characters: to eSpeak NG character 1 begins a command.

    Raises `MotionError` for an empty or too long text.
    """
    plain = " ".join(_without_controls(text).split())
    if not plain:
        raise MotionError("there is nothing to say; type a sentence")
    if len(plain) > MOST_CHARACTERS:
        raise MotionError(f"the text has {len(plain)} characters; at most {MOST_CHARACTERS} can be said at once")
    return plain


def _without_controls(text: str) -> str:
    return "".join(" " if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in text)


def _phonemes(pairs: list[tuple[str, float]], end: float) -> tuple[Phoneme, ...]:
    """Each lasts until the next begins; names in brackets only say that the language changes."""
    said = [(ipa, start) for ipa, start in pairs if not ipa.startswith("(")]
    ends = [start for _, start in said[1:]] + [end]
    return tuple(
        Phoneme(ipa, start, stop - start) for (ipa, start), stop in zip(said, ends, strict=True) if stop > start
    )


def _voice_file(language: str) -> str:
    """The name of a voice of eSpeak NG's own, whatever was typed."""
    voices = _voices()
    fitting = [(rank, voice["file"]) for voice in voices for code, rank in voice["codes"] if code == language.lower()]
    if not fitting:
        told = f"give a code such as en-us, de or fr (it knows {len(languages())})"
        raise MotionError(f"eSpeak NG speaks no language {_shown(language)}; {told}")
    file = min(fitting, key=lambda entry: entry[0])[1]
    return BETTER_VOICE.get(file, file)


@cache
def _voices() -> list[dict[str, Any]]:
    return _ask(do="voices")


def _ask(**request: Any) -> Any:
    """One request to the helper process."""
    try:
        helper = subprocess.run(
            LAUNCH, input=json.dumps(request).encode(), capture_output=True, timeout=LONGEST_WORK, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise MotionError("eSpeak NG takes too long for this text; shorten it") from error
    if helper.returncode == MISSING:
        raise MotionError(HOW_TO_GET)
    if helper.returncode:
        raise MotionError("eSpeak NG stopped at this text; say it in other words")
    return json.loads(helper.stdout)


def _shown(text: str) -> str:
    return repr(text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "…")
