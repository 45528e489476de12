"""`Rig`: one animated head mesh with the identity already baked in. Every head model reduces to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.geometry import axis_angle_to_matrix


@dataclass(frozen=True)
class Driver:
    """An expression that also turns a joint, as the ARKit eye-look actions turn the eyeballs."""

    expression: int
    """Index of the expression channel."""
    joint: int
    """Index of the joint that it turns."""
    axis: tuple[float, float, float]
    """Unit axis of the turn, in the rig's axes."""
    radians: float
    """Turn at expression value 1."""


@dataclass(frozen=True)
class Landmarks:
    """Points on the surface: a face index and barycentric weights each."""

    names: tuple[str, ...]
    """(L) one name per point, e.g. ``ibug_36``, ``pupil_left`` or ``mediapipe_33``."""
    faces: Tensor
    """(L,) long."""
    barycentrics: Tensor
    """(L, 3), rows sum to 1."""

    def positions(self, vertices: Tensor, triangles: Tensor) -> Tensor:
        """(..., V, 3) vertices and (F, 3) triangles → (..., L, 3)."""
        corners = vertices[..., triangles[self.faces], :]
        return (corners * self.barycentrics[..., None]).sum(-2)


@dataclass(frozen=True)
class Fit:
    """How AnimPortrait3D laid a head over a portrait: ``fitted_params.pkl`` without the shape, radians and metres."""

    expression: tuple[float, ...]
    """100 coefficients."""
    neck_pose: tuple[float, ...]
    """Axis-angle, as the two that follow."""
    head_pose: tuple[float, ...]
    jaw_pose: tuple[float, ...]
    eyes_pose: tuple[float, ...]
    """Axis-angle of the left, then of the right eye."""
    translation: tuple[float, ...]
    """From the model to the world of the portrait, after ``scale``."""
    scale: tuple[float, ...]
    """One number."""
    eyelids: tuple[float, ...]
    """Left and right, 1 is closed; the only part that is seen at rest."""


@dataclass(frozen=True)
class ModelIdentity:
    """Which person of which licensed model a rig is: what is stored instead of the model's own numbers."""

    kind: str
    """``flame`` or ``smplx``."""
    release: str
    """``flame2023`` …"""
    content: str
    """SHA-256 of the model file, hex."""
    shape: tuple[float, ...]
    """Its shape coefficients."""
    assets: str = ""
    """SHA-256 of AnimPortrait3D's asset folder where the mesh is theirs, hex; empty where it is the model's own."""
    fit: Fit | None = None
    """With ``assets``: what their files say of the person beside the shape."""


