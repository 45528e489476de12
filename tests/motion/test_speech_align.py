"""Recordings, with and without their words."""

import re
from itertools import pairwise

import numpy as np
import pytest
import torch

from pipeline.errors import MotionError
from pipeline.motion.speech import espeak, speech_motion, transcript
from pipeline.motion.speech.align import AlignedSound, Alignment, align
from pipeline.motion.speech.ipa import english_sounds_of
from pipeline.motion.speech.rough import rough_sounds
from pipeline.motion.speech.sound_file import read_sound
from pipeline.motion.speech.transcript import words_of
from pipeline.motion.visemes import CLASS_OF_SOUND, DIPHTHONGS, VOWELS
from tests.motion.speaking import CHANNELS, RECORDINGS, babble, column, converted, needs_espeak, write_wave

SENTENCES = (
    "Hello, I am new here.",
    "My mother makes a big bowl of pumpkin soup every Monday.",
    "She sells sea shells by the sea shore, and she likes them very much.",
)
WRONG = "Nobody expects a transcript of quite another lecture about economics."


@pytest.fixture
def small_windows(monkeypatch):
    """A quarter of a minute is a long recording."""
    monkeypatch.setattr("pipeline.motion.speech.align.SINGLE_WINDOW", 8.0)
    monkeypatch.setattr("pipeline.motion.speech.align.WINDOW", 6.0)


def kind(sound):
    return "vowel" if sound in VOWELS or sound in DIPHTHONGS else CLASS_OF_SOUND.get(sound, sound)


def offsets(aligned, utterance):
    """Seconds by which sounds that both sides name begin later in ``aligned``, in order."""
    said = [(english_sounds_of(phoneme.ipa), phoneme.start) for phoneme in utterance.phonemes]
    reference = [(kind(names[0]), start) for names, start in said if names]
    found, at = [], 0
    for sound in aligned.sounds:
        for number in range(at, min(at + 4, len(reference))):
            if reference[number][0] == kind(sound.name):
                found.append(sound.start - reference[number][1])
                at = number + 1
                break
    return np.array(found)


class TestAnySound:
    """What holds without a voice: nothing has to be installed."""

    def test_words_come_in_order_within_the_sound(self):
        samples = (babble(3.0) * 32767).astype(np.int16)
        found = align(samples, words_of("hello my name is bob", "en"))
        assert " ".join(sound.name for sound in found.sounds) == "HH AH L OW M AY N EY M IH Z B AA B"
        starts = [sound.start for sound in found.sounds]
        assert starts == sorted(starts)
        assert min(sound.length for sound in found.sounds) >= 0.03
        assert found.sounds[-1].start + found.sounds[-1].length <= 3.0

    def test_long_recordings_are_aligned_window_by_window(self, small_windows):
        """Nothing is lost or said twice where windows meet."""
        samples = (np.tile(babble(2.0), 10) * 32767).astype(np.int16)
        words = words_of("one two three four " * 10, "en")
        found = align(samples, words)
        once = ["W", "AH", "N", "T", "UW", "TH", "R", "IY", "F", "AO", "R"]
        assert [sound.name for sound in found.sounds] == once * 10
        assert (np.diff([sound.start for sound in found.sounds]) > 0).all()

    def test_new_words_need_no_espeak(self, monkeypatch):
        monkeypatch.setattr(transcript, "languages", dict)
        found = align((babble() * 32767).astype(np.int16), ["zoggle", "bim"])
        assert " ".join(sound.name for sound in found.sounds) == "Z AA G L B IH M"

    def test_too_many_words(self, tmp_path):
        path = write_wave(tmp_path / "a.wav", babble(1.0))
        with pytest.raises(MotionError, match=r"60 words do not fit into 1\.0 s"):
            speech_motion(path, "hippopotamus " * 60)

    def test_wrong_words_are_told_and_not_used(self, tmp_path):
        path = write_wave(tmp_path / "a.wav", babble(6.0))
        motion = speech_motion(path, WRONG)
        assert "does not seem to be what is said" in motion.notes[0]
        assert torch.equal(motion.expression, speech_motion(path).expression)

    def test_doubt(self):
        def heard(score, frames, unsaid=0.0):
            return Alignment((AlignedSound("AA", 0.0, frames / 100, score * frames),) * 10, unsaid)

        assert not heard(-15, 8).doubtful
        assert not heard(-50, 8).doubtful
        assert heard(-50, 3).doubtful
        assert heard(-90, 8).doubtful
        assert heard(-15, 8, unsaid=0.5).doubtful
        assert heard(-15, 8).score == pytest.approx(-15)

    def test_without_a_transcript_it_is_called_rough(self, tmp_path):
        path = write_wave(tmp_path / "a.wav", babble(3.0))
        motion = speech_motion(path)
        assert "rough" in motion.notes[0]
        assert motion.audio == path
        assert motion.basis == "arkit52"
        assert motion.fps == 30
        assert 3.0 <= motion.duration <= 4.0
        assert torch.equal(motion.expression, speech_motion(path, "  ").expression)
        for frame in (0, -1):
            assert float(motion.expression[frame].max()) < 0.02

    def test_rough_sounds_cover_the_recording(self):
        sounds = rough_sounds((babble(3.0) * 32767).astype(np.int16))
        assert sounds[0].start == 0
        for before, after in pairwise(sounds):
            assert after.start == pytest.approx(before.start + before.length, abs=1e-6)
        assert {sound.name for sound in sounds} <= {"-", "AA", "AH", "EH", "IH", "AO", "UH", "M", "F", "T"}

    def test_another_language_needs_espeak(self, tmp_path, monkeypatch):
        monkeypatch.setattr(transcript, "languages", dict)
        path = write_wave(tmp_path / "a.wav", babble())
        with pytest.raises(MotionError, match="apt-get install espeak-ng"):
            speech_motion(path, "Guten Tag", "de")


