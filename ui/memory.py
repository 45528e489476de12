"""Freed memory goes back to the system."""

from __future__ import annotations

import ctypes
import sys


def give_back_freed_memory() -> None:
    """Hand back what the C library keeps for later: a few milliseconds, and hundreds of megabytes after some heads.

    The GNU library keeps a pool per thread, as large as the thread's largest head, and Gradio has 40 threads. Other
    systems and libraries return large blocks by themselves.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)
