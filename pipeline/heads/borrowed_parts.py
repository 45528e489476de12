"""What a head model lacks, lent by the free head: teeth, tongue, lining of the mouth, lashes, and a torso to dress.

As AnimPortrait3D does with its bought teeth, the upper row hangs on the skull and the lower one on the jaw.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.heads.anny_corrections import correct_actions, correct_mouth
from pipeline.heads.anny_file import HeadFile, read_head_file
from pipeline.heads.correspondence import Correspondence
from pipeline.heads.registration import lip_side, lower_share, opening_share
from pipeline.heads.rig import Rig
from pipeline.heads.rig_tools import MOST_JOINTS_PER_VERTEX, append_mesh
from pipeline.heads.skeleton import skull_joint, trunk_joint
from pipeline.heads.surface_match import Surface3D, connected_pieces, match, vertex_normals

Array = NDArray[np.float64]
Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]

LINING_REACH = 0.008
"""Metres from the lips over which the lining of the mouth goes over from following them to following the jaw."""
TRUNK_REACH = 0.020
"""The same from the lower end of a model's neck to the torso."""
COVERED = 0.004
"""Metres from the model's own surface within which nothing is borrowed."""


@dataclass(frozen=True)
class CompleteHead:
    """A head model with everything that a portrait needs."""

    rig: Rig
    """The model's rig; what was borrowed comes after its own vertices and faces."""
    template_points: Tensor
    """(V, 3) its vertices in the free head's template coordinates."""


@dataclass(frozen=True)
class _Lender:
    """The free head laid over one person of the model, and that model."""

    head: HeadFile
    laid: Array
    """(A, 3) in the rig's coordinates, mouth as in `AnnyHead`."""
    rig: Rig
    surface: Surface3D
    """The model's skin."""


def complete_head(rig: Rig, correspondence: Correspondence) -> CompleteHead:
    """``rig`` of a model with the parts that it lacks, judged by its regions. ``rig.vertices`` may be any person of the
    model that ``correspondence`` is of."""
    lender = _lender(rig, correspondence)
    points = [correspondence.template_points]
    for names, borrow in (
        (("teeth_upper", "teeth"), _upper_teeth),
        (("teeth_lower", "teeth"), _lower_teeth),
        (("tongue",), _tongue),
        (("lashes_left",), _lashes),
        (("lashes_right",), _lashes),
    ):
        if names[0] not in rig.regions:
            rig = _added(rig, borrow(lender, names[0]), names)
            points.append(_template(lender, lender.head.regions[names[0]]))
    lining = _uncovered(lender, lender.head.regions["inner_mouth"])
    rig = _added(rig, _soft_part(lender, lining, LINING_REACH), ("inner_mouth",))
    points.append(_template(lender, lining))
    for name in ("neck", "torso"):
        missing = _uncovered(lender, lender.head.regions[name])
        if missing.any():
            rig = _added(rig, _soft_part(lender, missing, TRUNK_REACH), (name, "skin"))
            points.append(_template(lender, missing))
    return CompleteHead(rig, torch.cat(points))


@dataclass(frozen=True)
class _Part:
    vertices: Array
    """(M, 3)"""
    faces: Ids
    """(G, 3) into ``vertices``."""
    weights: Tensor
    """(M, J)"""
    expressions: Tensor | None = None
    pose_dirs: Tensor | None = None


def _added(rig: Rig, part: _Part, names: tuple[str, ...]) -> Rig:
    """The first of the names is the new faces' region, the others hold them too."""
    faces = torch.from_numpy(part.faces)
    vertices = torch.from_numpy(part.vertices.astype(np.float32))
    grown = append_mesh(
        rig, vertices, faces, part.weights, names[0], expressions=part.expressions, pose_dirs=part.pose_dirs
    )
    regions = dict(grown.regions)
    for name in names[1:]:
        regions[name] = regions.get(name, torch.zeros(len(grown.faces), dtype=torch.bool)).clone()
        regions[name][len(rig.faces) :] = True
    return replace(grown, regions=regions)


def _lender(rig: Rig, correspondence: Correspondence) -> _Lender:
    head = read_head_file()
    laid = correspondence.laid_on(rig.vertices).numpy().copy()
    correct_mouth(head, laid, head.actions.dense(len(laid)))
    jaw = rig.weights[:, rig.joint_index("jaw")].numpy().astype(np.float64)
    surface = Surface3D(
        rig.vertices.numpy().astype(np.float64),
        rig.faces.numpy(),
        lip_side(jaw),
        np.flatnonzero(rig.regions["skin"].numpy()),
    )
    return _Lender(head, laid.astype(np.float64), rig, surface)


def _used(lender: _Lender, faces: Mask) -> tuple[Ids, Ids]:
    """Vertices (M,) of some faces of the free head, and those faces by their rows (G, 3)."""
    corners = lender.head.faces[faces]
    used = np.unique(corners)
    return used, np.searchsorted(used, corners)


def _template(lender: _Lender, faces: Mask) -> Tensor:
    return torch.from_numpy(lender.head.template[_used(lender, faces)[0]])


def _upper_teeth(lender: _Lender, name: str) -> _Part:
    return _stiff_part(lender, name, skull_joint(lender.rig))


def _lower_teeth(lender: _Lender, name: str) -> _Part:
    return _stiff_part(lender, name, lender.rig.joint_index("jaw"))


def _tongue(lender: _Lender, name: str) -> _Part:
    return _stiff_part(lender, name, lender.rig.joint_index("jaw"))


