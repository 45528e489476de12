"""Videos are decoded back with ffmpeg and looked at."""

import os
import signal
import struct
import subprocess
import sys
import textwrap
import threading
import time
import wave
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import UserError
from pipeline.ffmpeg import ffmpeg_program
from pipeline.rendering.layouts import LARGEST_SIDE, LAYOUTS, make_shots
from pipeline.rendering.portrait import STUDIO_GREY
from pipeline.rendering.video import (
    POSE_BATCH,
    VideoCancelled,
    ahead,
    parse_background,
    render_frames,
    write_png_frames,
    write_video,
)
from tests.synthetic import synthetic_avatar

ROOT = Path(__file__).parents[2]


def plain_frames(number: int, width: int = 64, height: int = 48, colour: tuple[int, int, int] = (40, 90, 200)):
    """Frames of one colour with a white square that moves a pixel a frame."""
    for frame in range(number):
        picture = np.empty((height, width, 3), np.uint8)
        picture[:] = colour
        picture[8:16, frame % (width - 8) : frame % (width - 8) + 8] = 255
        yield picture


def decode(path: Path, width: int, height: int) -> np.ndarray:
    """(T, H, W, 3) uint8 of every frame of a video, read as BT.709 like a browser does."""
    command = [ffmpeg_program(), "-v", "error", "-i", str(path), "-vf", "scale=in_color_matrix=bt709"]
    raw = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def describe(path: Path) -> str:
    """What ffmpeg says about a file."""
    return subprocess.run([ffmpeg_program(), "-hide_banner", "-i", str(path)], capture_output=True, text=True).stderr


def boxes(path: Path) -> list[str]:
    """Names of the top-level boxes of an MP4, in order."""
    data, at, names = path.read_bytes(), 0, []
    while at < len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        names.append(name.decode())
        at += size
    return names


def a_wave(path: Path, seconds: float) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        tone = np.sin(np.arange(int(16000 * seconds)) * 0.17) * 8000
        file.writeframes(tone.astype("<i2").tobytes())
    return path


def slowly(frames):
    """As a renderer gives them: ffmpeg has time to read ahead in the sound."""
    for frame in frames:
        time.sleep(0.02)
        yield frame


