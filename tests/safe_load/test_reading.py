"""Pickles, .pt and .mat files of every flavour become the same plain arrays."""

from __future__ import annotations

import collections
import io
import pickle

import numpy as np
import pytest
import scipy.io
import scipy.sparse
import torch

from pipeline import safe_load
from pipeline.errors import UserError
from tests.safe_load.making import built, called, converted, inner, name, shared_clip, text, whole

PROTOCOLS = range(6)
RANDOM = np.random.default_rng(3)
CLIP = {
    "exp": RANDOM.normal(size=(12, 100)).astype(np.float32),
    "nested": {"jaw pose": RANDOM.normal(size=(12, 3)), "frames": np.arange(12)[::-1], "half": np.float16([1, 2])},
    "fortran": np.asfortranarray(RANDOM.normal(size=(4, 5))),
    "turned": RANDOM.normal(size=(3, 4, 5)).transpose(2, 0, 1),
    "big_endian": np.arange(5, dtype=">f4"),
    "none": np.zeros((0, 3)),
    "fps": 25,
    "scale": np.float64(1.5),
    "flag": True,
    "gender": "neutral",
    "names": ["jawOpen", "jawLeft"],
    "listed": [[1.0, 2.0], [3.0, 4.0]],
    "per_frame": [np.float32([1, 2]), np.float32([3, 4])],
    "per_frame_rows": [np.float32([[1, 2]]), np.float32([[3, 4]])],
    "two_tracks": [np.float32([[1, 2], [3, 4]]), np.float32([[5, 6], [7, 8]])],
    "numpy_words": np.array(["a", "bc"]),
    "python2_words": np.array([b"a", b"bc"]),
    "objects": np.array([{"a": 1}, None], dtype=object),
    "boxed": np.array({"b": 2.0}, dtype=object),
    "left_out": None,
    "bytes": b"raw",
    "set": {1, 2},
    3: np.ones(2),
}
EXPECTED = {
    "exp": CLIP["exp"],
    "nested/jaw pose": CLIP["nested"]["jaw pose"],
    "nested/frames": np.arange(12)[::-1],
    "nested/half": np.float16([1, 2]),
    "fortran": CLIP["fortran"],
    "turned": CLIP["turned"],
    "big_endian": np.arange(5, dtype="<f4"),
    "none": np.zeros((0, 3)),
    "fps": np.array(25),
    "scale": np.array(1.5),
    "flag": np.array(True),
    "gender": np.array("neutral"),
    "names": np.array(["jawOpen", "jawLeft"]),
    "listed": np.array([[1.0, 2.0], [3.0, 4.0]]),
    "per_frame": np.float32([[1, 2], [3, 4]]),
    "per_frame_rows": np.float32([[[1, 2]], [[3, 4]]]),
    "two_tracks/0": np.float32([[1, 2], [3, 4]]),
    "two_tracks/1": np.float32([[5, 6], [7, 8]]),
    "numpy_words": np.array(["a", "bc"]),
    "python2_words": np.array(["a", "bc"]),
    "objects/0/a": np.array(1),
    "boxed/b": np.array(2.0),
    "3": np.ones(2),
}
TENSORS = {
    "float": torch.arange(12.0).reshape(3, 4),
    "turned": torch.arange(12.0).reshape(3, 4).T,
    "part": torch.arange(12.0)[3:9:2],
    "repeated": torch.arange(3.0).expand(2, 3),
    "half": torch.arange(3.0).half(),
    "brain": torch.tensor([1.0, -2.5, 0.0078125]).bfloat16(),
    "double": torch.arange(3.0).double(),
    "long": torch.arange(3),
    "int": torch.arange(3, dtype=torch.int32),
    "short": torch.arange(3, dtype=torch.int16),
    "char": torch.arange(3, dtype=torch.int8),
    "byte": torch.arange(3, dtype=torch.uint8),
    "bool": torch.tensor([True, False]),
    "empty": torch.zeros(0, 3),
    "number": torch.tensor(2.0),
    "learnt": torch.nn.Parameter(torch.ones(2)),
}


