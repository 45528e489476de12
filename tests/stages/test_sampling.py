"""Poses and cameras that a phase draws."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from pipeline.guidance.shot import Pose
from pipeline.heads.anny import AnnyHead
from pipeline.heads.rig import Fit, ModelIdentity
from pipeline.stages.cameras import ball_orbit, portrait_orbit
from pipeline.stages.gaze import Eyes
from pipeline.stages.motion_pool import motion_pool
from pipeline.stages.randomness import generator
from pipeline.stages.recipes import ANIMPORTRAIT3D, HEADSTUDIO
from pipeline.stages.sampling import ViewSampler, ball_direction, portrait_direction

RIG = AnnyHead().rig
EYES, MOUTH, _, FULL, _ = ANIMPORTRAIT3D.phases


def sampler(config=ANIMPORTRAIT3D, phase=FULL, rig=RIG) -> ViewSampler:
    return ViewSampler(rig, phase, config, motion_pool(rig, phase))


def yaw_of(camera) -> float:
    """Degrees, 90 the front, 0 the subject's right."""
    x, _, z = (camera.position - portrait_orbit(RIG).centre).tolist()
    return math.degrees(math.atan2(z, -x)) % 360


def pixel(camera, point):
    seen = camera.K @ (camera.viewmat[:3, :3] @ point + camera.viewmat[:3, 3])
    return (seen[:2] / seen[2]).tolist()


def marks(rig):
    return dict(zip(rig.landmarks.names, rig.landmarks.positions(rig.vertices, rig.faces), strict=True))


def same(one, other) -> bool:
    return (
        torch.equal(one.pose.expression, other.pose.expression)
        and torch.equal(one.pose.rotations, other.pose.rotations)
        and [shot.region for shot in one.shots] == [shot.region for shot in other.shots]
        and all(torch.equal(a.camera.viewmat, b.camera.viewmat) for a, b in zip(one.shots, other.shots, strict=True))
        and all(torch.equal(a.camera.K, b.camera.K) for a, b in zip(one.shots, other.shots, strict=True))
    )


