"""Stable Diffusion's text encoder as a plain function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pipeline.guidance.prompts import Encode


def clip_encoder(tokenizer: Any, text_encoder: Any, note: Callable[[str], None], device: torch.device) -> Encode:
    """Texts to the embeddings (B,77,D) that Stable Diffusion was trained with: padded, the last layer's output.

    ``note`` is told, in a sentence, which words are left out of a text that is longer than the encoder's 77 tokens.
    """
    length = tokenizer.model_max_length

    def encode(texts: list[str]) -> Tensor:
        for text in texts:
            if left_out := _left_out(tokenizer, text, length):
                note(f'the text encoder reads {length - 2} tokens; the end of the text is left out: "{left_out}"')
        tokens = tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        masked = getattr(text_encoder.config, "use_attention_mask", False)
        mask = tokens.attention_mask.to(device) if masked else None
        with torch.no_grad():
            return text_encoder(tokens.input_ids.to(device), attention_mask=mask).last_hidden_state

    return encode


def _left_out(tokenizer: Any, text: str, length: int) -> str:
    """The end of a text that does not fit between the two marks of beginning and end."""
    tokens = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids
    return tokenizer.decode(tokens[length - 2 :]).strip()
