"""A synthetic asset folder of AnimPortrait3D: its names, counts and layout round the synthetic SMPL-X."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import torch

from tests.heads.bases import neighbour_means
from tests.heads.models import PEOPLE, flame_rows, landmark_embedding, smplx_arrays
from tests.heads.topology import EYEBALL, FLAME_SKIN, SMPLX_SKIN, topology

TUBES = ((62, 20), (11, 23))
"""Rings and segments of two open tubes: 1493 vertices and 1450 quads, as many as a row of the bought teeth has."""
TEETH, QUADS = 1493, 1450
BODY = 10475
CROP = 9143
BRIDGE = 25
"""Vertices on each side of the bridge."""


def write_assets(folder: Path) -> Path:
    """The folder; its faces are those of `smplx_arrays` in the crop, wound as AnimPortrait3D winds them."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = smplx_arrays()
    upper, lower = tooth_row(1.0), tooth_row(-1.0)
    for name, (points, quads) in (("upper_teeth.obj", upper), ("lower_teeth.obj", lower)):
        lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in points]
        lines += ["f " + " ".join(f"{corner + 1}/1/1" for corner in quad) for quad in quads]
        (folder / name).write_text("# teeth\n" + "\n".join(lines) + "\n")
    crop = cropped_vertices(arrays["v_template"])
    np.save(folder / "valid_vert_id.npy", crop)
    np.save(folder / "SMPL-X__FLAME_vertex_ids.npy", flame_rows())
    for name, side in (("l_eyelid.npy", 1), ("r_eyelid.npy", -1)):
        np.save(folder / name, eyelid(arrays["v_template"][flame_rows()], side))
    (folder / "FLAME_masks_v2.pkl").write_bytes(pickle.dumps(lip_rings(), protocol=2))
    (folder / "seg_in_cropped_mesh.pkl").write_bytes(pickle.dumps(segments(arrays["f"], crop, upper[1])))
    return folder


def tooth_row(side: float) -> tuple[np.ndarray, np.ndarray]:
    """Points (1493, 3), in units of their own, and quads (1450, 4): an arch of crowns, and gums towards ``side`` y."""
    points, quads = [], []
    for start, (rings, segments), radius, height in ((0, TUBES[0], 0.2, 0.0), (62 * 20, TUBES[1], 0.1, 0.75)):
        along = np.pi * np.linspace(0, 1, rings)
        round_ = 2 * np.pi * np.arange(segments) / segments
        middle = np.stack([-np.cos(along), 0 * along + height * side, np.sin(along)], -1)
        outwards = np.stack([-np.cos(along), 0 * along, np.sin(along)], -1)
        ring = np.cos(round_)[None, :, None] * outwards[:, None] + np.sin(round_)[None, :, None] * np.array([0, 1, 0])
        points.append((middle[:, None] + radius * ring).reshape(-1, 3))
        index = start + np.arange(rings * segments).reshape(rings, segments)
        right = np.roll(index, -1, axis=1)
        quads.append(np.stack([index[:-1], right[:-1], right[1:], index[1:]], -1).reshape(-1, 4))
    vertices, faces = np.concatenate(points), np.concatenate(quads)
    order = np.arange(TEETH)
    gums = vertices[62 * 20 :]
    front, left = 62 * 20 + int(gums[:, 2].argmax()), int(vertices[:, 0].argmax())
    for place, vertex in ((1188 if side > 0 else 1490, front), (97, left)):
        other = int(np.flatnonzero(order == vertex)[0])
        order[[place, other]] = order[[other, place]]
    return vertices[order], np.argsort(order)[faces]


def cropped_vertices(template: np.ndarray) -> np.ndarray:
    """9143 ids: the upper body without the rear of the eyeballs, and both rows of teeth."""
    rear = np.concatenate([np.arange(500, EYEBALL) + SMPLX_SKIN, np.arange(500, EYEBALL) + SMPLX_SKIN + EYEBALL])
    limbs = np.abs(template[:, 0]) > 0.28
    candidates = np.setdiff1d(np.flatnonzero(~limbs), rear)
    highest = candidates[np.argsort(-template[candidates, 1], kind="stable")[: CROP - 2 * TEETH]]
    return np.concatenate([np.sort(highest), np.arange(BODY, BODY + 2 * TEETH)])


def eyelid(head: np.ndarray, side: int) -> np.ndarray:
    """(5023, 3) float64: the front of the socket of one side, pushed 4 mm down."""
    start = FLAME_SKIN if side > 0 else FLAME_SKIN + EYEBALL
    middle = head[start : start + EYEBALL].mean(0) + np.array([0, 0.006, 0.014])
    strength = np.exp(-0.5 * ((head[:FLAME_SKIN] - middle) ** 2).sum(1) / 0.005**2)
    return np.concatenate([strength[:, None] * np.array([0, -0.004, 0]), np.zeros((2 * EYEBALL, 3))])


def lip_rings() -> dict[str, np.ndarray]:
    """FLAME vertices round the lips, as lists of ids by name, among other masks."""
    faces, places = landmark_embedding(PEOPLE["smplx2020"])
    nearest = topology().head_faces[faces, places.argmax(1)]
    return {
        "face": np.arange(100),
        "lip_outside_ring_upper": nearest[[48, 49, 50, 51, 52, 53, 54]],
        "lip_outside_ring_lower": nearest[[48, 59, 58, 57, 56, 55, 54]],
    }


def segments(body_faces: np.ndarray, crop: np.ndarray, quads: np.ndarray) -> dict[str, object]:
    """What AnimPortrait3D pickles, torch tensors inside."""
    place = np.full(BODY + 2 * TEETH, -1)
    place[crop] = np.arange(len(crop))
    teeth = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], 1).reshape(-1, 3)
    bridge = np.concatenate(
        [
            [[a, a + 1, TEETH + b], [TEETH + b, a + 1, TEETH + b + 1]]
            for a, b in zip(range(BRIDGE - 1), range(20, 20 + BRIDGE - 1), strict=True)
        ]
    )
    rows = [body_faces.astype(np.int64), teeth + BODY, lower_teeth() + BODY + TEETH, bridge + BODY]
    moved = place[np.concatenate(rows)]
    kept = (moved >= 0).all(1)
    faces = moved[kept][:, [0, 2, 1]]
    first_tooth = int(kept[: len(body_faces)].sum())
    mouth = np.arange(first_tooth, len(faces))
    return {
        "valid_vert_id": torch.from_numpy(crop),
        "valid_face": torch.from_numpy(faces),
        "mapping_verts_from_original_to_masked": torch.from_numpy(place),
        "all_teeth_faces_id": torch.from_numpy(mouth[: 4 * QUADS : 2]),
        "inner_mouth_faces_id": torch.from_numpy(mouth),
        "lips_faces_id": torch.from_numpy(lip_faces(faces, crop)),
    }


def lower_teeth() -> np.ndarray:
    quads = tooth_row(-1.0)[1]
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], 1).reshape(-1, 3)


def lip_faces(faces: np.ndarray, crop: np.ndarray) -> np.ndarray:
    """Faces of the crop within two rings of the lips' landmarks."""
    near = np.zeros(FLAME_SKIN)
    near[np.concatenate([lip_rings()[f"lip_outside_ring_{row}"] for row in ("upper", "lower")])] = 1
    spread = neighbour_means(topology().head_faces, FLAME_SKIN)
    inside = np.zeros(BODY + 2 * TEETH, bool)
    inside[:FLAME_SKIN] = spread @ (spread @ near) > 0
    return np.flatnonzero(inside[crop[faces]].all(1))