@pytest.mark.parametrize("config", [ANIMPORTRAIT3D, HEADSTUDIO], ids=lambda config: config.recipe)
def test_processes_draw_the_same_views(config):
    phase = config.phases[-1] if config is HEADSTUDIO else FULL
    whole = sampler(config, phase).views(7)
    torch.manual_seed(123)  # nothing is drawn from the global state
    shares = [sampler(config, phase).views(7, range(phase.views)[rank::2]) for rank in range(2)]
    assert len(whole) == phase.views
    for number, view in enumerate(whole):
        assert same(view, shares[number % 2][number // 2])
    assert not same(whole[0], sampler(config, phase).views(8)[0])
    assert not same(whole[0], sampler(replace(config, seed=1), phase).views(7)[0])


def test_views_come_from_where_the_phase_says():
    draws = sampler()
    yaws = [yaw_of(draws.view(generator(0, "t", index)).shots[-1].camera) for index in range(400)]
    behind = sum(yaw > 180 for yaw in yaws) / len(yaws)
    assert 0.22 < behind < 0.38
    draws = sampler(phase=MOUTH)
    yaws = [yaw_of(draws.view(generator(0, "t", index)).shots[-1].camera) for index in range(200)]
    assert 40 <= min(yaws) < 45
    assert 135 < max(yaws) <= 140


def test_pitch_is_the_published_one():
    """φ = arccos(1 − 2v/180) from straight up: v = 70° and 110° lie 12.8° above and below level."""
    draws, orbit = sampler(phase=EYES), portrait_orbit(RIG)
    heights = []
    for index in range(300):
        offset = draws.view(generator(0, "t", index)).shots[0].camera.position - orbit.centre
        assert float(offset.norm()) == pytest.approx(orbit.radius, rel=1e-4)
        heights.append(math.degrees(math.asin(float(offset[1]) / float(offset.norm()))))
    limit = 90 - math.degrees(math.acos(1 - 2 * 70 / 180))
    assert limit == pytest.approx(12.84, abs=0.01)
    assert max(map(abs, heights)) <= limit + 1e-3
    assert max(heights) > 0.9 * limit
    assert min(heights) < -0.9 * limit


@pytest.mark.parametrize("identity", [{}, {"age": 0.3}, {"age": 0.8, "gender": 0.0}])
def test_any_face_has_the_size_and_place_of_theirs(identity):
    """Their front view has the pupils in row 310 of 896, and 512 pixels round them hold the face."""
    rig = AnnyHead(identity).rig
    camera = portrait_orbit(rig).camera(90.0, 90.0, 896)
    points = marks(rig)
    eyes = pixel(camera, (points["pupil_left"] + points["pupil_right"]) / 2)
    assert eyes == pytest.approx([448, 310], abs=4)
    chin = pixel(camera, points["ibug_8"])
    assert chin[1] - eyes[1] == pytest.approx(216, abs=12)
    top = min(pixel(camera, point)[1] for point in rig.vertices[rig.faces[rig.regions["face"]].unique()])
    assert top > eyes[1] - 256
    crown = min(pixel(camera, point)[1] for point in rig.vertices)
    assert crown > 30


def test_a_fitted_person_is_seen_at_the_scale_of_its_fit():
    fit = Fit((), (), (), (), (), (), (3.0,), (0.2, 0.3))
    rig = replace(RIG, model=ModelIdentity("smplx", "smplx2020", "", (), "assets", fit))
    orbit = portrait_orbit(rig)
    assert orbit.radius == pytest.approx(2.65 / 3)
    assert float((orbit.target - orbit.centre).norm()) == pytest.approx(0.228 / 3)
    assert orbit.extent == pytest.approx(2.985 / 3)


def test_the_left_of_the_picture_is_the_subject_s_right():
    camera = portrait_orbit(RIG).camera(90.0, 90.0, 896)
    points = marks(RIG)
    assert pixel(camera, points["pupil_right"])[0] < pixel(camera, points["pupil_left"])[0]
    assert float(portrait_orbit(RIG).camera(0.0, 90.0, 896).position[0]) < -0.5


@pytest.mark.parametrize(
    ("yaw", "word"),
    [(90, "front"), (61, "front"), (60, "side"), (0, "side"), (-14, "side"), (-20, "back"), (120, "side"),
     (194, "side"), (196, "back"), (270, "back"), (344, "back"), (350, "side")],
)  # fmt: skip
def test_a_view_is_named(yaw, word):
    assert portrait_direction(yaw) == word


@pytest.mark.parametrize(
    ("yaw", "word"),
    [(90, "front"), (46, "front"), (134, "front"), (44, "side"), (-44, "side"), (-46, "back"), (226, "back"),
     (270, "back"), (220, "side")],
)  # fmt: skip
def test_headstudio_names_it_by_quarters(yaw, word):
    assert ball_direction(yaw) == word


def test_headstudio_goes_round_the_whole_head():
    draws = sampler(HEADSTUDIO, HEADSTUDIO.phases[0])
    for step in range(5):
        views = draws.views(step)
        assert [len(view.shots) for view in views] == [1] * 8
        assert all(torch.equal(view.pose.expression, views[0].pose.expression) for view in views)
        for number, view in enumerate(views):
            (shot,) = view.shots
            offset = shot.camera.position - shot.camera.position.new_tensor([0, *draws_middle()])
            yaw = math.degrees(math.atan2(float(offset[2]), -float(offset[0])))
            assert -90 + 45 * number - 1 <= (yaw + 91) % 360 - 91 <= -90 + 45 * (number + 1) + 1
            elevation = math.degrees(math.asin(float(offset[1] / offset.norm())))
            assert abs(elevation) < 30.5
            assert shot.conditioned
            fov = 2 * math.degrees(math.atan(shot.camera.width / 2 / float(shot.camera.K[0, 0])))
            assert 40 <= fov <= 70


def draws_middle() -> list[float]:
    """Height and depth of what HeadStudio's cameras look at."""
    return ball_orbit(RIG, 1.75, 55.0).target[1:].tolist()


def test_headstudio_leaves_gaze_and_head_at_rest():
    draws = sampler(HEADSTUDIO, HEADSTUDIO.phases[0])
    poses = [draws.pose(generator(0, "p", index)) for index in range(20)]
    assert not any(bool(pose.rotations.any()) for pose in poses)
    assert any(bool(pose.expression.any()) for pose in poses)


def test_gaze_and_lids_are_drawn_in_the_published_ranges():
    draws = sampler(phase=EYES)
    poses: list[Pose] = [draws.pose(generator(0, "p", index)) for index in range(600)]
    rotations = torch.cat([pose.rotations for pose in poses])
    left, right = (rotations[:, RIG.joint_index(name)] for name in ("left_eye", "right_eye"))
    assert torch.equal(left, right)
    assert not left[:, 2].any()
    for axis, limit in ((0, 0.3), (1, 0.4)):
        assert 0.95 * limit < float(left[:, axis].max()) <= limit
        assert -limit <= float(left[:, axis].min()) < -0.95 * limit
    others = [joint for joint, name in enumerate(RIG.joint_names) if not name.endswith("_eye")]
    assert not rotations[:, others].any()
    blink = torch.cat([pose.expression[:, RIG.expression_index("eyeBlinkRight")] for pose in poses])
    wide = torch.cat([pose.expression[:, RIG.expression_index("eyeWideLeft")] for pose in poses])
    assert 0.25 < float((blink > 0.5).float().mean()) < 0.36
    assert float(blink.max()) == 1.0
    assert not bool(((blink > 0) & (wide > 0)).any())
    assert float(wide.max()) > 0.9


def test_the_lids_follow_the_gaze_as_the_actions_would_move_them():
    eyes = Eyes(RIG)
    expression, rotations = RIG.neutral()
    eyes.look(torch.tensor([0.2, 0.3, 0.0]), expression, rotations)
    driven = RIG.driven_rotations(expression)
    assert torch.allclose(driven, rotations, atol=1e-6)
    assert float(expression[0, RIG.expression_index("eyeLookDownLeft")]) > 0
    assert float(expression[0, RIG.expression_index("eyeLookUpLeft")]) == 0


def test_lids_of_a_fitted_person_close_from_where_they_rest():
    channels = ("eyelid_left", "eyelid_right")
    rig = replace(RIG, expression_names=channels, expressions=RIG.expressions[:2], drivers=())
    expression = torch.zeros(1, 2)
    Eyes(rig).close(1.1, expression)
    assert expression.tolist() == [[1.0, 1.0]]
    Eyes(rig).close(-1.0, expression)
    assert expression.tolist() == [pytest.approx([-0.3, -0.3])]
    fit = Fit((), (), (), (), (), (), (2.78,), (0.2, 0.5))
    fitted = replace(rig, model=ModelIdentity("smplx", "smplx2020", "", (), "assets", fit))
    Eyes(fitted).close(0.6, expression)
    assert expression.tolist() == [pytest.approx([0.5, 0.2])]
    Eyes(fitted).close(-1.0, expression)
    assert expression.tolist() == [pytest.approx([-1.5, -3.0])]  # theirs runs from −1, wherever ours begins


def test_the_head_turns_with_the_clip_where_the_phase_says():
    still, moving = sampler(phase=replace(FULL, turns_head=False)), sampler()
    joint = RIG.joint_index("head")
    for draws, turns in ((still, False), (moving, True)):
        poses = [draws.pose(generator(0, "p", index)) for index in range(20)]
        assert any(bool(pose.rotations[:, joint].any()) for pose in poses) is turns
