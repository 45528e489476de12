"""`AnnyHead`: the free head. Phenotype values and local changes become a `Rig` in milliseconds, from the baked file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.heads.anny_corrections import correct_actions, correct_mouth
from pipeline.heads.anny_file import (
    JOINT_NAMES,
    JOINT_PARENTS,
    PHENOTYPE_STEP,
    Floats,
    HeadFile,
    read_head_file,
)
from pipeline.heads.rig import Driver, Landmarks, Rig

AGE_ANCHORS = (-1 / 3, 0.0, 1 / 3, 2 / 3, 1.0)
"""Newborn, baby, child, young, old."""
ANCHORS: dict[str, tuple[float, ...]] = {
    "gender": (0.0, 1.0),
    "age": AGE_ANCHORS,
    "muscle": (0.0, 0.5, 1.0),
    "weight": (0.0, 0.5, 1.0),
    "height": (0.0, 1.0),
    "proportions": (0.0, 1.0),
    "cupsize": (0.0, 0.5, 1.0),
    "firmness": (0.0, 0.5, 1.0),
}
"""Values at which Anny has shapes, in the order of the mask's columns after the three ancestries."""
ANCESTRIES = ("african", "asian", "caucasian")
LOOK_VERTICAL = math.radians(25)
LOOK_HORIZONTAL = math.radians(35)
"""How far an ``eyeLook*`` action of 1 turns the eyeball."""


