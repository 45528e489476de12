"""`inspect`: what it says about files, and about those that cannot be used."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.__main__ import main
from pipeline.avatar_folder import save_avatar_folder
from pipeline.errors import UserError
from pipeline.formats.ply import write_ply
from pipeline.inspection import describe
from pipeline.motion import write_motion
from pipeline.recipe import Recipe
from tests.hostile import HOSTILE
from tests.motion.making import a_motion, expression_array, pose_array
from tests.synthetic import synthetic_avatar


@pytest.fixture
def avatar_folder(tmp_path):
    recipe = Recipe("a bald man", 7, {}, {}, [], [])
    save_avatar_folder(synthetic_avatar(), recipe, tmp_path / "A")
    return tmp_path / "A"


def test_a_clip_tells_format_frames_rate_basis_ranges_and_notes(tmp_path):
    np.save(tmp_path / "exp.npy", expression_array())
    np.save(tmp_path / "pose.npy", pose_array())
    expression, pose = ("\n".join(describe(tmp_path / name)) for name in ("exp.npy", "pose.npy"))
    for told in (
        "AnimPortrait3D",
        "5 frames at 25",
        "flame2023",
        "choice: fps=25",
        "choice: basis=flame2023 (or",
        "note:",
    ):
        assert told in expression
    largest = float(np.degrees(np.linalg.norm(pose_array()[:, 6:9], axis=1).max()))
    assert f"jaw up to {largest:.1f}°" in pose
    assert "head still" in expression


def test_one_frame_at_rest_reads_well(tmp_path):
    np.save(tmp_path / "exp.npy", np.float32([[-0.0] * 50]))
    told = "\n".join(describe(tmp_path / "exp.npy"))
    assert "1 frame at 25 frames per second" in told
    assert "0 moving, 0.00 to 0.00" in told


def test_a_place_that_may_not_be_entered_is_one_sentence(tmp_path, monkeypatch):
    """Root may enter every folder, so the system's answer is given here."""

    def locked(path, **_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", locked)
    with pytest.raises(UserError, match=r"locked cannot be read \(Permission denied\); give a"):
        describe(tmp_path / "locked")


def test_choices_are_honoured_and_no_longer_assumed(tmp_path):
    np.save(tmp_path / "exp.npy", expression_array())
    told = "\n".join(describe(tmp_path / "exp.npy", {"fps": "50", "basis": "flame2020"}))
    assert "at 50 frames" in told
    assert "flame2020" in told
    assert "assumed" not in told
    assert "taken as" not in told
    with pytest.raises(UserError, match=r"'units' cannot be chosen .* fps, basis"):
        describe(tmp_path / "exp.npy", {"units": "degrees"})
    with pytest.raises(UserError, match="basis is 'flame1999'"):
        describe(tmp_path / "exp.npy", {"basis": "flame1999"})
    with pytest.raises(UserError, match="fps is '-3'; it must be a positive number"):
        describe(tmp_path / "exp.npy", {"fps": "-3"})


def test_avatars(avatar_folder, tmp_path):
    avatar = synthetic_avatar()
    folder, glb = describe(avatar_folder), describe(avatar_folder / "avatar.glb")
    assert folder[1] == "made from: 'a bald man' with seed 7"
    for lines in (folder, glb):
        assert f"{len(avatar.face):,} splats" in "\n".join(lines)
    write_ply(avatar.gaussians(avatar.rig.vertices), tmp_path / "head.ply")
    assert f"{len(avatar.face):,} splats" in describe(tmp_path / "head.ply")[1]


def test_a_damaged_recipe_is_a_sentence(avatar_folder):
    (avatar_folder / "recipe.json").write_text(json.dumps({"seed": 3}))
    with pytest.raises(UserError, match="damaged"):
        describe(avatar_folder)


def test_every_file_is_told_and_the_bad_ones_make_the_exit_code(tmp_path, capsys):
    write_motion(a_motion(), tmp_path / "good.npz")
    assert main(["inspect", str(tmp_path / "good.npz")]) == 0
    (tmp_path / "bad.bin").write_bytes(bytes(99))
    assert main(["inspect", str(tmp_path / "bad.bin"), str(tmp_path / "good.npz")]) == 2
    shown = capsys.readouterr()
    assert "bad.bin: error:" in shown.out
    assert shown.out.count("frames per second") == 2
    assert shown.err.strip() == "error: 1 of 2 files cannot be used: bad.bin"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_one_sentence(name, tmp_path):
    with pytest.raises(UserError) as error:
        describe(HOSTILE[name](tmp_path))
    assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "executed").exists()
