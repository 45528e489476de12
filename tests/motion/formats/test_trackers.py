"""DECA, EMICA, EMOCA, SMIRK and ARTalk files that do not fit together."""

import pickle

import numpy as np
import pytest
import scipy.io
import torch

from pipeline.errors import MotionError
from pipeline.motion import load_motion
from tests.motion.formats.layouts import zipped
from tests.motion.formats.layouts_arkit import (
    codes,
    smirk_output,
    write_deca,
    write_deca_folder,
    write_emoca,
    write_smirk_npz,
)


def test_one_mat_of_a_whole_clip(tmp_path):
    exp, pose = codes()
    scipy.io.savemat(tmp_path / "clip.mat", {"exp": exp, "pose": pose})
    motion = load_motion([tmp_path / "clip.mat"])
    np.testing.assert_allclose(motion.expression.numpy(), exp, atol=1e-6)
    np.testing.assert_allclose(motion.jaw.numpy(), pose[:, 3:], atol=1e-6)


def test_uploads_in_any_order(tmp_path):
    paths = write_deca(tmp_path)
    one, other = load_motion(paths), load_motion(paths[::-1])
    assert torch.equal(one.expression, other.expression)
    assert one.source == "frame0.mat and 11 more"


@pytest.mark.parametrize("write", [write_deca_folder, write_emoca])
def test_zip_is_as_good_as_a_folder(tmp_path, write):
    (folder,) = write(tmp_path)
    packed = load_motion([zipped(folder, tmp_path / "clip.zip")])
    assert torch.equal(packed.expression, load_motion([folder]).expression)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"exp": np.zeros((1, 40)), "pose": np.zeros((1, 6))}, "exp has 40 numbers in one file and 50 in another"),
        ({"exp": np.zeros((2, 50)), "pose": np.zeros((3, 6))}, "frame5.mat have 2 and 3 rows"),
        ({"exp": np.zeros((1, 50)), "pose": np.zeros((1, 9))}, "no motion was found|pose has 9"),
        ({"exp": np.zeros((1, 50))}, "no motion was found"),
    ],
)
def test_one_file_does_not_fit(tmp_path, content, told):
    paths = write_deca(tmp_path)
    scipy.io.savemat(paths[5], content)
    with pytest.raises(MotionError, match=told):
        load_motion(paths)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"exp": np.zeros((1, 50))}, r"pose is in some of the files but not in all \(frame5\.mat\)"),
        ({"vertices": np.zeros((1, 50))}, r"frame5\.mat holds vertices; exp is needed"),
    ],
)
def test_one_file_of_a_folder_does_not_fit(tmp_path, content, told):
    (folder,) = write_deca_folder(tmp_path)
    scipy.io.savemat(folder / "frame5" / "frame5.mat", content)
    with pytest.raises(MotionError, match=told):
        load_motion([folder])


def test_folder_with_something_else_called_mat(tmp_path):
    (folder,) = write_deca_folder(tmp_path)
    (folder / "frame5" / "frame5.mat").write_text('{"a": 1}')
    with pytest.raises(MotionError, match=r"frame5\.mat in results is no MATLAB file"):
        load_motion([folder])


def test_emoca_frame_without_pose_is_told(tmp_path):
    (folder,) = write_emoca(tmp_path)
    next(folder.rglob("3_000/pose.npy")).unlink()
    motion = load_motion([folder])
    assert len(motion) == 11
    assert any("1 of 12 frames have no pose.npy" in note for note in motion.notes)


@pytest.mark.parametrize(
    ("name", "array", "told"),
    [
        ("exp.npy", np.zeros(49), "49 numbers; 50 as in the first frame"),
        ("exp.npy", np.array(["a"] * 50), "holds <U1 values"),
        ("pose.npy", np.zeros(7), "7 numbers; 6 as in the first frame"),
        ("exp.npy", np.zeros((50, 40)), "2000 numbers"),
    ],
)
def test_emoca_frame_does_not_fit(tmp_path, name, array, told):
    (folder,) = write_emoca(tmp_path)
    np.save(next(folder.rglob(f"7_000/{name}")), array)
    with pytest.raises(MotionError, match=told):
        load_motion([folder])


def test_emoca_without_any_whole_frame(tmp_path):
    folder = tmp_path / "clip"
    for name in ("a/exp.npy", "b/pose.npy"):
        (folder / name).parent.mkdir(parents=True)
        np.save(folder / name, np.zeros(50))
    with pytest.raises(MotionError, match=r"has 0 frames with exp\.npy and pose\.npy"):
        load_motion([folder])


def test_smirk_without_optional_parts(tmp_path):
    output = {name: value for name, value in smirk_output().items() if name in ("expression_params", "jaw_params")}
    np.savez(tmp_path / "smirk.npz", **output)
    motion = load_motion([tmp_path / "smirk.npz"])
    assert motion.eyelids is None
    assert not motion.global_rotation.any()


def test_smirk_frame_by_frame(tmp_path):
    (whole,) = write_smirk_npz(tmp_path)
    paths = []
    for frame in range(12):
        paths.append(tmp_path / f"{frame}.npz")
        np.savez(paths[-1], **{name: value[frame : frame + 1] for name, value in smirk_output().items()})
    assert torch.equal(load_motion(paths).expression, load_motion([whole]).expression)


def test_smirk_lengths(tmp_path):
    output = smirk_output() | {"jaw_params": np.zeros((11, 3))}
    np.savez(tmp_path / "smirk.npz", **output)
    with pytest.raises(MotionError, match="11 and 12 rows"):
        load_motion([tmp_path / "smirk.npz"])


def test_artalk_keeps_only_the_opening_of_the_jaw(tmp_path):
    values = torch.full((1, 5, 106), 0.1)
    torch.save(values, tmp_path / "a.pt")
    motion = load_motion([tmp_path / "a.pt"])
    assert torch.allclose(motion.jaw, torch.tensor([0.1, 0, 0]).expand(5, 3))


def test_a_pickle_of_codes_never_runs(tmp_path):
    class Attack:
        def __reduce__(self):
            return print, ("it ran",)

    (tmp_path / "deca.pkl").write_bytes(pickle.dumps({"exp": np.zeros((1, 50)), "pose": Attack()}))
    with pytest.raises(MotionError, match=r"Python objects.*print"):
        load_motion([tmp_path / "deca.pkl"])
