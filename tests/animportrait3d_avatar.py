"""A synthetic avatar in AnimPortrait3D's own files, on the synthetic SMPL-X and assets, that looks roughly like a head.

>>> write_avatar_zip(folder / "000.zip")                            # point_cloud.ply, fitted_params.pkl, prompt.txt
>>> write_preview(folder / "preview" / "000.png")                   # as the gallery has it beside the archives
"""

from __future__ import annotations

import io
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import plyfile
import torch
from PIL import Image, ImageDraw

from tests.heads.assets import BODY, TEETH, cropped_vertices, segments, tooth_row
from tests.heads.models import smplx_arrays
from tests.heads.topology import EYEBALL, SMPLX_SKIN

MASKS = ("hair", "clothes", "smplx", "teeth", "eye_region")
PROPERTIES = (
    *"xyz",
    *(f"f_dc_{index}" for index in range(3)),
    *(f"f_rest_{index}" for index in range(45)),
    "opacity",
    *(f"scale_{index}" for index in range(3)),
    *(f"rot_{index}" for index in range(4)),
    "binding_0",
    *(f"{name}_points_mask" for name in MASKS),
)
"""65, in the order of their writer."""
COLOURS = {
    "hair": (0.24, 0.14, 0.08),
    "clothes": (0.13, 0.20, 0.42),
    "smplx": (0.85, 0.66, 0.55),
    "teeth": (0.88, 0.86, 0.80),
    "eye_region": (0.93, 0.92, 0.92),
}
SH_C0 = 0.28209479177387814
PROMPT = "a man with short brown hair in a blue jumper"
PREVIEW = (3200, 800)


def write_avatar_zip(path: Path, splats: int = 20_000, seed: int = 0, prompt: str = PROMPT) -> Path:
    """One archive of their gallery."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("fitted_params.pkl", params_pickle(seed))
        archive.writestr("point_cloud.ply", ply_bytes(point_cloud(splats, seed)))
        archive.writestr("prompt.txt", prompt)
    return path


def write_preview(path: Path, seed: int = 0) -> Path:
    """Four views in one row, 3200 pixels wide, here four discs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", PREVIEW, "white")
    draw = ImageDraw.Draw(picture)
    tint = tuple(int(channel) for channel in np.random.default_rng(seed).integers(60, 200, 3))
    for left in range(0, PREVIEW[0], PREVIEW[1]):
        draw.ellipse((left + 200, 100, left + 600, 640), fill=tint)
    picture.save(path)
    return path


def ply_bytes(table: np.ndarray) -> bytes:
    """The file that plyfile makes of a table, as their `save_ply` calls it."""
    buffer = io.BytesIO()
    plyfile.PlyData([plyfile.PlyElement.describe(table, "vertex")]).write(buffer)
    return buffer.getvalue()


def point_cloud(splats: int = 20_000, seed: int = 0) -> np.ndarray:
    """(splats,) records of `PROPERTIES`, float32: local to triangles of the crop, quaternions of any length."""
    random = np.random.default_rng(seed)
    face = np.sort(np.resize(random.permutation(len(part_of_faces())), splats))
    part = part_of_faces()[face]
    hair, skin_like = part == 0, part != 0
    table = np.zeros(splats, [(name, "f4") for name in PROPERTIES])
    table["x"], table["z"] = random.normal(0, 0.25, (2, splats))
    table["y"] = np.where(hair, -random.uniform(0.2, 2.5, splats), random.normal(0, 0.02, splats))  # outwards is −y
    tone = random.normal(0, 0.03, (splats, 1))
    colour = np.array([COLOURS[name] for name in MASKS])[part] + tone
    for channel in range(3):
        table[f"f_dc_{channel}"] = (colour[:, channel] - 0.5) / SH_C0
    for index in range(45):
        table[f"f_rest_{index}"] = random.normal(0, 0.02, splats)
    table["opacity"] = random.normal(2.5, 0.5, splats)
    log_size = np.log(0.55 * np.sqrt(max(1.0, 25_000 / splats)))
    for axis, size in enumerate((log_size, log_size - 1.2, log_size)):
        table[f"scale_{axis}"] = size + random.normal(0, 0.1, splats) * skin_like
    turn = random.normal(0, 0.3, (splats, 4)) + np.array([1.0, 0, 0, 0])
    for axis in range(4):
        table[f"rot_{axis}"] = turn[:, axis] * random.uniform(0.6, 1.7, splats)
    table["binding_0"] = face
    for index, name in enumerate(MASKS):
        table[f"{name}_points_mask"] = part == index
    return table


def fitted_params(seed: int = 0) -> dict[str, np.ndarray]:
    """Their nine arrays: a person of mild shape, a hint of a smile, the lids a little closed."""
    random = np.random.default_rng(seed + 1000)

    def drawn(size: int, width: float) -> np.ndarray:
        return random.normal(0, width, (1, size)).astype(np.float32)

    return {
        "fitted_shape": drawn(300, 0.3),
        "fitted_expr": drawn(100, 0.2),
        "fitted_neck_pose": drawn(3, 0.05),
        "fitted_head_pose": drawn(3, 0.05),
        "fitted_jaw_pose": np.array([[0.02, 0, 0]], np.float32),
        "fitted_eyes_pose": drawn(6, 0.02),
        "fitted_global_translation": np.array([[0.015, 0.42, 0.21]], np.float32),
        "fitted_global_scale": np.array([[2.78]], np.float32),
        "fitted_eyelid_params": np.array([[0.2, 0.25]], np.float32),
    }


def params_pickle(seed: int = 0) -> bytes:
    """What `torch.save` writes of it."""
    buffer = io.BytesIO()
    torch.save(fitted_params(seed), buffer)
    return buffer.getvalue()


@lru_cache(maxsize=1)
def part_of_faces() -> np.ndarray:
    """(F,) index into `MASKS` of every face of the synthetic crop."""
    arrays: dict[str, Any] = smplx_arrays()
    template = arrays["v_template"]
    crop = cropped_vertices(template)
    faces = np.asarray(segments(arrays["f"], crop, tooth_row(1.0)[1])["valid_face"])
    ids = crop[faces]
    eyes = slice(SMPLX_SKIN, SMPLX_SKIN + 2 * EYEBALL)
    middle, crown = template[eyes].mean(0), template[:, 1].max()
    points = np.concatenate([template, np.tile(middle, (2 * TEETH, 1))])[ids].mean(1) - middle
    high = points[:, 1] / (crown - middle[1])
    part = np.full(len(faces), MASKS.index("smplx"))
    part[(high > 0.55) | ((points[:, 2] < -0.07) & (high > -0.6))] = MASKS.index("hair")
    part[high < -1.25] = MASKS.index("clothes")
    part[((ids >= eyes.start) & (ids < eyes.stop)).all(1)] = MASKS.index("eye_region")
    part[(ids >= BODY).any(1)] = MASKS.index("teeth")
    return part
