"""What a motion file does not say, a reader assumes; every assumption is told, and a person can set it right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.errors import MotionError


@dataclass(frozen=True)
class Assumption:
    """One thing about a clip that may be set by hand."""

    key: str
    """``fps``, ``basis``, ``units``, ``order``, ``clip``, …"""
    value: str
    """What was taken."""
    options: tuple[str, ...]
    """What it may be instead; empty for any number."""
    sentence: str
    """What was assumed and why, for people; empty where the file says it or a person chose it."""


class Choices:
    """Answers to what the files leave open: a person's where there is one, otherwise what the reader assumes."""

    def __init__(self, by_hand: Mapping[str, str] | None = None) -> None:
        self._by_hand = dict(by_hand or {})
        self._made: dict[str, Assumption] = {}

    @property
    def made(self) -> tuple[Assumption, ...]:
        """Everything that was asked so far, in order."""
        return tuple(self._made.values())

    def is_set(self, key: str) -> bool:
        """Whether a person has answered this."""
        return key in self._by_hand

    def number(self, key: str, value: float, sentence: str = "") -> float:
        """A positive number: ``value`` unless it was set by hand. ``sentence`` is empty where the file itself says it.

        Raises `MotionError` when what was set is no positive number.
        """
        if self.is_set(key):
            value, sentence = _positive(key, self._by_hand[key]), ""
        self._made[key] = Assumption(key, f"{value:g}", (), sentence)
        return value

    def option(self, key: str, value: str, options: tuple[str, ...], sentence: str = "") -> str:
        """One of ``options``: ``value`` unless it was set by hand. Raises `MotionError` when that is none of them."""
        if self.is_set(key):
            value, sentence = self._by_hand[key], ""
            if value not in options:
                raise MotionError(f"{key} is {value!r}; it must be one of {', '.join(options)}")
        self._made[key] = Assumption(key, value, options, sentence)
        return value

    def check_all_asked(self) -> None:
        """Raise `MotionError` for an answer to something that this clip never left open."""
        idle = [key for key in self._by_hand if key not in self._made]
        if idle:
            known = ", ".join(self._made) or "nothing"
            raise MotionError(f"{idle[0]!r} cannot be chosen for this clip; it leaves open: {known}")


def _positive(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise MotionError(f"{key} is {text!r}; it must be a positive number")
    return value
