"""SPZ (Niantic), version 3: splats of one pose in some 20 bytes each, gzipped, as today's viewers read them.

Layout: github.com/nianticlabs/spz. A header of 16 bytes, then plane by plane: positions (24-bit fixed point),
opacities, colours, scales, rotations (smallest three), harmonics. Axes are right, up and back, as ours.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.avatar import Gaussians
from pipeline.errors import UserError
from pipeline.files import reading, whole_file

MAGIC = 0x5053474E
"""``NGSP``."""
VERSION = 3
HEADER = struct.Struct("<IIIBBBB")
"""Magic, version, count, degree of the harmonics, fractional bits, flags, nothing."""
ANTIALIASED = 1
MOST_SPLATS = 4_000_000
MOST_FRACTIONAL_BITS = 16
"""15 µm, finer than any hair; more bits are noise that does not compress."""
FIXED_BITS = 23
"""Of a position, beside the sign."""
SCALE_STEPS, SMALLEST_LOG_SCALE = 16.0, -10.0
"""Bytes per unit of the natural logarithm, and the logarithm of byte 0: 45 µm."""
COLOR_SCALE = 0.15
"""Of the constant harmonic, so that a byte reaches beyond black and white."""
FIRST_BITS, REST_BITS = 5, 4
"""Of degree 1 and of the higher degrees, as Niantic's own writer rounds them."""
MAGNITUDE = 511
"""Nine bits: a component of a rotation over its largest value, 1/√2."""
PLANES = {"positions": 9, "alphas": 1, "colors": 3, "scales": 3, "rotations": 4}
"""Plane → bytes per splat, in file order; the harmonics follow."""
COMPRESSION = 6
LARGEST_RATIO = 1100
"""No gzip stream unpacks to more."""


@dataclass(frozen=True)
class SpzFile:
    """What a file holds."""

    gaussians: Gaussians
    antialiased: bool
    """Whether it was made for rasterising with compensated opacity."""


def write_spz(gaussians: Gaussians, path: str | Path, antialiased: bool = False) -> None:
    """Write world-space splats, whole or not at all; the same splats give the same bytes.

    Scales below 45 µm become 45 µm. Raises `UserError` without any splats or with one further away than the format
    can say.
    """
    if not len(gaussians.means):
        raise UserError("there are no splats to write")
    means = gaussians.means.detach().numpy()
    degree = math.isqrt(gaussians.sh.shape[1]) - 1
    bits = _fractional_bits(float(np.abs(means).max()))
    sh = gaussians.sh.detach().numpy()
    planes = (
        _fixed_point(means, bits),
        _bytes(gaussians.opacities.detach().numpy() * 255),
        _bytes((sh[:, 0] * COLOR_SCALE + 0.5) * 255),
        _bytes((gaussians.scales.detach().clamp_min(1e-9).log().numpy() - SMALLEST_LOG_SCALE) * SCALE_STEPS),
        _pack_rotations(gaussians.quats.detach().numpy()),
        _pack_harmonics(sh[:, 1:]),
    )
    header = HEADER.pack(MAGIC, VERSION, len(means), degree, bits, ANTIALIASED if antialiased else 0, 0)
    content = header + b"".join(plane.tobytes() for plane in planes)
    with whole_file(Path(path)) as partial:
        partial.write_bytes(gzip.compress(content, COMPRESSION, mtime=0))


def read_spz(path: str | Path) -> SpzFile:
    """Read a file of version 3, as `write_spz` and today's programs write it.

    Raises `UserError` when it is missing, damaged, of another version, or claims more than it holds.
    """
    path = Path(path)
    content = _unpacked(path)
    if len(content) < HEADER.size:
        raise UserError(f"{path.name} is no SPZ file, or cut short")
    magic, version, count, degree, bits, flags, _ = HEADER.unpack_from(content)
    if magic != MAGIC:
        raise UserError(f"{path.name} is no SPZ file")
    if version != VERSION or flags & ~ANTIALIASED:
        raise UserError(f"{path.name} is an SPZ file of version {version} with flags {flags}; version 3 is read")
    coefficients = (degree + 1) ** 2
    if degree > 3 or bits > FIXED_BITS or not 0 < count <= MOST_SPLATS:
        raise UserError(f"the header of {path.name} is damaged: {count} splats, degree {degree}, {bits} bits")
    widths = {**PLANES, "harmonics": 3 * (coefficients - 1)}
    if len(content) != HEADER.size + count * sum(widths.values()):
        raise UserError(f"{path.name} is cut short or damaged: {count} splats have another length")
    planes, at = {}, HEADER.size
    for name, width in widths.items():
        planes[name] = np.frombuffer(content, np.uint8, count * width, at).reshape(count, width)
        at += count * width
    return SpzFile(_gaussians(planes, bits), bool(flags & ANTIALIASED))


def is_spz(path: Path) -> bool:
    """Whether a gzip file starts as an SPZ file does. Raises `UserError` when it cannot be read."""
    try:
        with reading(path), gzip.open(path, "rb") as file:
            return file.read(4) == MAGIC.to_bytes(4, "little")
    except (gzip.BadGzipFile, EOFError, zlib.error, UserError):
        return False


