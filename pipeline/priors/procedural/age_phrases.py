"""Ages in years as people write them: "45 year old", "aged forty-five", "in her late sixties", "40-something"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.priors.procedural.terms import Term
from pipeline.priors.procedural.vocabulary import VOCABULARY

YOUNGEST, OLDEST = 4, 100
"""Years that the head model can show well."""

_ONES = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
_ONES += " eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
NUMBERS = {word: value for value, word in enumerate(_ONES.split(), 1)}
NUMBERS |= {word: 10 * value for value, word in enumerate(_TENS.split(), 2)}
DECADES = {word[:-1] + "ies": 10 * value for value, word in enumerate(_TENS.split(), 2)}
DECADES["teens"] = 10
PARTS_OF_DECADE = {"early": (0, 3), "mid": (4, 6), "middle": (4, 6), "late": (7, 9)}
YEAR_UNITS = ("year", "years", "yr", "yrs", "yo", "y")
SMALL_UNITS = ("month", "months", "week", "weeks", "day", "days")


@dataclass(frozen=True)
class AgePhrase:
    """An age at some place of the prompt."""

    term: Term
    length: int
    """Words that it takes."""


def read_age(words: Sequence[str], at: int) -> AgePhrase | None:
    """The age phrase that starts at word ``at``, if one does."""
    return _years_old(words, at) or _aged(words, at) or _decade(words, at) or _bare_number(words, at)


def _years_old(words: Sequence[str], at: int) -> AgePhrase | None:
    number, length = _number(words, at)
    unit = _word(words, at + length)
    if number is None or unit not in (*YEAR_UNITS, *SMALL_UNITS):
        return None
    length += 1
    if _word(words, at + length) == "/":
        length += 1
    if _word(words, at + length) in ("old", "o", "olds"):
        length += 1
    return _phrase(0 if unit in SMALL_UNITS else number, length)


def _aged(words: Sequence[str], at: int) -> AgePhrase | None:
    if _word(words, at) not in ("age", "aged", "ages"):
        return None
    skip = 2 if _word(words, at + 1) in ("of", ":", "=", "is", "about", "around") else 1
    number, length = _number(words, at + skip)
    return None if number is None else _phrase(number, skip + length)


def _decade(words: Sequence[str], at: int) -> AgePhrase | None:
    """ "in her late sixties", "mid-40s", "forties", "40-something"."""
    start = at
    if _word(words, at) == "in":
        at += 2 if _word(words, at + 1) in ("her", "his", "their", "the", "my") else 1
    part = PARTS_OF_DECADE.get(_word(words, at))
    at += part is not None
    decade = DECADES.get(_word(words, at))
    length = 1
    if decade is None:
        number, length = _number(words, at)
        if number is None or number % 10 or _word(words, at + length) not in ("s", "something"):
            return None
        decade, length = number, length + 1
    low, high = part or (0, 9)
    low = max(low, 3) if decade == 10 else low
    return _phrase(decade + low, at - start + length, decade + high)


def _bare_number(words: Sequence[str], at: int) -> AgePhrase | None:
    """ "a woman, 45": digits right behind a person."""
    before = at - 2 if _word(words, at - 1) in (",", "(") else at - 1
    person = VOCABULARY.get((_word(words, before),))
    number, length = _number(words, at)
    is_person = person is not None and person.target == "person"
    if number is None or not words[at].isdecimal() or not is_person or not 10 <= number <= OLDEST:
        return None
    return _phrase(number, length)


def _number(words: Sequence[str], at: int) -> tuple[int | None, int]:
    """A number in digits or words and how many words it takes."""
    word = _word(words, at)
    if word.isdecimal():
        return int(word), 1
    value = NUMBERS.get(word)
    ones = NUMBERS.get(_word(words, at + 1), 99)
    if value is not None and value >= 20 and ones < 10:
        return value + ones, 2
    return value, 1


def _word(words: Sequence[str], at: int) -> str:
    return words[at] if 0 <= at < len(words) else ""


def _phrase(low: int, length: int, high: int | None = None) -> AgePhrase:
    asked = (float(low), float(low if high is None else high))
    years = tuple(float(min(max(year, YOUNGEST), OLDEST)) for year in asked)
    note = ""
    if years[0] != asked[0] or years[1] != asked[1]:
        note = f"ages go from {YOUNGEST} to {OLDEST} years; {years[0]:.0f} is used"
    return AgePhrase(Term(says={"age": years}, note=note), length)
