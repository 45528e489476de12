"""`SplatAvatar`: Gaussian splats that hang on the triangles of a rig."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from pipeline.geometry import (
    matrix_to_quaternion,
    quaternion_multiply,
    triangle_frames,
)
from pipeline.heads.rig import Driver, Landmarks, ModelIdentity, Rig
from pipeline.splat_kernels import pose_splats

SH_C0 = 0.28209479177387814
"""Constant spherical harmonic of degree 0; colour = SH_C0 · sh + 0.5."""


class Layer(IntEnum):
    """What a splat belongs to."""

    SKIN = 0
    EYE = 1
    MOUTH = 2
    HAIR = 3
    BROW = 4
    BEARD = 5
    CLOTH = 6
    ACCESSORY = 7


@dataclass
class Gaussians:
    """Splats in world space, as `rasterize` takes them."""

    means: Tensor
    """(N, 3) metres."""
    quats: Tensor
    """(N, 4) wxyz."""
    scales: Tensor
    """(N, 3) standard deviations, metres."""
    opacities: Tensor
    """(N,) 0..1."""
    sh: Tensor
    """(N, K, 3) spherical-harmonic coefficients."""

    @property
    def colors(self) -> Tensor:
        """(N, 3) display sRGB of degree 0."""
        return (SH_C0 * self.sh[:, 0] + 0.5).clamp_min(0)


class SplatAvatar(ModelMixin, ConfigMixin):
    """Splats local to the triangles of a `Rig` (GaussianAvatars frame), saved as config.json + safetensors.

    Local values keep to the convention of GaussianAvatars files: with R, k, T of `triangle_frames`, world mean =
    k·R·m + T, world scale = k·exp(log_scale), world rotation = R·q.
    """

    @register_to_config
    def __init__(
        self,
        num_splats: int,
        num_vertices: int,
        num_faces: int,
        expression_names: list[str],
        basis: str,
        joint_names: list[str],
        parents: list[int],
        region_names: list[str],
        landmark_names: list[str],
        drivers: list[list[float]],
        has_uv: bool = False,
        num_pose_dirs: int = 0,
        has_joint_dirs: bool = False,
        sh_coefficients: int = 1,
        rasterize_mode: str = "antialiased",
        sh_frame: str = "rest",
    ):
        super().__init__()
        n, v, f = num_splats, num_vertices, num_faces
        self.means = nn.Parameter(torch.zeros(n, 3))
        self.quats = nn.Parameter(torch.zeros(n, 4))
        self.log_scales = nn.Parameter(torch.zeros(n, 3))
        self.opacity_logits = nn.Parameter(torch.zeros(n))
        self.sh = nn.Parameter(torch.zeros(n, sh_coefficients, 3))
        self.register_buffer("face", torch.zeros(n, dtype=torch.int32))
        self.register_buffer("layer", torch.zeros(n, dtype=torch.uint8))
        self.register_buffer("rig_vertices", torch.zeros(v, 3))
        self.register_buffer("rig_faces", torch.zeros(f, 3, dtype=torch.int32))
        self.register_buffer("rig_expressions", torch.zeros(len(expression_names), v, 3))
        self.register_buffer("rig_joints", torch.zeros(len(joint_names), 3))
        self.register_buffer("rig_weights", torch.zeros(v, len(joint_names)))
        self.register_buffer("rig_regions", torch.zeros(len(region_names), f, dtype=torch.bool))
        self.register_buffer("rig_landmark_faces", torch.zeros(len(landmark_names), dtype=torch.int32))
        self.register_buffer("rig_landmark_barycentrics", torch.zeros(len(landmark_names), 3))
        self.register_buffer("rig_uv", torch.zeros(f if has_uv else 0, 3, 2))
        self.register_buffer("rig_pose_dirs", torch.zeros(num_pose_dirs, v if num_pose_dirs else 0, 3))
        if has_joint_dirs:
            self.register_buffer("rig_joint_dirs", torch.zeros(len(expression_names), len(joint_names), 3))
        self._rig: Rig | None = None
        self._model: ModelIdentity | None = None

    @classmethod
    def from_parts(
        cls,
        rig: Rig,
        *,
        face: Tensor,
        means: Tensor,
        quats: Tensor,
        log_scales: Tensor,
        opacity_logits: Tensor,
        sh: Tensor,
        layer: Tensor,
        rasterize_mode: str = "antialiased",
        sh_frame: str = "rest",
    ) -> SplatAvatar:
        """An avatar from triangle-local splats.

        ``face`` (N,) triangle of each splat, ``means`` (N, 3) and ``log_scales`` (N, 3) in units of the triangle's
        scale, ``quats`` (N, 4) wxyz, ``opacity_logits`` (N,), ``sh`` (N, K, 3), ``layer`` (N,) `Layer` values.
        """
        if sh.shape[1] > 1 and sh_frame == "rest":
            raise ValueError("view-dependent colour (SH degree 1 or more) is read in the world frame only")
        landmarks = rig.landmarks or Landmarks((), torch.zeros(0, dtype=torch.long), torch.zeros(0, 3))
        avatar = cls(
            num_splats=len(face),
            num_vertices=len(rig.vertices),
            num_faces=len(rig.faces),
            expression_names=list(rig.expression_names),
            basis=rig.basis,
            joint_names=list(rig.joint_names),
            parents=list(rig.parents),
            region_names=sorted(rig.regions),
            landmark_names=list(landmarks.names),
            drivers=[[d.expression, d.joint, *d.axis, d.radians] for d in rig.drivers],
            has_uv=rig.uv is not None,
            num_pose_dirs=0 if rig.pose_dirs is None else len(rig.pose_dirs),
            has_joint_dirs=rig.joint_dirs is not None,
            sh_coefficients=sh.shape[1],
            rasterize_mode=rasterize_mode,
            sh_frame=sh_frame,
        )
        values = {
            "means": means, "quats": quats, "log_scales": log_scales, "opacity_logits": opacity_logits, "sh": sh,
            "face": face, "layer": layer, "rig_vertices": rig.vertices, "rig_faces": rig.faces,
            "rig_expressions": rig.expressions, "rig_joints": rig.joints, "rig_weights": rig.weights,
            "rig_landmark_faces": landmarks.faces, "rig_landmark_barycentrics": landmarks.barycentrics,
        }  # fmt: skip
        if rig.regions:
            values["rig_regions"] = torch.stack([rig.regions[name] for name in sorted(rig.regions)])
        if rig.uv is not None:
            values["rig_uv"] = rig.uv
        if rig.pose_dirs is not None:
            values["rig_pose_dirs"] = rig.pose_dirs
        if rig.joint_dirs is not None:
            values["rig_joint_dirs"] = rig.joint_dirs
        with torch.no_grad():
            for name, value in values.items():
                getattr(avatar, name).copy_(value)
        avatar._model = rig.model
        return avatar

    @classmethod
    def from_world(
        cls,
        rig: Rig,
        *,
        face: Tensor,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        colors: Tensor,
        layer: Tensor,
    ) -> SplatAvatar:
        """An avatar from splats placed in the world on the neutral rig, one colour each.

        ``means`` (N, 3) and ``scales`` (N, 3) metres, ``quats`` (N, 4) wxyz, ``opacities`` (N,) 0..1, ``colors``
        (N, 3) display sRGB.
        """
        face = face.long()
        means, quats, log_scales = triangle_frames(rig.vertices, rig.faces).local(face, means, quats, scales)
        return cls.from_parts(
            rig,
            face=face,
            means=means,
            quats=quats,
            log_scales=log_scales,
            opacity_logits=torch.logit(opacities, eps=1e-4),
            sh=((colors - 0.5) / SH_C0)[:, None],
            layer=layer,
        )

    @property
    def rig(self) -> Rig:
        """The rig that the splats hang on."""
        if self._rig is None:
            self._rig = self._assemble_rig()
        return self._rig

    def gaussians(self, vertices: Tensor) -> Gaussians:
        """The splats of one pose: vertices (V, 3) → world-space `Gaussians`.

        Without gradients (none wanted, or on a CPU inside `torch.no_grad`) a Numba kernel does it in about a
        millisecond per 100k splats; otherwise torch, differentiable in the vertices and in every splat attribute.
        """
        if vertices.is_cuda or (torch.is_grad_enabled() and self._wants_grad(vertices)):
            return self._gaussians_torch(vertices)
        with torch.no_grad():
            means, quats, scales = pose_splats(
                vertices, self.rig_faces, self.face, self.means, self.quats, self.log_scales
            )
            return Gaussians(means, quats, scales, torch.sigmoid(self.opacity_logits), self.sh.detach())

    def _gaussians_torch(self, vertices: Tensor) -> Gaussians:
        frames = triangle_frames(vertices, self.rig.faces.to(vertices.device))
        rotation, k, origin, turn = (  # not by [face], whose gradient depends on the order in which threads add
            values.index_select(0, self.face)
            for values in (frames.rotation, frames.scale[:, None], frames.origin, matrix_to_quaternion(frames.rotation))
        )
        means = k * (rotation @ self.means[..., None]).squeeze(-1) + origin
        quats = quaternion_multiply(turn, self.quats)
        scales = k * torch.exp(self.log_scales)
        return Gaussians(means, quats, scales, torch.sigmoid(self.opacity_logits), self.sh)

    def to_json_string(self) -> str:
        """As diffusers writes it, without the folder that the avatar was read from, which is nobody else's business."""
        config = json.loads(super().to_json_string())
        config.pop("_name_or_path", None)
        return json.dumps(config, indent=2, sort_keys=True) + "\n"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> SplatAvatar:
        """After `.to(…)` the rig is put together anew: it holds the tensors as they were."""
        self._rig = None
        return super()._apply(fn, recurse)  # type: ignore[misc]  # diffusers ships no types

    def _wants_grad(self, vertices: Tensor) -> bool:
        return vertices.requires_grad or any(parameter.requires_grad for parameter in self.parameters())

    def _assemble_rig(self) -> Rig:
        config = self.config
        names = tuple(config["landmark_names"])
        landmarks = Landmarks(names, self.rig_landmark_faces.long(), self.rig_landmark_barycentrics) if names else None
        drivers = tuple(
            Driver(int(expression), int(joint), (x, y, z), radians)
            for expression, joint, x, y, z, radians in config["drivers"]
        )
        return Rig(
            vertices=self.rig_vertices,
            faces=self.rig_faces.long(),
            expressions=self.rig_expressions,
            expression_names=tuple(config["expression_names"]),
            basis=config["basis"],
            joints=self.rig_joints,
            joint_names=tuple(config["joint_names"]),
            parents=tuple(config["parents"]),
            weights=self.rig_weights,
            regions=dict(zip(config["region_names"], self.rig_regions, strict=True)),
            uv=self.rig_uv if config["has_uv"] else None,
            landmarks=landmarks,
            pose_dirs=self.rig_pose_dirs if config["num_pose_dirs"] else None,
            drivers=drivers,
            joint_dirs=self.rig_joint_dirs if config["has_joint_dirs"] else None,
            model=self._model,
        )
