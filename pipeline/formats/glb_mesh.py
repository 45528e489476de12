"""The core glTF part of avatar.glb: a skinned mesh with vertex colours and sparse morph targets, and back to a rig."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.formats.gltf import (
    ARRAY_BUFFER,
    ELEMENT_ARRAY_BUFFER,
    DamagedFile,
    GlbBuilder,
    GlbReader,
    item,
    whole,
)
from pipeline.heads.rig import Rig

INFLUENCES = 4
SHORT, UNSIGNED_SHORT = 5122, 5123
MOST_INDEXED = 65535
"""Vertices, or triangles, that 16 bits can count."""
MOST_JOINTS, MOST_TARGETS = 256, 1024
"""They cost memory per vertex but next to nothing in the file."""
SMALLEST_STEPS = 2
"""Position steps (10 µm on a head) below which a target does not move a vertex: a third of the entries is noise."""


@dataclass(frozen=True)
class Grid:
    """The 16-bit grid that vertices lie on: position = integer / 32767 · half + centre."""

    centre: NDArray[np.float64]
    half: float

    @classmethod
    def around(cls, vertices: NDArray) -> Grid:
        low, high = vertices.min(0).astype(np.float64), vertices.max(0).astype(np.float64)
        return cls((low + high) / 2, float(np.float32((high - low).max() / 2)))

    def snap(self, offsets: NDArray) -> NDArray[np.int64]:
        return np.round(offsets / self.half * 32767).astype(np.int64)


def write_vertices(builder: GlbBuilder, rig: Rig, colors: NDArray, grid: Grid) -> dict[str, int]:
    """The attributes of the mesh; ``colors`` (V, 3) display sRGB. glTF vertex colours are linear, hence 16 bits."""
    positions = grid.snap(rig.vertices.numpy() - grid.centre).astype("<i2")
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors.clip(0) + 0.055) / 1.055) ** 2.4)
    opaque = np.concatenate([linear, np.ones((len(linear), 1))], 1).clip(0, 1)
    joints, weights = four_influences(rig.weights.numpy())
    bounds = {"min": positions.min(0).tolist(), "max": positions.max(0).tolist()}
    shades = np.round(opaque * 65535).astype("<u2")
    return {
        "POSITION": builder.array(positions, "VEC3", target=ARRAY_BUFFER, normalized=True, **bounds),
        "COLOR_0": builder.array(shades, "VEC4", target=ARRAY_BUFFER, normalized=True),
        "JOINTS_0": builder.array(joints, "VEC4", target=ARRAY_BUFFER),
        "WEIGHTS_0": builder.array(weights, "VEC4", target=ARRAY_BUFFER, normalized=True),
    }


def four_influences(weights: NDArray) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """(V, J) → joint indices and 16-bit weights (V, 4), largest first, that add up to 65535 exactly."""
    joints = np.argsort(-weights, 1, kind="stable")[:, :INFLUENCES]
    joints = np.pad(joints, ((0, 0), (0, INFLUENCES - joints.shape[1])))
    chosen = np.take_along_axis(weights.astype(np.float64), joints, 1)
    chosen[:, weights.shape[1] :] = 0
    steps = np.round(chosen / chosen.sum(1, keepdims=True) * 65535).astype(np.int64)
    steps[:, 0] += 65535 - steps.sum(1)
    return np.where(steps > 0, joints, 0).astype("u1"), steps.astype("<u2")


def write_faces(builder: GlbBuilder, faces: NDArray, drawn: int) -> tuple[int, int]:
    """Accessors of the ``drawn`` first triangles and of all of them, over the same bytes."""
    view = builder.view(faces.astype("<u2"), target=ELEMENT_ARRAY_BUFFER)
    shared: dict[str, Any] = {"bufferView": view, "componentType": UNSIGNED_SHORT, "type": "SCALAR"}
    return builder.accessor(**shared, count=drawn * 3), builder.accessor(**shared, count=faces.size)


def write_skin(builder: GlbBuilder, rig: Rig, grid: Grid) -> None:
    """Joint nodes 0…J−1, the mesh node J, skin and scene.

    The grid goes into the inverse bind matrices: the transform of a skinned mesh's own node is ignored.
    """
    joints = rig.joints.numpy().astype(np.float64)
    nodes: list[dict[str, Any]] = []
    for index, (name, parent) in enumerate(zip(rig.joint_names, rig.parents, strict=True)):
        offset = joints[index] - (joints[parent] if parent >= 0 else 0)
        nodes.append({"name": name, "translation": offset.tolist()})
        if parent >= 0:
            nodes[parent].setdefault("children", []).append(index)
    inverse = np.zeros((len(joints), 4, 4), "<f4")
    inverse[:, [0, 1, 2], [0, 1, 2]] = grid.half
    inverse[:, 3, :3] = grid.centre - joints
    inverse[:, 3, 3] = 1
    matrices = builder.array(inverse.reshape(-1, 16), "MAT4")
    roots = [index for index, parent in enumerate(rig.parents) if parent < 0]
    nodes.append({"name": "head", "mesh": 0, "skin": 0})
    builder.document.update(
        scene=0,
        scenes=[{"nodes": [*roots, len(joints)]}],
        nodes=nodes,
        skins=[{"joints": list(range(len(joints))), "inverseBindMatrices": matrices, "skeleton": roots[0]}],
        materials=[
            {
                "pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 1},
                "extensions": {"KHR_materials_unlit": {}},
                "doubleSided": True,
            }
        ],
    )


def write_targets(builder: GlbBuilder, offsets: NDArray, grid: Grid) -> list[int]:
    """(E, V, 3) metres → sparse accessors, one per target, all over one index view and one value view."""
    steps = [grid.snap(target) for target in offsets]
    moved = [np.flatnonzero(np.abs(target).max(1) >= SMALLEST_STEPS) for target in steps]
    values = [target[chosen] for target, chosen in zip(steps, moved, strict=True)]
    if any(len(value) and np.abs(value).max() > 32767 for value in values):
        raise UserError("an expression of this rig moves a vertex by more than half the head's size")
    indices_view = builder.view(np.concatenate(moved).astype("<u2")) if any(map(len, moved)) else -1
    values_view = builder.view(np.concatenate(values).astype("<i2")) if any(map(len, moved)) else -1
    accessors, at = [], 0
    for chosen, value in zip(moved, values, strict=True):
        seen = np.concatenate([value, np.zeros((1, 3), np.int64)]) if len(chosen) < offsets.shape[1] else value
        sparse = {
            "count": len(chosen),
            "indices": {"bufferView": indices_view, "byteOffset": at * 2, "componentType": UNSIGNED_SHORT},
            "values": {"bufferView": values_view, "byteOffset": at * 6},
        }
        accessors.append(
            builder.accessor(
                componentType=SHORT,
                normalized=True,
                count=offsets.shape[1],
                type="VEC3",
                min=seen.min(0).tolist(),
                max=seen.max(0).tolist(),
                **({"sparse": sparse} if len(chosen) else {}),
            )
        )
        at += len(chosen)
    return accessors


def write_joint_dirs(builder: GlbBuilder, joint_dirs: NDArray) -> int:
    """(E, J, 3) metres → accessor of E · J vectors."""
    return builder.array(joint_dirs.reshape(-1, 3).astype("<f4"), "VEC3")


@dataclass(frozen=True)
class MeshPart:
    """What the core glTF part says about the rig."""

    vertices: NDArray[np.float32]
    joints: NDArray[np.float32]
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    weights: NDArray[np.float32]
    expressions: NDArray[np.float32]
    expression_names: tuple[str, ...]
    half: float


def read_mesh(reader: GlbReader, mesh_index: object) -> MeshPart:
    """The inverse of the writers above. Raises `DamagedFile`."""
    document = reader.document
    mesh = item(document, "meshes", mesh_index)
    primitive = item(mesh, "primitives", 0)
    attributes = primitive["attributes"]
    skin = item(document, "skins", 0)
    nodes = [item(document, "nodes", index) for index in skin["joints"]]
    if skin["joints"] != list(range(len(nodes))) or not nodes:
        raise DamagedFile("its joints are not its first nodes")
    if len(nodes) > MOST_JOINTS:
        raise DamagedFile(f"it has {len(nodes)} joints; at most {MOST_JOINTS} are read")
    parents = _parents(nodes)
    inverse = reader.floats(skin["inverseBindMatrices"]).reshape(-1, 4, 4)
    joints = _rest_positions(nodes, parents)
    if len(inverse) != len(nodes):
        raise DamagedFile("it has not one inverse bind matrix per joint")
    half, centre = float(inverse[0, 0, 0]), inverse[0, 3, :3] + joints[0]
    vertices = reader.floats(attributes["POSITION"]) * half + centre
    if len(vertices) > MOST_INDEXED:
        raise DamagedFile(f"it has {len(vertices)} vertices; at most {MOST_INDEXED} are read")
    names = tuple(str(name) for name in mesh.get("extras", {}).get("targetNames", ()))
    targets = primitive.get("targets", [])
    if len(names) != len(targets):
        raise DamagedFile(f"it has {len(targets)} morph targets and {len(names)} names for them")
    expressions = read_targets(reader, [target["POSITION"] for target in targets], vertices.shape, half)
    weights = _dense_weights(reader, attributes, len(vertices), len(nodes))
    joint_names = tuple(str(node["name"]) for node in nodes)
    return MeshPart(
        vertices.astype(np.float32), joints.astype(np.float32), joint_names, parents, weights, expressions, names, half
    )


def read_targets(reader: GlbReader, accessors: list, shape: tuple[int, ...], half: float) -> NDArray[np.float32]:
    """(len(accessors), V, 3) metres. Raises `DamagedFile`."""
    if len(accessors) > MOST_TARGETS:
        raise DamagedFile(f"it has {len(accessors)} morph targets; at most {MOST_TARGETS} are read")
    offsets = np.zeros((len(accessors), *shape), np.float32)
    for index, accessor in enumerate(accessors):
        values = reader.floats(whole(accessor)) * half
        if values.shape != shape:
            raise DamagedFile(f"morph target {index} does not fit the mesh")
        offsets[index] = values
    return offsets


def _parents(nodes: list[dict]) -> tuple[int, ...]:
    parents = [-1] * len(nodes)
    for parent, node in enumerate(nodes):
        for child in node.get("children", ()):
            if not parent < whole(child) < len(nodes):
                raise DamagedFile("its joints are not ordered parents first")
            parents[child] = parent
    return tuple(parents)


def _rest_positions(nodes: list[dict], parents: tuple[int, ...]) -> NDArray[np.float64]:
    positions = np.zeros((len(nodes), 3))
    for index, (node, parent) in enumerate(zip(nodes, parents, strict=True)):
        positions[index] = np.asarray(node.get("translation", (0, 0, 0)), np.float64)
        if parent >= 0:
            positions[index] += positions[parent]
    return positions


def _dense_weights(reader: GlbReader, attributes: dict, vertices: int, joints: int) -> NDArray[np.float32]:
    indices, values = reader.array(attributes["JOINTS_0"]), reader.floats(attributes["WEIGHTS_0"])
    if indices.shape != (vertices, INFLUENCES) or values.shape != (vertices, INFLUENCES) or indices.max() >= joints:
        raise DamagedFile("its skin weights do not fit its mesh and joints")
    dense = np.zeros((vertices, joints), np.float32)
    np.add.at(dense, (np.arange(vertices)[:, None], indices.astype(np.intp)), values)
    return dense
