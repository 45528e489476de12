"""CLIP score: how well pictures fit the prompt (Hessel et al., "CLIPScore", 2021, without its factor 2.5).

HeadStudio's table 1 has the mean cosine of the picture's and the text's embedding for CLIP ViT-L/14, B/16 and B/32.
Weights are never fetched here: a score is given where they are on this machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
from PIL import Image
from safetensors import SafetensorError
from torch.nn.functional import normalize

from pipeline.errors import UserError
from pipeline.rendering.portrait import Picture

MODELS = ("openai/clip-vit-large-patch14", "openai/clip-vit-base-patch16", "openai/clip-vit-base-patch32")
"""Those of HeadStudio's table."""
BATCH = 8


class ClipScore:
    """One CLIP model, from a folder in transformers' layout or from the Hub's cache on this machine."""

    def __init__(self, model: str) -> None:
        """Raises `UserError` where ``model`` is neither, or cannot be read."""
        from transformers import CLIPModel, CLIPProcessor

        self.name = Path(model).name if Path(model).is_dir() else model
        try:
            self._model = CLIPModel.from_pretrained(model, local_files_only=True, use_safetensors=True).eval()
            self._processor = CLIPProcessor.from_pretrained(model, local_files_only=True)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise UserError(
                f"there is no CLIP model {model!r} on this machine (safetensors, a folder or in the Hub's cache); "
                f"fetch one with: hf download {MODELS[0]}"
            ) from error

    @torch.no_grad()
    def score(self, pictures: Sequence[Picture], prompt: str) -> float:
        """Mean cosine of ``pictures`` (H, W, 3) uint8 and ``prompt``, which is cut where CLIP's 77 tokens end."""
        text = self._processor(text=[prompt], return_tensors="pt", truncation=True)
        words = normalize(self._model.get_text_features(**text).pooler_output, dim=-1)
        cosines = []
        for start in range(0, len(pictures), BATCH):
            images = [Image.fromarray(picture) for picture in pictures[start : start + BATCH]]
            pixels = self._processor(images=images, return_tensors="pt")
            seen = normalize(self._model.get_image_features(**pixels).pooler_output, dim=-1)
            cosines.append((seen @ words.T)[:, 0])
        return float(torch.cat(cosines).mean())


def clip_models(names: Sequence[str] | None) -> list[ClipScore]:
    """The models of these ``names`` (folders, or ids in the Hub's cache); without names, those of `MODELS` found there.

    Raises `UserError` for a name that is neither.
    """
    if names is not None:
        return [ClipScore(name) for name in names]
    found = []
    for model in MODELS:
        with suppress(UserError):
            found.append(ClipScore(model))
    return found
