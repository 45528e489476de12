"""`Term`: what a phrase of a prompt says about a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Says = Mapping[str, Any]
"""Path of an attribute → its value; a pair of numbers is a range to draw from. Besides the paths of `Attributes` there
are ``origin`` (a name of `ORIGINS`), ``texture`` and ``length`` of the hair, and ``garment``."""


@dataclass(frozen=True)
class Term:
    """What a phrase says.

    A phrase with a ``target`` names a thing; one with ``meanings`` is an adjective that describes the thing it stands
    with; any other says what it says wherever it stands.
    """

    says: Says = field(default_factory=dict)
    implies: Says = field(default_factory=dict)
    """Holds unless the prompt says otherwise."""
    target: str = ""
    meanings: Mapping[str, Says] = field(default_factory=dict)
    """Adjective: target → what it says there."""
    alone: str = ""
    """Adjective: the target that it describes when it stands with none."""
    negated: Says | None = None
    """What "no …" says; None excludes what ``says`` says."""
    note: str = ""
    role: str = "word"
    """``word``, ``filler``, ``article``, ``not``, ``link`` (joins a thing to an adjective behind it), ``and``, ``or``,
    ``wear``, ``stop`` (ends a phrase) or ``comma``."""


Words = dict[tuple[str, ...], Term]
"""Words of a phrase, lower case, without hyphens → its meaning."""


def add(words: Words, phrases: str, term: Term) -> None:
    """Gives all phrases, separated by ``|``, one meaning."""
    for phrase in phrases.split("|"):
        words[tuple(phrase.split())] = term


FEMALE = {"gender": (0.93, 1.0)}
MALE = {"gender": (0.0, 0.07)}
