"""Files that lie, burst, run code or are simply broken: each ends in one sentence."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.motion import load_motion, write_motion
from pipeline.motion.formats.arrays import MOST_BYTES, open_arrays
from tests.motion.making import a_motion, expression_array, pose_array


def save(path, array):
    np.save(path, array)
    return path


@pytest.fixture
def pair(tmp_path):
    return save(tmp_path / "exp.npy", expression_array()), save(tmp_path / "pose.npy", pose_array())


@pytest.fixture
def clip(tmp_path):
    write_motion(a_motion(), tmp_path / "clip.npz")
    return tmp_path / "clip.npz"


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ["clip.pkl", "clip.pt", "clip.npy"])
def test_pickles_are_refused(tmp_path, name, protocol):
    path = tmp_path / name
    path.write_bytes(pickle.dumps(Bomb(), protocol=protocol))
    with pytest.raises(UserError, match="Python objects"):
        load_motion([path])


def test_object_arrays_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", expression=np.array([Bomb()], dtype=object))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(UserError, match="Python objects"):
            load_motion([tmp_path / name])


def test_torch_archives_are_read_by_the_allow_list_under_any_name(tmp_path):
    torch.save({"expr": torch.ones(3, 100)}, tmp_path / "a.zip")
    assert bool((load_motion([tmp_path / "a.zip"]).expression == 1).all())
    torch.save({"expr": Bomb()}, tmp_path / "b.npz")
    with pytest.raises(UserError, match="Python objects"):
        load_motion([tmp_path / "b.npz"])


@pytest.mark.parametrize("megabytes", [20, MOST_BYTES // 2**20 + 50])
def test_zip_bomb(tmp_path, megabytes):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("expression.npy", "w") as member:
        np.lib.format.write_array_header_1_0(
            member, {"descr": "<f4", "fortran_order": False, "shape": (megabytes * 2**18, 1)}
        )
        for _ in range(megabytes):
            member.write(bytes(2**20))
    assert path.stat().st_size < 2**20
    with pytest.raises(UserError, match=f"would unpack to {megabytes} MB"):
        load_motion([path])


def test_a_clip_that_stands_still_is_no_bomb(tmp_path):
    write_motion(a_motion(frames=20000, expression=torch.zeros(20000, 100)), tmp_path / "still.npz")
    assert len(load_motion([tmp_path / "still.npz"])) == 20000


def test_lying_directory(clip, tmp_path):
    """A central directory that claims less than a member holds."""
    data = bytearray(clip.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 40)
    (tmp_path / "lie.npz").write_bytes(data)
    with pytest.raises(UserError, match=r"lie\.npz"):
        load_motion([tmp_path / "lie.npz"])


@pytest.mark.parametrize("shape", ["(1000000000, 100)", "(5, 16)", "(0, 99999999999999999999)", "(-5, 15)"])
def test_header_that_lies_about_the_size(tmp_path, shape):
    path = save(tmp_path / "a.npy", pose_array())
    data = path.read_bytes()
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data[128:])
    with pytest.raises(UserError, match=r"a\.npy"):
        load_motion([path])


def test_structured_array(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(5, dtype=[("a", "f4"), ("b", "f4")]))
    with pytest.raises(UserError, match="not a plain array"):
        load_motion([tmp_path / "a.npy"])


def test_every_truncation_is_one_sentence(tmp_path, pair, clip):
    for source in (pair[1], clip):
        data = source.read_bytes()
        path = tmp_path / f"cut{source.suffix}"
        for length in {0, 1, 4, 7, 9, 11, 60, 127, 130, len(data) // 2, len(data) - 1}:
            path.write_bytes(data[:length])
            with pytest.raises(UserError) as error:
                load_motion([path])
            assert "\n" not in str(error.value)


@given(st.data())
def test_damage_never_escapes_as_another_error(tmp_path_factory, data):
    buffer = io.BytesIO()
    if data.draw(st.booleans()):
        np.savez_compressed(buffer, motion_version=1, fps=25.0, basis="flame2023", expression=np.zeros((3, 2)))
    else:
        np.save(buffer, pose_array())
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damage") / "a.npz"
    path.write_bytes(content)
    try:
        load_motion([path])
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017 (undamaged by luck is fine too)
        assert len(str(error)) < 500  # noqa: PT017


def test_missing_empty_too_large_and_other_files(tmp_path):
    with pytest.raises(UserError, match="no file"):
        load_motion([tmp_path / "nothing.npy"])
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="no motion was found in folder with no files"):
        load_motion([tmp_path / "folder"])
    with pytest.raises(UserError, match="no motion file"):
        load_motion([])
    (tmp_path / "empty.npy").touch()
    with pytest.raises(UserError, match="empty"):
        load_motion([tmp_path / "empty.npy"])
    with open(tmp_path / "large.npy", "wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(UserError, match="at most 256 MB"):
        load_motion([tmp_path / "large.npy"])
    (tmp_path / "text.npy").write_text("not numbers")
    with pytest.raises(UserError, match=r"text\.npy"):
        load_motion([tmp_path / "text.npy"])


def test_archive_of_other_things(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("../../evil.sh", "rm")
    with pytest.raises(UserError, match=r"evil\.sh"):
        load_motion([tmp_path / "a.npz"])
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("a" * 5000 + ".npy", b"")
    with pytest.raises(UserError, match=r"c\.npz holds 'a{64}';"):
        load_motion([tmp_path / "c.npz"])
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        for number in range(4097):
            archive.writestr(f"{number}.npy", b"")
    with pytest.raises(UserError, match="4097 files"):
        load_motion([tmp_path / "b.npz"])


def test_unknown_arrays_are_listed(tmp_path):
    np.savez(tmp_path / "other.npz", vertices=np.zeros((5, 3)))
    with pytest.raises(UserError, match=r"no motion was found in other\.npz with vertices \(5, 3\).*expr, jaw_pose"):
        load_motion([tmp_path / "other.npz"])


def test_headers_are_read_without_data(tmp_path):
    """The data of this array is not even there."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (5, 15)})
    with open(tmp_path / "a.npy", "wb") as file:
        file.write(header.getvalue())
        file.truncate(len(header.getvalue()) + 300)
    assert open_arrays(tmp_path / "a.npy").arrays[""].shape == (5, 15)
