"""Transcripts, spelling and phonetic letters."""

import pytest

from pipeline.errors import MotionError
from pipeline.motion.speech import transcript
from pipeline.motion.speech.ipa import LETTERS, NEAREST_ENGLISH, UNKNOWN, english_sounds_of, sounds_of
from pipeline.motion.speech.letters import sounds_of_spelling
from pipeline.motion.speech.transcript import pronunciations, words_of
from pipeline.motion.visemes import CLASS_OF_SOUND, DIPHTHONGS, VOWELS, Sound


class TestWords:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("Hello, World!", "hello world"),
            ("Don’t — ‘stop’… now?", "don't stop now"),
            ("I have 42 cats.", "i have forty two cats"),
            ("In 1984, 2000 people", "in nineteen eighty four two thousand people"),
            ("the 21st of May", "the twenty first of may"),
            ("$5 & 50%", "five dollars and fifty percent"),
            ("3.5 or 1,000", "three point five or one thousand"),
            ("A well-known café", "a well known café"),
            ("two\n  lines\t.", "two lines"),
        ],
    )
    def test_english(self, text, words):
        assert words_of(text, "en-us") == words.split()

    def test_numbers_without_end_are_read_digit_by_digit(self):
        assert words_of("9" * 20, "en") == ["nine"] * 20

    def test_other_languages_keep_their_letters_and_numbers(self):
        assert words_of("«Schöne Grüße», 42 नमस्ते!", "de") == ["schöne", "grüße", "42", "नमस्ते"]

    @pytest.mark.parametrize("text", ["...", " - ", "!?"])
    @pytest.mark.parametrize("language", ["en", "fr"])
    def test_no_words(self, text, language):
        with pytest.raises(MotionError, match="no words"):
            words_of(text, language)

    def test_too_long(self):
        with pytest.raises(MotionError, match="20001 characters; at most 20000"):
            words_of("a" * 20001, "en")


class TestSpelling:
    @pytest.mark.parametrize(
        ("word", "sounds"),
        [
            ("Zog", "Z AA G"),
            ("phone", "F OW N"),
            ("chime", "CH AY M"),
            ("butter", "B AH T ER"),
            ("nation", "N AE SH AH N"),
            ("be", "B"),
            ("кот", ""),
        ],
    )
    def test_common_readings(self, word, sounds):
        assert sounds_of_spelling(word) == sounds.split()

    def test_used_where_espeak_is_missing(self, monkeypatch):
        monkeypatch.setattr(transcript, "languages", dict)
        assert pronunciations(["zog", "bim", "кот"], "en") == {"zog": ("Z", "AA", "G"), "bim": ("B", "IH", "M")}
        with pytest.raises(MotionError, match="apt-get install espeak-ng"):
            pronunciations(["schön"], "de")


class TestLetters:
    def test_every_sound_is_one_that_lips_know(self):
        for sound in {*LETTERS.values(), UNKNOWN}:
            Sound(sound, 0, 0.1)

    def test_english_sounds_are_those_of_the_aligner(self):
        arpabet = {*VOWELS, *DIPHTHONGS, *CLASS_OF_SOUND} - set(NEAREST_ENGLISH)
        for letter in LETTERS:
            assert set(english_sounds_of(letter)) <= arpabet

    @pytest.mark.parametrize(
        ("ipa", "sounds"),
        [
            ("m", "M"),
            ("bʰ", "B"),
            ("pf", "P F"),
            ("tʃ", "T SH"),
            ("aɪ", "AA IH"),
            ("ɛ̃", "EH"),
            ("ã", "AA"),
            ("kʷ", "K W"),
            ("yː", "UE"),
            ("iː", "IY"),
            ("s.", "S"),
            ("ɯᵝ", "IH"),
            ("ф", UNKNOWN),
            ("", ""),
            ("ˈ ̩", ""),
        ],
    )
    def test_lips_see_place_and_rounding(self, ipa, sounds):
        assert sounds_of(ipa) == sounds.split()

    def test_english_words(self):
        assert english_sounds_of("həlˈoʊ") == ["HH", "AH", "L", "OW"]
        assert english_sounds_of("ʃˈøːn tʃaɪ") == ["SH", "ER", "N", "CH", "AY"]