@dataclass(frozen=True)
class Phenotype:
    """Anny's eleven phenotype values. All 0..1 but the age, which starts at −1/3 (newborn)."""

    gender: float = 0.5
    """0 male, 1 female."""
    age: float = 0.5
    """−1/3 newborn, 0 baby, 1/3 child, 2/3 young adult, 1 old."""
    muscle: float = 0.5
    weight: float = 0.5
    height: float = 0.5
    proportions: float = 0.5
    cupsize: float = 0.5
    firmness: float = 0.5
    african: float = 0.5
    """The three ancestries are relative to their sum."""
    asian: float = 0.5
    caucasian: float = 0.5

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            lowest = AGE_ANCHORS[0] if name == "age" else 0.0
            if not lowest - 1e-9 <= value <= 1.0 + 1e-9:  # also false for NaN
                raise UserError(f"phenotype {name} is {value}; it goes from {lowest:.3g} to 1")

    @classmethod
    def of(cls, values: Mapping[str, float] | Phenotype) -> Phenotype:
        """From a dictionary; raises `UserError` for a name that Anny does not have."""
        if isinstance(values, Phenotype):
            return values
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise UserError(f"there is no phenotype {name!r}; there are {', '.join(known)}")
        return cls(**values)

    def coefficients(self, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Coefficient of each phenotype shape: the product of the weights of the variations that it stands for.

        ``mask`` (K, 26) → (K,). Source: Brégier et al., Human Mesh Modeling for Anny Body, 2025; Anny's
        `phenotype_blendshape_weights`.
        """
        ancestry = np.array([getattr(self, name) for name in ANCESTRIES], dtype=np.float64)
        total = ancestry.sum()
        weights = [ancestry / total if total > 0 else np.full(3, 1 / 3)]
        weights += [_interpolation_weights(getattr(self, name), anchors) for name, anchors in ANCHORS.items()]
        return np.where(mask, np.concatenate(weights), 1.0).prod(1)


def _interpolation_weights(value: float, anchors: tuple[float, ...]) -> NDArray[np.float64]:
    """Linear interpolation between the two neighbouring anchors."""
    return np.array([np.interp(value, anchors, row) for row in np.eye(len(anchors))])


@dataclass(frozen=True)
class Shaped:
    """One identity before the corrections: exactly what Anny itself gives."""

    vertices: Floats
    """(V, 3) in our axes with Anny's origin."""
    joints: Floats
    """(5, 3) torso, neck01, neck02, neck03, head."""


def shape_identity(head: HeadFile, phenotype: Phenotype, local_changes: Mapping[str, float]) -> Shaped:
    """Template plus phenotype shapes plus local changes (each −1..1, by the name of its target at +1)."""
    coefficients = phenotype.coefficients(head.phenotype_mask)
    used = np.flatnonzero(coefficients > 1e-6)
    weights = (coefficients[used] * PHENOTYPE_STEP).astype(np.float32)
    vertices = head.template.copy()
    for axis in range(3):  # einsum adds up in one order; a BLAS would depend on its number of threads
        vertices[:, axis] += np.einsum("k,kv->v", weights, head.phenotype_shapes[axis, used].astype(np.float32))
    moved = np.einsum("k,kjc->jc", coefficients[used].astype(np.float32), head.joint_phenotype_shapes[used])
    joints = head.joints + moved
    for name, value in local_changes.items():
        shape = _local_change_shape(head, name, value)
        head.local_changes.add_to(vertices, shape, abs(value))
        joints = joints + np.float32(abs(value)) * head.joint_local_shapes[shape]
    return Shaped(vertices, joints)


def local_change_names(head: HeadFile | None = None) -> tuple[str, ...]:
    """The local changes by the name of their target at +1."""
    return (head or read_head_file()).local_changes.names[::2]


def _local_change_shape(head: HeadFile, name: str, value: float) -> int:
    names = local_change_names(head)
    if name not in names:
        raise UserError(f"there is no local change {name!r}; there are {', '.join(names)}")
    if not -1.0 <= value <= 1.0:
        raise UserError(f"local change {name} is {value}; it goes from -1 to 1")
    return 2 * names.index(name) + (value < 0)


def fit_sphere(points: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
    """Centre (3,) and radius of the sphere that fits (N, 3) points in the least-squares sense."""
    middle = points.mean(0, dtype=np.float64)
    ray = points - middle
    system = np.c_[2 * ray, np.ones(len(ray))]
    solution = np.linalg.lstsq(system, (ray * ray).sum(1), rcond=None)[0]
    return middle + solution[:3], float(np.sqrt(solution[3] + solution[:3] @ solution[:3]))


def eyeball(head: HeadFile, vertices: Floats, side: str) -> tuple[NDArray[np.float64], float]:
    """Centre and radius of an eyeball (side ``left`` or ``right``), from its rear: the front carries the cornea."""
    points = vertices[np.unique(head.faces[head.regions[f"eye_{side}"]])]
    return fit_sphere(points[points[:, 2] < np.quantile(points[:, 2], 0.65)])


class AnnyHead:
    """The free head for one identity.

    ``phenotype``: a `Phenotype` or some of its values by name. ``local_changes``: name, one of `local_change_names`,
    → −1..1.
    Raises `UserError` naming the value when a name is unknown or a value is out of range.

    >>> rig = AnnyHead({"gender": 1.0, "age": 0.6}, {"nose-hump-incr": 0.5}).rig
    """

    def __init__(
        self, phenotype: Mapping[str, float] | Phenotype | None = None, local_changes: Mapping[str, float] | None = None
    ) -> None:
        self.phenotype = Phenotype.of(phenotype or {})
        self.local_changes = dict(local_changes or {})
        self._head = read_head_file()
        for name, value in self.local_changes.items():
            _local_change_shape(self._head, name, value)

    @property
    def template_points(self) -> torch.Tensor:
        """(V, 3) vertices of the template, in our axes with Anny's origin (eyes at y 0.728, chin at y 0.62): the
        coordinate in which masks are authored once for every identity."""
        return torch.from_numpy(self._head.template)

    @property
    def vertex_ids(self) -> torch.Tensor:
        """(V,) ids of the vertices in MakeHuman's base mesh."""
        return torch.from_numpy(self._head.vertex_ids)

    @cached_property
    def rig(self) -> Rig:
        """The rig of this identity, origin at its head joint."""
        return rig_of(self._head, shape_identity(self._head, self.phenotype, self.local_changes))


def rig_of(head: HeadFile, shaped: Shaped) -> Rig:
    """The rig of an identity, wherever its vertices come from; origin at its head joint, the mouth corrected.

    The vertices of ``shaped`` are changed in place.
    """
    actions = head.actions.dense(len(head.template))
    correct_actions(head, shaped.vertices, actions)
    correct_mouth(head, shaped.vertices, actions)
    eyes = [eyeball(head, shaped.vertices, side)[0] for side in ("left", "right")]
    joints = np.concatenate([shaped.joints, np.array(eyes, dtype=np.float32)])
    origin = joints[JOINT_NAMES.index("head")]
    return Rig(
        vertices=torch.from_numpy(shaped.vertices - origin),
        faces=torch.from_numpy(head.faces),
        expressions=torch.from_numpy(actions),
        expression_names=head.actions.names,
        basis="arkit52",
        joints=torch.from_numpy(joints - origin),
        joint_names=JOINT_NAMES,
        parents=JOINT_PARENTS,
        weights=torch.from_numpy(head.weights),
        regions={name: torch.from_numpy(mask) for name, mask in head.regions.items()},
        uv=torch.from_numpy(head.uv),
        landmarks=Landmarks(
            head.landmark_names,
            torch.from_numpy(head.landmark_faces),
            torch.from_numpy(head.landmark_barycentrics),
        ),
        drivers=_eye_drivers(head.actions.names),
    )


def _eye_drivers(names: tuple[str, ...]) -> tuple[Driver, ...]:
    """``eyeLook*`` turns the eyeballs: down is +x, towards the subject's left is +y."""
    drivers = []
    for side, outwards in (("Left", 1.0), ("Right", -1.0)):
        joint = JOINT_NAMES.index(f"{side.lower()}_eye")
        turns: dict[str, tuple[tuple[float, float, float], float]] = {
            "Down": ((1.0, 0.0, 0.0), LOOK_VERTICAL),
            "Up": ((-1.0, 0.0, 0.0), LOOK_VERTICAL),
            "Out": ((0.0, outwards, 0.0), LOOK_HORIZONTAL),
            "In": ((0.0, -outwards, 0.0), LOOK_HORIZONTAL),
        }
        for direction, (axis, radians) in turns.items():
            drivers.append(Driver(names.index(f"eyeLook{direction}{side}"), joint, axis, radians))
    return tuple(drivers)
