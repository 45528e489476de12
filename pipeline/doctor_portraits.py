"""What of Portrait3D is on this machine: the decoder that draws portraits, the generator that makes them of text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.errors import UserError
from pipeline.finding import MISSING, WORKS, Finding
from pipeline.priors.portrait3d.weights import DECODER, GENERATOR, find_generator, find_painter, how_to_get

SECTION = "portraits"


def portraits() -> list[Finding]:
    """Both files, looked for in the folders that the operator names; neither is read."""
    return [
        _file("decoder", find_painter, DECODER, "rigs gallery files of Portrait3D", "no gallery file can be drawn"),
        _file("generator", find_generator, GENERATOR, "makes portraits from text", "no portrait is made from text"),
    ]


def _file(name: str, find: Callable[[], Path], published: str, use: str, lack: str) -> Finding:
    try:
        return Finding(SECTION, f"Portrait3D {name}", WORKS, use, where=str(find()))
    except UserError:
        return Finding(SECTION, f"Portrait3D {name}", MISSING, lack, how_to_get(published))
