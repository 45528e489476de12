"""What the diffusion model is told of a view: the person, and gradually from where."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.guidance.prompts import DIRECTIONS, NULL, Encode, PromptBatch


def described(prompt: str, prefix: str) -> str:
    """The sentence with the words before it that Portrait3D's prompts begin with, unless it has them."""
    words = prompt.strip()
    return words if words.lower().startswith(prefix.lower()) else f"{prefix}, {words}".rstrip(", ")


class ViewPrompts:
    """The embeddings of one person's texts, from where it is seen mixed in by the azimuth."""

    def __init__(self, encode: Encode, prompt: str, negative: str) -> None:
        """``negative`` is what edited views should not look like; the distillation has none."""
        texts = [*(f"{direction} view {prompt}" for direction in DIRECTIONS), prompt, negative, NULL]
        with torch.no_grad():
            embeds = encode(texts).split(1)
        self._views, (self._plain, self._negative, self._null) = embeds[:3], embeds[3:]

    def seen_from(self, azimuth: float) -> PromptBatch:
        """One row: "front view", "side view" and "back view" mixed linearly by degrees from the front, -180..180.

        Source: Portrait3D, section 3.4, as its code has it: front at 0, side at 90, back at 180 degrees.
        """
        front, side, back = self._views
        turn = abs(azimuth) / 90
        mixed = torch.lerp(front, side, turn) if turn <= 1 else torch.lerp(side, back, turn - 1)
        return PromptBatch(mixed, self._null, self._null)

    def plain(self, count: int) -> PromptBatch:
        """So many rows without a word about the view, and with the negative text."""

        def rows(embed: Tensor) -> Tensor:
            return embed.expand(count, -1, -1)

        return PromptBatch(rows(self._plain), rows(self._negative), rows(self._null))
