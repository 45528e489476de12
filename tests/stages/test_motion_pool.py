"""The poses that a refinement draws from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.heads.anny import AnnyHead
from pipeline.motion.clips import CLIPS
from pipeline.motion.motion import ARKIT_NAMES
from pipeline.stages.mixtures import CLOSED_LIPS, mixtures, people
from pipeline.stages.motion_pool import motion_pool, strength_weights, tracked_files
from pipeline.stages.recipes import ANIMPORTRAIT3D
from tests.synthetic import synthetic_rig

RIG = AnnyHead().rig
EYES, MOUTH, _, FULL, _ = ANIMPORTRAIT3D.phases


def column(name: str) -> int:
    return ARKIT_NAMES.index(name)


def test_the_free_head_has_a_pool_of_its_own():
    pool = motion_pool(RIG, FULL)
    assert 1500 < len(pool) < 3000
    assert float(pool.expression.min()) >= 0
    assert float(pool.expression.max()) <= 1
    used = pool.expression.amax(0)
    at_rest = {name for name in RIG.expression_names if float(used[RIG.expression_index(name)]) == 0}
    assert at_rest == {name for name in ARKIT_NAMES if name.startswith(("eyeLook", "eyeBlink", "eyeWide"))}
    assert not pool.rotations[:, [RIG.joint_index("left_eye"), RIG.joint_index("right_eye")]].any()
    assert float(pool.rotations[:, RIG.joint_index("head")].norm(dim=1).max()) > 0.2
    assert pool.head_joints == [RIG.joint_index(f"{n}") for n in ("torso", "neck01", "neck02", "neck03", "head")]


def test_open_mouths_show_teeth():
    everything, opened = motion_pool(RIG, FULL), motion_pool(RIG, MOUTH)
    assert bool(opened.mouth_open.all())
    assert 0.1 < float(everything.mouth_open.float().mean()) < 0.5
    jaw = RIG.expression_index("jawOpen")
    assert float(opened.expression[:, jaw].min()) > float(everything.expression[~everything.mouth_open, jaw].median())
    assert len(torch.unique(motion_pool(RIG, EYES).weights)) == 1


def test_lips_pressed_shut_over_an_open_jaw_are_no_open_mouth():
    pool = motion_pool(RIG, FULL)
    jaw, close = RIG.expression_index("jawOpen"), RIG.expression_index("mouthClose")
    shut = (pool.expression[:, close] > 0.9) & (pool.expression[:, jaw] > 0.9)
    assert bool(shut.any())
    assert not bool(pool.mouth_open[shut].any())


def test_weights_are_the_published_ones():
    strengths = [1.0, 1.9, 2.0, 3.5, 3.5, 3.5]
    expression = torch.tensor(strengths)[:, None]
    jaw = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.21, 0.19])
    expected = [int(strength / 1.0) ** 2 + 10 * (angle > 0.2) for strength, angle in zip(strengths, jaw, strict=True)]
    assert strength_weights(expression, jaw).tolist() == expected


def test_a_pool_with_a_face_at_rest_is_weighted_too():
    weights = motion_pool(RIG, FULL).weights
    assert float(weights.min()) == 1
    assert 4 < float(weights.mean()) < 25
    assert float(weights.max()) < 120


def test_mixtures_are_faces_that_people_make():
    made = mixtures(500, open_mouth=False).expression

    def both(name: str) -> torch.Tensor:
        return made[:, column(f"{name}Left")] + made[:, column(f"{name}Right")]

    assert not bool(((both("mouthSmile") > 0.1) & (both("mouthFrown") > 0.1)).any())
    assert not bool(((both("browDown") > 0.1) & (both("browOuterUp") > 0.1)).any())
    closed = (made[:, [column("cheekPuff"), column("mouthRollLower")]] > 0.1).any(1)
    assert bool(closed.any())
    assert float(made[closed, column("jawOpen")].max()) <= 0.1
    lag = (made[:, column("mouthSmileLeft")] - made[:, column("mouthSmileRight")]).abs()
    assert float(lag.median()) < 0.1
    assert float(made[:, column("tongueOut")].max()) > 0.2
    names = {name for choice in CLOSED_LIPS for name in choice}
    assert all(any(full.startswith(name) for full in ARKIT_NAMES) for name in names)


def test_pools_are_the_same_every_time():
    people.cache_clear()
    first = people("all")
    people.cache_clear()
    assert torch.equal(first.expression, people("all").expression)
    assert len(first) > sum(len(make()) for make in CLIPS.values()) / 3


@pytest.fixture
def flame_like():
    """A rig with the channels and joints of FLAME, its mesh that of a ball."""
    ball = synthetic_rig()
    names = (*(f"expression_{index:03d}" for index in range(100)), "eyelid_left", "eyelid_right")
    joints = ("root", "neck", "jaw", "left_eye", "right_eye")
    return replace(
        ball,
        basis="flame2023",
        expression_names=names,
        expressions=torch.zeros(len(names), len(ball.vertices), 3),
        joint_names=joints,
        parents=(-1, 0, 1, 1, 1),
        joints=torch.zeros(5, 3),
        weights=torch.ones(len(ball.vertices), 5) / 5,
        drivers=(),
    )


def test_animportrait3d_s_own_pool_is_used_where_it_is(flame_like, tmp_path, monkeypatch):
    """A synthetic one, in the place and form of theirs."""
    monkeypatch.setenv("ANIMPORTRAIT3D_MODELS", str(tmp_path))
    folder = tmp_path / "AnimPortrait3D" / "GSAvatar" / "all_exp_pose"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    pose = random.normal(0, 0.1, (40, 15)).astype(np.float32)
    pose[:, 6] = np.linspace(0, 0.4, 40)
    expression = random.normal(0, 1, (40, 100)).astype(np.float32)
    np.save(folder / "exp.npy", expression)
    np.save(folder / "pose.npy", pose)
    rig = flame_like
    pool = motion_pool(rig, FULL)
    assert torch.equal(pool.expression[:, :100], torch.from_numpy(expression))
    assert not pool.expression[:, 100:].any()
    assert torch.allclose(pool.rotations[:, rig.joint_index("jaw")], torch.from_numpy(pose[:, 6:9]), atol=1e-6)
    assert torch.allclose(pool.rotations[:, rig.joint_index("root")], torch.from_numpy(pose[:, :3]), atol=1e-5)
    assert torch.allclose(pool.rotations[:, rig.joint_index("neck")], torch.from_numpy(pose[:, 3:6]), atol=1e-5)
    assert not pool.rotations[:, rig.joint_index("left_eye")].any()
    assert pool.mouth_open.tolist() == (pose[:, 6] > 0.1).tolist()
    assert pool.head_joints == [0, 1]
    np.save(folder / "pose.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"pose\.npy"):
        motion_pool(rig, FULL)


def test_a_pool_is_looked_for_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("ANIMPORTRAIT3D_MODELS", str(tmp_path))
    place = tmp_path / "a" / "open_mouth_exp_pose"
    place.mkdir(parents=True)
    (place / "exp.npy").touch()
    assert tracked_files("open_mouth") is None
    (place / "pose.npy").touch()
    assert tracked_files("open_mouth") == (place / "exp.npy", place / "pose.npy")
    assert tracked_files("all") is None
