"""Readers and writer of clip files, friendly and hostile."""

import io
import pickle
import shutil
import struct
import wave
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.errors import UserError
from pipeline.motion import Motion, load_motion, write_motion
from pipeline.motion.formats.arrays import MOST_BYTES, open_arrays
from pipeline.motion.motion import BASES, ROTATIONS, still
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


class TestAnimPortrait3D:
    def test_pair_in_any_order(self, pair):
        one, other = load_motion(pair), load_motion(pair[::-1])
        assert (one.fps, one.basis, len(one)) == (25.0, "flame2023", 5)
        for name in one.tensor_names():
            assert torch.equal(getattr(one, name), getattr(other, name))
        pose = torch.from_numpy(pose_array())
        for column, name in enumerate(("global_rotation", "neck", "jaw", "left_eye", "right_eye")):
            assert torch.equal(getattr(one, name), pose[:, 3 * column : 3 * column + 3])
        assert torch.equal(one.expression, torch.from_numpy(expression_array()))

    def test_either_alone(self, pair):
        exp, pose = (load_motion([path]) for path in pair)
        assert not exp.jaw.any()
        assert exp.expression.any()
        assert pose.jaw.any()
        assert pose.expression.shape == (5, 0)

    def test_guesses_are_noted(self, pair):
        assert any("25 frames per second" in note for note in load_motion(pair).notes)
        motion = load_motion(pair, {"fps": "30"})
        assert motion.fps == 30
        assert not any("per second" in note for note in motion.notes)

    @pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", "<i4"])
    def test_number_types_and_orders(self, tmp_path, dtype):
        array = np.asfortranarray((pose_array() * 10).astype(dtype))
        motion = load_motion([save(tmp_path / "pose.npy", array)])
        np.testing.assert_array_equal(motion.neck.numpy(), array[:, 3:6].astype(np.float32))

    @pytest.mark.parametrize(
        ("array", "told"),
        [
            (np.zeros((5, 52)), "ARKit"),
            (np.zeros((15, 240)), "transposed"),
            (np.zeros((5, 101)), r"\(5, 101\)"),
            (np.zeros(15), r"\(15,\)"),
            (np.zeros((5, 3, 5)), r"\(5, 3, 5\)"),
            (np.zeros((1,) * 20), "20 dimensions"),
            (np.zeros((0, 15)), "0 frames"),
            (np.zeros((36001, 15), np.float16), "36001 frames"),
            (np.array([["a"] * 15] * 5), "<U1"),
            (np.zeros((5, 15), np.complex64), "c8"),
        ],
    )
    def test_wrong_arrays(self, tmp_path, array, told):
        with pytest.raises(UserError, match=told):
            load_motion([save(tmp_path / "a.npy", array)])

    def test_two_of_a_kind(self, tmp_path, pair):
        other = save(tmp_path / "other.npy", pose_array(seed=4))
        with pytest.raises(UserError, match="both"):
            load_motion([pair[1], other])
        with pytest.raises(UserError, match="both"):
            load_motion([pair[0], pair[0]])

    def test_frames_differ(self, tmp_path, pair):
        longer = save(tmp_path / "longer.npy", pose_array(frames=6))
        with pytest.raises(UserError, match=r"exp\.npy has 5 frames and longer\.npy has 6 frames"):
            load_motion([pair[0], longer])

    @pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
    def test_first_broken_frame_is_named(self, tmp_path, value):
        array = pose_array().astype(np.float64)
        array[2:, 3] = value
        with pytest.raises(UserError, match=r"pose\.npy holds 3 of 5 frames .* frame 2"):
            load_motion([save(tmp_path / "pose.npy", array)])