def _same(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert sorted(actual) == sorted(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(actual[key], value, err_msg=key)
        assert actual[key].dtype == np.asarray(value).dtype, key
        assert actual[key].shape == np.asarray(value).shape, key


def _numpy(tensors: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {
        key: (value.float() if value.dtype == torch.bfloat16 else value).detach().numpy()
        for key, value in tensors.items()
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_of_any_protocol(tmp_path, protocol):
    path = tmp_path / "clip.bin"
    path.write_bytes(pickle.dumps(CLIP, protocol))
    assert safe_load.foreign_kind(path) == "pickle"
    _same(converted(path), EXPECTED)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_by_numpy_1(tmp_path, protocol):
    """It names numpy's modules without the underscore."""
    content = pickle.dumps(np.arange(4.0), protocol)
    if protocol >= 4:
        content = pickle.dumps(np.arange(4.0), 3)
    path = tmp_path / "clip.pkl"
    path.write_bytes(content.replace(b"numpy._core", b"numpy.core"))
    _same(converted(path), {"array": np.arange(4.0)})


def test_bytes_of_python_2(tmp_path):
    """Python 2 wrote the numbers of an array as a string."""
    raw = np.arange(3.0).tobytes()
    dtype = called(name("numpy", "dtype"), inner("f8"), inner(0), inner(1))
    dtype += inner((3, "<", None, None, None, -1, -1, 0)) + pickle.BUILD
    array = called(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), inner((0,)), b"U\x01b")
    state = inner(1) + inner((3,)) + dtype + inner(False) + b"T" + len(raw).to_bytes(4, "little") + raw
    path = tmp_path / "old.pkl"
    path.write_bytes(whole(array + pickle.MARK + state + pickle.TUPLE + pickle.BUILD))
    _same(converted(path), {"array": np.arange(3.0)})


@pytest.mark.parametrize("layout", [scipy.sparse.csc_matrix, scipy.sparse.csr_matrix, scipy.sparse.csc_array])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_sparse_matrices_become_dense(tmp_path, layout, protocol):
    dense = np.where(RANDOM.random((5, 7)) > 0.6, RANDOM.normal(size=(5, 7)), 0)
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"J_regressor": layout(dense)}, protocol))
    _same(converted(path), {"J_regressor": dense})


def test_the_old_spelling_of_scipy(tmp_path):
    path = tmp_path / "model.pkl"
    content = pickle.dumps(scipy.sparse.csc_matrix(np.eye(3)), 2)
    path.write_bytes(content.replace(b"scipy.sparse._csc", b"scipy.sparse.csc"))
    _same(converted(path), {"array": np.eye(3)})


def test_chumpy_values_and_selections(tmp_path):
    """Old model files keep arrays as expressions of a library that no longer installs."""
    values = np.arange(24.0).reshape(4, 6)
    basis = built(name("chumpy.ch", "Ch"), {"x": inner(values), "_dirty_vars": inner(set()), "_itr": inner(None)})
    chosen = np.arange(24).reshape(4, 6)[:, :2]
    part = {"a": basis, "idxs": inner(chosen.ravel()), "preferred_shape": inner((4, 2))}
    path = tmp_path / "model.pkl"
    items = text("posedirs") + basis + text("shapedirs") + built(name("chumpy.reordering", "Select"), part)
    path.write_bytes(whole(pickle.EMPTY_DICT + pickle.MARK + items + pickle.SETITEMS))
    _same(converted(path), {"posedirs": values, "shapedirs": values[:, :2]})


def test_chumpy_by_the_oldest_protocol(tmp_path):
    """Protocols 0 and 1 make an object by ``copy_reg._reconstructor``."""
    path = tmp_path / "model.pkl"
    made = called(name("copy_reg", "_reconstructor"), name("chumpy.ch", "Ch"), name("__builtin__", "object"), b"N")
    path.write_bytes(made + pickle.MARK + text("x") + inner(np.ones(2)) + b"d" + pickle.BUILD + pickle.STOP)
    assert safe_load.foreign_kind(path) == "pickle"
    _same(converted(path), {"array": np.ones(2)})