def _stiff_part(lender: _Lender, name: str, joint: int) -> _Part:
    """Carried by one joint, in its own shape: the registration may only have placed, turned and scaled it."""
    used, faces = _used(lender, lender.head.regions[name])
    plain = lender.head.template.copy()
    correct_mouth(lender.head, plain, lender.head.actions.dense(len(plain)))
    weights = torch.zeros(len(used), len(lender.rig.joint_names))
    weights[:, joint] = 1
    return _Part(_similar(plain[used].astype(np.float64), lender.laid[used]), faces, weights)


def _similar(points: Array, goal: Array) -> Array:
    """``points`` (N, 3) placed, turned and scaled onto ``goal`` (N, 3) (Umeyama, IEEE TPAMI 13, 1991)."""
    middle, goal_middle = points.mean(0), goal.mean(0)
    own, wanted = points - middle, goal - goal_middle
    left, stretch, right = np.linalg.svd(wanted.T @ own)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    scale = (stretch * sign).sum() / (own**2).sum()
    return goal_middle + scale * own @ (left * sign @ right).T


def _lashes(lender: _Lender, name: str) -> _Part:
    """Every vertex goes where the nearest place of the lid's rim goes."""
    used, faces = _used(lender, lender.head.regions[name])
    side = name.removeprefix("lashes_")
    rims = {lid: lender.head.lid_rims[f"{lid}_{side}"] for lid in ("upper", "lower")}
    template = lender.head.template
    strip = connected_pieces(faces, len(used))
    middle = np.mean([template[rim, 1].mean() for rim in rims.values()])
    root = np.empty(len(used), np.int64)
    for piece in np.unique(strip):
        rows = np.flatnonzero(strip == piece)
        rim = rims["upper" if template[used[rows], 1].mean() > middle else "lower"]
        way = np.linalg.norm(template[used[rows], None] - template[rim], axis=2)
        root[rows] = rim[way.argmin(1)]
    strip_part = _following(lender, used, faces, root, np.ones(len(used)))
    return replace(strip_part, expressions=_with_blinks(lender, used, strip_part.expressions))


def _with_blinks(lender: _Lender, used: Ids, expressions: Tensor | None) -> Tensor | None:
    """Where the rig has eyelid channels, lashes turn with the lid as those of the free head do."""
    channels = [name in lender.rig.expression_names for name in ("eyelid_left", "eyelid_right")]
    if expressions is None or not all(channels):
        return expressions
    actions = lender.head.actions.dense(len(lender.head.template))
    correct_actions(lender.head, lender.laid.astype(np.float32), actions)
    for side in ("left", "right"):
        blink = actions[lender.head.actions.names.index(f"eyeBlink{side.capitalize()}"), used]
        expressions[lender.rig.expression_index(f"eyelid_{side}")] = torch.from_numpy(blink)
    return expressions


def _soft_part(lender: _Lender, chosen: Mask, reach: float) -> _Part:
    """Follows the model's skin where the two meet, and further away the jaw, the skull or the trunk."""
    used, faces = _used(lender, chosen)
    found = match(lender.laid[used], np.zeros((len(used), 3)), lower_share(lender.head)[used], lender.surface)
    way = np.linalg.norm(found.points - lender.laid[used], axis=1)
    return _following(lender, used, faces, used, np.exp(-((way / reach) ** 2)))


def _following(lender: _Lender, used: Ids, faces: Ids, root: Ids, share: Array) -> _Part:
    """Vertices ``used`` of the free head that follow the model's skin at their ``root`` to a ``share`` (M,)."""
    rig, laid = lender.rig, lender.laid
    normals = vertex_normals(laid, lender.head.faces)[root]
    found = match(laid[root], normals, lower_share(lender.head)[root], lender.surface)
    corners = torch.from_numpy(lender.surface.faces[found.faces])
    part = torch.from_numpy(found.barycentrics * share[:, None]).float()
    weights = (rig.weights[corners] * part[..., None]).sum(1)
    weights += torch.from_numpy(1 - share).float()[:, None] * _own_weights(lender, used)
    return _Part(
        laid[used],
        faces,
        _largest(weights),
        (rig.expressions[:, corners] * part[..., None]).sum(2),
        None if rig.pose_dirs is None else (rig.pose_dirs[:, corners] * part[..., None]).sum(2),
    )


def _own_weights(lender: _Lender, used: Ids) -> Tensor:
    """(M, J): jaw and skull as the free head's mouth opens; the trunk for what its neck does not carry."""
    rig, head = lender.rig, lender.head
    weights = torch.zeros(len(used), len(rig.joint_names))
    jaw = torch.from_numpy(opening_share(head)[used]).float()
    trunk = torch.from_numpy(head.weights[used, 0])
    weights[:, trunk_joint(rig)] = trunk
    weights[:, rig.joint_index("jaw")] = (1 - trunk) * jaw
    weights[:, skull_joint(rig)] += (1 - trunk) * (1 - jaw)
    return weights


def _largest(weights: Tensor) -> Tensor:
    """(M, J) with the four largest of every row, summing to 1."""
    values, joints = weights.topk(min(MOST_JOINTS_PER_VERTEX, weights.shape[1]), dim=1)
    kept = torch.zeros_like(weights).scatter_(1, joints, values.clamp_min(0))
    return kept / kept.sum(1, keepdim=True)


def _uncovered(lender: _Lender, chosen: Mask) -> Mask:
    """(F,) the chosen faces of the free head of which a corner lies where the model has no surface."""
    used = np.unique(lender.head.faces[chosen])
    normals = vertex_normals(lender.laid, lender.head.faces)[used]
    model = lender.surface
    found = match(lender.laid[used], normals, lower_share(lender.head)[used], model)
    near = np.linalg.norm(found.points - lender.laid[used], axis=1) < COVERED
    covered = np.zeros(len(lender.head.template), bool)
    covered[used] = near & ((found.normals * normals).sum(1) > 0) & ~model.at_end(found)
    return chosen & ~covered[lender.head.faces].all(1)
