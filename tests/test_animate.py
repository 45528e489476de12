"""A clip moves what it should: the mouth opens in the picture as the clip's jaw does."""

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest

from pipeline import AnimPortrait3DPipeline, UserError
from pipeline.animate import AnimationSettings, animate_to_video

SIZE = 384


@pytest.fixture(scope="module")
def avatar():
    return AnimPortrait3DPipeline()("a young black woman with an afro and gold earrings", seed=3).avatars[0]


@pytest.fixture
def clip(tmp_path):
    """Jaw angles in radians and the files of a clip: two words, then a yawn."""
    t = np.arange(30) / 30
    jaw = 0.12 * np.sin(t * 6 * np.pi).clip(0) * (t < 0.66) + 0.35 * np.sin((t - 0.66).clip(0) * 3 * np.pi)
    pose = np.zeros((30, 15), np.float32)
    pose[:, 6] = jaw
    np.save(tmp_path / "pose.npy", pose)
    return jaw, [tmp_path / "pose.npy"]


def open_height(frame):
    """Rows of the mouth's inside, teeth and tongue: unlike skin and lips they are as blue as they are green."""
    red, green, blue = (
        frame[int(0.59 * SIZE) : int(0.8 * SIZE), int(0.48 * SIZE) : int(0.52 * SIZE), c] for c in range(3)
    )
    return ((blue / (green + 1.0) > 0.91) & (red > 20)).sum(0).mean()


def test_the_mouth_opens_with_the_clips_jaw(avatar, clip, tmp_path):
    jaw, files = clip
    result = animate_to_video(avatar, files, tmp_path / "v.mp4", AnimationSettings(SIZE, SIZE))
    assert result.frames == 30
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", tmp_path / "v.mp4", "-f", "rawvideo"]
    raw = subprocess.run([*command, "-pix_fmt", "rgb24", "-"], check=True, capture_output=True).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(-1, SIZE, SIZE, 3).astype(float)
    assert len(frames) == 30
    heights = np.array([open_height(frame) for frame in frames])
    assert np.corrcoef(heights, jaw)[0, 1] >= 0.8


def test_progress_counts_every_frame(avatar, clip, tmp_path):
    seen = []
    settings = AnimationSettings(64, 64, fps=15)
    animate_to_video(
        avatar, clip[1], tmp_path / "v.mp4", settings, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(n + 1, seen[0][1]) for n in range(seen[0][1])]


def test_bad_settings_are_found_before_anything_is_drawn(avatar, clip, tmp_path):
    for settings, sentence in (
        (AnimationSettings(layout="spiral"), "no layout 'spiral'"),
        (AnimationSettings(width=5, height=5), "16 to 4096"),
        (AnimationSettings(background="mauvish"), "no colour"),
    ):
        with pytest.raises(UserError, match=sentence):
            animate_to_video(avatar, clip[1], tmp_path / "v.mp4", settings)
    assert not (tmp_path / "v.mp4").exists()
