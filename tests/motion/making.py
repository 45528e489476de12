"""Clips and files for the tests."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.motion import Motion
from pipeline.motion.motion import still


def a_motion(frames: int = 5, basis: str = "flame2023", width: int = 100, seed: int = 0, **changes: object) -> Motion:
    """A clip of seeded small values; ``changes`` replace fields."""
    generator = torch.Generator().manual_seed(seed)
    fields: dict[str, object] = {
        "fps": 25.0,
        "basis": basis,
        "expression": torch.rand(frames, width, generator=generator),
    }
    fields |= {name: torch.randn(frames, 3, generator=generator) * 0.2 for name in still(frames)}
    return Motion(**(fields | changes))  # type: ignore[arg-type]


def pose_array(frames: int = 5, seed: int = 0) -> np.ndarray:
    """(T, 15) float32 small rotations."""
    return (np.random.default_rng(seed).normal(size=(frames, 15)) * 0.1).astype(np.float32)


def expression_array(frames: int = 5, width: int = 100, seed: int = 1) -> np.ndarray:
    """(T, width) float32 coefficients."""
    return np.random.default_rng(seed).normal(size=(frames, width)).astype(np.float32)
