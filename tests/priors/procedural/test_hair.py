"""Hair: where it grows, that it stays out of the body, how it follows the head, and that it is the same each time."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.avatar import Layer
from pipeline.heads.anny import AnnyHead
from pipeline.priors.procedural.attributes import HAIR_STYLES, Attributes, HairAttributes
from pipeline.priors.procedural.hair import scalp_tint
from pipeline.priors.procedural.hair.cage import REGION
from pipeline.priors.procedural.hair.hairline import Hairline
from pipeline.priors.procedural.hair.scalp import Scalp
from pipeline.priors.procedural.head_hair import make_hair
from pipeline.priors.procedural.surface import Surface

CROWN, FOREHEAD, CHEEK, NAPE, NOSE = np.float32(
    [[0, 0.85, 0.05], [0, 0.775, 0.14], [0.05, 0.69, 0.12], [0, 0.70, -0.033], [0, 0.691, 0.168]]
)
BUDGET = 40_000


def person(**changes):
    hair = {name: changes.pop(name) for name in ("style", "color", "gray", "receding") if name in changes}
    return Attributes(seed=3, **{"gender": 1.0, "age": 30.0, **changes}, hair=HairAttributes(**hair))


@pytest.fixture(scope="module")
def surface():
    return Surface(AnnyHead(person().phenotype()))


@pytest.fixture(scope="module")
def grown(surface):
    """Style → hair on one head."""
    return {style: make_hair(surface, person(style=style), np.random.default_rng([3, 1])) for style in HAIR_STYLES}


def test_a_bald_head_has_no_hair(grown, surface):
    bald = grown["bald"]
    assert len(bald.splats) == 0
    assert bald.volume is None
    assert bald.rig is surface.rig


@pytest.mark.parametrize("style", [style for style in HAIR_STYLES if style != "bald"])
def test_splats_are_sound_and_within_budget(grown, style):
    splats = grown[style].splats
    assert 20_000 < len(splats) <= BUDGET
    assert set(np.unique(splats.layer)) == {Layer.HAIR}
    for values in (splats.position, splats.scale, splats.albedo, splats.normal, splats.ambient, splats.shadow):
        assert np.isfinite(values).all()
    assert (splats.scale > 0).all()
    assert splats.scale.max() < 0.03
    assert ((splats.albedo >= 0) & (splats.albedo <= 1)).all()
    assert ((splats.ambient >= 0) & (splats.ambient <= 1) & (splats.shadow >= 0) & (splats.shadow <= 1)).all()
    assert np.allclose(np.linalg.norm(splats.tangent, axis=1), 1, atol=1e-3)
    assert np.allclose(np.linalg.det(splats.rotation), 1, atol=1e-3)


@pytest.mark.parametrize("style", [style for style in HAIR_STYLES if style != "bald"])
def test_hair_stays_outside_the_body_and_out_of_the_face(grown, surface, style):
    scalp = Scalp(surface, person(style=style))
    splats = grown[style].splats
    depth, _ = scalp.field.distance(splats.position)
    assert np.mean(depth < -0.002) < 0.01
    at = scalp.place(splats.position)
    before_face = (np.abs(at[:, 0]) < 0.04) & (at[:, 1] < -0.01) & (at[:, 1] > -0.12) & (at[:, 2] > 0.06)
    assert not before_face.any()


@pytest.mark.parametrize("style", ["short", "long"])
def test_the_same_seed_gives_the_same_hair_and_another_seed_other_hair(grown, surface, style):
    again = make_hair(surface, person(style=style), np.random.default_rng([3, 1]))
    other = make_hair(surface, person(style=style), np.random.default_rng([4, 1]))
    assert np.array_equal(again.splats.position, grown[style].splats.position)
    assert np.array_equal(again.splats.ambient, grown[style].splats.ambient)
    assert not np.array_equal(again.splats.position[:100], other.splats.position[:100])


def test_styles_reach_as_far_as_their_names_say(grown, surface):
    scalp = Scalp(surface, person())
    lowest = {style: np.quantile(scalp.place(hair.splats.position)[:, 1], 0.01) for style, hair in grown.items()
              if style != "bald"}  # fmt: skip
    assert lowest["long"] < -0.22 < lowest["bob"] < -0.10
    assert min(lowest["bun"], lowest["short"]) > lowest["bob"]
    highest = {style: scalp.place(grown[style].splats.position)[:, 1].max() for style in ("short", "afro", "bun")}
    assert highest["afro"] > highest["short"] + 0.01
    assert highest["bun"] > highest["short"]


def test_long_hair_hangs_on_a_cage_that_twists_between_head_and_shoulders(grown, surface):
    hair = grown["long"]
    cage = hair.rig.regions[REGION]
    assert len(hair.rig.faces) == len(cage)
    assert 300 <= int(cage.sum()) <= 600
    assert not cage[: len(surface.faces)].any()
    on_cage = cage.numpy()[hair.splats.face]
    assert 0.3 < on_cage.mean() < 0.95
    expression, rotations = hair.rig.neutral()
    rotations[0, hair.rig.joint_index("head"), 1] = np.radians(30)
    moved = (hair.rig.pose(expression, rotations)[0] - hair.rig.vertices)[hair.rig.faces[cage]].mean(1).norm(dim=-1)
    height = hair.rig.vertices[hair.rig.faces[cage]].mean(1)[:, 1]
    top, hem = moved[height > height.quantile(0.9)], moved[height < height.quantile(0.1)]
    assert top.mean() > 0.03
    assert hem.max() < 1e-4


def test_neighbours_on_a_strand_stay_together_when_the_head_turns(grown):
    """The cage must not tear hair where its triangles meet or where it takes over from the scalp."""
    hair = grown["long"]
    expression, rotations = hair.rig.neutral()
    rotations[0, hair.rig.joint_index("head")] = torch.tensor([0.35, 0.52, 0.0])
    posed = carry(hair, hair.rig.pose(expression, rotations)[0].numpy())
    rest = hair.splats.position
    gap_before = np.linalg.norm(np.diff(rest, axis=0), axis=1)
    gap_after = np.linalg.norm(np.diff(posed, axis=0), axis=1)
    joined = gap_before < 0.02
    stretch = gap_after[joined] / gap_before[joined]
    assert np.quantile(stretch, 0.99) < 2.3
    assert np.median(np.abs(stretch - 1)) < 0.1


def carry(hair, vertices):
    """Splat positions of a pose, by the frames of their triangles."""
    from pipeline.geometry import triangle_frames

    face = torch.from_numpy(hair.splats.face)
    rest = triangle_frames(hair.rig.vertices, hair.rig.faces)
    now = triangle_frames(torch.from_numpy(vertices), hair.rig.faces)
    local = (torch.from_numpy(hair.splats.position) - rest.origin[face])[:, :, None]
    local = rest.rotation[face].transpose(-1, -2) @ local / rest.scale[face, None, None]
    return (now.rotation[face] @ local * now.scale[face, None, None]).squeeze(-1).numpy() + now.origin[face].numpy()


@given(gender=st.floats(0, 1), receding=st.floats(0, 1))
def test_hair_grows_on_the_crown_and_never_on_the_face(gender, receding):
    line = Hairline(gender, receding)
    inside = line.inside(np.stack([CROWN, FOREHEAD, CHEEK, NAPE, NOSE]))
    assert inside[0] > 0
    assert inside[3] > 0
    assert max(inside[1], inside[2], inside[4]) < 0


def test_a_receding_hairline_uncovers_skin(surface):
    points = surface.template[np.unique(surface.faces[surface.regions["scalp"]])]
    area = [np.mean(Hairline(0.0, receding).inside(points) > 0) for receding in (0.0, 0.5, 1.0)]
    assert area[0] > area[1] > area[2]


def test_the_scalp_is_tinted_where_hair_grows():
    share, colour = scalp_tint(np.stack([CROWN, CHEEK]), person(style="long", color="black"))
    assert share[0] > 0.85
    assert share[1] == 0
    assert colour.max() < 0.02
    assert scalp_tint(CROWN[None], person(style="bald"))[0][0] < 0.2


@pytest.mark.parametrize(("gray", "low", "high"), [(0.0, 0.0, 0.05), (0.5, 0.05, 0.3), (1.0, 0.3, 1.0)])
def test_grey_hair_is_lighter(surface, gray, low, high):
    hair = make_hair(surface, person(style="short", color="dark brown", gray=gray), np.random.default_rng(5))
    assert low < hair.splats.albedo.mean() < high


def test_hair_shades_what_is_under_it(grown, surface):
    hair = grown["long"]
    scalp = Scalp(surface, person())
    beside_neck = scalp.world(np.float32([[0.05, -0.13, -0.05], [0.0, -0.05, 0.15]]))
    normals = np.float32([[0, 0, -1], [0, 0, 1]])
    sky, _ = hair.volume.shade(beside_neck, normals, np.float32([0, 0.6, 0.8]))
    assert sky[0] < 0.5
    assert sky[1] > 0.95
