"""avatar.glb: one rigged splat avatar in one file that a browser streams (every field: viewer/FORMAT.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.avatar import SH_C0, Layer, SplatAvatar
from pipeline.camera import portrait_framing
from pipeline.errors import UserError
from pipeline.formats.controls import expression_groups, joint_controls
from pipeline.formats.glb_mesh import (
    MOST_INDEXED,
    Grid,
    write_faces,
    write_joint_dirs,
    write_skin,
    write_targets,
    write_vertices,
)
from pipeline.formats.glb_reader import EXTENSION, FORMAT_VERSION, read_avatar_glb
from pipeline.formats.gltf import GlbBuilder
from pipeline.formats.quantize import (
    QuantizedSplats,
    chunk_order,
    encode_chunk,
    layer_ranges,
    pack_quaternions,
    quantize_means,
    quantize_scales,
    quantize_unit,
)
from pipeline.heads.rig import Landmarks, Rig

__all__ = ["avatar_glb_builder", "read_avatar_glb", "write_avatar_glb"]

GENERATOR = "AnimPortrait3D on the web"
PORTRAIT_PITCH_DEGREES = 4.0
HIDDEN_REGIONS = ("hair_cage", "lashes_left", "lashes_right")
"""Faces that only carry splats: a plain viewer would draw them as solid sheets."""
EARLY_LAYERS = (Layer.EYE, Layer.MOUTH, Layer.BROW)
COLORLESS_LAYERS = (Layer.ACCESSORY, Layer.BROW, Layer.HAIR)
"""Layers that give the plain head no colour: glasses would paint rings on the face, long hair stains on the neck."""
COLOR_LIMITS = (-1.0, 2.0)


def write_avatar_glb(avatar: SplatAvatar, path: str | Path) -> None:
    """Write the avatar as the browser streams it; the same avatar gives the same bytes.

    Raises `UserError` when the rig has more vertices or triangles than 16 bits can count.
    """
    avatar_glb_builder(avatar).write(path)


def avatar_glb_builder(avatar: SplatAvatar) -> GlbBuilder:
    """The file before it is written: mesh, skin, first chunk, morph targets, further chunks, what only Python reads."""
    rig, face = _hidden_faces_last(avatar.rig, avatar.face.long())
    for name, count in (("triangles", len(rig.faces)), ("vertices", len(rig.vertices))):
        if count > MOST_INDEXED:
            raise UserError(f"this rig has {count} {name}; avatar.glb holds at most {MOST_INDEXED}")
    if not len(face):
        raise UserError("this avatar has no splats; there is nothing to write")
    with torch.no_grad():
        world = avatar.gaussians(rig.vertices)
    builder = GlbBuilder(GENERATOR)
    grid = Grid.around(rig.vertices.numpy())
    attributes = write_vertices(builder, rig, _vertex_colors(avatar, rig, world), grid)
    drawn = len(rig.faces) - int(_hidden(rig).sum())
    drawn_indices, all_indices = write_faces(builder, rig.faces.numpy(), drawn)
    write_skin(builder, rig, grid)
    splats, header = _quantize(avatar, face)
    sizes = np.sort(world.scales.numpy(), 1)
    importance = world.opacities.numpy() * sizes[:, 1] * sizes[:, 2]
    orders = chunk_order(world.means.numpy(), importance, splats.layer, splats.face, tuple(map(int, EARLY_LAYERS)))
    chunks = [_write_chunk(builder, splats, orders[0])]
    targets = write_targets(builder, rig.expressions.numpy(), grid)
    correctives = [] if rig.pose_dirs is None else write_targets(builder, rig.pose_dirs.numpy(), grid)
    joint_dirs = None if rig.joint_dirs is None else write_joint_dirs(builder, rig.joint_dirs.numpy())
    chunks += [_write_chunk(builder, splats, order) for order in orders[1:]]
    primitive: dict[str, Any] = {"attributes": attributes, "indices": drawn_indices, "material": 0}
    mesh: dict[str, Any] = {"name": "head", "primitives": [primitive]}
    if targets:
        primitive["targets"] = [{"POSITION": accessor} for accessor in targets]
        mesh |= {"weights": [0] * len(targets), "extras": {"targetNames": list(rig.expression_names)}}
    extension = {
        "version": FORMAT_VERSION,
        "mesh": 0,
        "frameIndices": all_indices,
        "basis": rig.basis,
        "rasterizeMode": avatar.config["rasterize_mode"],
        "shFrame": avatar.config["sh_frame"],
        **header,
        "chunks": chunks,
        "poseCorrectives": correctives,
        **({} if joint_dirs is None else {"jointDirs": joint_dirs}),
        **_rig_header(builder, rig),
    }
    used = ["KHR_mesh_quantization", "KHR_materials_unlit", EXTENSION]
    builder.document.update(
        meshes=[mesh],
        extensionsUsed=used,
        extensionsRequired=used[:1],
        extensions={EXTENSION: extension},
    )
    return builder


def _hidden(rig: Rig) -> torch.Tensor:
    hidden = torch.zeros(len(rig.faces), dtype=torch.bool)
    for name in HIDDEN_REGIONS:
        if name in rig.regions:
            hidden |= rig.regions[name]
    return hidden


def _hidden_faces_last(rig: Rig, face: torch.Tensor) -> tuple[Rig, torch.Tensor]:
    """The same rig with the faces that are not drawn at the end, and the splats' faces to match."""
    order = torch.argsort(_hidden(rig).to(torch.uint8), stable=True)
    place = torch.argsort(order)
    landmarks = rig.landmarks and Landmarks(rig.landmarks.names, place[rig.landmarks.faces], rig.landmarks.barycentrics)
    moved = Rig(
        vertices=rig.vertices, faces=rig.faces[order], expressions=rig.expressions, basis=rig.basis,
        expression_names=rig.expression_names, joints=rig.joints, joint_names=rig.joint_names, parents=rig.parents,
        weights=rig.weights, regions={name: mask[order] for name, mask in rig.regions.items()},
        landmarks=landmarks, pose_dirs=rig.pose_dirs, drivers=rig.drivers, joint_dirs=rig.joint_dirs,
    )  # fmt: skip
    return moved, place[face]