class TestOwnClips:
    @given(
        frames=st.integers(1, 6),
        basis=st.sampled_from(BASES),
        fps=st.floats(1, 240),
        optional=st.sets(st.sampled_from(["head", "eyelids", "translation"])),
        data=st.data(),
    )
    def test_round_trip(self, tmp_path_factory, frames, basis, fps, optional, data):
        width = 52 if basis == "arkit52" else data.draw(st.integers(0, 100))

        def rows(columns, reach):
            values = st.floats(-reach, reach, width=32)
            return torch.from_numpy(data.draw(hnp.arrays(np.float32, (frames, columns), elements=values)))

        tensors = {name: rows(3, 3.0) for name in [*still(frames), *(optional & {"head"})]}
        tensors |= {name: rows(2 if name == "eyelids" else 3, 1.0) for name in optional - {"head"}}
        motion = Motion(fps=fps, basis=basis, expression=rows(width, 5.0), **tensors, source="µ test")
        path = tmp_path_factory.mktemp("clip") / "a.npz"
        write_motion(motion, path)
        back = load_motion([path])
        assert (back.fps, back.basis, back.source) == (fps, basis, "µ test")
        assert back.tensor_names() == motion.tensor_names()
        for name in motion.tensor_names():
            assert torch.equal(getattr(back, name), getattr(motion, name)), name

    def test_half_precision_is_close_and_small(self, tmp_path):
        motion = a_motion(frames=50)
        write_motion(motion, tmp_path / "a.npz")
        write_motion(motion, tmp_path / "b.npz", precision="float16")
        back = load_motion([tmp_path / "b.npz"])
        assert (tmp_path / "b.npz").stat().st_size < (tmp_path / "a.npz").stat().st_size
        torch.testing.assert_close(back.expression, motion.expression, atol=1e-3, rtol=1e-3)

    def test_same_clip_same_bytes_and_nothing_else(self, tmp_path):
        for name in ("a", "b"):
            write_motion(a_motion(), tmp_path / f"{name}.npz")
        assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
        assert {path.name for path in tmp_path.iterdir()} == {"a.npz", "b.npz"}

    def test_fps_may_be_overridden(self, clip):
        assert load_motion([clip], {"fps": "60"}).fps == 60

    def test_wrong_ending(self, tmp_path):
        with pytest.raises(UserError, match=r"\.npz"):
            write_motion(a_motion(), tmp_path / "clip.npy")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"motion_version": np.array(2)}, "version 2"),
            ({"motion_version": np.zeros(3, int)}, "single value"),
            ({"fps": np.array(0.0)}, "frame rate"),
            ({"fps": np.array("fast")}, "fps"),
            ({"basis": np.array("flame1999")}, "flame1999"),
            ({"basis": np.array(3)}, "basis"),
            ({"basis": np.frombuffer(b"\xff\xff\xff\xff", "<U1").reshape(())}, "basis"),
            ({"expression": np.zeros(5)}, "expression"),
            ({"jaw": np.zeros((5, 4))}, r"\(5, 4\)"),
            ({"jaw": np.zeros((4, 3))}, r"\(4, 3\)"),
            ({"jaw": np.full((5, 3), np.nan)}, "frame 0"),
            ({"jaw": np.full((5, 3), 28.0)}, "radians"),
        ],
    )
    def test_wrong_arrays_are_named(self, clip, tmp_path, changes, told):
        with np.load(clip) as arrays:
            np.savez(tmp_path / "bad.npz", **(dict(arrays) | changes))
        with pytest.raises(UserError, match=told):
            load_motion([tmp_path / "bad.npz"])

    def test_unknown_arrays_are_left_out_with_a_note(self, clip, tmp_path):
        with np.load(clip) as arrays:
            np.savez(tmp_path / "more.npz", **arrays, lights=np.zeros(3))
        assert any("lights" in note for note in load_motion([tmp_path / "more.npz"]).notes)

    def test_wave_beside_the_clip_is_its_sound(self, clip, tmp_path):
        sound = tmp_path / "voice.dat"
        with wave.open(str(sound), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(bytes(1600))
        assert load_motion([sound, clip]).audio == sound
        with pytest.raises(UserError, match="no motion file"):
            load_motion([sound])
        shutil.copy(sound, tmp_path / "other.wav")
        with pytest.raises(UserError, match="2 WAV files"):
            load_motion([sound, clip, tmp_path / "other.wav"])


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


class TestHostileFiles:
    @pytest.mark.parametrize("protocol", range(6))
    @pytest.mark.parametrize("name", ["clip.pkl", "clip.pt", "clip.npy"])
    def test_pickles_are_refused(self, tmp_path, name, protocol):
        path = tmp_path / name
        path.write_bytes(pickle.dumps(Bomb(), protocol=protocol))
        told = "no NumPy file" if name == "clip.npy" and protocol < 2 else "pickles are refused"
        with pytest.raises(UserError, match=told):
            load_motion([path])

    def test_object_arrays_are_refused(self, tmp_path):
        np.save(tmp_path / "a.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
        np.savez(tmp_path / "a.npz", expression=np.array([Bomb()], dtype=object))
        for name in ("a.npy", "a.npz"):
            with pytest.raises(UserError, match="pickles are refused"):
                load_motion([tmp_path / name])

    def test_torch_archives_are_refused(self, tmp_path):
        torch.save({"a": torch.zeros(3)}, tmp_path / "a.zip")
        with pytest.raises(UserError, match="pickles are refused"):
            load_motion([tmp_path / "a.zip"])

    @pytest.mark.parametrize("megabytes", [20, MOST_BYTES // 2**20 + 50])
    def test_zip_bomb(self, tmp_path, megabytes):
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

    def test_a_clip_that_stands_still_is_no_bomb(self, tmp_path):
        write_motion(a_motion(frames=20000, expression=torch.zeros(20000, 100)), tmp_path / "still.npz")
        assert len(load_motion([tmp_path / "still.npz"])) == 20000

    def test_lying_directory(self, clip, tmp_path):
        """A central directory that claims less than a member holds."""
        data = bytearray(clip.read_bytes())
        at = data.rindex(b"PK\x01\x02")
        data[at + 24 : at + 28] = struct.pack("<I", 40)
        (tmp_path / "lie.npz").write_bytes(data)
        with pytest.raises(UserError, match=r"lie\.npz"):
            load_motion([tmp_path / "lie.npz"])

    @pytest.mark.parametrize("shape", ["(1000000000, 100)", "(5, 16)", "(0, 99999999999999999999)", "(-5, 15)"])
    def test_header_that_lies_about_the_size(self, tmp_path, shape):
        path = save(tmp_path / "a.npy", pose_array())
        data = path.read_bytes()
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
        path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data[128:])
        with pytest.raises(UserError, match=r"a\.npy"):
            load_motion([path])

    def test_structured_array(self, tmp_path):
        np.save(tmp_path / "a.npy", np.zeros(5, dtype=[("a", "f4"), ("b", "f4")]))
        with pytest.raises(UserError, match="not a plain array"):
            load_motion([tmp_path / "a.npy"])

    def test_every_truncation_is_one_sentence(self, tmp_path, pair, clip):
        for source in (pair[1], clip):
            data = source.read_bytes()
            path = tmp_path / f"cut{source.suffix}"
            for length in {0, 1, 4, 7, 9, 11, 60, 127, 130, len(data) // 2, len(data) - 1}:
                path.write_bytes(data[:length])
                with pytest.raises(UserError) as error:
                    load_motion([path])
                assert "\n" not in str(error.value)

    @given(st.data())
    def test_damage_never_escapes_as_another_error(self, tmp_path_factory, data):
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

    def test_missing_empty_too_large_and_other_files(self, tmp_path):
        with pytest.raises(UserError, match="no file"):
            load_motion([tmp_path / "nothing.npy"])
        with pytest.raises(UserError, match="no file"):
            load_motion([tmp_path])
        with pytest.raises(UserError, match="no motion file"):
            load_motion([])
        (tmp_path / "empty.npy").touch()
        with pytest.raises(UserError, match="empty"):
            load_motion([tmp_path / "empty.npy"])
        with open(tmp_path / "large.npy", "wb") as file:
            file.truncate(MOST_BYTES + 1)
        with pytest.raises(UserError, match="at most 200 MB"):
            load_motion([tmp_path / "large.npy"])
        (tmp_path / "text.npy").write_text("not numbers")
        with pytest.raises(UserError, match="no NumPy file"):
            load_motion([tmp_path / "text.npy"])

    def test_archive_of_other_things(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr("../../evil.sh", "rm")
        with pytest.raises(UserError, match=r"evil\.sh"):
            load_motion([tmp_path / "a.npz"])
        with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
            archive.writestr("a" * 5000 + ".npy", b"")
        with pytest.raises(UserError, match=r"c\.npz holds 'a{64}';"):
            load_motion([tmp_path / "c.npz"])
        with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
            for number in range(65):
                archive.writestr(f"{number}.npy", b"")
        with pytest.raises(UserError, match="65 files"):
            load_motion([tmp_path / "b.npz"])

    def test_unknown_arrays_are_listed(self, tmp_path):
        np.savez(tmp_path / "other.npz", vertices=np.zeros((5, 3)))
        with pytest.raises(UserError, match=r"vertices \(5, 3\).*it reads"):
            load_motion([tmp_path / "other.npz"])


def test_headers_are_read_without_data(tmp_path):
    """The data of this array is not even there."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (5, 15)})
    with open(tmp_path / "a.npy", "wb") as file:
        file.write(header.getvalue())
        file.truncate(len(header.getvalue()) + 300)
    assert open_arrays(tmp_path / "a.npy").arrays[""].shape == (5, 15)


def test_every_rotation_survives(tmp_path):
    motion = a_motion(head=torch.ones(5, 3))
    write_motion(motion, tmp_path / "a.npz")
    assert set(ROTATIONS) <= set(np.load(tmp_path / "a.npz").files)