@needs_espeak
class TestSpeech:
    def test_aligned_with_what_espeak_itself_tells(self, tmp_path):
        """Median at most a frame of 30 per second, nine in ten within 80 ms."""
        errors = []
        for number, (voice, text) in enumerate(zip(("en-us", "en-gb", "en-us-nyc"), SENTENCES, strict=True)):
            path = tmp_path / f"{number}.wav"
            utterance = espeak.speak(text, voice, path, 0.3, 0.5)
            found = align(read_sound(path), words_of(text, "en"))
            assert not found.doubtful
            errors.append(np.abs(offsets(found, utterance)))
            assert len(errors[-1]) > 0.8 * len(found.sounds)
        together = np.concatenate(errors)
        assert np.median(together) <= 1 / 30
        assert np.quantile(together, 0.9) <= 0.08

    def test_words_move_the_lips_where_the_recording_says_them(self, tmp_path):
        text = "Bob, my mother, and Pam."
        utterance = espeak.speak(text, "en-us", tmp_path / "a.wav", 0.3, 0.5)
        motion = speech_motion(converted(tmp_path / "a.wav", tmp_path / "a.mp3"), text)
        assert motion.audio.name == "a.mp3"
        assert "5 words were aligned" in motion.notes[0]
        gap = column(motion, "jawOpen") - column(motion, "mouthClose")
        times = np.arange(len(motion)) / 30
        closures = [p.start for p in utterance.phonemes if p.ipa in "pbm" and p.ipa]
        assert len(closures) == 6
        for at in closures:
            assert gap[np.abs(times - at) <= 0.08].min() < 0.01

    def test_wrong_transcript(self, tmp_path):
        espeak.speak(SENTENCES[1], "en-us", tmp_path / "a.wav", 0.3, 0.5)
        assert "does not seem" in speech_motion(tmp_path / "a.wav", WRONG).notes[0]
        assert "does not seem" in speech_motion(tmp_path / "a.wav", "Soup.").notes[0]

    def test_another_language(self, tmp_path):
        text = "Guten Morgen, mein Bruder kommt am Montag um 8 Uhr."
        utterance = espeak.speak(text, "de", tmp_path / "a.wav", 0.3, 0.5)
        found = align(read_sound(tmp_path / "a.wav"), words_of(text, "de"), "de")
        assert np.median(np.abs(offsets(found, utterance))) < 0.06
        assert "nearest sounds stand in" in speech_motion(tmp_path / "a.wav", text, "de").notes[0]

    def test_long_recording(self, tmp_path, small_windows):
        """Windows lose no word: as near at the end as at the beginning."""
        text = " ".join(SENTENCES * 3)
        utterance = espeak.speak(text, "en-us", tmp_path / "a.wav", 0.3, 0.5)
        assert utterance.seconds > 20
        found = align(read_sound(tmp_path / "a.wav"), words_of(text, "en"))
        late = [sound for sound in found.sounds if sound.start > 15]
        lips = np.array([p.start for p in utterance.phonemes if p.ipa == "m"])
        errors = [np.abs(lips - sound.start).min() for sound in late if sound.name == "M"]
        assert np.median(errors) < 0.05


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="Debian's pocketsphinx-testdata is not installed")
def test_human_speech():
    """Read aloud by people: the right words fit, another's do not."""
    lines = (RECORDINGS / "librivox" / "transcription").read_text().splitlines()
    clips = [match.groups() for line in lines if (match := re.match(r"<s> (.*) </s> \((.*)\)", line))]
    assert len(clips) == 5
    clips = [clips[1], clips[4]]  # the shortest
    for number, (words, name) in enumerate(clips):
        samples = read_sound(RECORDINGS / "librivox" / f"{name}.wav")
        right = align(samples, words_of(words, "en"))
        assert right.doubt < 0.6
        assert right.unsaid < 0.25
        assert align(samples, words_of(clips[number - 1][0], "en")).doubtful


@pytest.mark.skipif(not CHANNELS.is_dir(), reason="Debian's alsa-utils is not installed")
@pytest.mark.parametrize("name", ["Front_Center", "Front_Left", "Rear_Right", "Side_Left"])
def test_human_words_in_48_kilohertz(name):
    motion = speech_motion(CHANNELS / f"{name}.wav", name.replace("_", " "))
    assert "2 words were aligned" in motion.notes[0]
    assert column(motion, "jawOpen").max() > 0.1
