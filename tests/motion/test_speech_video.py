"""From a recording or a text to a video: the command line, and sound and picture that start together."""

import subprocess

import numpy as np
import pytest

from pipeline.__main__ import main
from pipeline.ffmpeg import ffmpeg_program
from pipeline.motion.speech import espeak
from tests.motion.speaking import babble, converted, needs_espeak, write_wave

RATE = 16000


@pytest.fixture(scope="module")
def avatar(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech") / "avatar"
    assert main(["create", "a bald man", "--out", str(folder)]) == 0
    return folder


def animate(avatar, target, *arguments):
    return main(["animate", str(avatar), *map(str, arguments), "--video", str(target), "--size", "64"])


def sound_of(path):
    """Mono samples (N,) of a video or sound file."""
    command = [ffmpeg_program(), "-v", "error", "-i", str(path), "-ac", "1", "-ar", str(RATE), "-f", "s16le", "pipe:1"]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, "<i2").astype(float)


def delay(later, earlier):
    """Seconds by which one sound comes after the other, by their cross-correlation."""
    size = 2 ** int(np.ceil(np.log2(len(later) + len(earlier))))
    product = np.fft.irfft(np.fft.rfft(later, size) * np.conj(np.fft.rfft(earlier, size)), size)
    best = int(product.argmax())
    return (best if best < size / 2 else best - size) / RATE


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.flac"])
def test_recording(avatar, tmp_path, capsys, name):
    """The video has the recording's sound, from the first sample on."""
    wave = write_wave(tmp_path / "original.wav", babble(2.0))
    recording = converted(wave, tmp_path / name)
    assert animate(avatar, tmp_path / "v.mp4", "--speech", recording) == 0
    assert "note: Without a transcript" in capsys.readouterr().out
    assert abs(delay(sound_of(tmp_path / "v.mp4"), sound_of(wave))) < 0.005


def test_recording_with_transcript(avatar, tmp_path, capsys):
    wave = write_wave(tmp_path / "a.wav", babble(2.0))
    assert animate(avatar, tmp_path / "v.mp4", "--speech", wave, "--transcript", "Hello") == 0
    assert "note: " in capsys.readouterr().out


@needs_espeak
def test_text(avatar, tmp_path, capsys):
    assert animate(avatar, tmp_path / "v.mp4", "--say", "Hello, I am new here.", "--language", "en-us") == 0
    assert "note: Spoken by eSpeak NG, English (America)" in capsys.readouterr().out
    espeak.speak("Hello, I am new here.", "en-us", tmp_path / "x.wav", 0.35, 0.7)
    assert abs(delay(sound_of(tmp_path / "v.mp4"), sound_of(tmp_path / "x.wav"))) < 0.005


@needs_espeak
def test_text_that_looks_like_an_option(avatar, tmp_path):
    assert animate(avatar, tmp_path / "v.mp4", "--say=--version") == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--speech", "{tmp}/gone.wav"], "no sound file"),
        (["--speech", "{tmp}/text.wav"], "no sound that can be read"),
        (["--speech", "{tmp}/a.wav", "--transcript", "..."], "no words"),
        (["--speech", "{tmp}/a.wav", "--transcript", "hippopotamus " * 99], "do not fit into 2.0 s"),
        (["--speech", "{tmp}/a.wav", "--choose", "fps=30"], "--choose belongs to --motion"),
        (["--say", " "], "nothing to say"),
        (["--say", "Hello", "--transcript", "Hello"], "--transcript belongs to --speech"),
    ],
)
def test_mistakes_are_one_sentence(avatar, tmp_path, capsys, arguments, told):
    write_wave(tmp_path / "a.wav", babble(2.0))
    (tmp_path / "text.wav").write_text("hello")
    assert animate(avatar, tmp_path / "v.mp4", *(text.format(tmp=tmp_path) for text in arguments)) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "v.mp4").exists()


def test_only_one_thing_moves_the_head(avatar, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        animate(avatar, tmp_path / "v.mp4", "--say", "Hello", "--speech", "a.wav")
    assert caught.value.code == 2
    assert "not allowed with" in capsys.readouterr().err
