"""International Phonetic Alphabet to the sounds that lips know, for every language that eSpeak NG speaks.

A phoneme is read letter by letter; what a letter's place and rounding ask of the lips decides, so that languages need
no table of their own. Marks that the lips do not show (length, tone, aspiration, nasality) are passed over.
"""

from __future__ import annotations

import unicodedata

LETTERS = {
    # vowels: open to close, spread and round
    "a": "AA", "ä": "AA", "ɑ": "AA", "ɒ": "AO", "ɐ": "AH", "æ": "AE", "ʌ": "AH", "ə": "AH", "ɜ": "ER", "ɚ": "ER",
    "ɝ": "ER", "ɞ": "OE", "ɛ": "EH", "e": "EE", "ɘ": "EE", "ɪ": "IH", "i": "IY", "ɨ": "IH", "ɯ": "IH", "ɤ": "AH",
    "ɔ": "AO", "o": "OH", "ʊ": "UH", "u": "UW", "ʉ": "UW", "ø": "OE", "œ": "OE", "ɶ": "OE", "ɵ": "OE", "y": "UE",
    "ʏ": "UE", "ɿ": "IH", "ʅ": "IH", "ᵻ": "IH", "ᵿ": "UH",
    # lips
    "p": "P", "b": "B", "ɓ": "B", "m": "M", "ʘ": "P", "ʙ": "B", "ɸ": "BH", "β": "BH", "f": "F", "v": "V", "ʋ": "V",
    "ɱ": "F", "ⱱ": "V",
    # tongue at the teeth or the ridge
    "θ": "TH", "ð": "DH", "t": "T", "d": "D", "n": "N", "s": "S", "z": "Z", "ɾ": "D", "ɗ": "D", "ʈ": "T", "ɖ": "D",
    "ɳ": "N", "ɽ": "D", "ǀ": "T", "ǃ": "T", "ǂ": "T", "ǁ": "L", "l": "L", "ɬ": "L", "ɮ": "L", "ɭ": "L", "ɫ": "L",
    "ɺ": "L", "ʎ": "L", "r": "D",
    # lips pushed forward
    "ʃ": "SH", "ʒ": "ZH", "ʂ": "SH", "ʐ": "ZH", "ɕ": "SH", "ʑ": "ZH", "ɧ": "SH", "ɹ": "R", "ɻ": "R", "w": "W",
    "ʍ": "W", "ɥ": "UE", "ʷ": "W",
    # front of the palate
    "j": "Y", "ʝ": "Y", "ç": "Y", "ɲ": "Y", "c": "Y", "ɟ": "Y", "ʄ": "Y",
    # behind, where lips have nothing to do
    "k": "K", "g": "G", "ɡ": "G", "ŋ": "NG", "x": "K", "ɣ": "G", "ɠ": "G", "ʟ": "L", "ɰ": "G", "q": "K", "ɢ": "G",
    "ɴ": "NG", "χ": "K", "ʁ": "K", "ʀ": "K", "ʛ": "G", "ħ": "HH", "ʕ": "HH", "h": "HH", "ɦ": "HH", "ʔ": "K", "ʜ": "HH",
    "ʢ": "HH", "ʡ": "HH", "ε": "EH", "φ": "BH", "ʦ": "S",
}  # fmt: skip
"""Letter → ARPABET, or one of EE, OH, OE, UE (pure vowels) and BH (lips almost closed) of `visemes`."""
UNKNOWN = "K"
"""Leaves the lips to the sounds around it."""
NEAREST_ENGLISH = {"EE": "EY", "OH": "OW", "OE": "ER", "UE": "UW", "BH": "V"}
"""For the sounds that English lacks."""
ENGLISH_PAIRS = {
    ("AA", "IH"): "AY", ("AA", "IY"): "AY", ("EE", "IH"): "EY", ("EE", "IY"): "EY", ("EH", "IH"): "EY",
    ("AO", "IH"): "OY", ("AO", "IY"): "OY", ("OH", "IH"): "OY", ("AA", "UH"): "AW", ("AE", "UH"): "AW",
    ("AA", "UW"): "AW", ("OH", "UH"): "OW", ("AH", "UH"): "OW", ("T", "SH"): "CH", ("D", "ZH"): "JH",
}  # fmt: skip
"""Two letters that English counts as one sound."""


def sounds_of(phonemes: str) -> list[str]:
    """The sounds of one phoneme or of a word in IPA, in order; empty for a pause."""
    sounds: list[str] = []
    for letter in unicodedata.normalize("NFC", phonemes):
        if letter in LETTERS:
            sound = LETTERS[letter]
        elif letter.isalpha() and unicodedata.category(letter) != "Lm":
            # a nasal vowel is one letter with its tilde; others are unknown, or ASCII names of espeak's own
            sound = LETTERS.get(unicodedata.normalize("NFD", letter)[0].lower(), UNKNOWN)
        else:
            continue
        if not sounds or sounds[-1] != sound:
            sounds.append(sound)
    return sounds


def english_sounds_of(phonemes: str) -> list[str]:
    """The same in the 39 sounds of the aligner's English."""
    sounds: list[str] = []
    for sound in sounds_of(phonemes):
        pair = (sounds[-1], sound) if sounds else ("", sound)
        if pair in ENGLISH_PAIRS:
            sounds[-1] = ENGLISH_PAIRS[pair]
        else:
            sounds.append(sound)
    return [NEAREST_ENGLISH.get(sound, sound) for sound in sounds]
