"""Files that would run code in any ordinary reader: each is refused with its sentence, and nothing runs."""

from __future__ import annotations

import os
import pickle
import zipfile
from contextlib import suppress

import numpy as np
import pytest
import scipy.io
import torch

from pipeline import safe_load
from pipeline.errors import UserError
from tests.safe_load.making import (
    built,
    called,
    command,
    converted,
    inner,
    name,
    shared_clip,
    text,
    whole,
    with_command,
    with_nested_command,
)

REFUSED = (
    r"^This file stores Python objects, which can run code, so it was not opened( \(it asks for {}\))?\. "
    r"Re-save the numbers: np\.savez\('motion\.npz', expr=\.\.\., jaw_pose=\.\.\.\)\.$"
)
HARMFUL = [
    ("os", "system"),
    ("posix", "system"),
    ("nt", "system"),
    ("subprocess", "Popen"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "getattr"),
    ("builtins", "open"),
    ("builtins", "__import__"),
    ("builtins", "type"),
    ("__builtin__", "compile"),
    ("numpy", "load"),
    ("numpy", "memmap"),
    ("numpy", "save"),
    ("numpy.f2py", "compile"),
    ("numpy.f2py.crackfortran", "getlincoef"),
    ("numpy.testing._private.utils", "runstring"),
    ("numpy.core.multiarray", "fromfile"),
    ("scipy.sparse", "load_npz"),
    ("torch", "load"),
    ("torch.storage", "_load_from_bytes.__globals__"),
    ("torch._utils", "_rebuild_tensor_v2.__globals__"),
    ("torch.hub", "load"),
    ("copyreg", "__reduce_ex__"),
    ("copyreg", "_reconstructor.__globals__"),
    ("collections", "OrderedDict.fromkeys"),
    ("_codecs", "decode"),
    ("codecs", "encode"),
    ("operator", "attrgetter"),
    ("functools", "partial"),
    ("pickle", "loads"),
    ("importlib", "import_module"),
    ("sys", "modules"),
    ("pipeline.safe_load.stand_ins", "Array"),
    ("chumpyx", "Ch"),
]


def _tensors() -> bytes:
    """The layout of TalkSHOW's clips: numbers and tensors in protocol 2."""
    return pickle.dumps({"width": 1280, "expression": torch.ones(4, 100), "jaw_pose": torch.zeros(4, 3)}, 2)


def _refuse(path, asked: str) -> None:
    with pytest.raises(UserError, match=REFUSED.format(asked.replace(".", r"\."))):
        converted(path)


@pytest.mark.parametrize(("module", "attribute"), HARMFUL)
@pytest.mark.parametrize("protocol", [2, 4])
def test_no_other_global_is_known(tmp_path, module, attribute, protocol):
    """Even if it is only named; protocol 4 would follow the dots."""
    asked = text(module) + text(attribute) + pickle.STACK_GLOBAL if protocol == 4 else name(module, attribute)
    path = tmp_path / "clip.pkl"
    path.write_bytes(b"\x80" + bytes([protocol]) + asked + pickle.STOP)
    _refuse(path, f"{module}.{attribute}")


@pytest.mark.parametrize("protocol", range(6))
def test_a_reducer_runs_in_pickle_and_not_here(tmp_path, protocol):
    proof, path = tmp_path / "proof", tmp_path / "clip.pkl"

    class Harmful:
        def __reduce__(self):
            return os.system, (f"touch {proof}",)

    path.write_bytes(pickle.dumps({"exp": np.ones(3), "x": Harmful()}, protocol))
    pickle.loads(path.read_bytes())
    assert proof.exists(), "the attack itself works"
    proof.unlink()
    _refuse(path, "posix.system")
    assert not proof.exists()


@pytest.mark.parametrize("add_command", [with_command, with_nested_command])
@pytest.mark.parametrize("source", ["made here", "talkshow_clip.pkl"])
def test_a_command_inside_tensors(tmp_path, add_command, source):
    """At the top level, and in the bytes of a tensor, which torch itself unpickles without limits."""
    real = shared_clip(source)
    if source != "made here" and not real.exists():
        pytest.skip("the real clip may not be shipped; the same layout is made here")
    proof, path = tmp_path / "proof", tmp_path / "clip.pkl"
    content = _tensors() if source == "made here" else real.read_bytes()
    path.write_bytes(add_command(content, proof))
    with suppress(RuntimeError):
        pickle.loads(path.read_bytes())
    assert proof.exists(), "the attack itself works, even where torch then misses the GPU of the real clip"
    proof.unlink()
    _refuse(path, "os.system")
    assert not proof.exists()
    path.write_bytes(content)
    assert "expression" in converted(path)


