"""An avatar on a licensed model, stored without the model: its identity, the splats, and what only this avatar has.

config.json holds the identity and the counts, the safetensors the splats and the meshes that were added to the model
(a cage of hair): nothing from which a vertex, a shape, a weight or an expression of the model could be read.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipeline.avatar import SplatAvatar
from pipeline.avatar_checks import CHOICES
from pipeline.formats.fitted_params import FIELDS
from pipeline.heads.rig import Fit, ModelIdentity, Rig
from pipeline.heads.rig_tools import append_mesh

SPLATS = ("means", "quats", "log_scales", "opacity_logits", "sh", "face", "layer")
ADDED_REGION = "hair_cage"
ADDED = ("added_vertices", "added_faces", "added_weights")
MOST_SPLATS, MOST_ADDED = 4_000_000, 65535
LARGEST_SHAPE = 300


def save_without_model(avatar: SplatAvatar, config_file: Path, weights_file: Path) -> None:
    """Write both files; ``avatar.rig.model`` says which person of which model it is."""
    rig = avatar.rig
    assert rig.model is not None
    tensors = {name: getattr(avatar, name).detach().contiguous() for name in SPLATS}
    tensors |= dict(zip(ADDED, _added(rig), strict=True))
    config = {
        "model": asdict(rig.model),
        "num_splats": len(avatar.face),
        "num_vertices": len(rig.vertices),
        "num_faces": len(rig.faces),
        **{name: avatar.config[name] for name in CHOICES},
    }
    config_file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    save_file(tensors, weights_file)


def is_without_model(config_file: Path) -> bool:
    """Whether a config.json is one of `save_without_model`."""
    config = json.loads(config_file.read_text(encoding="utf-8"))
    return isinstance(config, dict) and "model" in config


def load_with_model(config_file: Path, weights_file: Path) -> SplatAvatar:
    """The avatar again, from the model file of this machine.

    Raises `UserError` when that file is not there, and `ValueError`, `KeyError`, `TypeError` for damaged files.
    """
    config = json.loads(config_file.read_text(encoding="utf-8"))
    for name, allowed in CHOICES.items():
        if config[name] not in allowed:
            raise ValueError(f"{name} is {config[name]!r}, not one of {', '.join(map(str, allowed))}")
    with safe_open(weights_file, framework="pt") as weights:
        _check_shapes(weights, config)
        tensors = {name: weights.get_tensor(name) for name in (*SPLATS, *ADDED)}
    rig = _whole_rig(_identity(config["model"]), *(tensors[name] for name in ADDED))
    if (len(rig.vertices), len(rig.faces)) != (config["num_vertices"], config["num_faces"]):
        raise ValueError(f"its splats hang on {config['num_faces']} triangles, this version gives {len(rig.faces)}")
    if int(tensors["face"].max()) >= len(rig.faces) or int(tensors["face"].min()) < 0:
        raise ValueError("a splat hangs on a triangle that is not there")
    return SplatAvatar.from_parts(
        rig,
        **{name: tensors[name] for name in SPLATS},
        rasterize_mode=config["rasterize_mode"],
        sh_frame=config["sh_frame"],
    )


def _added(rig: Rig) -> tuple[Tensor, Tensor, Tensor]:
    """The vertices, faces and weights of the mesh that was added last; empty where there is none."""
    mask = rig.regions.get(ADDED_REGION, torch.zeros(len(rig.faces), dtype=torch.bool))
    faces = rig.faces[mask]
    if not len(faces):
        return rig.vertices[:0], faces, rig.weights[:0]
    first = int(faces.min())
    return rig.vertices[first:].contiguous(), faces - first, rig.weights[first:].contiguous()


def _whole_rig(identity: ModelIdentity, vertices: Tensor, faces: Tensor, weights: Tensor) -> Rig:
    rig = _stored_rig(identity)
    return append_mesh(rig, vertices, faces, weights, ADDED_REGION) if len(faces) else rig


def _stored_rig(identity: ModelIdentity) -> Rig:
    if identity.assets:
        from pipeline.heads.fitted_person import stored_fitted_person  # smplx takes a second to import

        return stored_fitted_person(identity)
    from pipeline.heads.licensed_person import stored_person

    return stored_person(identity).rig


def _identity(stored: dict[str, Any]) -> ModelIdentity:
    """Avatars that were stored before have neither assets nor fit."""
    shape = _numbers(stored["shape"])
    kind, release, content = (str(stored[name]) for name in ("kind", "release", "content"))
    assets, fit = str(stored.get("assets", "")), stored.get("fit")
    if bool(assets) != (fit is not None):
        raise ValueError("it has one of assets and fit without the other")
    return ModelIdentity(kind, release, content, shape, assets, None if fit is None else _fit(fit))


def _fit(stored: dict[str, Any]) -> Fit:
    fit = {name: _numbers(stored[name]) for name in FIELDS}
    for name, (_, size) in FIELDS.items():
        if len(fit[name]) != size:
            raise ValueError(f"its {name} has {len(fit[name])} numbers, not {size}")
    return Fit(**fit)


def _numbers(stored: list[Any]) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in stored)
    if len(numbers) > LARGEST_SHAPE or not all(map(math.isfinite, numbers)):
        raise ValueError(
            f"a list of {len(numbers)} coefficients is too long or not finite; {LARGEST_SHAPE} are the most"
        )
    return numbers


def _check_shapes(weights: Any, config: dict[str, Any]) -> None:
    """Raise `ValueError` before anything is read that is not as large as it should be."""
    count = int(config["num_splats"])
    if not 0 < count <= MOST_SPLATS:
        raise ValueError(f"it claims {count} splats; at most {MOST_SPLATS} are read")
    wanted: dict[str, tuple[int, ...]] = {
        "means": (count, 3), "quats": (count, 4), "log_scales": (count, 3), "opacity_logits": (count,),
        "sh": (count, int(config["sh_coefficients"]), 3), "face": (count,), "layer": (count,),
    }  # fmt: skip
    for name in (*SPLATS, *ADDED):
        shape = tuple(weights.get_slice(name).get_shape())
        if name in wanted and shape != wanted[name]:
            raise ValueError(f"{name} is {shape} in the weights, config.json asks for {wanted[name]}")
        if name in ADDED and (len(shape) != 2 or shape[0] > MOST_ADDED):
            raise ValueError(f"{name} is {shape}, which is no mesh")
