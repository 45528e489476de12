"""`Facts`: what a prompt says, implies and rules out about a person."""

from __future__ import annotations

from typing import Any

from pipeline.priors.procedural.terms import Says


class Facts:
    """Collected from the prompt's phrases in their order; the first of two contradicting phrases holds."""

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}
        self.implied: dict[str, Any] = {}
        self.origins: list[str] = []
        self.notes: list[str] = []
        self._excluded: dict[str, list[Any]] = {}
        self._phrases: dict[str, str] = {}

    def say(self, says: Says, phrase: str) -> None:
        """Holds for sure. Ranges that overlap narrow each other; origins add up."""
        for path, value in says.items():
            if path == "origin":
                if value not in self.origins:
                    self.origins.append(value)
                continue
            if path in self.said:
                both = _overlap(self.said[path], value)
                if both is None:
                    first = self._phrases[path]
                    self.note(f'"{first}" and "{phrase}" cannot both hold in this version; "{first}" is used')
                    continue
                value = both
            else:
                self._phrases[path] = phrase
            self.said[path] = value

    def imply(self, implies: Says) -> None:
        """Holds unless something else is said."""
        for path, value in implies.items():
            self.implied.setdefault(path, value)

    def exclude(self, says: Says) -> None:
        """Does not hold."""
        for path, value in says.items():
            self._excluded.setdefault(path, []).append(value)

    def note(self, note: str) -> None:
        """Keeps a sentence for the person, once."""
        if note and note not in self.notes:
            self.notes.append(note)

    def get(self, path: str, default: Any = None) -> Any:
        """What is said, else what is implied, else ``default``."""
        if path in self.said:
            return self.said[path]
        value = self.implied.get(path, default)
        return default if self.excludes(path, value) else value

    def excludes(self, path: str, value: Any) -> bool:
        """Whether a value, a number or a choice, is ruled out."""
        for ruled_out in self._excluded.get(path, []):
            if isinstance(ruled_out, tuple):
                low, high = value if isinstance(value, tuple) else (value, value)
                if isinstance(low, int | float) and low <= ruled_out[1] and high >= ruled_out[0]:
                    return True
            elif value == ruled_out:
                return True
        return False

    def kind(self) -> str:
        """The kind of person that is said: gender, age and origins. Two kinds never share a face."""
        return f"{self.said.get('gender')} {self.said.get('age')} {sorted(self.origins)}"


def _overlap(first: Any, second: Any) -> Any:
    """What two values have in common: the same value, or the overlap of two ranges; None when nothing."""
    if isinstance(first, tuple) and isinstance(second, tuple):
        low, high = max(first[0], second[0]), min(first[1], second[1])
        return (low, high) if low <= high else None
    return first if first == second else None
