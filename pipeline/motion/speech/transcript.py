"""A transcript as words, and words as English sounds."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from pipeline.errors import MotionError
from pipeline.motion.speech.espeak import HOW_TO_GET, languages, pronounce
from pipeline.motion.speech.ipa import english_sounds_of
from pipeline.motion.speech.letters import sounds_of_spelling

MOST_CHARACTERS = 20_000
"""Ten minutes of fast speech have about 15,000."""
MOST_DIGITS = 15
LONGEST_WORD = 60
NUMBER = re.compile(r"([$€£]?)(\d+(?:,\d{3})*(?:\.\d+)?)(st\b|nd\b|rd\b|th\b|%)?")
WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
SIGNS = {"$": "dollars", "€": "euros", "£": "pounds", "%": "percent", "&": "and", "+": "plus", "@": "at"}
YEARS = range(1100, 2000)
"""Four digits alone that are read in pairs."""


def words_of(transcript: str, language: str) -> list[str]:
    """Lower-case words without punctuation, numbers of English spelled out.

    Raises `MotionError` for a transcript that is too long or holds no word.
    """
    if len(transcript) > MOST_CHARACTERS:
        raise MotionError(f"the transcript has {len(transcript)} characters; at most {MOST_CHARACTERS} are read")
    text = unicodedata.normalize("NFKC", transcript).lower().replace("’", "'").replace("‘", "'")
    if is_english(language):
        text = NUMBER.sub(_number_in_words, text)
        for sign, word in SIGNS.items():
            text = text.replace(sign, f" {word} ")
        words = WORD.findall(text)
    else:  # eSpeak NG knows how each language reads its numbers
        words = [word for part in text.split() if (word := part.strip(_punctuation(part))) and word[0].isalnum()]
    if not words:
        raise MotionError("the transcript holds no words; type what is said in the recording")
    return [word[:LONGEST_WORD] for word in words]


def is_english(language: str) -> bool:
    """Whether the aligner's own dictionary serves."""
    return language == "en" or language.startswith("en-")


def pronunciations(words: Sequence[str], language: str) -> dict[str, tuple[str, ...]]:
    """Word → ARPABET, by eSpeak NG, or for English by its spelling where eSpeak NG is missing.

    Raises `MotionError` for another language without eSpeak NG.
    """
    unique = sorted(set(words))
    if languages():
        spoken = [english_sounds_of(ipa) for ipa in pronounce(unique, language)]
    elif is_english(language):
        spoken = [sounds_of_spelling(word) for word in unique]
    else:
        raise MotionError(HOW_TO_GET)
    return {word: tuple(sounds) for word, sounds in zip(unique, spoken, strict=True) if sounds}


def _number_in_words(found: re.Match[str]) -> str:
    from num2words import num2words

    sign, digits, ending = found[1], found[2].replace(",", ""), found[3] or ""
    if len(digits) > MOST_DIGITS:
        spoken = " ".join(num2words(int(digit)) for digit in digits if digit != ".")
    elif ending not in ("", "%") and "." not in digits:
        return f" {num2words(int(digits), to='ordinal')} "
    elif "." in digits:
        spoken = num2words(float(digits))
    elif "," not in found[2] and not sign and not ending and int(digits) in YEARS:
        spoken = num2words(int(digits), to="year")
    else:
        spoken = num2words(int(digits))
    return " ".join(["", spoken, SIGNS.get(ending, ""), SIGNS.get(sign, ""), ""])


def _punctuation(part: str) -> str:
    return "".join({letter for letter in part if not letter.isalnum() and unicodedata.category(letter)[0] != "M"})
