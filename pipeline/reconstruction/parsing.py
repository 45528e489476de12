"""`Parser`s: what every pixel of a portrait shows, told by a semantic segmentation model of transformers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoImageProcessor, AutoModelForSemanticSegmentation

from pipeline.errors import UserError
from pipeline.reconstruction.multiview import Parser, Part
from pipeline.reconstruction.published import FACE_PARSER, PARSER_FILES

BATCH = 4
"""Pictures that are looked at together."""

_NAMES: dict[Part, str] = {
    Part.BACKGROUND: "background unlabeled",
    Part.FACE: """
        face skin nose eye_g glasses eyeglass eyeglasses sunglasses l_eye r_eye left_eye right_eye eyes l_brow r_brow
        left_eyebrow right_eyebrow mouth inner_mouth u_lip l_lip upper_lip lower_lip upper_teeth lower_teeth teeth
        tongue beard mustache face_neck
        """,
    Part.SKIN: """
        l_ear r_ear left_ear right_ear ears ear_r earring neck body_skin torso
        left_hand right_hand left_lower_arm right_lower_arm left_upper_arm right_upper_arm left_arm right_arm
        left_foot right_foot left_lower_leg right_lower_leg left_upper_leg right_upper_leg left_leg right_leg
        """,
    Part.HAIR: "hair hat headwear head_cover",
    Part.CLOTH: """
        cloth clothes clothing neck_l necklace apparel upper_clothing upper_clothes lower_clothing dress coat scarf
        skirt pants belt bag left_shoe right_shoe left_sock right_sock
        """,
}
PARTS: dict[str, Part] = {name: part for part, names in _NAMES.items() for name in names.split()}
"""The classes of CelebAMask-HQ, of Sapiens (Goliath: its face and neck are one) and of ATR, by their plain names."""


def find_parser(device: torch.device | str = "cpu") -> Parser | None:
    """The face parser from this machine's cache of the Hub; None where its files are not. Never asks the network.

    Raises `UserError` as `load_parser` does.
    """
    paths = [try_to_load_from_cache(file.repo_id, file.filename, revision=file.revision) for file in PARSER_FILES]
    folders = {Path(path).parent for path in paths if isinstance(path, str)}
    if len(folders) != 1 or not all(isinstance(path, str) for path in paths):
        return None
    return load_parser(folders.pop(), device)


def load_parser(folder: Path, device: torch.device | str = "cpu") -> Parser:
    """A parser from a folder that holds a semantic segmentation model in transformers' layout, as safetensors.

    Pictures (C, H, W, 3) uint8 → (C, H, W) uint8 `Part`, by the model's own preparation of pictures and its own names
    of classes.
    Raises `UserError` for a folder without such a model, a damaged one, or classes of unknown names.
    """
    try:
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        processor = AutoImageProcessor.from_pretrained(folder, **options)
        model = AutoModelForSemanticSegmentation.from_pretrained(folder, use_safetensors=True, **options)
    except (ImportError, OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UserError(
            f"{folder} holds no semantic segmentation model that transformers can read as safetensors ({reason}); "
            f"fetch {FACE_PARSER}, or name another"
        ) from error
    parts = parts_of(model.config.id2label)
    return _Segmentation(model.to(device).eval(), processor, parts.to(device))


def parts_of(names: Mapping[int, str]) -> Tensor:
    """(K,) uint8 `Part` of each class of a model. Raises `UserError` that lists the names that mean nothing here."""
    plain = {int(number): plain_name(name) for number, name in names.items()}
    unknown = sorted({str(names[number]) for number, name in plain.items() if name not in PARTS})
    if unknown:
        raise UserError(
            f"this model tells apart {', '.join(unknown)}, and it is not known whether that is face, skin, hair or "
            f"clothes; take a model whose classes are some of {', '.join(PARTS)}"
        )
    return torch.tensor([PARTS[plain[number]] for number in range(len(plain))], dtype=torch.uint8)


def plain_name(name: str) -> str:
    """Without the case, spaces and file endings that exports differ in."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower().removesuffix(".png")).strip("_")


class _Segmentation:
    def __init__(self, model: Any, processor: Any, parts: Tensor) -> None:
        self._model, self._processor, self._parts = model, processor, parts

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """(C, H, W, 3) uint8 → (C, H, W) uint8 `Part`, on the device of the pictures."""
        found = [self._label(batch) for batch in pictures.split(BATCH)]
        return torch.cat(found).to(pictures.device)

    def _label(self, pictures: Tensor) -> Tensor:
        size = tuple(pictures.shape[1:3])
        prepared = self._processor(images=list(pictures.cpu().numpy()), return_tensors="pt")
        logits = self._model(prepared["pixel_values"].to(self._model.device, self._model.dtype))
        classes = self._processor.post_process_semantic_segmentation(logits, [size] * len(pictures))
        return self._parts[torch.stack(classes).to(self._parts.device).long()]
