"""Random numbers that depend on what they are for, not on what was drawn before."""

from __future__ import annotations

import hashlib

import torch


def generator(seed: int, *names: str | int, device: str | torch.device = "cpu") -> torch.Generator:
    """A generator for one purpose, e.g. ``generator(seed, "full_ism", step, view)``.

    Equal arguments give equal numbers in every process and after every restart, so that a checkpoint keeps no state of
    generators and views can be shared out. Draw on the CPU, whose numbers are the same on every machine, and move them.
    """
    words = repr((seed, *names)).encode()
    key = int.from_bytes(hashlib.sha256(words).digest()[:8], "little")
    return torch.Generator(device).manual_seed(key & (2**63 - 1))