def _unpacked(path: Path) -> bytes:
    """The whole stream, never more than the largest file can have."""
    most = HEADER.size + MOST_SPLATS * (sum(PLANES.values()) + 45)
    try:
        with reading(path):
            if not path.is_file():
                raise UserError(f"there is no file {path.name!r}")
            with gzip.open(path, "rb") as file:
                content = file.read(min(most, LARGEST_RATIO * path.stat().st_size) + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path.name} is no SPZ file, or cut short ({error})") from error
    if len(content) > most:
        raise UserError(f"{path.name} unpacks to more than {MOST_SPLATS} splats")
    return content


def _gaussians(planes: dict[str, NDArray[np.uint8]], bits: int) -> Gaussians:
    count = len(planes["alphas"])
    digits = planes["positions"].reshape(count, 3, 3).astype(np.int32)
    fixed = (digits[..., 0] | digits[..., 1] << 8 | digits[..., 2] << 16) << 8 >> 8  # the sign of 24 bits
    colors = (planes["colors"] / 255 - 0.5) / COLOR_SCALE
    harmonics = (planes["harmonics"].reshape(count, -1, 3) - 128.0) / 128
    values = {
        "means": fixed / 2.0**bits,
        "quats": _unpack_rotations(planes["rotations"]),
        "scales": np.exp(planes["scales"] / SCALE_STEPS + SMALLEST_LOG_SCALE),
        "opacities": planes["alphas"][:, 0] / 255,
        "sh": np.concatenate([colors[:, None], harmonics], 1),
    }
    return Gaussians(**{name: torch.from_numpy(value.astype(np.float32)) for name, value in values.items()})


def _fractional_bits(reach: float) -> int:
    """As many as leave room for ``reach`` metres."""
    whole = max(0, math.frexp(reach)[1])
    if not math.isfinite(reach) or whole > FIXED_BITS:
        raise UserError(f"a splat is {reach:g} m away; SPZ holds {2**FIXED_BITS} m")
    return min(MOST_FRACTIONAL_BITS, FIXED_BITS - whole)


def _fixed_point(means: NDArray, bits: int) -> NDArray[np.uint8]:
    """(N, 3) metres → (N, 9) bytes, little-endian."""
    fixed = np.round(means.astype(np.float64) * 2.0**bits)
    fixed = np.clip(fixed, -(2**FIXED_BITS), 2**FIXED_BITS - 1).astype("<i4")
    return np.ascontiguousarray(fixed).view(np.uint8).reshape(-1, 3, 4)[:, :, :3].reshape(-1, 9)


def _bytes(values: NDArray) -> NDArray[np.uint8]:
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)


def _pack_rotations(quats: NDArray) -> NDArray[np.uint8]:
    """wxyz (N, 4) → (N, 4) bytes: from the highest bit the place of the largest component among xyzw in two bits, then
    sign and nine bits of magnitude of each of the others."""
    unit = quats[:, [1, 2, 3, 0]] / np.linalg.norm(quats, axis=1, keepdims=True)
    rows = np.arange(len(unit))
    largest = np.abs(unit).argmax(1)
    unit = unit * np.where(unit[rows, largest] < 0, -1.0, 1.0)[:, None]
    packed = largest.astype("<u4")
    for component in range(4):
        value = unit[:, component]
        magnitude = (MAGNITUDE * np.abs(value) * math.sqrt(2) + 0.5).astype("<u4")
        longer = packed << 10 | (value < 0).astype("<u4") << 9 | np.minimum(magnitude, MAGNITUDE)
        packed = np.where(largest == component, packed, longer)
    return packed.astype("<u4").view(np.uint8).reshape(-1, 4)


def _unpack_rotations(content: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The inverse: wxyz (N, 4), unit length."""
    packed = np.ascontiguousarray(content).view("<u4")[:, 0]
    largest = packed >> 30
    xyzw = np.zeros((len(packed), 4))
    for component in (3, 2, 1, 0):
        stored = largest != component
        magnitude = (packed & MAGNITUDE) / MAGNITUDE / math.sqrt(2)
        value = np.where(packed >> 9 & 1, -magnitude, magnitude)
        xyzw[:, component] = np.where(stored, value, 0)
        packed = np.where(stored, packed >> 10, packed)
    missing = np.sqrt(np.maximum(0, 1 - (xyzw**2).sum(1)))
    xyzw[np.arange(len(xyzw)), largest] = missing
    return xyzw[:, [3, 0, 1, 2]]


def _pack_harmonics(rest: NDArray) -> NDArray[np.uint8]:
    """(N, K − 1, 3) → (N, 3·(K − 1)) bytes, coefficient by coefficient."""
    bits = np.where(np.arange(rest.shape[1]) < 3, FIRST_BITS, REST_BITS)[None, :, None]
    step = 1 << (8 - bits)
    whole = np.floor(rest * 128.0 + 0.5).astype(np.int32) + 128
    return np.clip((whole + step // 2) // step * step, 0, 255).astype(np.uint8).reshape(len(rest), -1)