class TestWriteVideo:
    def test_what_is_written(self, tmp_path):
        path = tmp_path / "a.mp4"
        assert write_video(path, plain_frames(30), 25) == 30
        told = describe(path)
        assert "h264" in told
        assert "yuv420p(tv, bt709" in told
        assert "64x48" in told
        assert "25 fps" in told
        frames = decode(path, 64, 48)
        assert len(frames) == 30
        assert np.abs(frames[:, 30:].astype(int) - (40, 90, 200)).max() <= 4
        assert [frame[12].mean(-1).argmax() for frame in frames[::10]] == pytest.approx([0, 10, 20], abs=2)
        order = boxes(path)
        assert order.index("moov") < order.index("mdat")
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize(("width", "height"), [(63, 47), (64, 47), (17, 33)])
    def test_odd_sides_grow_by_their_own_last_row(self, tmp_path, width, height):
        path = tmp_path / "odd.mp4"
        write_video(path, plain_frames(3, width, height), 25)
        wide, high = width + width % 2, height + height % 2
        frames = decode(path, wide, high)
        assert len(frames) == 3
        assert np.abs(frames[:, -2:, -2:].astype(int) - (40, 90, 200)).max() <= 6

    @pytest.mark.parametrize(("fps", "told"), [(1, "1 fps"), (29.97, "29.97 fps"), (60, "60 fps"), (120, "120 fps")])
    def test_frame_rates(self, tmp_path, fps, told):
        write_video(tmp_path / "a.mp4", plain_frames(12), fps)
        assert told in describe(tmp_path / "a.mp4")
        assert len(decode(tmp_path / "a.mp4", 64, 48)) == 12

    @pytest.mark.parametrize("seconds", [0.4, 3.0])
    def test_sound_is_as_long_as_the_video(self, tmp_path, seconds):
        sound = a_wave(tmp_path / "a.wav", seconds)
        write_video(tmp_path / "a.mp4", slowly(plain_frames(40)), 25, audio=sound, frame_count=40)
        told = describe(tmp_path / "a.mp4")
        assert "aac" in told
        assert "Duration: 00:00:01.6" in told
        assert len(decode(tmp_path / "a.mp4", 64, 48)) == 40

    def test_sound_that_is_none(self, tmp_path):
        (tmp_path / "voice").write_bytes(b"RIFF\x00\x00\x00\x00WAVEnothing")
        with pytest.raises(UserError, match="the sound voice cannot be read"):
            write_video(tmp_path / "a.mp4", plain_frames(500), 25, audio=tmp_path / "voice", frame_count=500)
        with pytest.raises(UserError, match="no sound file"):
            write_video(tmp_path / "a.mp4", plain_frames(5), 25, audio=tmp_path / "b.wav", frame_count=5)
        with pytest.raises(ValueError, match="needs frame_count"):
            write_video(tmp_path / "a.mp4", plain_frames(5), 25, audio=tmp_path / "voice")
        assert [path.name for path in tmp_path.iterdir()] == ["voice"]

    @pytest.mark.parametrize("fps", [0, 0.5, 121, float("nan")])
    def test_frame_rate_out_of_range(self, tmp_path, fps):
        with pytest.raises(UserError, match="frame rate"):
            write_video(tmp_path / "a.mp4", plain_frames(3), fps)

    def test_targets_that_cannot_be(self, tmp_path):
        (tmp_path / "folder.mp4").mkdir()
        (tmp_path / "file").touch()
        for name, told in (("a.avi", r"\.mp4"), ("folder.mp4", "folder"), ("file/a.mp4", "cannot be written")):
            with pytest.raises(UserError, match=told):
                write_video(tmp_path / name, plain_frames(3), 25)

    def test_no_frames(self, tmp_path):
        with pytest.raises(UserError, match="no frames"):
            write_video(tmp_path / "a.mp4", iter(()), 25)
        assert not list(tmp_path.iterdir())

    def test_progress_counts_every_frame(self, tmp_path):
        told: list[int] = []
        write_video(tmp_path / "a.mp4", plain_frames(7), 25, progress=told.append)
        assert told == list(range(1, 8))

    def test_cancel_leaves_nothing_and_stops_the_frames(self, tmp_path):
        made: list[int] = []

        def frames():
            for frame, picture in enumerate(plain_frames(10_000)):
                made.append(frame)
                yield picture

        old = b"the video of before"
        (tmp_path / "a.mp4").write_bytes(old)
        threads = threading.active_count()
        with pytest.raises(VideoCancelled):
            write_video(tmp_path / "a.mp4", frames(), 25, cancel=lambda: len(made) > 20)
        assert len(made) < 40
        assert threading.active_count() == threads
        assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
        assert (tmp_path / "a.mp4").read_bytes() == old

    def test_a_failing_frame_leaves_nothing(self, tmp_path):
        def frames():
            yield from plain_frames(5)
            raise RuntimeError("the sixth frame")

        with pytest.raises(RuntimeError, match="the sixth frame"):
            write_video(tmp_path / "a.mp4", frames(), 25)
        assert not list(tmp_path.iterdir())

    def test_kill_in_the_middle_leaves_nothing_under_the_name(self, tmp_path):
        """kill -9 of the whole program: only a hidden partial file may stay."""
        script = f"""
            import itertools, sys
            from pathlib import Path
            from pipeline.rendering.video import write_video
            from tests.rendering.test_video import plain_frames
            write_video(Path({str(tmp_path / "a.mp4")!r}), itertools.cycle(plain_frames(50)), 25,
                        progress=lambda n: print(n, flush=True))
        """
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) >= 60:
                break
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:  # ffmpeg sees its input end and stops on its own
            sizes = [path.stat().st_size for path in tmp_path.iterdir()]
            time.sleep(0.3)
            if sizes == [path.stat().st_size for path in tmp_path.iterdir()]:
                break
        names = [path.name for path in tmp_path.iterdir()]
        assert len(names) == 1
        assert names[0].startswith(".a.mp4-")
        assert names[0].endswith(".partial")