@pytest.mark.parametrize("archive", [True, False])
def test_a_command_inside_a_torch_file(tmp_path, archive):
    proof, path = tmp_path / "proof", tmp_path / "clip.pt"

    class Harmful:
        def __reduce__(self):
            return os.system, (f"touch {proof}",)

    torch.save({"exp": torch.ones(3), "x": Harmful()}, path, _use_new_zipfile_serialization=archive)
    torch.load(path, weights_only=False)
    assert proof.exists(), "the attack itself works"
    proof.unlink()
    _refuse(path, "posix.system")
    assert not proof.exists()


def test_a_command_behind_the_object_of_a_torch_file(tmp_path):
    """The older format is a row of pickles, each of which could run code."""
    proof, path = tmp_path / "proof", tmp_path / "clip.pt"
    torch.save(torch.ones(3), path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    keys = content.index(b"\x80\x02]q")
    path.write_bytes(content[:keys] + with_command(content[keys:], proof))
    torch.load(path, weights_only=False)
    assert proof.exists(), "the attack itself works"
    proof.unlink()
    _refuse(path, "os.system")
    assert not proof.exists()


def test_objects_inside_arrays_are_read_by_the_same_list(tmp_path):
    proof, path = tmp_path / "proof", tmp_path / "clip.pkl"
    content = pickle.dumps(np.array([{"a": 1}, "mark"], dtype=object), 2)
    place = content.index(inner("mark")[:9])
    path.write_bytes(content[:place] + command(proof) + content[place:])
    pickle.loads(path.read_bytes())
    assert proof.exists(), "the attack itself works"
    proof.unlink()
    _refuse(path, "os.system")
    assert not proof.exists()


def test_pickles_nested_in_bytes_of_bytes(tmp_path):
    """A file of `torch.save` inside another: nothing that torch writes."""
    load = name("torch.storage", "_load_from_bytes")
    path = tmp_path / "clip.pkl"
    once = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {}))
    once += whole(called(load, inner(b"anything"))) + pickle.dumps([], 2)
    path.write_bytes(whole(called(load, pickle.BINBYTES + len(once).to_bytes(4, "little") + once)))
    _refuse(path, "torch.storage._load_from_bytes")


CONTRADICTIONS = {
    "attributes of a function": name("_codecs", "encode") + inner({"__code__": 1}) + pickle.BUILD,
    "slots of a function": name("_codecs", "encode") + inner((None, {"_run": 1})) + pickle.BUILD,
    "attributes of a class": name("chumpy.ch", "Ch") + inner((None, {"value": 1})) + pickle.BUILD,
    "attributes of the array class": name("numpy", "ndarray") + inner((None, {"values": 1})) + pickle.BUILD,
    "a chumpy object that is a list": name("chumpy.ch", "Ch") + inner(()) + pickle.NEWOBJ + inner([1]) + pickle.BUILD,
    "an object of a function": called(name("copyreg", "_reconstructor"), name("_codecs", "encode"), b"N", b"N"),
    "an object of object": called(name("copyreg", "_reconstructor"), name("builtins", "object"), b"N", b"N"),
    "an array of a class": called(name("numpy.core.multiarray", "_reconstruct"), name("chumpy", "Ch"), inner((0,))),
    "another codec": called(name("_codecs", "encode"), inner("x"), inner("rot13")),
    "bytes by the gigabyte": called(name("builtins", "bytearray"), inner(10**12)),
    "a type with fields": called(name("numpy", "dtype"), inner([("a", "f8")]), inner(0), inner(1)),
    "a type by name": called(name("numpy", "dtype"), inner("object"), inner(0), inner(1)),
    "a reference": inner("key") + pickle.BINPERSID,
    "a tensor of a list": called(name("torch._utils", "_rebuild_tensor"), inner([1.0]), inner(0), *[inner((1,))] * 2),
    "a torch file of nothing": called(name("torch.storage", "_load_from_bytes"), inner(b"")),
}  # fmt: skip