def test_a_chumpy_product_would_have_to_be_computed(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(whole(built(name("chumpy.ch", "multiply"), {"a": inner(np.ones(2)), "b": inner(np.ones(2))})))
    with pytest.raises(UserError, match=r"chumpy expression .* save its \.r instead"):
        converted(path)


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("protocol", [2, 4])
def test_torch_files_of_both_formats(tmp_path, archive, protocol):
    path = tmp_path / "clip.bin"
    torch.save(TENSORS, path, pickle_protocol=protocol, _use_new_zipfile_serialization=archive)
    assert safe_load.foreign_kind(path) == "torch"
    _same(converted(path), _numpy(TENSORS))


@pytest.mark.parametrize("archive", [True, False])
def test_a_bare_tensor(tmp_path, archive):
    """ARTalk's motion files are one."""
    path = tmp_path / "clip_motions.pt"
    torch.save(torch.ones(5, 106), path, _use_new_zipfile_serialization=archive)
    _same(converted(path), {"array": np.ones((5, 106), np.float32)})


def test_a_checkpoint_with_what_usually_comes_along(tmp_path):
    path = tmp_path / "checkpoint.pth"
    extras = {"size": torch.Size([3, 4]), "device": torch.device("cpu"), "dtype": torch.float32}
    torch.save({"state": torch.nn.Linear(2, 1).state_dict(), **extras}, path)
    assert sorted(converted(path)) == ["size", "state/bias", "state/weight"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tensors_inside_a_plain_pickle(tmp_path, protocol):
    path = tmp_path / "all.pkl"
    path.write_bytes(pickle.dumps(collections.OrderedDict(TENSORS), protocol))
    assert safe_load.foreign_kind(path) == "pickle"
    _same(converted(path), _numpy(TENSORS))


def test_the_real_talkshow_pickle(tmp_path):
    path = shared_clip("talkshow_clip.pkl")
    if not path.exists():
        pytest.skip("the real clip may not be shipped; the same layout is made in the tests above")
    target = tmp_path / "clip.npz"
    safe_load.convert(path, target)
    with np.load(target, allow_pickle=False) as arrays:
        assert arrays["expression"].shape == (180, 100)
        assert arrays["jaw_pose"].shape == arrays["leye_pose"].shape == (180, 3)
        assert arrays["body_pose_axis"].shape == (180, 63)
        assert arrays["batch_size"] == 180
        assert np.abs(arrays["jaw_pose"]).max() < 0.2


def test_a_mat_file(tmp_path):
    path = tmp_path / "frame.dat"
    deca = {"exp": RANDOM.normal(size=(1, 50)), "pose": np.zeros((1, 6)), "light": np.ones((1, 9, 3), np.float32)}
    structure = {"inner": {"values": np.arange(3.0), "text": "abc"}}
    cells = np.array([np.arange(2.0), "x"], dtype=object)
    scipy.io.savemat(path, {**deca, **structure, "cells": cells, "sparse": scipy.sparse.csc_matrix(np.eye(2))})
    assert safe_load.foreign_kind(path) == "mat"
    expected = {"inner/values": np.arange(3.0)[None], "inner/text": np.array("abc"), "sparse": np.eye(2)}
    cells_expected = {"cells/0": np.arange(2.0)[None], "cells/1": np.array("x")}
    _same(converted(path), deca | expected | cells_expected)


def test_a_compressed_mat_file(tmp_path):
    path = tmp_path / "frame.mat"
    scipy.io.savemat(path, {"exp": np.ones((4, 50))}, do_compression=True)
    _same(converted(path), {"exp": np.ones((4, 50))})


def test_mat_73_is_told_how_to_be_saved(tmp_path):
    path = tmp_path / "frame.mat"
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    path.write_bytes(header.ljust(512, b"\0") + b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(UserError, match=r"MATLAB 7\.3 file, which is not read; save it with save\(.*'-v7'\)"):
        converted(path)


def test_matlab_objects_are_refused(tmp_path):
    """A function handle, as MATLAB stores it: class 16 of the array flags."""
    saved = io.BytesIO()
    scipy.io.savemat(saved, {"f": {"inner": 1.0}})
    content = bytearray(saved.getvalue())
    content[144] = 17
    path = tmp_path / "frame.mat"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"objects or functions|damaged"):
        converted(path)


@pytest.mark.parametrize(
    "content",
    [
        b"Timecode,BlendShapeCount\n1,2\n",
        b"0.1,0.2,0.3\n",
        b"(a) some text.",
        b"clip\nframes\n1.",
        b'{"names": []}',
        b"",
        b".",
        np.lib.format.magic(1, 0) + b"...",
        b"RIFF....WAVE",
    ],
)
def test_other_files_are_not_foreign(tmp_path, content):
    path = tmp_path / "clip.pkl"
    path.write_bytes(content)
    assert safe_load.foreign_kind(path) is None
    with pytest.raises(UserError, match="no pickle"):
        safe_load.convert(path, tmp_path / "out.npz")


def test_an_npz_is_not_foreign(tmp_path):
    np.savez(tmp_path / "clip.npz", exp=np.ones(3))
    assert safe_load.foreign_kind(tmp_path / "clip.npz") is None


def test_names_are_plain_and_never_clash(tmp_path):
    path = tmp_path / "clip.pkl"
    odd = {
        "../up": 1,
        ".._up": 2,
        "\n": 3,
        "": 4,
        "x" * 500: 5,
        "a": {"b" * 70: {"c" * 70: 6}},
        (1, 2): 7,
        b"raw": 8,
        "é": 9,
    }
    path.write_bytes(pickle.dumps(odd))
    arrays = converted(path)
    assert sorted(int(value) for value in arrays.values()) == [1, 2, 3, 4, 5, 6, 8, 9]
    for key in arrays:
        assert key.isprintable()
        assert len(key) <= 60
        assert not {"..", ""} & set(key.split("/"))
    assert {"raw", "é", "_up", "_up_2"} <= set(arrays)


def test_many_names_that_look_alike(tmp_path):
    path = tmp_path / "clip.pkl"
    path.write_bytes(pickle.dumps({"a" * 40: {"b" * 100 + str(number): number for number in range(500)}}))
    arrays = converted(path)
    assert sorted(int(value) for value in arrays.values()) == list(range(500))
    assert max(map(len, arrays)) <= 60


def test_a_file_without_numbers(tmp_path):
    path = tmp_path / "clip.pkl"
    path.write_bytes(pickle.dumps({"a": None, "b": [None], "c": {}}))
    with pytest.raises(UserError, match="holds no numbers"):
        converted(path)


def test_numbers_beyond_64_bits_are_left_out(tmp_path):
    path = tmp_path / "clip.pkl"
    path.write_bytes(pickle.dumps({"big": 10**40, "list": [10**40, 1], "mixed": [1, None, "x"], "fine": 1}))
    assert {key: value.item() for key, value in converted(path).items()} == {
        "list/1": 1, "mixed/0": 1, "mixed/2": "x", "fine": 1,
    }  # fmt: skip


def test_the_target_is_whole_or_not_there(tmp_path):
    path = tmp_path / "clip.pkl"
    path.write_bytes(pickle.dumps({"exp": np.ones(1000)})[:-500])
    with pytest.raises(UserError, match=r"clip\.pkl is damaged"):
        safe_load.convert(path, tmp_path / "out.npz")
    assert [file.name for file in tmp_path.iterdir()] == ["clip.pkl"]


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        safe_load.convert(tmp_path / "none.pkl", tmp_path / "out.npz")
