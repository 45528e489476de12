"""The built person: the same each time, within budget, closed in every pose, and lit as described."""

import numpy as np
import pytest
import torch

from pipeline.avatar import Layer
from pipeline.camera import portrait_camera
from pipeline.priors.procedural import build_avatar
from pipeline.priors.procedural.attributes import Ancestry, Attributes, HairAttributes
from pipeline.rendering.rasterize import rasterize

SIZE = 256
LARGEST, SMALLEST = 120_000, 45_000
MAN = Attributes(seed=7, gender=0.0, age=34.0, hair=HairAttributes(style="bald"), skin_tone=0.15)
BUSY = Attributes(
    seed=8, gender=0.0, age=70.0, wrinkles=0.9, freckles=1.0, beard="full", glasses="round", clothing="suit",
    skin_tone=0.9, ancestry=Ancestry(african=1.0, caucasian=0.0), hair=HairAttributes(style="short", gray=0.8),
)  # fmt: skip
POSES = {
    "neutral": {},
    "blink": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
    "jaw": {"jawOpen": 1.0},
    "smile": {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0, "jawOpen": 0.2},
}


@pytest.fixture(scope="module")
def man():
    return build_avatar(MAN)


@pytest.fixture(scope="module")
def busy():
    return build_avatar(BUSY)


def posed(avatar, **values):
    rig = avatar.rig
    expression, rotations = rig.neutral()
    for name, value in values.items():
        expression[0, rig.expression_index(name)] = value
    return rig.pose(expression, rotations + rig.driven_rotations(expression))[0]


@torch.no_grad()
def picture(avatar, vertices, keep=None, yaw=0.0):
    """(SIZE, SIZE, 3) colours and (SIZE, SIZE) alpha."""
    splats = avatar.gaussians(vertices)
    opacities = splats.opacities if keep is None else splats.opacities * keep
    camera = portrait_camera(avatar.rig, SIZE, SIZE, yaw=yaw)
    color, alpha, _ = rasterize(
        splats.means, splats.quats, splats.scales, opacities, splats.colors, camera.viewmat[None], camera.K[None],
        SIZE, SIZE, rasterize_mode="antialiased",
    )  # fmt: skip
    return color[0].numpy(), alpha[0, ..., 0].numpy()


def pixel(avatar, point):
    camera = portrait_camera(avatar.rig, SIZE, SIZE)
    seen = camera.K @ (camera.viewmat[:3, :3] @ point + camera.viewmat[:3, 3])
    return int(seen[1] / seen[2]), int(seen[0] / seen[2])


def test_the_same_attributes_give_the_same_bytes(man):
    again = build_avatar(MAN)
    for name, value in man.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_another_seed_gives_another_skin_but_the_same_size(man):
    other = build_avatar(Attributes(seed=9, gender=0.0, age=34.0, hair=HairAttributes(style="bald"), skin_tone=0.15))
    assert len(other.face) == pytest.approx(len(man.face), rel=0.03)
    assert not torch.equal(other.means[:100], man.means[:100])


def test_counts_keep_to_the_budget(man, busy):
    for avatar in (man, busy):
        assert SMALLEST < len(avatar.face) <= LARGEST
    layers = np.bincount(man.layer, minlength=len(Layer))
    assert layers[Layer.SKIN] > 25_000
    assert layers[Layer.EYE] > 2_000
    assert layers[Layer.MOUTH] > 2_000
    assert layers[Layer.BROW] > 1_000
    assert layers[Layer.HAIR] == 0
    assert (np.bincount(busy.layer, minlength=len(Layer)) > 0).all()


def test_values_are_finite_and_in_range(busy):
    splats = busy.gaussians(busy.rig.vertices)
    for value in (splats.means, splats.quats, splats.scales, splats.opacities, splats.sh):
        assert torch.isfinite(value).all()
    assert 0 < splats.scales.min() <= splats.scales.max() < 0.03
    assert splats.colors.min() >= 0
    assert splats.colors.max() <= 1.001
    low, high = busy.rig.vertices.amin(0) - 0.05, busy.rig.vertices.amax(0) + 0.05
    assert ((splats.means > low) & (splats.means < high)).all()


@pytest.mark.parametrize("pose", POSES)
def test_nothing_shows_through_the_front_of_the_head(man, pose):
    """The front half alone, without eyes and mouth, must hide what is behind it, but for the open mouth and eyes."""
    vertices = posed(man, **POSES[pose])
    front = man.rig.vertices[man.rig.faces].mean(1)[:, 2] > 0.02
    keep = (front[man.face.long()] & (man.layer == Layer.SKIN)).float()
    alpha = picture(man, vertices, keep)[1]
    landmarks = {name: man.rig.regions[name] for name in ("lips", "face")}
    mouth_row, middle = pixel(man, vertices[man.rig.faces[landmarks["lips"]].unique()].mean(0))
    eye_row, eye_column = pixel(man, man.rig.joints[man.rig.joint_index("left_eye")])
    reach = abs(eye_column - middle)
    cheeks = alpha[eye_row + 12 : mouth_row - 16, middle - reach : middle + reach]
    forehead = alpha[eye_row - 40 : eye_row - 14, middle - reach : middle + reach]
    assert cheeks.size > 500
    assert cheeks.min() > 0.97
    assert forehead.min() > 0.97
    if pose == "blink":
        lids = alpha[eye_row - 3 : eye_row + 4, eye_column - 8 : eye_column + 9]
        assert lids.min() > 0.90


@pytest.mark.parametrize("yaw", [0.0, 60.0])
def test_the_head_is_solid(man, yaw):
    vertices = posed(man, jawOpen=0.8, eyeBlinkLeft=1.0, eyeBlinkRight=1.0)
    alpha = picture(man, vertices, yaw=yaw)[1]
    for row in alpha[SIZE // 4 : SIZE // 2]:
        inside = np.flatnonzero(row > 0.5)
        margin = len(inside) // 5  # the ears stand out from the head
        assert row[inside[0] + margin : inside[-1] - margin].min() > 0.97


def test_a_blink_hides_the_pupil(man):
    row, column = pixel(man, man.rig.joints[man.rig.joint_index("left_eye")])
    pupil = (slice(row - 2, row + 6), slice(column - 3, column + 4))
    opened = picture(man, posed(man))[0].mean(-1)[pupil].min()
    closed = picture(man, posed(man, eyeBlinkLeft=1.0))[0].mean(-1)[pupil].min()
    assert opened < 0.3 < 0.45 < closed


def test_skin_tone_and_light_read_as_described(man, busy):
    def forehead(avatar):
        picture_ = picture(avatar, avatar.rig.vertices)[0]
        nose = avatar.rig.vertices[avatar.rig.vertices[:, 2].argmax()]
        row, column = pixel(avatar, nose + torch.tensor([0.0, 0.085, -0.02]))
        return picture_[row - 4 : row + 5, column - 6 : column + 7].mean((0, 1))

    fair, dark = forehead(man), forehead(busy)
    assert fair.min() > 0.5
    assert fair.max() < 0.99  # bright, but not burnt out
    assert dark.max() < 0.62
    for tone in (fair, dark):
        assert tone[0] > tone[1] > tone[2]  # skin is never grey


def test_teeth_and_tongue_stay_behind_closed_lips(man):
    vertices = posed(man)
    without = (man.layer != Layer.MOUTH).float()
    shown, hidden = picture(man, vertices)[0], picture(man, vertices, without)[0]
    assert np.abs(shown - hidden).max() < 0.06