@dataclass(frozen=True)
class Rig:
    """Mesh, blendshapes, joints and skin weights of one person; y up, face towards +Z, x the subject's left, metres."""

    vertices: Tensor
    """(V, 3) neutral pose, origin at the head joint."""
    faces: Tensor
    """(F, 3) long, counter-clockwise seen from outside."""
    expressions: Tensor
    """(E, V, 3) offsets at expression value 1."""
    expression_names: tuple[str, ...]
    basis: str
    """``arkit52``, ``flame2020``, ``flame2023``, ``flame2023_open`` or ``smplx2020``."""
    joints: Tensor
    """(J, 3) rest positions."""
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    """Parent of each joint, −1 for the root; a parent comes before its children."""
    weights: Tensor
    """(V, J) skin weights, rows sum to 1."""
    regions: dict[str, Tensor] = field(default_factory=dict)
    """Name → (F,) bool."""
    uv: Tensor | None = None
    """(F, 3, 2) texture coordinates per corner."""
    landmarks: Landmarks | None = None
    pose_dirs: Tensor | None = None
    """(9·(J−1), V, 3) pose correctives as in SMPL, driven by (R − I) of every joint but the root."""
    drivers: tuple[Driver, ...] = ()
    joint_dirs: Tensor | None = None
    """(E, J, 3) how far each expression at 1 moves the joints: FLAME and SMPL-X place them by the moved surface."""
    model: ModelIdentity | None = None
    """Of a licensed model: such a rig is neither stored nor published."""

    def joint_index(self, name: str) -> int:
        return _index(self.joint_names, name, "joint")

    def expression_index(self, name: str) -> int:
        return _index(self.expression_names, name, "expression")

    def faces_in(self, names: Iterable[str]) -> Tensor:
        """(F,) bool: triangles in any of these regions, of those that the rig has."""
        inside = torch.zeros_like(self.faces[:, 0], dtype=torch.bool)
        for name in names:
            if name in self.regions:
                inside |= self.regions[name].to(inside.device)
        return inside

    def neutral(self) -> tuple[Tensor, Tensor]:
        """Expression (1, E) and rotations (1, J, 3) of the rest pose."""
        channels, joints = len(self.expression_names), len(self.joint_names)
        return self.vertices.new_zeros(1, channels), self.vertices.new_zeros(1, joints, 3)

    def driven_rotations(self, expression: Tensor) -> Tensor:
        """What the drivers turn: expression (T, E) → axis-angle (T, J, 3), to be added to a pose's own rotations."""
        rotations = expression.new_zeros(expression.shape[0], len(self.joint_names), 3)
        for driver in self.drivers:
            turn = expression[:, driver.expression, None] * driver.radians * expression.new_tensor(driver.axis)
            rotations[:, driver.joint] += turn
        return rotations

    def pose(self, expression: Tensor, rotations: Tensor) -> Tensor:
        """Blendshapes, then pose correctives, then linear blend skinning (Loper et al., SMPL, 2015, eq. 2–6).

        ``expression`` (T, E), ``rotations`` (T, J, 3) axis-angle radians relative to the parent → vertices (T, V, 3).
        Differentiable. Raises `UserError` when a shape does not fit this rig.
        """
        self._check(expression, rotations)
        frames = expression.shape[0]
        offsets = (expression @ self.expressions.flatten(1)).reshape(frames, -1, 3)
        shaped = self.vertices + offsets
        matrices = axis_angle_to_matrix(rotations)
        if self.pose_dirs is not None:
            feature = (matrices[:, 1:] - torch.eye(3).to(matrices)).reshape(frames, -1)
            shaped = shaped + (feature @ self.pose_dirs.flatten(1)).reshape(frames, -1, 3)
        transforms = self._skinning_transforms(matrices, self._joints_of(expression))
        blended = (self.weights @ transforms.reshape(frames, -1, 12)).reshape(frames, -1, 3, 4)
        return (blended[..., :3] @ shaped[..., None]).squeeze(-1) + blended[..., 3]

    def _joints_of(self, expression: Tensor) -> Tensor:
        """Joints (T, J, 3) of an expression (T, E) before any rotation."""
        if self.joint_dirs is None:
            return self.joints.expand(len(expression), -1, -1)
        return self.joints + (expression @ self.joint_dirs.flatten(1)).reshape(len(expression), -1, 3)

    def _skinning_transforms(self, matrices: Tensor, joints: Tensor) -> Tensor:
        """Rotations (T, J, 3, 3) about joints (T, J, 3) → rest-to-posed transforms (T, J, 3, 4) along the tree."""
        world: list[Tensor] = []
        for joint, parent in enumerate(self.parents):
            at = joints[:, joint]
            move = at - (matrices[:, joint] @ at[..., None]).squeeze(-1)
            local = torch.cat([matrices[:, joint], move[..., None]], dim=-1)
            if parent < 0:
                world.append(local)
                continue
            above = world[parent]
            rotation = above[..., :3] @ local[..., :3]
            shift = above[..., :3] @ local[..., 3:] + above[..., 3:]
            world.append(torch.cat([rotation, shift], dim=-1))
        return torch.stack(world, dim=1)

    def _check(self, expression: Tensor, rotations: Tensor) -> None:
        channels = len(self.expression_names)
        if expression.ndim != 2 or expression.shape[1] != channels:
            raise UserError(f"expression has shape {tuple(expression.shape)}; this rig takes (frames, {channels})")
        wanted = (len(expression), len(self.joint_names), 3)
        if tuple(rotations.shape) != wanted:
            raise UserError(f"rotations have shape {tuple(rotations.shape)}; this rig takes {wanted}")


def _index(names: tuple[str, ...], name: str, kind: str) -> int:
    if name not in names:
        raise UserError(f"there is no {kind} {name!r}; this rig has {', '.join(names)}")
    return names.index(name)
