"""Reading avatar.glb back into a `SplatAvatar`; nothing in the file is trusted."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.avatar import SH_C0, Layer, SplatAvatar
from pipeline.avatar_checks import CHOICES, check_config, check_values
from pipeline.errors import UserError
from pipeline.formats.glb_mesh import MeshPart, read_mesh, read_targets
from pipeline.formats.gltf import DamagedFile, GlbReader, read_bytes, whole
from pipeline.formats.quantize import LayerRange, QuantizedSplats, decode_chunk, unpack_quaternions
from pipeline.heads.rig import Driver, Landmarks, Rig

EXTENSION = "AP3D_splat_rig"
FORMAT_VERSION = 1
MOST_SPLATS = 4_000_000
"""Chunks of a file may share bytes, so its size does not bound what it unpacks to."""


def read_avatar_glb(path: str | Path) -> SplatAvatar:
    """Read what `write_avatar_glb` wrote, to the precision of the format; texture coordinates are not in it.

    Raises `UserError` when the file is missing, damaged or not an avatar.
    """
    data = read_bytes(path)
    try:
        return _read(GlbReader(data))
    except DamagedFile as error:
        raise UserError(f"{Path(path).name} is no readable avatar: {error}") from error
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, struct.error) as error:
        reason = f"a field is missing or has a wrong value ({error.__class__.__name__}: {error})"
        raise UserError(f"{Path(path).name} is no readable avatar: {reason}") from error


def _read(reader: GlbReader) -> SplatAvatar:
    extension = (reader.document.get("extensions") or {}).get(EXTENSION)
    if not isinstance(extension, dict):
        raise DamagedFile(f"it has no {EXTENSION} extension, so it holds no splat avatar")
    if extension["version"] != FORMAT_VERSION:
        raise DamagedFile(f"it is version {extension['version']!r} of the format, this program reads {FORMAT_VERSION}")
    mesh = read_mesh(reader, extension["mesh"])
    rig = _read_rig(reader, extension, mesh)
    ranges = [
        LayerRange(_triple(layer["mean"]), _triple(layer["logScale"]), _triple(layer["logStep"]))
        for layer in extension["layers"]
    ]
    coefficients = whole(extension["shCoefficients"])
    if coefficients not in CHOICES["sh_coefficients"]:
        raise DamagedFile(f"{coefficients} harmonics are no whole degree")
    claimed = sum(whole(chunk["count"]) for chunk in extension["chunks"])
    if claimed > MOST_SPLATS:
        raise DamagedFile(f"it claims {claimed} splats; at most {MOST_SPLATS} are read")
    parts = [
        decode_chunk(reader.view(whole(chunk["bufferView"])), whole(chunk["count"]), 3 * (coefficients - 1))
        for chunk in extension["chunks"]
    ]
    splats = QuantizedSplats(
        *(np.concatenate(planes) for planes in zip(*(vars(p).values() for p in parts), strict=True))
    )
    if len(splats.face) != extension["count"] or splats.layer.max() >= len(ranges):
        raise DamagedFile(f"its chunks hold {len(splats.face)} splats, its header says {extension['count']}")
    if splats.face.max() >= len(rig.faces) or len(ranges) > len(Layer):
        raise DamagedFile("a splat hangs on a triangle or layer that is not there")
    return _assemble(rig, splats, ranges, extension)


def _assemble(rig: Rig, splats: QuantizedSplats, ranges: list[LayerRange], extension: dict[str, Any]) -> SplatAvatar:
    reach, low, step = (
        np.array([getattr(entry, name) for entry in ranges])[splats.layer] for name in ("mean", "log_scale", "log_step")
    )
    dark, bright = (float(bound) for bound in extension["colorRange"])
    colors = splats.color / 255 * (bright - dark) + dark
    rest = (splats.sh / 255 * 2 - 1) * float(extension["shRange"])
    sh = np.concatenate([((colors - 0.5) / SH_C0)[:, None], rest.reshape(len(rest), -1, 3)], 1)
    opacity = torch.tensor(splats.opacity / 255, dtype=torch.float32)
    values = {
        "means": splats.mean / 32767 * reach,
        "quats": unpack_quaternions(splats.rotation),
        "log_scales": low + step * splats.scale,
        "sh": sh,
    }
    tensors = {name: torch.tensor(value, dtype=torch.float32) for name, value in values.items()}
    avatar = SplatAvatar.from_parts(
        rig,
        face=torch.tensor(splats.face.astype(np.int64)),
        layer=torch.tensor(splats.layer),
        opacity_logits=torch.logit(opacity, eps=1e-4),
        rasterize_mode=extension["rasterizeMode"],
        sh_frame=extension["shFrame"],
        **tensors,
    )
    try:
        check_config(avatar.config)
        check_values(avatar)
    except ValueError as error:
        raise DamagedFile(str(error)) from error
    return avatar


def _read_rig(reader: GlbReader, extension: dict[str, Any], mesh: MeshPart) -> Rig:
    faces = reader.array(whole(extension["frameIndices"])).reshape(-1, 3).astype(np.int64)
    if not faces.size or faces.max() >= len(mesh.vertices):
        raise DamagedFile("a triangle has a vertex that is not there")
    correctives = extension["poseCorrectives"]
    if len(correctives) not in (0, 9 * (len(mesh.joints) - 1)):
        raise DamagedFile(f"{len(correctives)} pose correctives do not fit {len(mesh.joints)} joints")
    offsets = read_targets(reader, correctives, mesh.vertices.shape, mesh.half) if correctives else None
    drivers = tuple(
        Driver(
            _below(entry["expression"], len(mesh.expressions)),
            _below(entry["joint"], len(mesh.joints)),
            _triple(entry["axis"]),
            float(entry["radians"]),
        )
        for entry in extension["drivers"]
    )
    rig = Rig(
        vertices=torch.tensor(mesh.vertices),
        faces=torch.tensor(faces),
        expressions=torch.tensor(mesh.expressions),
        expression_names=mesh.expression_names,
        basis=str(extension["basis"]),
        joints=torch.tensor(mesh.joints),
        joint_names=mesh.joint_names,
        parents=mesh.parents,
        weights=torch.tensor(mesh.weights),
        regions=_read_regions(reader, extension, len(faces)),
        landmarks=_read_landmarks(reader, extension.get("landmarks"), len(faces)),
        pose_dirs=None if offsets is None else torch.tensor(offsets),
        drivers=drivers,
        joint_dirs=_read_joint_dirs(reader, extension.get("jointDirs"), (len(mesh.expressions), len(mesh.joints), 3)),
    )
    if not all(bool(t.isfinite().all()) for t in (rig.vertices, rig.expressions, rig.joints)):
        raise DamagedFile("its mesh holds numbers that are not finite")
    return rig


def _read_joint_dirs(reader: GlbReader, accessor: object, shape: tuple[int, int, int]) -> torch.Tensor | None:
    if accessor is None:
        return None
    values = reader.floats(whole(accessor))
    if values.size != shape[0] * shape[1] * shape[2]:
        raise DamagedFile("its joint directions do not fit its joints and expressions")
    return torch.tensor(values.reshape(shape), dtype=torch.float32)


def _read_regions(reader: GlbReader, extension: dict[str, Any], faces: int) -> dict[str, torch.Tensor]:
    names = extension["regions"]
    if not names:
        return {}
    masks = np.frombuffer(reader.view(whole(extension["regionBits"])), np.uint8).reshape(len(names), -1)
    bits = np.unpackbits(masks, axis=1, count=faces, bitorder="little").astype(bool)
    return {str(name): torch.tensor(mask) for name, mask in zip(names, bits, strict=True)}


def _read_landmarks(reader: GlbReader, entry: dict[str, Any] | None, faces: int) -> Landmarks | None:
    if entry is None:
        return None
    on, weights = reader.array(whole(entry["faces"])), reader.floats(whole(entry["barycentrics"]))
    if len(on) != len(entry["names"]) or weights.shape != (len(on), 3) or (len(on) and on.max() >= faces):
        raise DamagedFile("its landmarks do not fit its mesh")
    return Landmarks(tuple(map(str, entry["names"])), torch.tensor(on.astype(np.int64)), torch.tensor(weights))


def _below(value: object, limit: int) -> int:
    index = whole(value)
    if index >= limit:
        raise DamagedFile(f"index {index} is not below {limit}")
    return index


def _triple(values: list[float]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
