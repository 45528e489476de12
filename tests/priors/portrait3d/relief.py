"""A known scene in Portrait3D's own form: a built-in head as a double relief, written into a tri-grid in closed form.

A relief is solid between two height fields, one seen from the front and one from behind. The tri-grid holds it exactly
(up to its own bilinear interpolation), because a plane can hold a function of two coordinates and a ramp: with
f₁ = front(x, y) − z and f₂ = z − back(x, y), both positive inside, a decoder of one hidden layer makes
σ = INSIDE − DROP · (step(−f₁) + step(−f₂)), which is 15 on the surface, and picks one of two colours by the sign of
f₂ − f₁. Units are those of AnimPortrait3D's world, in which the grid spans ±1.05.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from scipy import ndimage
from torch import Tensor

from pipeline.avatar import SplatAvatar
from pipeline.camera import Camera
from pipeline.priors.portrait3d.decoder import Painter
from pipeline.priors.portrait3d.trigrid import RESOLUTIONS, TriGrid
from pipeline.priors.procedural import build_avatar, understand
from pipeline.reconstruction.multiview import Similarity
from pipeline.rendering.rasterize import rasterize
from pipeline.stages.cameras import PORTRAIT_RADIUS, portrait_orbit

PROMPT = "a bald man of forty years with a short beard"
HALF = 1.05
"""Half the box that the grid spans."""
SURFACE_SIGMA, INSIDE = 15.0, 150.0
DROP = 2 * (INSIDE - SURFACE_SIGMA)
"""By how much σ falls across one surface."""
WIDTH = 0.02
"""Units over which it falls."""
STEP = 14.0
"""Softplus units of the same."""
SHARP = 100.0
"""How much a ReLU of the colours is enlarged before it is a softplus."""
GATE = 60.0
"""Colours change sides within 1 / GATE units round the middle."""
RIM = 3.0
"""The relief gets thicker by twice this per unit of distance from the silhouette, at most."""
FAR = 60.0
"""Metres from which a perspective camera is an orthographic one."""


@dataclass(frozen=True)
class Relief:
    """The scene; maps are (R, R), row = y from −1.05 up, column = x."""

    front: Tensor
    """Height of the front surface, units of the world along z."""
    back: Tensor
    """Below the front inside the silhouette, above it outside."""
    front_color: Tensor
    """(R, R, 3) display sRGB."""
    back_color: Tensor

    def inside(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """f₁ and f₂ at points (M, 3) of the world with |z| ≤ 0.7."""
        heights = _bilinear(torch.stack([self.front, self.back], -1), points)
        share = _kept(points[:, :2] / HALF).mean(1)
        return share * (heights[:, 0] - points[:, 2]), share * (points[:, 2] - heights[:, 1])

    def sigma(self, points: Tensor) -> Tensor:
        """Raw density (M,)."""
        first, second = self.inside(points)
        return INSIDE - DROP * (_step(-first) + _step(-second))

    def color(self, points: Tensor) -> Tensor:
        """(M, 3) display sRGB, further than 1 / GATE from the middle of the relief."""
        first, second = self.inside(points)
        front, back = _bilinear(self.front_color, points), _bilinear(self.back_color, points)
        return torch.where((second > first)[:, None], front, back)


@dataclass(frozen=True)
class Scene:
    """A gallery file whose answer is known."""

    avatar: SplatAvatar
    relief: Relief
    to_source: Similarity
    """From the avatar's metres into the world of the portrait."""
    trigrid: TriGrid
    painter: Painter


@functools.lru_cache(2)
def known_scene(levels: tuple[int, ...] = (8, 16, 32, 64, 128)) -> Scene:
    """A bald man at rest; the finest of the ``levels`` holds him, the others are empty."""
    avatar = build_avatar(understand(PROMPT, 1).attributes)
    relief = carve(avatar, levels[-1])
    ws = torch.randn(1, 14, 512, generator=torch.Generator().manual_seed(3))
    return Scene(avatar, relief, similarity_of(avatar), trigrid_of(relief, levels, ws), painter_for(ws))


def relief_of(avatar: SplatAvatar, levels: tuple[int, ...] = RESOLUTIONS) -> tuple[TriGrid, Painter]:
    """An avatar at rest as a tri-grid and what decodes it."""
    ws = torch.randn(1, 14, 512, generator=torch.Generator().manual_seed(3))
    return trigrid_of(carve(avatar, levels[-1]), levels, ws), painter_for(ws)


