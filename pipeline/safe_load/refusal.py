"""Why a file was not opened: the sentences that a person reads."""

from __future__ import annotations

HOW_TO_SAVE = "Re-save the numbers: np.savez('motion.npz', expr=..., jaw_pose=...)."
GET_AGAIN = "Get it again from where it was published."
"""In its place for a network, whose numbers are nobody's to save."""
LONGEST_NAME = 60
FORBIDDEN = 77
"""Exit status of a worker that tried what no reader needs."""


class Refused(Exception):
    """The file is not opened; its text is the sentence."""


def runs_code(asked: str) -> Refused:
    """The file names a Python object that is not on the allow-list; ``asked`` is that name, or empty."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in asked)
    if len(shown) > LONGEST_NAME:
        shown = shown[:LONGEST_NAME] + "…"
    wish = f" (it asks for {shown})" if shown else ""
    return Refused(f"This file stores Python objects, which can run code, so it was not opened{wish}. {HOW_TO_SAVE}")


def damaged(name: str) -> Refused:
    """The file breaks the rules of its own format."""
    return Refused(f"{name} is damaged and cannot be read; save it again")


def too_large(name: str, most_bytes: int) -> Refused:
    """The content, or what reading it takes, is larger than allowed."""
    size = f"{most_bytes / 2**20:.0f} MB"
    return Refused(f"{name} needs more than {size} of memory, so it was not opened. {HOW_TO_SAVE}")


def too_slow(name: str, seconds: float) -> Refused:
    """The file was given up after its time."""
    return Refused(f"{name} could not be read within {seconds:g} s, so it was given up. {HOW_TO_SAVE}")