class TestPngFrames:
    def test_frames_with_alpha(self, tmp_path):
        pictures = [np.random.default_rng(k).integers(0, 256, (9, 7, 4)).astype(np.uint8) for k in range(5)]
        assert write_png_frames(tmp_path / "out", iter(pictures)) == 5
        names = sorted(path.name for path in (tmp_path / "out").iterdir())
        assert names == [f"frame_{k:05d}.png" for k in range(5)]
        for name, picture in zip(names, pictures, strict=True):
            np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / name)), picture)

    def test_older_frames_are_replaced_and_others_left_alone(self, tmp_path):
        write_png_frames(tmp_path / "out", plain_frames(5))
        write_png_frames(tmp_path / "out", plain_frames(2))
        assert len(list((tmp_path / "out").iterdir())) == 2
        (tmp_path / "out" / "letter.txt").touch()
        with pytest.raises(UserError, match="left alone"):
            write_png_frames(tmp_path / "out", plain_frames(2))
        assert (tmp_path / "out" / "letter.txt").exists()

    def test_cancel_leaves_nothing(self, tmp_path):
        done: list[int] = []
        with pytest.raises(VideoCancelled):
            write_png_frames(tmp_path / "out", plain_frames(500), progress=done.append, cancel=lambda: len(done) > 3)
        with pytest.raises(UserError, match="no frames"):
            write_png_frames(tmp_path / "out", iter(()))
        assert not list(tmp_path.iterdir())