def write_scene(folder: Path, levels: tuple[int, ...] = RESOLUTIONS) -> Path:
    """``000.pth`` of `known_scene`, as published; beside it ``decoder_512.ckpt`` and ``000_prompt.txt``."""
    scene = known_scene(levels)
    stored = {f"trigrids_{level.shape[-1]}": level for level in scene.trigrid.levels}
    torch.save({"model": stored | {"ws": scene.trigrid.ws}}, folder / "000.pth")
    torch.save({"params": {}, "state_dict": scene.painter.state_dict()}, folder / "decoder_512.ckpt")
    (folder / "000_prompt.txt").write_text(PROMPT)
    return folder / "000.pth"


def similarity_of(avatar: SplatAvatar) -> Similarity:
    """Where the avatar stands in AnimPortrait3D's world."""
    orbit = portrait_orbit(avatar.rig)
    scale = PORTRAIT_RADIUS / orbit.radius
    return Similarity(scale, torch.eye(3), -scale * orbit.centre)


def carve(avatar: SplatAvatar, resolution: int) -> Relief:
    """What is seen of an avatar at rest from far in front and from far behind."""
    seen = [_seen(avatar, resolution, side) for side in (1, -1)]
    covered = (seen[0][2] > 0.5) & (seen[1][2] > 0.5)
    distance, nearest = _from_silhouette(covered)
    front, back, front_color, back_color = (
        _at(values, nearest) for values in (seen[0][0], seen[1][0], seen[0][1], seen[1][1])
    )
    middle = (front + back) / 2
    half = torch.minimum((front - back) / 2, RIM * distance)
    half = torch.from_numpy(ndimage.gaussian_filter(half.numpy(), 0.7))
    middle = torch.from_numpy(ndimage.gaussian_filter(middle.numpy(), 0.7))
    return Relief(middle + half, middle - half, front_color, back_color)


def trigrid_of(relief: Relief, levels: tuple[int, ...], ws: Tensor) -> TriGrid:
    """Channels: f₁, f₂, front colour less back colour, back colour.

    z comes in halves from planes 1 and 2, each of which fades where its third axis leaves its slices; the heights on
    plane 0 fade likewise, so that the surface stays.
    """
    size = levels[-1]
    finest = torch.zeros(3, 12, 3, size, size)
    at = (torch.arange(size) + 0.5) / size * 2 - 1
    share = (_kept(at)[:, None] + _kept(at)[None, :]) / 2
    ramp = (at * HALF / 2)[:, None].expand(3, size, size)
    finest[0, 0], finest[0, 1] = relief.front * share, -relief.back * share
    finest[0, 2:5] = (relief.front_color - relief.back_color).movedim(-1, 0)[:, None]
    finest[0, 5:8] = relief.back_color.movedim(-1, 0)[:, None]
    for plane in (1, 2):
        finest[plane, 0], finest[plane, 1] = -ramp, ramp
    finest *= 3 * len(levels)  # the mean over planes and levels takes it back
    empty = [torch.zeros(1, 3, 36, level, level) for level in levels[:-1]]
    return TriGrid((*empty, finest.reshape(1, 3, 36, size, size)), ws)


