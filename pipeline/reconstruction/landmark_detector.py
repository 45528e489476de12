"""`LandmarkDetector`s: MediaPipe's face mesh as an ONNX file, which is weights and arithmetic and runs no code.

Kartynnik et al., Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs, 2019, and Grishchenko et al.,
Attention Mesh, 2020: 478 points, of which those are told that a `Rig` has in the same place.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from huggingface_hub import try_to_load_from_cache
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from pipeline.errors import UserError
from pipeline.reconstruction.multiview import LandmarkDetector, Observed
from pipeline.reconstruction.published import FACE_MESH, FACE_MESH_CONTENT, FACE_MESH_FILE

if TYPE_CHECKING:
    import onnxruntime

Array = NDArray[np.float64]

POINTS = 478
SEARCHED: tuple[tuple[float, float, float], ...] = (
    *((x, 0.43, 0.45) for x in (0.5, 0.4, 0.6)), *((x, 0.47, 0.6) for x in (0.5, 0.35, 0.65)),
    (0.5, 0.5, 0.8), (0.5, 0.5, 1.0),
)  # fmt: skip
"""Squares in which a face is looked for: middle and side in shares of the picture; a portrait's views come first."""
REFINEMENTS = 3
"""How often the square is laid round the face again."""
MARGIN = 1.5
"""Side of the square against the face's, as MediaPipe crops."""
LEAST_PRESENCE = 0.5
"""Below it there is no face, as MediaPipe has it."""
MOST_YAW = np.radians(75.0)
"""Turns of the face away from the camera beyond which its points are guesses."""
SIDES = (234, 454)
"""Points before the subject's right and left ear."""
GRAZING = 0.3
"""Cosine between skin and view from which a point counts in full; at 0 it is hidden."""
SAME_PLACES: dict[str, tuple[int, ...]] = {
    "irises": (468, 473),
    "eyelids": (
        33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7,
        263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249,
    ),
    "lips": (
        0, 37, 39, 40, 185, 61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267,
        13, 82, 81, 80, 191, 78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312,
    ),
    "nose, but for its ridge and wings": (6, 168, 2, 98, 327),
    "cheekbones": (50, 280),
    "tails of the brows": (46, 70, 276, 300),
    "before the ears, a part of the outline": (93, 132, 234, 323, 361, 454),
}  # fmt: skip
"""The points that mean the same place of a face here and on a `Rig`, by their numbers; the others are not told.

On renders of known heads they come out within about 6 mm (median 3), and MediaPipe's canonical face, laid over ours by
eyes and lips, has them within as much (before the ears 12 mm; see `landmark_term.OUTLINE`). Of the others both say
alike that MediaPipe means another place: 10 and its neighbours lie 15 to 35 mm below our hairline, the lower outline 15
to 30 mm before our jaw, the brows 7 to 12 mm further out, ridge and wings of the nose 5 to 11 mm along it. Without them
the median error of a fit on the face is 3.3 mm instead of 4.6 mm (six rendered heads in 18 views each).
"""
EXTRA_NAMES = {"pupil_right": 468, "pupil_left": 473}
"""Middles of the irises under the names of a `Rig`, too."""
TOLD: dict[str, int] = {f"mediapipe_{index}": index for each in SAME_PLACES.values() for index in each} | EXTRA_NAMES
"""Name → number of every point that a detector tells."""


def find_detector() -> LandmarkDetector | None:
    """The face mesh from this machine's cache of the Hub; None where it is not. Never asks the network.

    Raises `UserError` as `load_detector` does, and where the file is not the published one.
    """
    path = try_to_load_from_cache(FACE_MESH, FACE_MESH_FILE)
    if not isinstance(path, str):
        return None
    if hashlib.sha256(Path(path).read_bytes()).hexdigest() != FACE_MESH_CONTENT:
        raise UserError(f"{path} is not the {FACE_MESH_FILE} that {FACE_MESH} published; delete it and fetch it again")
    return load_detector(Path(path))


