"""English spelling to sounds by rules, for names and new words where eSpeak NG is not installed."""

from __future__ import annotations

RULES = (
    ("tion", "SH AH N"), ("sion", "ZH AH N"), ("ough", "AO"), ("augh", "AO"), ("eigh", "EY"), ("igh", "AY"),
    ("tch", "CH"), ("sch", "SH"), ("dge", "JH"), ("ph", "F"), ("sh", "SH"), ("ch", "CH"), ("th", "TH"), ("wh", "W"),
    ("ck", "K"), ("ng", "NG"), ("qu", "K W"), ("gh", "G"), ("kn", "N"), ("wr", "R"), ("oo", "UW"), ("ee", "IY"),
    ("ea", "IY"), ("ai", "EY"), ("ay", "EY"), ("oa", "OW"), ("ow", "OW"), ("ou", "AW"), ("oi", "OY"), ("oy", "OY"),
    ("au", "AO"), ("aw", "AO"), ("ew", "UW"), ("ie", "IY"), ("ei", "EY"), ("ar", "AA R"), ("or", "AO R"),
    ("er", "ER"), ("ir", "ER"), ("ur", "ER"), ("ce", "S EH"), ("ci", "S IH"), ("cy", "S IY"), ("ge", "JH EH"),
    ("a", "AE"), ("b", "B"), ("c", "K"), ("d", "D"), ("e", "EH"), ("f", "F"), ("g", "G"), ("h", "HH"), ("i", "IH"),
    ("j", "JH"), ("k", "K"), ("l", "L"), ("m", "M"), ("n", "N"), ("o", "AA"), ("p", "P"), ("q", "K"), ("r", "R"),
    ("s", "S"), ("t", "T"), ("u", "AH"), ("v", "V"), ("w", "W"), ("x", "K S"), ("y", "IY"), ("z", "Z"),
)  # fmt: skip
"""Letters → ARPABET; the first that fits counts."""
VOWELS = "aeiouy"
LONG = {"a": "EY", "e": "IY", "i": "AY", "o": "OW", "u": "UW"}
"""Before one consonant and a silent e."""


def sounds_of_spelling(word: str) -> list[str]:
    """ARPABET of a word by the commonest reading of its letters; empty where it has no Latin letter."""
    letters = "".join(letter for letter in word.lower() if "a" <= letter <= "z")
    sounds: list[str] = []
    at = 0
    while at < len(letters):
        if at == len(letters) - 1 and letters[at] == "e" and sounds:
            break  # a last e is silent
        if _is_long(letters, at):
            spelling, spoken = letters[at], LONG[letters[at]]
        else:
            spelling, spoken = next(rule for rule in RULES if letters.startswith(rule[0], at))
        new = spoken.split()
        sounds += new[1:] if sounds and sounds[-1] == new[0] else new  # double letters are said once
        at += len(spelling)
    return sounds


def _is_long(letters: str, at: int) -> bool:
    """A vowel as in name, hope, cute."""
    return (
        at == len(letters) - 3
        and letters[at] in LONG
        and (at == 0 or letters[at - 1] not in VOWELS)
        and letters[at + 1] not in VOWELS
        and letters[at + 2] == "e"
    )
