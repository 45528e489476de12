"""The page makes no more for one visitor than the machine can bear."""

import pytest
import torch

from pipeline.animate import AnimationSettings
from pipeline.errors import UserError
from pipeline.motion import write_motion
from tests.motion.making import a_motion
from ui.animate import export_video
from ui.motions import Shelf, motion_request
from ui.workshop import Workshop


@pytest.fixture(scope="module")
def workshop():
    return Workshop()


@pytest.fixture(scope="module")
def avatar(workshop):
    return workshop.create("a bald man", 1, {}, lambda share, what: None).id


@pytest.mark.parametrize(
    ("frames", "settings", "sentence"),
    [
        (3100, AnimationSettings(), "lasts 124 seconds; the page makes videos of up to 120 seconds"),
        (
            250,
            AnimationSettings(1024, 1024, None, "four", "transparent"),
            "250 transparent frames of 2048 × 2048 are 1,049",
        ),
        (
            250,
            AnimationSettings(1024, 1024, 60, "single", "transparent"),
            "600 transparent frames of 1024 × 1024 are 629",
        ),
    ],
)
def test_too_much_is_refused_before_anything_is_drawn(workshop, avatar, tmp_path, frames, settings, sentence):
    write_motion(a_motion(frames, fps=25.0, expression=torch.zeros(frames, 100)), tmp_path / "long.npz")
    with pytest.raises(UserError, match=sentence):
        next(export_video(workshop, Shelf(), avatar, motion_request(files=[str(tmp_path / "long.npz")]), settings))
