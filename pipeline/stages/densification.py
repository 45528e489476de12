"""More splats where the picture asks for them, fewer where they are not seen; every splat stays on its triangle.

After Kerbl et al., 3D Gaussian Splatting (2023), §5.2, for splats bound to triangles (GaussianAvatars, CVPR 2024): a
child inherits triangle, layer and its parent's place.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.avatar import SplatAvatar
from pipeline.geometry import quaternion_to_matrix, triangle_frames
from pipeline.stages.config import Densification

CHILDREN = 2
SHRINK = 1.6
"""A child's size is its parent's divided by this."""
GROWTH = 1.01
"""Factor over its size at the start from which a splat counts as grown."""


@dataclass
class Statistics:
    """What has been seen of every splat since splats were last added or removed."""

    gradient: Tensor
    """(N,) sum of the norms of the screen position's gradient, one per view, in normalised device units."""
    seen: Tensor
    """(N,) views in which the splat was drawn."""
    radius: Tensor
    """(N,) greatest on screen, pixels of the whole view."""

    @classmethod
    def empty(cls, like: Tensor) -> Statistics:
        """Of splats (N, ...) that nobody has seen yet."""
        return cls(*(like.new_zeros(len(like)) for _ in range(3)))

    def add(self, gradients: Tensor, radii: Tensor, normalized: bool = False) -> None:
        """Count the views of one step: ``gradients`` (views, N) norms, ``radii`` (views, N) pixels, 0 where unseen.

        ``normalized``: HeadStudio's (ECCV 2024) variant, where the step's norms, summed over its views, are divided by
        their length as a vector of all splats, so that the threshold does not depend on the loss.
        """
        if normalized:
            gradients = torch.nn.functional.normalize(gradients.sum(0, keepdim=True), dim=1)
            self.seen += (radii > 0).any(0)
        else:
            self.seen += (radii > 0).sum(0)
        self.gradient += gradients.sum(0)
        self.radius = torch.maximum(self.radius, radii.amax(0))

    def mean_gradient(self) -> Tensor:
        """(N,); 0 for a splat that was never seen."""
        return self.gradient / self.seen.clamp_min(1)


@dataclass(frozen=True)
class Change:
    """Which rows of the old splats become the new ones, and what is different about them."""

    source: Tensor
    """(M,) long: the old row that each new row comes from."""
    fresh: Tensor
    """(M,) bool: children, whose momentum starts at zero, as gsplat does it."""
    means: Tensor
    """(M, 3) local places."""
    log_scales: Tensor
    """(M, 3)."""

    def rows(self, values: Tensor) -> Tensor:
        """Values (N, ...) of the old splats for the new ones."""
        return values[self.source]

    def momentum(self, values: Tensor) -> Tensor:
        """Running averages (N, ...) of the optimiser: kept by the splats that stay, 0 for children."""
        return torch.where(self.fresh.view(-1, *[1] * (values.dim() - 1)), 0, values[self.source])


@torch.no_grad()
def densify(
    avatar: SplatAvatar,
    statistics: Statistics,
    options: Densification,
    trained: Tensor,
    extent: float,
    generator: torch.Generator,
) -> Change:
    """Clone small and split large splats whose screen gradient is high.

    ``trained`` (N,) bool: the only splats that may have children. ``extent`` metres: size of the scene. At most
    ``options.most`` splats are there afterwards: those with the highest gradients come first. Offsets of the two
    children of a split splat are drawn from the splat's own normal distribution.
    """
    gradient = statistics.mean_gradient()
    wanted = (gradient >= options.gradient) & trained
    room = max(0, options.most - len(gradient))
    if room < len(gradient):  # more may be wanted than there is room for: each adds one
        order = torch.where(wanted, gradient, -1).argsort(descending=True, stable=True)
        wanted[order[room:]] = False
    large = world_sizes(avatar) > options.split_scale * extent
    cloned, split = wanted & ~large, wanted & large
    everyone = torch.arange(len(gradient), device=gradient.device)
    parents = everyone[split].repeat(CHILDREN)
    source = torch.cat([everyone[~split], everyone[cloned], parents])
    fresh = torch.ones(len(source), dtype=torch.bool, device=source.device)
    fresh[: int((~split).sum())] = False
    means, log_scales = avatar.means.detach()[source].clone(), avatar.log_scales.detach()[source].clone()
    if len(parents):
        children = slice(len(source) - len(parents), None)
        means[children] += _offsets(avatar, parents, generator)
        log_scales[children] -= torch.log(log_scales.new_tensor(SHRINK))
    return Change(source, fresh, means, log_scales)


@torch.no_grad()
def prune(
    avatar: SplatAvatar,
    statistics: Statistics | None,
    options: Densification,
    trained: Tensor,
    start_log_scales: Tensor,
    extent: float,
) -> Change:
    """Remove trained splats that are nearly transparent, or have grown too large.

    ``start_log_scales`` (N, 3): sizes that the splats began with; one that has not grown since is never too large, as
    a prior may be made of larger ones. ``statistics`` give the size on screen; None leaves it out of account. The most
    opaque splat of a triangle always stays.
    """
    grown = (avatar.log_scales.detach() - start_log_scales).amax(1) > torch.log(start_log_scales.new_tensor(GROWTH))
    large = world_sizes(avatar) > options.max_scale * extent
    if statistics is not None:
        large |= statistics.radius > options.max_radius
    opacities = torch.sigmoid(avatar.opacity_logits.detach())
    doomed = ((opacities < options.min_opacity) | (large & grown)) & trained
    source = torch.nonzero(~doomed | _most_opaque(avatar, opacities)).squeeze(1)
    fresh = torch.zeros(len(source), dtype=torch.bool, device=source.device)
    return Change(source, fresh, avatar.means.detach()[source], avatar.log_scales.detach()[source])


def world_sizes(avatar: SplatAvatar) -> Tensor:
    """Largest standard deviation of every splat on the neutral rig: (N,) metres."""
    scale = triangle_frames(avatar.rig.vertices, avatar.rig.faces).scale[avatar.face.long()]
    return scale * torch.exp(avatar.log_scales.detach().amax(1))


def _offsets(avatar: SplatAvatar, parents: Tensor, generator: torch.Generator) -> Tensor:
    """Draws of the parents' own normal distributions round their places, in their triangles' units: (P, 3)."""
    drawn = torch.randn(len(parents), 3, generator=generator).to(avatar.means)
    axes = quaternion_to_matrix(avatar.quats.detach()[parents])
    return (axes @ (drawn * torch.exp(avatar.log_scales.detach()[parents]))[..., None]).squeeze(-1)


def _most_opaque(avatar: SplatAvatar, opacities: Tensor) -> Tensor:
    """(N,) bool: one splat of every triangle that has any, the first of the most opaque."""
    face, rows = avatar.face.long(), torch.arange(len(opacities), device=opacities.device)
    best = opacities.new_zeros(len(avatar.rig.faces)).scatter_reduce(0, face, opacities, "amax")
    candidates = torch.where(opacities == best[face], rows, len(rows))
    first = torch.full((len(best),), len(rows), device=rows.device).scatter_reduce(0, face, candidates, "amin")
    return first[face] == rows
