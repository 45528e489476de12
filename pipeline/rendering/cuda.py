"""Whether splats would be drawn on a GPU here."""

from __future__ import annotations

import importlib.util
import shutil

import torch


def why_no_gpu() -> str:
    """Empty where `rasterize` draws on a GPU; else one clause on what is missing.

    Neither builds nor loads a kernel, and counts the GPU that a ZeroGPU Space would lend as there.
    """
    if not torch.cuda.is_available():
        return "there is no CUDA device"
    if importlib.util.find_spec("gsplat") is None:
        return "gsplat is not installed"
    if importlib.util.find_spec("gsplat.csrc") is None and shutil.which("nvcc") is None:
        return "gsplat's kernels need building, for which nvcc is missing"
    return ""
