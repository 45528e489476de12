"""The browser draws what the Python rasteriser draws, from the file that it streams."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page

from pipeline.avatar import SplatAvatar
from pipeline.camera import portrait_camera
from pipeline.formats.glb import write_avatar_glb
from pipeline.rendering.rasterize import rasterize
from tests.browser.heads import PROMPTS, head, licensed_head
from tests.browser.views import open_viewer, pixels
from tests.synthetic import synthetic_avatar

SIZE = 256
BACKGROUND = (0x8C, 0x91, 0x99)
TURN = math.radians(20)
POSES: dict[str, tuple[dict[str, float], dict[str, list[float]]]] = {
    "neutral": ({}, {}),
    "jaw open": ({"jawOpen": 0.8}, {}),
    "blink": ({"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}, {}),
    "head turned": ({}, {"neck02": [0.0, TURN / 2, 0.0], "head": [0.0, TURN / 2, 0.0]}),
}


def python_picture(avatar: SplatAvatar, expression: dict, rotations: dict) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) uint8 and the silhouette (H, W) of the pose, by the rasteriser, from the unquantised avatar."""
    rig = avatar.rig
    values, turns = rig.neutral()
    for name, value in expression.items():
        values[0, rig.expression_index(name)] = value
    for name, turn in rotations.items():
        turns[0, rig.joint_index(name)] = torch.tensor(turn)
    camera = portrait_camera(rig, SIZE, SIZE)
    with torch.no_grad():
        splats = avatar.gaussians(rig.pose(values, turns)[0])
        picture, alpha, _ = rasterize(
            splats.means, splats.quats, splats.scales, splats.opacities,
            splats.colors if splats.sh.shape[1] == 1 else splats.sh, camera.viewmat[None], camera.K[None], SIZE, SIZE,
            sh_degree=None if splats.sh.shape[1] == 1 else math.isqrt(splats.sh.shape[1]) - 1,
            backgrounds=torch.tensor([BACKGROUND]) / 255, rasterize_mode=avatar.config["rasterize_mode"],
        )  # fmt: skip
    return (picture[0].clamp(0, 1) * 255 + 0.5).to(torch.uint8).numpy(), alpha[0, :, :, 0].numpy() > 0.5


def difference(page: Page, avatar: SplatAvatar, expression: dict, rotations: dict) -> np.ndarray:
    """Differences inside the silhouette, in 255ths, over all channels."""
    page.evaluate("([e, r]) => viewer.setPose(e, r)", [expression, rotations])
    seen = pixels(page)[:, :, :3]
    wanted, inside = python_picture(avatar, expression, rotations)
    assert inside.mean() > 0.1
    assert (np.abs(seen.astype(int) - wanted)[:4, :4] <= 1).all()  # the same background
    return np.abs(seen.astype(int) - wanted)[inside]


@pytest.mark.parametrize("kind", PROMPTS)
def test_real_heads_match_the_rasteriser(page: Page, site: str, files: Path, kind: str) -> None:
    write_avatar_glb(head(kind), files / f"{kind}.glb")
    open_viewer(page, site, f"/files/{kind}.glb", SIZE)
    for name, pose in POSES.items():
        found = difference(page, head(kind), *pose)
        assert np.percentile(found, 99) <= 3, name
        assert found.mean() <= 0.6, name


def test_a_licensed_head_matches_the_rasteriser(page: Page, site: str, files: Path, models: Path) -> None:
    avatar = licensed_head()
    write_avatar_glb(avatar, files / "licensed.glb")
    open_viewer(page, site, "/files/licensed.glb", SIZE)
    components = {f"expression_{index:03d}": (-1.5) ** (index % 3) for index in range(12)}
    for expression, rotations in (
        ({}, {}),
        ({"eyelid_left": 1.0, "eyelid_right": 1.0}, {"jaw": [0.3, 0.05, 0.0]}),
        (components, {"neck": [0.1, 0.3, 0.05], "left_eye": [0.0, 0.2, 0.0]}),
    ):
        found = difference(page, avatar, expression, rotations)
        assert np.percentile(found, 99) <= 4
        assert found.mean() <= 0.6


def test_view_dependent_colour_matches_the_rasteriser(page: Page, site: str, files: Path) -> None:
    base = synthetic_avatar(3000)
    generator = torch.Generator().manual_seed(5)
    avatar = SplatAvatar.from_parts(
        base.rig, face=base.face, means=base.means, quats=base.quats, log_scales=base.log_scales - 0.7,
        opacity_logits=base.opacity_logits + 1, layer=base.layer,
        sh=torch.cat([base.sh, torch.randn(3000, 15, 3, generator=generator) * 0.1], 1),
        rasterize_mode="classic", sh_frame="world",
    )  # fmt: skip
    write_avatar_glb(avatar, files / "harmonics.glb")
    open_viewer(page, site, "/files/harmonics.glb", SIZE)
    found = difference(page, avatar, {"jawOpen": 0.5}, {"head": [0.1, 0.3, 0.0]})
    assert np.percentile(found, 99) <= 5
    assert found.mean() <= 1
