"""Freed memory goes back to the system."""

from __future__ import annotations

import ctypes
import sys

M_ARENA_MAX = -8
"""mallopt's name for how many pools there may be (malloc.h of the GNU library)."""
MOST_POOLS = 2
"""One for each of few cores: Gradio's 40 threads share them."""


def share_pools() -> None:
    """Let all threads that are yet to come take their memory from a few pools, so that less of it lies idle in each.

    To be called before the page starts its threads. Other C libraries do not have such pools.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(M_ARENA_MAX, MOST_POOLS)


def give_back_freed_memory() -> None:
    """Hand back what the C library keeps for later: a few milliseconds, and hundreds of megabytes after some heads.

    The GNU library keeps in each pool what its largest head took. Other systems and libraries return large blocks by
    themselves.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)
