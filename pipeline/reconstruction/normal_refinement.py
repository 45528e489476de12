"""Moving a mesh until it shows the normals and the outline that its pictures are believed to have."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from scipy.sparse import csc_array, diags_array
from scipy.sparse.linalg import splu
from torch import Tensor
from torch.nn.functional import cosine_similarity, grid_sample

from pipeline.camera import Camera
from pipeline.errors import UserError
from pipeline.reconstruction.multiview import Surface
from pipeline.reconstruction.smoothing import unique_edges
from pipeline.rendering.mesh import rasterize_mesh, vertex_normals
from pipeline.stages.journal import Journal, Progress, State
from pipeline.stages.randomness import generator

PHASE = "mesh_normals"
NormalPredictor = Callable[[Tensor], Tensor]
"""Pictures (C, H, W, 3) uint8 → unit normals (C, H, W, 3) in camera space: x right, y up, z towards the camera."""
COVERED = 0.85
"""Alpha from which a pixel's normal counts."""
BETAS = (0.9, 0.999)


@dataclass(frozen=True)
class NormalRefinement:
    """How a mesh is moved."""

    steps: int = 300
    views: int = 4
    """Views of a step."""
    learning_rate: float = 1.5
    """Mean edges of the mesh that a vertex moves in the first step at most; it falls to a tenth."""
    stiffness: float = 20.0
    """How far a pull on one vertex moves its neighbours along: λ of the preconditioner (I + λL)⁻¹."""
    normal_weight: float = 10.0
    """As AnimPortrait3D weighs 1 − cos."""
    outline_weight: float = 0.01
    """Of the squared distance, in pixels of a picture of 512, between the outlines of mesh and matte."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, lowest, highest in (
            ("steps", self.steps, 0, 100_000),
            ("views", self.views, 1, 64),
            ("learning_rate", self.learning_rate, 0.0, 100.0),
            ("stiffness", self.stiffness, 0.0, 10_000.0),
            ("normal_weight", self.normal_weight, 0.0, 1e6),
            ("outline_weight", self.outline_weight, 0.0, 1e6),
        ):
            if not lowest <= value <= highest:  # also for NaN
                raise UserError(f"{name} of the surface's refinement is {value}; it goes from {lowest} to {highest}")


@torch.enable_grad()
def refine_by_normals(
    surface: Surface,
    cameras: Sequence[Camera],
    normals: Tensor,
    alphas: Tensor,
    config: NormalRefinement,
    journal: Journal,
) -> Surface:
    """The surface with its vertices moved; faces stay, and so do colours and parts.

    In place of AnimPortrait3D's remeshing optimiser: gradients spread over the mesh as in Nicolet, Jacobson and Jakob,
    Large Steps in Inverse Rendering of Geometry, SIGGRAPH Asia 2021, so that details grow without folds. The outline of
    each view is compared with the matte of the same view, as the distance of the drawn border from the matte's.

    Args:
        normals: (C, H, W, 3) unit, in camera space as a `NormalPredictor` gives them.
        alphas: (C, H, W) 0..1, the matte of each picture.

    Raises:
        Interrupted: the journal asked to stop; its state goes on from there.
        UserError: the steps came to a number that is not finite.
    """
    return _Refinement(surface, cameras, normals, alphas, config, journal).run()


class _Refinement:
    def __init__(
        self,
        surface: Surface,
        cameras: Sequence[Camera],
        normals: Tensor,
        alphas: Tensor,
        config: NormalRefinement,
        journal: Journal,
    ) -> None:
        self.surface, self.cameras, self.config, self.journal = surface, cameras, config, journal
        place = surface.vertices.device
        self.normals, self.alphas = normals.to(place, torch.float32), alphas.to(place, torch.float32)
        self.distances = torch.stack([_outline_distance(alpha) for alpha in alphas]).to(place)
        edges, _ = unique_edges(surface.faces)
        ends = surface.vertices[torch.from_numpy(edges).to(place)]
        self.unit = float((ends[:, 0] - ends[:, 1]).norm(dim=1).mean())
        self.spread = _Spread(edges, len(surface.vertices), config.stiffness)
        self.done = 0
        self.vertices = surface.vertices.detach().clone()
        self.first, self.second = torch.zeros_like(self.vertices), torch.zeros_like(self.vertices)
        found = journal.resume((PHASE,))
        if found is not None:
            self._restore(found[1])

    def run(self) -> Surface:
        while self.done < self.config.steps:
            losses = self._step()
            progress = Progress(PHASE, self.done, self.config.steps, losses)
            self.journal.step(progress, None, self._state)
        return replace(self.surface, vertices=self.vertices)

    def _state(self) -> State:
        tensors = {"vertices": self.vertices, "first": self.first, "second": self.second}
        return {"step": self.done, **{name: tensor.cpu().clone() for name, tensor in tensors.items()}}

    def _restore(self, state: State) -> None:
        self.done = state["step"]
        self.vertices, self.first, self.second = (
            state[name].to(self.vertices) for name in ("vertices", "first", "second")
        )

    def _step(self) -> dict[str, float]:
        draws = generator(self.config.seed, PHASE, self.done)
        views = torch.randperm(len(self.cameras), generator=draws)[: self.config.views].tolist()
        vertices = self.vertices.clone().requires_grad_()
        vertex_normal = vertex_normals(vertices, self.surface.faces)
        pairs = [self._view_losses(vertices, vertex_normal, view) for view in views]
        normal, outline = (torch.stack(each).mean() for each in zip(*pairs, strict=True))
        total = self.config.normal_weight * normal + self.config.outline_weight * outline
        total.backward()
        assert vertices.grad is not None
        self._move(vertices.grad)
        if not math.isfinite(total.item()) or not bool(self.vertices.isfinite().all()):
            raise UserError(
                f"the mesh came to a number that is not finite in step {self.done}; lower the learning rate, "
                f"{self.config.learning_rate:g} now"
            )
        return {"normals": normal.item(), "outline": outline.item()}

    def _move(self, gradient: Tensor) -> None:
        """A step of Adam with one size for all coordinates, along the gradient spread twice over the mesh.

        As the paper's for u = (I + λL) v, in terms of v, scaled by the vertex that moves most.
        """
        self.done += 1
        pull = self.spread(gradient)
        self.first = BETAS[0] * self.first + (1 - BETAS[0]) * pull
        self.second = BETAS[1] * self.second + (1 - BETAS[1]) * pull.square()
        mean = self.first / (1 - BETAS[0] ** self.done)
        size = (self.second / (1 - BETAS[1] ** self.done)).amax().sqrt().clamp_min(1e-20)
        move = self.spread(mean)
        most = move.norm(dim=1).amax().clamp_min(1e-20)
        rate = self.config.learning_rate * 0.1 ** (self.done / self.config.steps) * self.unit
        self.vertices = self.vertices - rate * mean.norm(dim=1).amax() / size * move / most

    def _view_losses(self, vertices: Tensor, vertex_normal: Tensor, view: int) -> tuple[Tensor, Tensor]:
        """1 − cos between drawn and believed normals, and squared distance of the outlines in pixels."""
        camera = self.cameras[view]
        viewmat, K = camera.viewmat.to(vertices), camera.K.to(vertices)
        drawn = rasterize_mesh(
            vertices.detach(), self.surface.faces, viewmat[None], K[None], camera.width, camera.height
        )
        face, weights = drawn.face[0].long(), drawn.barycentrics[0]
        covered = face >= 0
        counts = covered & (self.alphas[view] > COVERED)
        corners = self.surface.faces[face[counts]]
        normal = _blend(vertex_normal, corners, weights[counts]) @ viewmat[:3, :3].T
        normal = normal * normal.new_tensor([1.0, -1.0, -1.0])
        off = 1 - cosine_similarity(normal, self.normals[view][counts], dim=-1)
        border = covered & _beside(~covered)
        edge = _blend(vertices, self.surface.faces[face[border]], weights[border])
        beside = self._distance_at(edge @ viewmat[:3, :3].T + viewmat[:3, 3], K, view)
        return _mean(off), _mean((beside + 0.5).square()) * (512 / camera.height) ** 2

    def _distance_at(self, points: Tensor, K: Tensor, view: int) -> Tensor:
        """(M,) pixels outside the matte of points (M, 3) in camera space; no more than `FAR`."""
        height, width = self.distances.shape[1:]
        screen = points @ K.T
        place = screen[:, :2] / screen[:, 2:] * 2 / screen.new_tensor([width, height]) - 1
        found = grid_sample(
            self.distances[view][None, None], place[None, :, None], padding_mode="border", align_corners=False
        )
        return found[0, 0, :, 0]


FAR = 20.0
"""Pixels of a picture of 512: outlines further apart than this pull no stronger."""


def _outline_distance(alpha: Tensor) -> Tensor:
    """(H, W) pixels outside a matte (H, W), negative inside; at pixel centres half a pixel off either way."""
    inside = alpha.detach().cpu().numpy() > 0.5
    far = FAR * len(inside) / 512
    if inside.all() or not inside.any():
        return torch.full(alpha.shape, -0.5)  # no outline: nothing pulls
    outside = distance_transform_edt(~inside) - 0.5
    within = 0.5 - distance_transform_edt(inside)
    return torch.from_numpy(np.where(inside, within, outside).clip(-far, far)).float()


def _beside(mask: Tensor) -> Tensor:
    """(H, W) pixels with one of the mask above, below, left or right; the picture's own edge does not count."""
    found = torch.zeros_like(mask)
    found[1:] |= mask[:-1]
    found[:-1] |= mask[1:]
    found[:, 1:] |= mask[:, :-1]
    found[:, :-1] |= mask[:, 1:]
    return found


def _blend(values: Tensor, corners: Tensor, weights: Tensor) -> Tensor:
    """(M, 3): values (V, 3) at corners (M, 3), weighted by (M, 3)."""
    picked = values.index_select(0, corners.flatten()).view(-1, 3, 3)
    return (picked * weights[..., None]).sum(1)


def _mean(values: Tensor) -> Tensor:
    """0 where there are none."""
    return values.sum() / max(1, len(values))


class _Spread:
    """(I + λL)⁻¹ on the values of vertices, L the graph's Laplacian."""

    def __init__(self, edges: np.ndarray, count: int, stiffness: float) -> None:
        both = np.concatenate([edges, edges[:, ::-1]])
        adjacent = csc_array((np.ones(len(both)), (both[:, 0], both[:, 1])), (count, count))
        matrix = diags_array(1 + stiffness * adjacent.sum(0)) - stiffness * adjacent
        options: dict[str, Any] = {"SymmetricMode": True}
        self._factors = splu(csc_array(matrix), "MMD_AT_PLUS_A", 0.0, options=options)

    def __call__(self, values: Tensor) -> Tensor:
        """(V, 3) → (V, 3)."""
        return torch.from_numpy(self._factors.solve(values.detach().cpu().double().numpy())).to(values)
