"""What keeps splats near their triangles while a diffusion model pulls at them.

Both kinds return one loss per pose; `fit` takes the mean over the poses of a step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import relu, smooth_l1_loss

from pipeline.avatar import Gaussians, SplatAvatar
from pipeline.heads.rig import Rig
from pipeline.stages.cameras import BALL_SCENE, ball_orbit

FREE_DISTANCE = 1.0
"""Triangle units by which a splat may change its distance from the centroid at no cost."""
FREE_SIZE = 0.2
"""Triangle units up to which a splat's size costs nothing."""


@dataclass(frozen=True)
class Start:
    """Where splats were when the phase began; children have their parent's."""

    means: Tensor
    """(N, 3) local places."""
    log_scales: Tensor
    """(N, 3)."""


def position_penalty(avatar: SplatAvatar, start: Start) -> Tensor:
    """mean relu(| |x| − |x₀| | − 1) over local places x (AnimPortrait3D, SIGGRAPH 2025, as its code has it).

    Being relative to the start x₀, it leaves hair far from its triangle where the prior hung it.
    """
    change = avatar.means.norm(dim=1) - start.means.norm(dim=1)
    return relu(change.abs() - FREE_DISTANCE).mean()


def scale_penalty(avatar: SplatAvatar, start: Start) -> Tensor:
    """Σ ‖relu(exp(s) − limit)‖ over log-scales s (AnimPortrait3D, as its code has it: a sum).

    The limit of each axis is a fifth of the triangle or the size that the splat began with, whichever is larger: the
    published avatars begin below a fifth, while a prior's hair and cloth may be made of larger splats on purpose.
    """
    limit = torch.exp(start.log_scales).clamp_min(FREE_SIZE)
    return relu(torch.exp(avatar.log_scales) - limit).norm(dim=1).sum()


def adaptive_penalties(gaussians: Gaussians, face: Tensor, corners: Tensor, unit: float) -> tuple[Tensor, Tensor]:
    """HeadStudio's position and scale penalties (ECCV 2024, eq. 8 and 9), which triangles bear by their area.

    ``gaussians`` of one pose, ``face`` (N,) triangle of each, ``corners`` (F, 3, 3) metres, ``unit`` how many of
    HeadStudio's units a metre is (see `headstudio_unit`). With τ half the largest distance between centroid and corner
    and a the triangle's area: mean of smooth-L1(μ − t)/√a over splats with ‖μ − t‖ > τ, and mean of s/√a over sizes
    s > τ. The published code divides by a itself.
    """
    corners = corners * unit
    centroids = corners.mean(1)
    reach = 0.5 * (corners - centroids[:, None]).norm(dim=2).amax(1)
    cross = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    root = (0.5 * cross.norm(dim=1)).clamp_min(1e-10).sqrt()
    reach, root, centroids = (values.index_select(0, face) for values in (reach, root, centroids))
    offsets, scales = gaussians.means * unit - centroids, gaussians.scales * unit
    far, large = offsets.norm(dim=1) > reach, scales > reach[:, None]
    place = smooth_l1_loss(offsets, torch.zeros_like(offsets), reduction="none").mean(1) / root
    return _mean_of(place, far), _mean_of(scales / root[:, None], large)


def headstudio_unit(rig: Rig) -> float:
    """HeadStudio's units per metre on this head, those in which its cameras go round it."""
    return BALL_SCENE / ball_orbit(rig, distance=1.0, fov_degrees=45.0).extent


def _mean_of(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean of the chosen values; 0 when there are none."""
    return torch.where(chosen, values, 0).sum() / chosen.sum().clamp_min(1)
