"""Prompt to avatar, process warm; the peer is the Anny package's own posed mesh (no hair, no skin), also warm."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import anny

from benchmarks.figure import Figure, best_ms
from benchmarks.heads import PROMPTS
from pipeline.animportrait3d import AnimPortrait3DPipeline
from pipeline.avatar_folder import save_avatar_folder


def run() -> list[Figure]:
    """Seconds, the slowest prompt of the set; and the same with the avatar folder written."""
    pipe = AnimPortrait3DPipeline()
    pipe("a man", seed=0)
    peer = anny.Anny(local_changes="default", facial_actions="all", phenotypes="all")
    peer_seconds = best_ms(lambda: peer(), repeats=5) / 1e3
    built, written = 0.0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        for seed, prompt in enumerate(PROMPTS.values()):
            started = time.perf_counter()
            output = pipe(prompt, seed=seed + 1)
            built = max(built, time.perf_counter() - started)
            save_avatar_folder(output.avatars[0], output.recipes[0], Path(folder) / str(seed))
            written = max(written, time.perf_counter() - started)
    return [
        Figure("prompt to avatar, slowest of four", built, "s", 2.0, "Anny 0.6 forward, mesh only", peer_seconds),
        Figure("prompt to avatar folder on disk, slowest of four", written, "s", 3.0),
    ]
