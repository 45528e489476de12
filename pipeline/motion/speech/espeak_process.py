"""Runs as a process of its own: asks eSpeak NG's library for its voices, for a pronunciation, or to speak.

The library is a separate program under the GPL 3 that the operator installs; only this process loads it, and talks
with the app through one JSON object on its input and one on its output. It imports nothing of this project, so that it
starts at once. The command line of eSpeak NG tells no times, hence the library (speak_lib.h, API revision 12).
"""

from __future__ import annotations

import ctypes
import json
import sys
import wave
from collections.abc import Callable
from typing import Any

LIBRARIES = ("libespeak-ng.so.1", "libespeak-ng.dylib", "libespeak-ng.dll")
SYNCHRONOUS = 2
PHONEME_EVENTS, PHONEME_IPA, DO_NOT_EXIT = 0x0001, 0x0002, 0x8000
UTF8_TEXT = 1
AS_IPA = 0x02
END_OF_LIST, PHONEME = 0, 7
BY_CHARACTER = 1
OK, STOP = 0, 1
"""What the callback returns to go on and to end the synthesis."""
MISSING = 3
"""Exit code where the library or its voices are not installed."""


class Event(ctypes.Structure):
    """espeak_EVENT."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


class Voice(ctypes.Structure):
    """espeak_VOICE."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(Event))


def main() -> int:
    """Answer one request ``{"do": "voices" | "pronounce" | "speak", …}`` with the arguments of that function."""
    request = json.load(sys.stdin)
    library = _library()
    rate = library.espeak_Initialize(SYNCHRONOUS, 0, None, PHONEME_EVENTS | PHONEME_IPA | DO_NOT_EXIT) if library else 0
    if library is None or rate <= 0:
        return MISSING
    answers: dict[str, Callable[..., Any]] = {"voices": voices, "pronounce": pronounce, "speak": speak}
    json.dump(answers[request.pop("do")](library, rate=rate, **request), sys.stdout)
    return 0


def voices(library: ctypes.CDLL, rate: int) -> list[dict[str, Any]]:
    """Every voice: its name, its file, and its language codes with their priorities (the lowest first)."""
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(Voice))
    found = library.espeak_ListVoices(None)
    listed, number = [], 0
    while found[number]:
        voice = found[number].contents
        name, file = voice.name.decode(), voice.identifier.decode()
        listed.append({"name": name, "file": file, "codes": _codes(voice.languages)})
        number += 1
    return listed


def pronounce(library: ctypes.CDLL, rate: int, words: list[str], voice: str) -> list[str]:
    """The IPA of each word."""
    _choose(library, voice)
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    spoken = []
    for word in words:
        rest, parts = ctypes.c_char_p(word.encode()), []
        while rest.value:  # one clause at a time; the pointer is NULL at the end
            parts.append((library.espeak_TextToPhonemes(ctypes.byref(rest), UTF8_TEXT, AS_IPA) or b"").decode())
        spoken.append(" ".join(parts))
    return spoken


def speak(
    library: ctypes.CDLL, rate: int, text: str, voice: str, path: str, before: float, after: float, longest: float
) -> dict[str, Any]:
    """Write 16-bit mono samples to ``path``, with seconds of silence before and after, at most ``longest`` seconds.

    Returns their ``seconds`` and the ``phonemes``: pairs of IPA, empty for a pause, and the second at which it starts.
    """
    _choose(library, voice)
    phonemes: list[tuple[str, float]] = []
    blocks = [b"\0\0" * round(before * rate)]
    most, lead = 2 * longest * rate, len(blocks[0]) // 2

    def take(samples: int | None, count: int, events: Any) -> int:
        if samples and count:
            blocks.append(ctypes.string_at(samples, 2 * count))
        number = 0
        while events[number].type != END_OF_LIST:
            if events[number].type == PHONEME:  # eight bytes may cut the last mark of a long name
                name = events[number].id.decode(errors="ignore")
                phonemes.append((name, (events[number].sample + lead) / rate))
            number += 1
        return STOP if sum(map(len, blocks)) > most else OK

    callback = CALLBACK(take)
    library.espeak_SetSynthCallback(callback)
    data = text.encode()
    library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, BY_CHARACTER, 0, UTF8_TEXT, None, None)
    samples = b"".join([*blocks, b"\0\0" * round(after * rate)])
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(samples)
    return {"seconds": len(samples) / 2 / rate, "phonemes": phonemes}


def _library() -> ctypes.CDLL | None:
    for name in LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def _choose(library: ctypes.CDLL, voice: str) -> None:
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise ValueError(f"there is no voice {voice!r}")


def _codes(languages: int) -> list[tuple[str, int]]:
    """Of a list in C: a byte of priority and a name for each, and a zero byte at its end."""
    codes = []
    while priority := ctypes.string_at(languages, 1)[0]:
        code = ctypes.string_at(languages + 1)
        codes.append((code.decode(), priority))
        languages += len(code) + 2
    return codes


if __name__ == "__main__":
    sys.exit(main())