class TestRenderFrames:
    def clip(self, frames: int):
        avatar = synthetic_avatar()
        expression, rotations = avatar.rig.neutral()
        rotations = rotations.repeat(frames, 1, 1)
        rotations[:, avatar.rig.joint_index("head"), 1] = torch.linspace(0, 1, frames)
        return avatar, expression.repeat(frames, 1), rotations

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_every_layout(self, layout):
        frames = POSE_BATCH + 3
        avatar, expression, rotations = self.clip(frames)
        shots = make_shots(layout, avatar.rig, 48, 40, frames, 25)
        pictures = list(render_frames(avatar, expression, rotations, shots, (1.0, 0.0, 0.0)))
        wide, high = {"four": (2, 2), "mesh": (2, 1)}.get(layout, (1, 1))
        assert shots.picture_size == (48 * wide, 40 * high)
        assert len(pictures) == frames
        for picture in pictures:
            assert picture.shape == (40 * high, 48 * wide, 3)
            assert picture.dtype == np.uint8
            assert (picture[0, 0] == (255, 0, 0)).all()
        assert any((pictures[0] != picture).any() for picture in pictures)

    def test_each_frame_is_its_own_pose(self):
        """Batches and look-ahead keep the order: the same pictures as one pose at a time."""
        avatar, expression, rotations = self.clip(POSE_BATCH + 2)
        shots = make_shots("single", avatar.rig, 40, 40, len(expression), 25)
        together = list(render_frames(avatar, expression, rotations, shots))
        for frame in (0, 1, POSE_BATCH - 1, POSE_BATCH, POSE_BATCH + 1):
            one = slice(frame, frame + 1)
            (alone,) = render_frames(avatar, expression[one], rotations[one], shots)
            assert np.abs(alone.astype(int) - together[frame]).max() <= 1

    def test_transparent_over_a_colour_is_the_opaque_picture(self):
        avatar, expression, rotations = self.clip(2)
        shots = make_shots("single", avatar.rig, 40, 40, 2, 25)
        clear = next(render_frames(avatar, expression, rotations, shots, None)).astype(float) / 255
        solid = next(render_frames(avatar, expression, rotations, shots, (0.2, 0.6, 0.4))).astype(float) / 255
        alpha = clear[..., 3:]
        assert alpha.min() == 0
        assert alpha.max() > 0.5
        assert np.abs(clear[..., :3] * alpha + (1 - alpha) * (0.2, 0.6, 0.4) - solid).max() < 0.02

    def test_turntable_goes_round_once_and_loops(self):
        rig = synthetic_avatar().rig
        shots = make_shots("turntable", rig, 32, 32, 100, 25)
        places = torch.stack([shots.tiles(frame)[0].camera.position for frame in range(101)])
        torch.testing.assert_close(places[0], places[100], atol=1e-4, rtol=0)
        assert places[25, 0] > 0.9 * places[:, 0].max()  # towards the subject's left first
        assert places[50, 2] < 0

    def test_four_views_are_front_moving_right_and_left(self):
        rig = synthetic_avatar().rig
        tiles = make_shots("four", rig, 32, 24, 100, 25).tiles(0)
        assert [(tile.left, tile.top) for tile in tiles] == [(0, 0), (32, 0), (0, 24), (32, 24)]
        assert tiles[0].camera.position[2] > 0
        assert tiles[2].camera.position[0] < 0 < tiles[3].camera.position[0]

    def test_the_mesh_stands_beside_the_splats(self):
        avatar, expression, rotations = self.clip(1)
        shots = make_shots("mesh", avatar.rig, 96, 80, 1, 25)
        (picture,) = render_frames(avatar, expression, rotations, shots, (0.0, 0.0, 1.0))
        splats, mesh = picture[:, :96].astype(int), picture[:, 96:].astype(int)
        empty = (mesh == (0, 0, 255)).all(-1)
        grey = (mesh == mesh[..., :1]).all(-1)
        assert 0.05 < grey.mean() < 0.9
        assert (grey | empty).mean() > 0.9  # edges are mixed
        seen = (splats != (0, 0, 255)).any(-1)
        assert (seen & grey).sum() > 0.7 * grey.sum()
        (clear,) = render_frames(avatar, expression, rotations, shots, None)
        assert clear.shape == (80, 192, 4)
        assert (clear[:, 96:, 3][empty] == 0).all()
        assert (clear[:, 96:, 3][grey] == 255).all()

    def test_layout_and_size_are_checked(self):
        rig = synthetic_avatar().rig
        with pytest.raises(UserError, match="'spiral'"):
            make_shots("spiral", rig, 64, 64, 10, 25)
        for layout, side in (
            ("single", 15),
            ("single", LARGEST_SIDE + 1),
            ("four", LARGEST_SIDE // 2 + 1),
            ("single", 0),
        ):
            with pytest.raises(UserError, match="pixels"):
                make_shots(layout, rig, side, side, 10, 25)

    def test_head_fills_the_video(self, tmp_path):
        avatar, expression, rotations = self.clip(8)
        shots = make_shots("four", avatar.rig, 64, 64, 8, 25)
        write_video(tmp_path / "a.mp4", render_frames(avatar, expression, rotations, shots, (0.0, 1.0, 0.0)), 25)
        frames = decode(tmp_path / "a.mp4", 128, 128).astype(int)
        assert len(frames) == 8
        corner, middle = frames[:, :6, :6], frames[:, 24:40, 24:40]
        assert np.abs(corner - (0, 255, 0)).max() <= 6
        assert np.abs(middle - (0, 255, 0)).max() > 60


class TestBackground:
    @pytest.mark.parametrize(
        ("text", "colour"),
        [
            ("white", (1, 1, 1)),
            ("#f00", (1, 0, 0)),
            (" #00FF00 ", (0, 1, 0)),
            ("grey", STUDIO_GREY),
            ("transparent", None),
        ],
    )
    def test_colours(self, text, colour):
        assert parse_background(text) == colour

    @pytest.mark.parametrize("text", ["", "blurple", "#12345", "#11223344", "a" * 1000, "🙂"])
    def test_no_colour(self, text):
        with pytest.raises(UserError):
            parse_background(text)

    @given(st.text(max_size=20))
    def test_any_text_is_a_colour_or_a_sentence(self, text):
        try:
            colour = parse_background(text)
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert colour is None or all(0 <= channel <= 1 for channel in colour)


class TestAhead:
    @given(st.lists(st.integers(), max_size=20), st.integers(1, 5))
    def test_same_items_in_order(self, items, depth):
        assert list(ahead(items, depth)) == items

    def test_error_comes_after_the_items_before_it(self):
        def items():
            yield 1
            raise KeyError("two")

        stream = ahead(items())
        assert next(stream) == 1
        with pytest.raises(KeyError, match="two"):
            next(stream)

    def test_runs_only_so_far_ahead(self):
        made: list[int] = []
        stream = ahead((made.append(k) or k for k in count()), depth=3)
        assert next(stream) == 0
        time.sleep(0.05)
        assert len(made) <= 5
        stream.close()
        assert len(made) <= 5