def load_detector(file: Path) -> LandmarkDetector:
    """A detector from an ONNX file of MediaPipe's face mesh: a picture (1, S, S, 3) 0..1 → 478 points in its pixels.

    Raises `UserError` for a file that is no such network.
    """
    import onnxruntime  # where nobody gives a portrait, nobody waits for it
    from onnxruntime.capi import onnxruntime_pybind11_state as onnx

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4
    try:
        return _FaceMesh(onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"]))
    except (ValueError, onnx.Fail, onnx.InvalidArgument, onnx.InvalidGraph, onnx.InvalidProtobuf, onnx.NoSuchFile,
            onnx.NotImplemented, onnx.RuntimeException) as error:  # fmt: skip
        raise UserError(
            f"{file} is no face mesh of MediaPipe in ONNX ({str(error).splitlines()[0]}); fetch {FACE_MESH_FILE} of "
            f"{FACE_MESH}"
        ) from error


class _FaceMesh:
    """The network with what MediaPipe does round it: a square round the face, laid again from what was found."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        given, outputs = session.get_inputs()[0], session.get_outputs()
        shape = given.shape
        if len(shape) != 4 or shape[3] != 3 or not isinstance(shape[1], int):
            raise ValueError(f"its input has the shape {shape}")
        self._input, self._size = given.name, shape[1]
        sizes = [int(np.prod([size for size in output.shape if isinstance(size, int)])) for output in outputs]
        if 3 * POINTS not in sizes or 1 not in sizes:
            raise ValueError(f"its outputs have {sizes} numbers, not {3 * POINTS} and 1")
        # Of two single numbers the first is the presence of a face.
        self._outputs = [outputs[sizes.index(count)].name for count in (3 * POINTS, 1)]

    def __call__(self, pictures: Tensor) -> Observed:
        """(C, H, W, 3) uint8 → landmarks `TOLD`; confidence 0 in pictures without a face."""
        found = [self._look(picture) for picture in pictures.cpu()]
        rows = list(TOLD.values())
        points = torch.from_numpy(np.stack([points[rows, :2] for points, _ in found])).float()
        return Observed(tuple(TOLD), points, torch.from_numpy(np.stack([seen[rows] for _, seen in found])).float())

    def _look(self, picture: Tensor) -> tuple[Array, Array]:
        """(H, W, 3) → points (478, 3) in its pixels, and how far each is to be trusted (478,)."""
        height, width = picture.shape[:2]
        image = picture.movedim(-1, 0)[None].float() / 255
        squares = [np.array([x * width, y * height, side * max(width, height)]) for x, y, side in SEARCHED]
        found = [self._run(image, square) for square in squares]
        points, presence = max(found, key=lambda each: each[1])
        for _ in range(REFINEMENTS):
            points, presence = self._run(image, _round(points))
        return points, (presence if presence > LEAST_PRESENCE else 0.0) * visible(points)

    def _run(self, image: Tensor, square: Array) -> tuple[Array, float]:
        """A square (x, y of the middle, side) of an image (1, 3, H, W) → points (478, 3) in its pixels, presence."""
        height, width = image.shape[2:]
        x, y, side = square
        placed = torch.tensor([[[side / width, 0, 2 * x / width - 1], [0, side / height, 2 * y / height - 1]]])
        grid = affine_grid(placed.float(), [1, 3, self._size, self._size], align_corners=False)
        crop = grid_sample(image, grid, align_corners=False, padding_mode="border").movedim(1, -1)
        mesh, logit = self._session.run(self._outputs, {self._input: crop.contiguous().numpy()})
        points = np.asarray(mesh, np.float64).reshape(POINTS, 3) * side / self._size
        points[:, :2] += [x - side / 2, y - side / 2]
        return points, float(1 / (1 + np.exp(-np.clip(float(np.ravel(logit)[0]), -50, 50))))


def visible(points: Array) -> Array:
    """Points (478, 3) of a mesh, depth away from the camera in the same unit → (478,) 0..1, 0 for hidden ones.

    A face is about half a cylinder between the ears: a point of it looks as far to the side as it lies to the side.
    """
    right, left = points[list(SIDES)]
    across = left - right
    half = max(float(np.linalg.norm(across)) / 2, 1e-9)
    yaw = np.arctan2(across[2], across[0])
    if abs(yaw) > MOST_YAW:
        return np.zeros(len(points))
    aside = np.clip((points - (left + right) / 2) @ across / (2 * half**2), -1, 1)
    return np.clip(np.cos(np.arcsin(aside) + yaw) / GRAZING, 0, 1)


def _round(points: Array) -> Array:
    """The square (x, y of the middle, side) that the network wants round a face."""
    low, high = points[:468, :2].min(0), points[:468, :2].max(0)
    return np.array([*(low + high) / 2, MARGIN * (high - low).max()])