@pytest.mark.parametrize("instructions", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_nothing_can_be_changed_or_made_beyond_the_list(tmp_path, instructions):
    path = tmp_path / "clip.pkl"
    path.write_bytes(whole(instructions))
    with pytest.raises(UserError, match=r"clip\.pkl is damaged and cannot be read; save it again"):
        converted(path)


def _state(
    shape, code="f8", content=bytes(24), version=3, order="<", fields=(None, None, None), tail=(-1, -1, 0)
) -> bytes:
    dtype = called(name("numpy", "dtype"), inner(code), inner(0), inner(1))
    dtype += inner((version, order, *fields, *tail)) + pickle.BUILD
    return pickle.MARK + inner(1) + inner(shape) + dtype + inner(False) + inner(content) + pickle.TUPLE


ARRAYS = {
    "more than is there": _state((1000,)),
    "a terabyte": _state((10**12,), content=b""),
    "an overflow": _state((2**32, 2**32), content=b""),
    "a negative axis": _state((-3,)),
    "a shape of floats": _state((3.0,)),
    "forty axes": _state((1,) * 40, content=bytes(8)),
    "objects as bytes": _state((3,), code="O8", order="|", tail=(-1, -1, 63)),
    "objects of another count": _state((3,), code="O8", content=[1, 2], order="|", tail=(-1, -1, 63)),
    "numbers as a list": _state((3,), content=[1.0, 2.0, 3.0]),
    "records": _state((3,), code="V8", fields=(None, ("a",), {"a": 1}), order="|"),
    "a type of another version": _state((3,), version=1),
    "metadata": _state((3,), version=4, tail=(-1, -1, 0, {"a": 1})),
    "an unknown byte order": _state((3,), order="x"),
    "a sub-array": _state((3,), fields=(("f8", (3,)), None, None)),
}


@pytest.mark.parametrize("state", ARRAYS.values(), ids=ARRAYS)
def test_arrays_hold_exactly_their_bytes(tmp_path, state):
    empty = called(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), inner((0,)), inner(b"b"))
    path = tmp_path / "clip.pkl"
    path.write_bytes(whole(empty + state + pickle.BUILD))
    with pytest.raises(UserError, match=r"clip\.pkl is damaged"):
        converted(path)
    path.write_bytes(whole(empty + _state((3,)) + pickle.BUILD))
    assert converted(path)["array"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (5,), (1,)),
        (3, (2,), (1,)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (2, 2), (1,)),
        (0, (2**62, 4), (2**62, 1)),
    ],
)
def test_tensors_stay_within_their_storage(tmp_path, offset, size, stride):
    content = pickle.dumps(torch.arange(4.0), 2)
    honest = inner(0) + b"K\x04\x85"
    start = content.index(honest)
    end = content.index(b"K\x01\x85", start) + 3
    path = tmp_path / "clip.pkl"
    path.write_bytes(content[:start] + inner(offset) + inner(size) + inner(stride) + content[end:])
    with pytest.raises(UserError, match=r"clip\.pkl is damaged|more than 512 MB"):
        converted(path)


SPARSE = {"_shape": (2, 2), "data": np.ones(2), "indices": np.array([0, 1]), "indptr": np.array([0, 1, 2])}
WRONG_SPARSE = {
    "an entry outside": {"indices": np.array([0, 2])},
    "a negative entry": {"indices": np.array([0, -1])},
    "columns out of order": {"indptr": np.array([0, 3, 2])},
    "columns before the start": {"indptr": np.array([-1, 1, 2])},
    "too few columns": {"indptr": np.array([0, 2])},
    "entries of floats": {"indices": np.array([0.0, 1.0])},
    "a shape of text": {"_shape": ("2", "2")},
    "another count of values": {"data": np.ones(3)},
}


@pytest.mark.parametrize("change", WRONG_SPARSE.values(), ids=WRONG_SPARSE)
def test_sparse_matrices_are_checked(tmp_path, change):
    path = tmp_path / "model.pkl"
    state = {key: inner(value) for key, value in (SPARSE | change).items()}
    path.write_bytes(whole(built(name("scipy.sparse._csc", "csc_matrix"), state)))
    with pytest.raises(UserError, match=r"model\.pkl is damaged"):
        converted(path)


def test_a_torch_archive_of_another_make(tmp_path):
    path = tmp_path / "clip.pt"
    torch.save(torch.ones(3), path)
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    for change, sentence in [
        ({"clip/byteorder": b"big"}, "big-endian"),
        ({"clip/data/0": b"short"}, "damaged"),
        ({"other/data.pkl": b"."}, "damaged"),
    ]:
        with zipfile.ZipFile(path, "w") as archive:
            for member, content in (members | change).items():
                archive.writestr(member, content)
        with pytest.raises(UserError, match=sentence):
            converted(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    with pytest.raises(UserError, match="damaged"):
        converted(path)


def test_the_name_in_the_sentence_is_short_and_printable(tmp_path):
    path = tmp_path / "clip.pkl"
    path.write_bytes(whole(name("a\x1b[31m" + "b" * 500, "c")))
    with pytest.raises(UserError) as refusal:
        converted(path)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 260


def test_the_target_is_the_only_file_that_is_written(tmp_path):
    path = tmp_path / "frame.mat"
    scipy.io.savemat(path, {"exp": np.ones((1, 50))})
    safe_load.convert(path, tmp_path / "out.npz")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["frame.mat", "out.npz"]


def test_running_out_of_memory_prints_nothing(tmp_path, capfd):
    """CPython reports a freed bytearray of its own there, beside the `MemoryError` that refuses the file."""
    path = tmp_path / "clip.pkl"
    path.write_bytes(b"\x80\x04\x96" + b"\xff" * 5 + bytes(3) + b".")
    with pytest.raises(UserError, match=r"clip\.pkl needs more than 512 MB of memory"):
        converted(path)
    assert capfd.readouterr().err == ""
