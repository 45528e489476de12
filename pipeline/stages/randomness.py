"""Random numbers that depend on what they are for, not on what was drawn before."""

from __future__ import annotations

import hashlib

import torch


def generator(seed: int, *names: str | int) -> torch.Generator:
    """A generator for one purpose, e.g. ``generator(seed, "full_ism", step, view)``.

    Equal arguments give equal numbers in every process and after every restart, so that a checkpoint keeps no state of
    generators and views can be shared out. It draws on the CPU, whose numbers are the same on every machine.
    """
    words = repr((seed, *names)).encode()
    key = int.from_bytes(hashlib.sha256(words).digest()[:8], "little")
    return torch.Generator().manual_seed(key & (2**63 - 1))
