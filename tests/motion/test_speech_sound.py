"""Sound files of strangers."""

import struct

import numpy as np
import pytest

from pipeline.errors import MotionError
from pipeline.motion.speech import speech_motion
from pipeline.motion.speech.sound_file import RATE, loudness, read_sound
from tests.motion.speaking import babble, converted, write_wave


@pytest.mark.parametrize(
    ("rate", "channels", "width"), [(8000, 1, 1), (16000, 1, 2), (44100, 2, 2), (48000, 2, 3), (96000, 6, 2)]
)
def test_every_kind_of_wave(tmp_path, rate, channels, width):
    path = write_wave(tmp_path / "a.wav", babble(1.5, rate), rate, channels, width)
    samples = read_sound(path)
    assert len(samples) == pytest.approx(1.5 * RATE, abs=2)
    levels = loudness(samples)
    assert levels[:100].max() > -20
    assert levels[130:].max() < levels[:100].max() - 20


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp3", []),
        ("a.flac", []),
        ("a.ogg", ["-c:a", "libvorbis"]),
        ("a.opus", ["-c:a", "libopus"]),
        ("a.m4a", ["-c:a", "aac"]),
        ("float.wav", ["-c:a", "pcm_f32le"]),
        ("upload", ["-f", "flac"]),
    ],
)
def test_other_files(tmp_path, name, options):
    wave = write_wave(tmp_path / "wave", babble(1.5))
    heard = loudness(read_sound(converted(wave, tmp_path / name, *options)))[:150]
    original = loudness(read_sound(wave))[:150]
    loud = original > -30
    assert np.abs(heard - original)[loud].mean() < 2.5, "the sound starts at another time or is another"


def test_samples_that_are_no_numbers_do_no_harm(tmp_path):
    data = np.where(np.arange(8000) % 2, np.nan, np.inf).astype("<f4").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 3, 1, 16000, 64000, 4, 32,
                       b"data", len(data))  # fmt: skip
    (tmp_path / "nan.wav").write_bytes(head + data)
    assert np.isfinite(loudness(read_sound(tmp_path / "nan.wav"))).all()


class TestRefusals:
    def refused(self, path, told):
        for read in (read_sound, speech_motion):
            with pytest.raises(MotionError, match=told) as caught:
                read(path)
            assert path.name in str(caught.value)

    @pytest.mark.parametrize(
        "data", [b"", b"hello", b"RIFF\0\0\0\0WAVEfmt ", b"\x80\x04os.system", b"ID3" + b"\xff" * 99]
    )
    def test_no_sound(self, tmp_path, data):
        path = tmp_path / "upload.wav"
        path.write_bytes(data)
        self.refused(path, "no sound that can be read")

    def test_missing_or_folder(self, tmp_path):
        self.refused(tmp_path / "gone.wav", "no sound file")
        self.refused(tmp_path, "no sound file")

    def test_silent(self, tmp_path):
        self.refused(write_wave(tmp_path / "a.wav", np.zeros(16000)), "is silent")

    def test_short(self, tmp_path):
        self.refused(write_wave(tmp_path / "a.wav", babble()[:800]), "0.05 s of sound")

    def test_long(self, tmp_path):
        """Nothing of an endless file is kept beyond the limit."""
        hours = write_wave(tmp_path / "a.wav", np.tile(babble(10, 1000), 61), 1000)
        self.refused(hours, "longer than 10 minutes")

    def test_large(self, tmp_path):
        path = tmp_path / "a.wav"
        with open(path, "wb") as file:
            file.truncate(257 * 2**20)
        self.refused(path, "257 MB; at most 256 MB")

    def test_playlists_and_pictures(self, tmp_path):
        """A playlist would make ffmpeg open what it names."""
        write_wave(tmp_path / "secret.wav", babble())
        texts = {
            "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nsecret.wav\n#EXT-X-ENDLIST\n",
            "list.ffconcat": "ffconcat version 1.0\nfile secret.wav\n",
            "list.wav": "ffconcat version 1.0\nfile secret.wav\n",
        }
        for name, text in texts.items():
            (tmp_path / name).write_text(text)
            self.refused(tmp_path / name, "no sound that can be read")

    def test_cut_off(self, tmp_path):
        """What is there of a broken download is used."""
        whole = write_wave(tmp_path / "a.wav", babble(2.0)).read_bytes()
        (tmp_path / "cut.wav").write_bytes(whole[: len(whole) // 2])
        assert len(read_sound(tmp_path / "cut.wav")) == pytest.approx(RATE, rel=0.01)
