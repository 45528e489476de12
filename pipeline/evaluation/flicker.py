"""What changes from one frame to the next beyond what the motion explains.

The warping error of Lai et al., "Learning Blind Video Temporal Consistency" (ECCV 2018, eq. 11 and 12): the next frame
is laid back over this one along the optical flow, and compared where neither has hidden the other. Two things are
better known here than there: the flow is not estimated but is that of the splats, and the difference is the mean
absolute one in 8-bit levels, a unit that people know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from pipeline.avatar import Gaussians
from pipeline.camera import Camera
from pipeline.evaluation.views import NOTHING, Floats, Mask, before_grey, blend, colors_seen
from pipeline.rendering.rasterize import RasterizeMode

OPAQUE = 0.99
"""Below it a pixel mixes the head with the backdrop, which does not move."""
OCCLUSION = (0.01, 0.5)
"""Sundaram et al. (ECCV 2010), as Lai et al. use them: a place is hidden in the other frame where |w + w'|² exceeds
0.01 (|w|² + |w'|²) + 0.5 px²."""
LEVELS = 255.0


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a clip and where its points come from and go to."""

    picture: Floats
    """(H, W, 3) display sRGB 0..1."""
    alpha: Floats
    """(H, W)."""
    forward: Floats
    """(H, W, 2) pixels right and down to the place in the next frame; zeros in the last."""
    backward: Floats
    """(H, W, 2) to the place in the frame before; zeros in the first."""


@dataclass(frozen=True, eq=False)
class Change:
    """From one frame to the next."""

    levels: float
    """Mean absolute difference after the motion is taken out, 8-bit levels, mean over pixels and channels."""
    speed: float
    """Mean length of the flow where it was compared, pixels per frame."""
    compared: float
    """Share of the head's pixels that both frames show, 0..1."""


@torch.no_grad()
def frames(splats: Iterable[Gaussians], camera: Camera, mode: RasterizeMode) -> Iterator[Frame]:
    """The pictures of a clip from a camera that stands still, each with its flow. Memory holds three moments."""
    before: Gaussians | None = None
    now: Gaussians | None = None
    for after in splats:
        if now is not None:
            yield _frame(now, before, after, camera, mode)
        before, now = now, after
    if now is not None:
        yield _frame(now, before, None, camera, mode)


def change(now: Frame, after: Frame) -> tuple[Change, Floats]:
    """How the next frame differs from this one, and where: (H, W) levels, 0 where nothing was compared."""
    there = _warped(np.concatenate([after.backward, after.alpha[..., None]], axis=2), now.forward, "bilinear")
    share, slack = OCCLUSION
    back = there[..., :2]
    lengths = (now.forward**2).sum(-1) + (back**2).sum(-1)
    seen = ((now.forward + back) ** 2).sum(-1) <= share * lengths + slack
    solid = now.alpha >= OPAQUE
    compared: Mask = solid & seen & (there[..., 2] >= OPAQUE)
    warped = _warped(after.picture, now.forward, "bicubic")
    levels = np.where(compared, np.abs(warped - now.picture).mean(-1) * LEVELS, 0).astype(np.float32)
    count = int(compared.sum())
    speed = float(np.linalg.norm(now.forward, axis=-1)[compared].mean()) if count else 0.0
    return Change(float(levels.sum() / max(count, 1)), speed, count / max(int(solid.sum()), 1)), levels


def _frame(
    now: Gaussians, before: Gaussians | None, after: Gaussians | None, camera: Camera, mode: RasterizeMode
) -> Frame:
    here = _projected(now.means, camera)
    flows = [torch.zeros_like(here) if other is None else _projected(other.means, camera) - here
             for other in (after, before)]  # fmt: skip
    values = torch.cat([colors_seen(now, camera), *flows], dim=1)
    seen, alpha = blend(now, values, camera, mode)
    flow = seen[..., 3:] / alpha.clip(min=NOTHING)[..., None]
    return Frame(before_grey(seen[..., :3], alpha), alpha, flow[..., :2], flow[..., 2:])


def _projected(points: Tensor, camera: Camera) -> Tensor:
    """(N, 3) world → (N, 2) pixels."""
    seen = points @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    return ((seen / seen[:, 2:].clamp_min(1e-6)) @ camera.K.T)[:, :2]


def _warped(image: Floats, flow: Floats, mode: str) -> Floats:
    """``image`` (H, W, C) read at every pixel's place plus ``flow`` (H, W, 2)."""
    height, width = flow.shape[:2]
    rows, columns = np.indices((height, width), dtype=np.float32)
    x, y = (columns + flow[..., 0] + 0.5) * 2 / width - 1, (rows + flow[..., 1] + 0.5) * 2 / height - 1
    grid = torch.from_numpy(np.stack([x, y], axis=-1).astype(np.float32))[None]
    read = grid_sample(torch.from_numpy(image).permute(2, 0, 1)[None], grid, mode, "border", align_corners=False)
    return read[0].permute(1, 2, 0).numpy()
