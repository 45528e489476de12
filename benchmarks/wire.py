"""Bytes of the streamed avatar; the peer is the same splats as a plain 3DGS PLY, both gzipped as a server would."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import torch

from benchmarks.figure import Figure
from benchmarks.heads import PROMPTS, head
from pipeline.formats.glb import write_avatar_glb
from pipeline.formats.ply import write_ply


def run() -> list[Figure]:
    """Megabytes of the largest of the heads, scaled to 80k splats with the rig."""
    figures = []
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        for kind in PROMPTS:
            avatar = head(kind)
            glb, ply = Path(folder) / "avatar.glb", Path(folder) / "avatar.ply"
            write_avatar_glb(avatar, glb)
            write_ply(avatar.gaussians(avatar.rig.vertices), ply)
            name = f"avatar.glb on the wire, {kind}, {len(avatar.face):,} splats with rig"
            figures.append(Figure(name, _megabytes(glb), "MB", 2.5, "3DGS PLY of one pose", _megabytes(ply)))
    return figures


def _megabytes(path: Path) -> float:
    return len(gzip.compress(path.read_bytes(), 6)) / 1e6
