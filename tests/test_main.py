"""The command line: what it writes, what it says, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.__main__ import main
from pipeline.formats.ply import read_ply
from tests.hostile import HOSTILE

ROOT = Path(__file__).parents[1]
PROMPT = "a young black woman with an afro and gold earrings"


@pytest.fixture(scope="module")
def avatar(tmp_path_factory):
    """The avatar folder that the command line makes."""
    folder = tmp_path_factory.mktemp("cli") / "A"
    assert main(["create", PROMPT, "--seed", "3", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """An expression and a pose file as AnimPortrait3D writes them: the jaw opens and closes twice."""
    folder = tmp_path_factory.mktemp("pair")
    pose = np.zeros((16, 15), np.float32)
    pose[:, 6] = 0.15 * (1 - np.cos(np.arange(16) / 16 * 4 * np.pi))
    np.save(folder / "pose.npy", pose)
    np.save(folder / "exp.npy", np.zeros((16, 100), np.float32))
    return [str(folder / "exp.npy"), str(folder / "pose.npy")]


def said(capsys):
    """The one sentence on stderr."""
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert len(error.strip().splitlines()) == 1
    return error


def test_create_writes_the_whole_folder_and_prints_its_time(tmp_path, capsys):
    assert main(["create", "a bald man", "--out", str(tmp_path / "A"), "--set", "glasses=round"]) == 0
    names = {
        "avatar.glb",
        "config.json",
        "diffusion_pytorch_model.safetensors",
        "preview.png",
        "prompt.txt",
        "recipe.json",
    }
    assert {path.name for path in (tmp_path / "A").iterdir()} == names
    assert " s (" in capsys.readouterr().out


def test_the_same_command_in_another_process_writes_the_same_bytes(avatar, tmp_path):
    command = [sys.executable, "-m", "pipeline", "create", PROMPT, "--seed", "3", "--out", str(tmp_path / "A")]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    for path in sorted(avatar.iterdir()):
        assert path.read_bytes() == (tmp_path / "A" / path.name).read_bytes(), path.name


def test_animate_writes_a_video(avatar, pair, tmp_path, capsys):
    target = tmp_path / "v.mp4"
    assert main(["animate", str(avatar), "--motion", *pair, "--video", str(target), "--size", "128x96"]) == 0
    assert target.read_bytes()[4:8] == b"ftyp"
    assert "16 frames" in capsys.readouterr().out


def test_the_clip_can_be_edited_first(avatar, pair, tmp_path, capsys):
    call = ["animate", str(avatar), "--motion", *pair, "--video", str(tmp_path / "v.mp4"), "--size", "64"]
    assert main([*call, "--edit", '{"speed": 2, "repeat": 3}']) == 0
    assert "24 frames" in capsys.readouterr().out


def test_animate_writes_transparent_frames(avatar, pair, tmp_path):
    arguments = [
        "animate",
        str(avatar),
        "--motion",
        *pair,
        "--video",
        str(tmp_path / "f"),
        "--background",
        "transparent",
    ]
    assert main([*arguments, "--size", "64"]) == 0
    assert len(list((tmp_path / "f").glob("*.png"))) == 16


@pytest.mark.parametrize("kind", ["ply", "glb"])
def test_export_writes_a_pose(avatar, pair, tmp_path, kind):
    target = tmp_path / f"pose.{kind}"
    arguments = ["export", str(avatar), "--format", kind, "--out", str(target), "--pose", *pair, "--frame", "4"]
    assert main(arguments) == 0
    if kind == "ply":
        assert len(read_ply(target).means) > 60_000
    else:
        assert b"KHR_gaussian_splatting" in target.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["create", ""], "the prompt is empty"),
        (["create", "x" * 10_000], "10,000 characters"),
        (["create", "qwrtz zzxy"], "Nothing in the prompt describes a person".lower()),
        (["create", "привет"], "not understood"),
        (["create", "🙂"], "not understood"),
        (["create", "a man\udcff"], "no utf-8 text"),
        (["create", "a man", "--seed", "-1"], "seed is -1"),
        (["create", "a man", "--set", "hair.style"], "is not NAME=VALUE"),
        (["create", "a man", "--set", "hair.style=beehive"], "beehive"),
        (["create", "a man", "--set", "tail=long"], "tail"),
    ],
)
def test_bad_creations_write_nothing(arguments, sentence, tmp_path, capsys):
    assert main([*arguments, "--out", str(tmp_path / "A")]) == 2
    assert sentence.lower() in said(capsys).lower()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_bad_motion_files_write_nothing(avatar, name, tmp_path, capsys):
    path = HOSTILE[name](tmp_path)
    before = sorted(tmp_path.iterdir())
    assert main(["animate", str(avatar), "--motion", str(path), "--video", str(tmp_path / "v.mp4")]) == 2
    assert path.name in said(capsys)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        (["--video", "v.avi"], "does not end in .mp4"),
        (["--video", "v.mp4", "--size", "big"], "--size 'big'"),
        (["--video", "v.mp4", "--size", "512x"], "--size '512x'"),
        (["--video", "v.mp4", "--size", "9" * 5000], "is not a number of pixels"),
        (["--video", "v.mp4", "--size", "5"], "must be 16 to 4096"),
        (["--video", "v.mp4", "--fps", "0.1"], "frame"),
        (["--video", "v.mp4", "--background", "mauvish"], "'mauvish' is no colour"),
        (["--video", "v.mp4", "--edit", "faster"], "edits are not understood"),
        (["--video", "v.mp4", "--edit", '{"sped": 2}'], "no edit 'sped'"),
    ],
)
def test_bad_video_settings_write_nothing(avatar, pair, extra, sentence, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["animate", str(avatar), "--motion", *pair, *extra]) == 2
    assert sentence in said(capsys)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written_are_one_sentence(avatar, pair, tmp_path, capsys):
    (tmp_path / "file").touch()
    below = str(tmp_path / "file" / "below")
    for arguments in (
        ["create", "a man", "--out", below],
        ["create", "a man", "--out", "x" * 300],
        ["animate", str(avatar), "--motion", *pair, "--video", below + ".mp4", "--size", "64"],
        ["animate", str(avatar), "--motion", *pair, "--video", below, "--size", "64", "--background", "transparent"],
        ["animate", str(avatar), "--motion", "x" * 300, "--video", str(tmp_path / "v.mp4")],
        ["export", str(avatar), "--format", "ply", "--out", below + ".ply"],
        ["export", "x" * 300, "--format", "ply", "--out", str(tmp_path / "a.ply")],
    ):
        assert main(arguments) == 2
        assert "cannot be" in said(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_same_person_may_be_made_again_in_place(avatar, tmp_path):
    folder = tmp_path / "A"
    for _ in range(2):
        assert main(["create", PROMPT, "--seed", "3", "--out", str(folder)]) == 0
    assert (folder / "avatar.glb").read_bytes() == (avatar / "avatar.glb").read_bytes()
    assert list(tmp_path.iterdir()) == [folder]


def test_ctrl_c_ends_quietly_and_leaves_nothing(avatar, pair, tmp_path):
    arguments = ["animate", str(avatar), "--motion", *pair, "--video", str(tmp_path / "v.mp4"), "--fps", "120"]
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"from pipeline.__main__ import main; sys.exit(main({[*arguments, '--size', '2048']!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()):
        assert time.monotonic() < deadline, "the export never began"
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error == "stopped; nothing was written\n"
    assert list(tmp_path.iterdir()) == []


def test_progress_is_counted_where_somebody_watches(avatar, pair, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    video = ["--video", str(tmp_path / "v.mp4"), "--size", "64"]
    assert main(["animate", str(avatar), "--motion", *pair, *video]) == 0
    assert capsys.readouterr().err.split("\r")[-1] == "16 of 16 frames\n"


def test_missing_avatar_folder(pair, tmp_path, capsys):
    assert main(["animate", str(tmp_path / "none"), "--motion", *pair, "--video", str(tmp_path / "v.mp4")]) == 2
    assert "there is no avatar folder" in said(capsys)


def test_missing_frame(avatar, pair, tmp_path, capsys):
    arguments = ["export", str(avatar), "--format", "ply", "--out", str(tmp_path / "a.ply"), "--pose", *pair]
    assert main([*arguments, "--frame", "99"]) == 2
    assert "the clip has frames 0 to 15" in said(capsys)


def test_wrong_usage_is_one_sentence_and_two(capsys):
    assert main(["create"]) == 2
    assert "PROMPT is missing" in said(capsys)
    with pytest.raises(SystemExit) as ended:
        main(["animate"])
    assert ended.value.code == 2
    assert "DIR" in said(capsys)
