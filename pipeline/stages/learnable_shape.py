"""Heads whose shape is learned together with the splats: coefficients that move a rig's vertices and joints.

HeadStudio learns FLAME's betas. A licensed head is moved along its own; the free head along the principal components of
random people, which are what betas are: directions of one standard deviation, the widest first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from pipeline.heads.anny import ANCESTRIES, ANCHORS, Phenotype, eyeball, local_change_names, shape_identity
from pipeline.heads.anny_corrections import correct_actions, correct_mouth
from pipeline.heads.anny_file import JOINT_NAMES, HeadFile, read_head_file
from pipeline.heads.rig import Rig
from pipeline.heads.rig_tools import append_mesh
from pipeline.stages.super_dense import CAGE

PEOPLE, COMPONENTS = 128, 40
"""Random people, and how many of their principal components are learned."""
LOCAL_CHANGE = 0.12
"""Spread of each local change among them."""
ADULT = (0.5, 1.0)
"""Ages among them."""
ORIGIN = {"flame": "neck", "smplx": "head"}
"""Joint that a licensed head's origin follows."""


@dataclass(frozen=True)
class LearnableShape:
    """A rig, and S directions in which its shape can be moved."""

    start: Rig
    """At coefficients 0."""
    vertex_dirs: Tensor
    """(S, V, 3) metres at 1."""
    joint_dirs: Tensor
    """(S, J, 3)"""

    @property
    def count(self) -> int:
        """How many coefficients there are."""
        return len(self.vertex_dirs)

    def rig(self, coefficients: Tensor) -> Rig:
        """The rig at coefficients (S,), differentiable in them; expressions and correctives stay those of the start."""
        vertices = self.start.vertices + torch.tensordot(coefficients, self.vertex_dirs, 1)
        joints = self.start.joints + torch.tensordot(coefficients, self.joint_dirs, 1)
        return replace(self.start, vertices=vertices, joints=joints)

    def baked(self, coefficients: Tensor) -> Rig:
        """The rig at coefficients (S,) as its head model makes it: expressions fit the new face, lids close."""
        moved = self.rig(coefficients.detach())
        return _baked_anny(moved) if moved.model is None else _baked_licensed(moved, coefficients.detach())


def learnable_shape(rig: Rig) -> LearnableShape | None:
    """What can be learned of this head's shape; None where its head model is not known, or was fitted to a portrait."""
    if rig.model is not None:
        return None if rig.model.assets else _licensed(rig)
    head = read_head_file()
    vertices, faces = len(head.template), len(head.faces)
    is_free_head = len(rig.vertices) >= vertices and rig.faces[:faces].equal(torch.from_numpy(head.faces).to(rig.faces))
    if rig.joint_names != JOINT_NAMES or not is_free_head:
        return None
    vertex_dirs, joint_dirs = _components()
    return LearnableShape(rig, _with_added(rig, vertex_dirs.to(rig.vertices)), joint_dirs.to(rig.joints))


@lru_cache(maxsize=1)
def _components() -> tuple[Tensor, Tensor]:
    """(S, V, 3) and (S, J, 3) of the free head, origin at the head joint."""
    head, random = read_head_file(), np.random.default_rng(0)
    people = np.stack([_random_person(head, random) for _ in range(PEOPLE)])
    offsets = (people - people.mean(0)).reshape(PEOPLE, -1)
    _, sizes, directions = np.linalg.svd(offsets, full_matrices=False)
    scaled = directions[:COMPONENTS] * (sizes[:COMPONENTS, None] / np.sqrt(PEOPLE - 1))
    moved = torch.from_numpy(scaled.reshape(COMPONENTS, -1, 3)).float()
    return moved[:, : len(head.template)], moved[:, len(head.template) :]


def _random_person(head: HeadFile, random: np.random.Generator) -> NDArray[np.float64]:
    """(V + J, 3) vertices, then joints; both sides of the face change alike."""
    values = {name: float(random.uniform()) for name in (*ANCHORS, *ANCESTRIES)} | {"age": random.uniform(*ADULT)}
    changes: dict[str, float] = {}
    for name in local_change_names(head):
        other = f"l-{name[2:]}" if name.startswith("r-") else ""
        drawn = float(np.clip(random.normal(0, LOCAL_CHANGE), -1, 1))
        if not name.startswith("asym"):
            changes[name] = changes.get(other, drawn)
    shaped = shape_identity(head, Phenotype(**values), changes)
    eyes = [eyeball(head, shaped.vertices, side)[0] for side in ("left", "right")]
    joints = np.concatenate([shaped.joints, eyes])
    return np.concatenate([shaped.vertices, joints]) - joints[JOINT_NAMES.index("head")]


def _licensed(rig: Rig) -> LearnableShape:
    from pipeline.heads.flame import FlameHead  # smplx takes a second to import
    from pipeline.heads.licensed_person import file_with
    from pipeline.heads.smplx import SmplxHead

    assert rig.model is not None
    kind = FlameHead if rig.model.kind == "flame" else SmplxHead
    head = kind(file_with(rig.model.content, rig.model.release))
    origin = head.shape_joint_dirs[:, rig.joint_index(ORIGIN[rig.model.kind]), None]
    vertex_dirs, joint_dirs = head.shape_dirs - origin, head.shape_joint_dirs - origin
    return LearnableShape(rig, _with_added(rig, vertex_dirs.to(rig.vertices)), joint_dirs.to(rig.joints))


def _with_added(rig: Rig, directions: Tensor) -> Tensor:
    """(S, V, 3) of a rig that has more vertices than its model (S, V0, 3): they move like the nearest one of it."""
    own = directions.shape[1]
    points = rig.vertices.detach().cpu().numpy()
    nearest = torch.from_numpy(cKDTree(points[:own]).query(points[own:])[1]).to(directions.device)
    return torch.cat([directions, directions[:, nearest]], dim=1)


def _baked_anny(rig: Rig) -> Rig:
    """Anny's actions, fitted to the moved face as `AnnyHead` fits them."""
    head = read_head_file()
    own = len(head.template)
    vertices = rig.vertices[:own].cpu().numpy() + (head.joints[JOINT_NAMES.index("head")])
    actions = head.actions.dense(own)
    correct_actions(head, vertices, actions)
    correct_mouth(head, vertices.copy(), actions)  # the vertices have their share already
    chosen = [head.actions.names.index(name) for name in rig.expression_names]
    expressions = rig.expressions.clone()
    expressions[:, :own] = torch.from_numpy(actions[chosen]).to(expressions)
    return replace(rig, expressions=expressions)


def _baked_licensed(rig: Rig, coefficients: Tensor) -> Rig:
    """The model's own person of the new shape; what hair hangs on is put where it was moved to."""
    from pipeline.heads.licensed_person import DECIMALS, stored_person

    assert rig.model is not None
    shape = torch.tensor(rig.model.shape) + coefficients.cpu()
    identity = replace(rig.model, shape=tuple(round(float(value), DECIMALS) for value in shape))
    person = stored_person(identity).rig
    own, faces = len(person.vertices), rig.faces[len(person.faces) :]
    if not len(faces):
        return person
    return append_mesh(person, rig.vertices[own:].cpu(), faces.cpu() - own, rig.weights[own:].cpu(), CAGE)