def _vertex_colors(avatar: SplatAvatar, rig: Rig, world: Any) -> NDArray:
    """(V, 3) display sRGB of the plain head: the mean of the nearest splats."""
    coloured = ~np.isin(avatar.layer.numpy(), COLORLESS_LAYERS)
    coloured = coloured if coloured.any() else np.ones_like(coloured)
    colors = world.colors.numpy()[coloured].clip(0, 1)
    nearest = cKDTree(world.means.numpy()[coloured]).query(rig.vertices.numpy(), min(8, len(colors)))[1]
    return colors[nearest.reshape(len(rig.vertices), -1)].mean(1)


def _quantize(avatar: SplatAvatar, face: torch.Tensor) -> tuple[QuantizedSplats, dict[str, Any]]:
    """All splats as integers, and the part of the extension that turns them back into numbers."""
    means, log_scales = avatar.means.detach().numpy(), avatar.log_scales.detach().numpy()
    layer = avatar.layer.numpy()
    ranges = layer_ranges(means, log_scales, layer, len(Layer))
    sh = avatar.sh.detach().numpy()
    colors = SH_C0 * sh[:, 0] + 0.5
    low, high = (float(np.float32(bound)) for bound in (min(colors.min(), 0), max(colors.max(), 1)))
    color_range = [max(low, COLOR_LIMITS[0]), min(high, COLOR_LIMITS[1])]
    rest = sh[:, 1:].reshape(len(sh), -1)
    sh_reach = float(np.float32(max(np.abs(rest).max(), 1e-6))) if rest.size else 0.0
    splats = QuantizedSplats(
        rotation=pack_quaternions(avatar.quats.detach().numpy()),
        mean=quantize_means(means, layer, ranges),
        face=face.numpy().astype("<u2"),
        layer=layer,
        scale=quantize_scales(log_scales, layer, ranges),
        color=quantize_unit(colors, *color_range),
        opacity=quantize_unit(torch.sigmoid(avatar.opacity_logits.detach()).numpy(), 0, 1),
        sh=quantize_unit(rest, -sh_reach, sh_reach) if rest.size else np.zeros((len(sh), 0), np.uint8),
    )
    layers = [
        {
            "name": kind.name.lower(),
            "count": int((layer == kind).sum()),
            "mean": list(entry.mean),
            "logScale": list(entry.log_scale),
            "logStep": list(entry.log_step),
        }
        for kind, entry in zip(Layer, ranges, strict=True)
    ]
    header = {
        "count": len(face),
        "layers": layers,
        "colorRange": color_range,
        "shCoefficients": sh.shape[1],
        "shRange": sh_reach,
    }
    return splats, header


def _write_chunk(builder: GlbBuilder, splats: QuantizedSplats, order: NDArray[np.intp]) -> dict[str, int]:
    return {"bufferView": builder.view(encode_chunk(splats.take(order))), "count": len(order)}


def _rig_header(builder: GlbBuilder, rig: Rig) -> dict[str, Any]:
    framing = portrait_framing(rig)
    names = sorted(rig.regions)
    header: dict[str, Any] = {
        "drivers": [
            {"expression": d.expression, "joint": d.joint, "axis": list(d.axis), "radians": d.radians}
            for d in rig.drivers
        ],
        "groups": expression_groups(rig),
        "controls": joint_controls(rig),
        "camera": {
            "target": list(framing.target),
            "distance": framing.distance,
            "fovDegrees": framing.fov_degrees,
            "pitchDegrees": PORTRAIT_PITCH_DEGREES,
        },
        "regions": [],
    }
    if names:
        masks = np.packbits(np.stack([rig.regions[name].numpy() for name in names]), axis=1, bitorder="little")
        header |= {"regions": names, "regionBits": builder.view(masks)}
    if rig.landmarks is not None:
        header["landmarks"] = {
            "names": list(rig.landmarks.names),
            "faces": builder.array(rig.landmarks.faces.numpy().astype("<u2"), "SCALAR"),
            "barycentrics": builder.array(rig.landmarks.barycentrics.numpy().astype("<f4"), "VEC3"),
        }
    return header
