"""Parts told from a head that is known: the free head in a wig and a shirt of known thickness and colour."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.heads.anny import AnnyHead
from pipeline.heads.rig import Rig
from pipeline.reconstruction.avatar_source import AvatarSource
from pipeline.reconstruction.geometric_parts import geometric_parts
from pipeline.reconstruction.multiview import Part, Surface
from pipeline.reconstruction.surface import take_faces
from pipeline.rendering.mesh import vertex_normals
from tests.stages.small import dressed_avatar

SKIN, HAIR, SHIRT = (0.8, 0.6, 0.5), (0.2, 0.12, 0.08), (0.2, 0.3, 0.6)
INSIDE = ("teeth", "tongue", "inner_mouth", "eye_socket", "lashes_left", "lashes_right")


@pytest.fixture(scope="module")
def rig() -> Rig:
    return AnnyHead().rig


def dressed(rig: Rig, wig: float, shirt: float = 0.012, *, noise: float = 0.001) -> Surface:
    """The outside of the head with ``wig`` and ``shirt`` metres on it, coloured, and its parts in truth."""
    regions = rig.regions
    height = rig.vertices[rig.faces].mean(1)[:, 1]
    cap = regions["scalp"] & (height > 0.02) if wig else torch.zeros_like(regions["scalp"])
    worn = regions["torso"].clone()
    under_wig, under_shirt = rig.faces[cap].unique(), rig.faces[worn].unique()
    facial = regions["face"] | regions["lips"] | regions["eyelids"] | regions["eye_left"] | regions["eye_right"]
    parts = torch.where(facial, int(Part.FACE), int(Part.SKIN))
    for thing in (cap, worn):  # its edge, which stands up from the skin, too
        thing |= torch.isin(rig.faces, rig.faces[thing].unique()).any(1)
    parts = torch.where(cap, int(Part.HAIR), torch.where(worn, int(Part.CLOTH), parts)).to(torch.uint8)
    normals = vertex_normals(rig.vertices, rig.faces)
    off = torch.zeros(len(rig.vertices))
    colors = torch.tensor(SKIN).repeat(len(off), 1)
    for corners, thickness, color in ((under_wig, wig, HAIR), (under_shirt, shirt, SHIRT)):
        off[corners], colors[corners] = thickness, torch.tensor(color)
    rough = torch.randn(len(off), generator=torch.Generator().manual_seed(3)) * noise
    surface = Surface(rig.vertices + (off + rough)[:, None] * normals, rig.faces, colors, parts)
    return take_faces(surface, ~torch.stack([regions[name] for name in INSIDE]).any(0))


def accuracy(found: Surface, truth: Surface) -> dict[Part, float]:
    """Per part the share of its area that was told right."""
    corners = truth.vertices[truth.faces]
    area = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).norm(dim=1)
    assert found.parts is not None
    assert truth.parts is not None
    right = area * (found.parts == truth.parts)
    return {
        part: float(right[truth.parts == part].sum() / area[truth.parts == part].sum())
        for part in Part
        if (truth.parts == part).any()
    }


def test_wig_shirt_face_and_skin_are_told_apart(rig: Rig) -> None:
    truth = dressed(rig, 0.02)
    shares = accuracy(geometric_parts(truth, rig, rig.vertices, 1.0), truth)
    assert shares[Part.FACE] > 0.95
    assert shares[Part.HAIR] > 0.95
    assert shares[Part.CLOTH] > 0.97
    assert shares[Part.SKIN] > 0.85  # round the wig and the collar


def test_a_bald_head_has_no_hair(rig: Rig) -> None:
    truth = dressed(rig, 0.0)
    shares = accuracy(geometric_parts(truth, rig, rig.vertices, 1.0), truth)
    assert shares[Part.SKIN] > 0.9
    assert shares[Part.CLOTH] > 0.97


def test_hair_that_falls_over_the_shirt_is_told_by_its_colour(rig: Rig) -> None:
    truth = dressed(rig, 0.02)
    assert truth.colors is not None
    lock = (truth.vertices[:, 0] > 0.06) & (truth.vertices[:, 1] < -0.16)
    colors = torch.where(lock[:, None], torch.tensor(HAIR), truth.colors)
    found = geometric_parts(replace(truth, colors=colors), rig, rig.vertices, 1.0)
    on_shirt = lock[truth.faces].all(1) & (truth.parts == Part.CLOTH)
    assert on_shirt.sum() > 50
    assert found.parts is not None
    assert (found.parts[on_shirt] == Part.HAIR).float().mean() > 0.8


def test_another_world_makes_no_difference(rig: Rig) -> None:
    truth = dressed(rig, 0.02)
    here = geometric_parts(truth, rig, rig.vertices, 1.0).parts
    scale, shift = 2.75, torch.tensor([0.0152, 0.4206, 0.2139])

    def moved(points: Tensor) -> Tensor:
        return scale * points + shift

    there = geometric_parts(replace(truth, vertices=moved(truth.vertices)), rig, moved(rig.vertices), scale).parts
    assert here is not None
    assert there is not None
    assert (here == there).float().mean() > 0.999


def test_what_cannot_be_told_is_refused(rig: Rig) -> None:
    truth = dressed(rig, 0.02)
    with pytest.raises(ValueError, match="without colours"):
        geometric_parts(replace(truth, colors=None), rig, rig.vertices, 1.0)
    with pytest.raises(UserError, match="68 landmarks"):
        geometric_parts(truth, replace(rig, landmarks=None), rig.vertices, 1.0)


def test_a_built_in_avatar_is_told_apart_as_its_layers_say() -> None:
    avatar = dressed_avatar()
    truth = AvatarSource(avatar, voxels=64).surface()
    found = geometric_parts(truth, avatar.rig, avatar.rig.vertices, 1.0)
    shares = accuracy(found, truth)
    assert min(shares.values()) > 0.88
    assert len(shares) == 4
