"""Views of an avatar as a refinement sees them: every crop of a pose in one differentiable call of the rasteriser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.avatar import Gaussians, Layer, SplatAvatar
from pipeline.guidance.conditions import Condition
from pipeline.guidance.shot import Pose, Shot, View
from pipeline.heads.rig import Rig
from pipeline.rendering.rasterize import rasterize
from pipeline.stages.crops import FRAME, SIZES

DEGREES = {1: None, 4: 1, 9: 2, 16: 3}
"""Degree of spherical harmonics by the number of coefficients; None: plain colours."""


@dataclass(frozen=True)
class Drawn:
    """One view of the avatar."""

    view: View
    vertices: Tensor
    """(V, 3) of the posed rig."""
    gaussians: Gaussians
    images: Tensor
    """(C, 3, H, W) 0..1, one per shot."""
    means2d: Tensor
    """(C, N, 2) pixels of the shots; its gradient appears after backward."""
    radii: Tensor
    """(C, N) pixels of the shots."""

    def screen(self, frame: int) -> tuple[Tensor, Tensor]:
        """Gradient norms (N,) of the screen position and radii (N,) as the whole view, ``frame`` pixels wide, has them.

        A splat's gradients from the crops add up, each enlarged as its crop enlarges. Norms are in normalised device
        units, radii in pixels.
        """
        size = self.view.shots[0].camera.width
        zoom = torch.tensor([FRAME / SIZES.get(shot.region, FRAME) for shot in self.view.shots]).to(self.means2d)
        radii = (self.radii / zoom[:, None]).amax(0) * (frame / size)
        if self.means2d.grad is None:  # nothing of it was guided
            return torch.zeros_like(radii), radii
        whole = (self.means2d.grad * zoom[:, None, None]).sum(0) * (size / 2)
        return whole.norm(dim=1), radii


def pose_vertices(rig: Rig, poses: Sequence[Pose]) -> Tensor:
    """The rig in several poses at once: (P, V, 3)."""
    expression = torch.cat([pose.expression for pose in poses]).to(rig.vertices)
    return rig.pose(expression, torch.cat([pose.rotations for pose in poses]).to(rig.vertices))


def draw(avatar: SplatAvatar, view: View, vertices: Tensor, background: tuple[float, float, float]) -> Drawn:
    """All shots of a view, whose pose has ``vertices`` (V, 3), before a ``background``.

    Where the mouth is closed its inside gets no gradient: what shows through the lips says nothing about teeth.
    """
    gaussians = avatar.gaussians(vertices)
    if not view.pose.mouth_open and torch.is_grad_enabled():
        gaussians = _held(gaussians, avatar.layer == Layer.MOUTH)
    cameras = [shot.camera for shot in view.shots]
    device = vertices.device
    degree = DEGREES[gaussians.sh.shape[1]]
    renders, _, meta = rasterize(
        gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities,
        gaussians.colors if degree is None else gaussians.sh,
        torch.stack([camera.viewmat for camera in cameras]).to(device),
        torch.stack([camera.K for camera in cameras]).to(device),
        cameras[0].width, cameras[0].height, sh_degree=degree,
        backgrounds=torch.tensor(background, device=device).expand(len(cameras), 3),
        rasterize_mode=avatar.config["rasterize_mode"],
    )  # fmt: skip
    radii = meta["radii"]
    return Drawn(
        view, vertices, gaussians, renders.permute(0, 3, 1, 2), meta["means2d"],
        radii.amax(-1) if radii.dim() == 3 else radii,
    )  # fmt: skip


def conditions_of(
    views: Sequence[View], vertices: Tensor, condition: Condition, weight: float
) -> tuple[Tensor | None, Tensor]:
    """What the ControlNet sees of all shots of ``views``, posed as ``vertices`` (P, V, 3), and how strongly.

    → (B, K, H, W) with zeros for shots that it does not see, None when it sees none; (B,) ``weight`` or 0, on the CPU.
    """
    seen = [shot.conditioned for view in views for shot in view.shots]
    scale = torch.tensor([weight if conditioned else 0.0 for conditioned in seen])
    if not scale.any():
        return None, scale
    parts = []
    for view, posed in zip(views, vertices, strict=True):
        cameras = [shot.camera for shot in view.shots if shot.conditioned]
        if cameras:
            parts.append(condition(posed, cameras))
    shown = torch.cat(parts)
    conditions = shown.new_zeros(len(seen), *shown.shape[1:])
    conditions[torch.tensor(seen).nonzero().squeeze(1).to(shown.device)] = shown
    return conditions, scale


def uncovered(shots: Sequence[Shot], height: int, width: int, device: torch.device) -> Tensor:
    """Where each shot is to be guided: (B, 1, height, width), 0 inside what another shot covers.

    The covered boxes, in pixels of the shot, are brought to this size and cut off to whole numbers, as the paper does.
    """
    weight = torch.ones(len(shots), 1, height, width)
    for row, shot in zip(weight, shots, strict=True):
        if shot.covered is None:
            continue
        left, top, right, bottom = shot.covered
        x, y = width / shot.camera.width, height / shot.camera.height
        row[:, int(top * y) : int(bottom * y), int(left * x) : int(right * x)] = 0
    return weight.to(device)


def _held(gaussians: Gaussians, rows: Tensor) -> Gaussians:
    """The same splats; those of ``rows`` (N,) bool give no gradient."""

    def held(values: Tensor) -> Tensor:
        return torch.where(rows.view(-1, *[1] * (values.dim() - 1)), values.detach(), values)

    return Gaussians(**{name: held(values) for name, values in vars(gaussians).items()})