def painter_for(ws: Tensor) -> Painter:
    """The decoder and ToRGB that read `trigrid_of`; features 0..2 become red, green, blue for the last of ``ws``."""
    first, bias, second, offset = torch.zeros(32, 12), torch.zeros(32), torch.zeros(33, 32), torch.zeros(33)
    offset[0] = INSIDE
    for side in (0, 1):
        first[2 * side : 2 * side + 2, side] = -STEP / WIDTH
        bias[2 * side], bias[2 * side + 1] = STEP / 2, -STEP / 2
        second[0, 2 * side], second[0, 2 * side + 1] = -DROP / STEP, DROP / STEP
    gate = torch.tensor([-0.5, 0.5]) * GATE * SHARP
    first[4, :2] = gate
    for color in range(3):
        first[5 + color, :2], first[5 + color, 2 + color] = gate, SHARP
        first[8 + color, 5 + color], bias[8 + color] = SHARP, SHARP
        second[1 + color, 5 + color], second[1 + color, 4] = 1 / SHARP, -1 / SHARP
        second[1 + color, 8 + color], offset[1 + color] = 1 / SHARP, -1.0
    style, affine = ws[0, -1], torch.zeros(32, 512)
    affine[:3] = math.sqrt(32) * style * math.sqrt(512) / style.square().sum()
    torgb = torch.zeros(3, 32, 1, 1)
    torgb[:, :3, 0, 0] = 2 * torch.eye(3)
    painter = Painter()
    painter.load_state_dict(
        {
            "decoder.net.0.weight": first * math.sqrt(12), "decoder.net.0.bias": bias,
            "decoder.net.2.weight": second * math.sqrt(32), "decoder.net.2.bias": offset,
            "torgb.affine.weight": affine, "torgb.affine.bias": torch.zeros(32),
            "torgb.weight": torgb, "torgb.bias": torch.full((3,), -1.0),
        }
    )  # fmt: skip
    return painter.requires_grad_(False)


def _kept(third: Tensor) -> Tensor:
    """What is left of a plane whose three slices are alike, by the coordinate −1..1 across them."""
    return ((4 / 3 - third.abs()) * 1.5).clamp(0, 1)


def _step(value: Tensor) -> Tensor:
    """0 where ``value`` is far below zero, 1/2 at zero, 1 far above."""
    scaled = value * (STEP / WIDTH)
    softplus = torch.nn.functional.softplus
    return (softplus(scaled + STEP / 2) - softplus(scaled - STEP / 2)) / STEP


def _seen(avatar: SplatAvatar, resolution: int, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Height along z (R, R), colour (R, R, 3) and coverage (R, R) from the front (1) or from behind (−1)."""
    to_source = similarity_of(avatar)
    camera = _far_camera(to_source, resolution, side)
    with torch.no_grad():
        g = avatar.gaussians(avatar.rig.vertices)
        renders, alphas, _ = rasterize(
            g.means, g.quats, g.scales, g.opacities, g.colors, camera.viewmat[None], camera.K[None],
            resolution, resolution, render_mode="RGB+ED",
        )  # fmt: skip
    flipped = (0,) if side > 0 else (0, 1)  # rows from below; from behind, x runs to the left
    picture, alpha = renders[0].flip(flipped), alphas[0, ..., 0].flip(flipped)
    return side * to_source.scale * (FAR - picture[..., 3]), picture[..., :3] / alpha.clamp_min(0.5)[..., None], alpha


def _far_camera(to_source: Similarity, resolution: int, side: int) -> Camera:
    """Sees exactly the box of the grid, from the front (1) or from behind (−1)."""
    middle = to_source.to_rig(torch.zeros(3))
    viewmat = torch.diag(torch.tensor([float(side), -1.0, -float(side), 1.0]))
    viewmat[:3, 3] = -viewmat[:3, :3] @ (middle + torch.tensor([0.0, 0.0, side * FAR]))
    focal = resolution * FAR * to_source.scale / (2 * HALF)
    K = torch.tensor([[focal, 0.0, resolution / 2], [0.0, focal, resolution / 2], [0.0, 0.0, 1.0]])
    return Camera(viewmat, K, resolution, resolution)


def _from_silhouette(covered: Tensor) -> tuple[Tensor, Tensor]:
    """Distance (R, R) in units of the world, negative outside, and the nearest covered pixel (2, R, R) of each."""
    pixel = 2 * HALF / len(covered)
    within = ndimage.distance_transform_edt(covered.numpy())
    without, nearest = ndimage.distance_transform_edt(~covered.numpy(), return_indices=True)
    distance = torch.from_numpy(within - without).float()
    return (distance - distance.sign() * 0.5) * pixel, torch.from_numpy(nearest).long()


def _at(values: Tensor, places: Tensor) -> Tensor:
    return values[places[0], places[1]]


def _bilinear(maps: Tensor, points: Tensor) -> Tensor:
    """(R, R, K) at the x and y of points (M, 3): (M, K)."""
    grid = (points[:, :2] / HALF).view(1, 1, -1, 2)
    return torch.nn.functional.grid_sample(maps.movedim(-1, 0)[None], grid, align_corners=False)[0, :, 0].T
