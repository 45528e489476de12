"""A tiny network in the ONNX format with MediaPipe's inputs and outputs, written byte by byte (onnx.proto3).

It answers with a fixed face that moves with the picture: every point is where a template has it, shifted by how far the
light in the picture lies from its middle; a dark picture shows no face.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

FLOAT, INT64 = 1, 7


def write_face_mesh(path: Path, template: np.ndarray, size: int = 32, points: int = 478) -> Path:
    """``template`` (points, 3) in pixels of the square when the light is in its middle."""
    ramp = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    along = np.zeros((size * size * 3, 3 * points + 1), np.float32)
    rows, columns = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    for index in range(points):
        along[:, 3 * index] = np.repeat(ramp[columns.ravel()], 3)
        along[:, 3 * index + 1] = np.repeat(ramp[rows.ravel()], 3)
    along[:, -1] = 1.0
    nodes = [
        node("Reshape", ["picture", "flat_shape"], ["flat"]),
        node("MatMul", ["flat", "weights"], ["sums"]),
        node("Slice", ["sums", "zero", "last", "one_axis"], ["moves"]),
        node("Slice", ["sums", "last", "end", "one_axis"], ["light"]),
        node("Add", ["light", "little"], ["some"]),
        node("Div", ["moves", "some"], ["shares"]),
        node("Mul", ["shares", "size"], ["shifts"]),
        node("Add", ["shifts", "template"], ["points_flat"]),
        node("Reshape", ["points_flat", "points_shape"], ["points"]),
        node("Sub", ["light", "threshold"], ["logit"]),
        node("Reshape", ["logit", "presence_shape"], ["presence"]),
    ]
    constants = {
        "flat_shape": np.array([1, -1]), "weights": along, "zero": np.array([0]), "last": np.array([3 * points]),
        "end": np.array([3 * points + 1]), "one_axis": np.array([1]), "little": np.float32([[1e-6]]),
        "size": np.float32([[size]]), "template": template.astype(np.float32).reshape(1, -1),
        "points_shape": np.array([1, 1, 1, 3 * points]), "threshold": np.float32([[5.0]]),
        "presence_shape": np.array([1, 1, 1, 1]),
    }  # fmt: skip
    outputs = [value("points", [1, 1, 1, 3 * points]), value("presence", [1, 1, 1, 1])]
    graph = b"".join(field(1, each) for each in nodes) + field(2, b"face")
    graph += b"".join(field(5, tensor(name, array)) for name, array in constants.items())
    graph += field(11, value("picture", [1, size, size, 3])) + b"".join(field(12, each) for each in outputs)
    path.write_bytes(number(1, 8) + field(7, graph) + field(8, field(1, b"") + number(2, 13)))
    return path


def varint(amount: int) -> bytes:
    out = bytearray()
    while amount > 127:
        out.append(amount & 127 | 128)
        amount >>= 7
    return bytes([*out, amount])


def number(tag: int, amount: int) -> bytes:
    return varint(tag << 3) + varint(amount)


def field(tag: int, content: bytes) -> bytes:
    return varint(tag << 3 | 2) + varint(len(content)) + content


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    names = b"".join(field(1, name.encode()) for name in inputs) + b"".join(field(2, name.encode()) for name in outputs)
    return names + field(4, kind.encode())


def tensor(name: str, array: np.ndarray) -> bytes:
    kind, stored = (FLOAT, "<f4") if array.dtype == np.float32 else (INT64, "<i8")
    shape = b"".join(number(1, size) for size in array.shape)
    return shape + number(2, kind) + field(8, name.encode()) + field(9, array.astype(stored).tobytes())


def value(name: str, shape: Sequence[int]) -> bytes:
    sizes = b"".join(field(1, number(1, size)) for size in shape)
    return field(1, name.encode()) + field(2, field(1, number(1, FLOAT) + field(2, sizes)))
