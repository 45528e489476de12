"""Runs that put a static portrait on a rig: from a file that somebody brought, or from a card of the gallery."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UserError
from pipeline.jobs.config import RunConfig
from pipeline.jobs.making import check_request
from pipeline.jobs.starting import described
from pipeline.portraits import find_portrait
from pipeline.priors.portrait3d.weights import ADDRESSES, DECODER, find_painter
from pipeline.stages.initialization import PRESETS
from ui.create import checked_head
from ui.run_cost import computing, in_words, rigging_seconds
from ui.runs import Run, Runs

DECODERS = {".ckpt", ".pkl"}
"""Suffixes of a decoder's file and of the generator's, which has it too."""
READING = threading.Lock()
"""One portrait is read at a time: each takes 300 MB meanwhile."""


def start_portrait_run(
    runs: Runs, person: str, portrait: Path, prompt: str = "", *, decoder: Path | None = None, head: str = "anny"
) -> Run:
    """Keep a new run of a person that rigs a portrait, and let it wait for its turn here.

    ``portrait``: the .pth of a tri-grid, which is copied; its ``decoder`` is looked for where None. ``prompt``: who it
    shows; what lies beside the file where empty. Where the GPU is lent for minutes, nothing happens before the run is
    continued on the page. Raises `UserError` for files that cannot be used, and where there is no room or turn.
    """
    lent = computing().kind == "lent"
    if not lent:
        runs.check_turns(person)
    found = find_portrait(portrait, decoder or _decoder_for(portrait))
    with READING:
        told = described(found)
    config = RunConfig.of(
        prompt.strip() or found.prompt,
        refine=False,
        portrait=told,
        initialization="quick" if computing().kind == "cpu" else "published",
        head=checked_head(head),
    )
    check_request(config)
    run = runs.add(config, person, bring=found.copy_to)
    if not lent:
        runs.line.join(run)
    return run


def _decoder_for(portrait: Path) -> Path | None:
    """None for an avatar folder. Raises `UserError` in the words of a page, whose visitors see no folders."""
    if portrait.is_dir():
        return None
    try:
        return find_painter(portrait.parent)
    except UserError as error:
        raise UserError(
            "drawing a portrait takes Portrait3D's decoder, which this place does not have; give the portrait and "
            f"{DECODER} together, which is at {ADDRESSES[DECODER]}"
        ) from error


def picked(files: Sequence[str | Path]) -> tuple[Path, Path | None]:
    """The portrait and the decoder among the files that somebody gave. Raises `UserError` where there is not one."""
    paths = [Path(file) for file in files]
    decoders = [path for path in paths if path.suffix.lower() in DECODERS]
    portraits = [path for path in paths if path not in decoders]
    if len(portraits) != 1 or len(decoders) > 1:
        told = ", ".join(path.name for path in paths) or "there is none"
        raise UserError(f"give one .pth of a tri-grid, and its decoder beside it if you have it (files: {told})")
    return portraits[0], decoders[0] if decoders else None


def cost_words() -> str:
    """What it takes here to rig a portrait, as Markdown."""
    at = computing()
    name = "quick" if at.kind == "cpu" else "published"
    seconds = rigging_seconds(PRESETS[name], "cpu" if at.kind == "cpu" else "gpu")
    if at.kind == "lent":
        return f"**About {in_words(seconds)} of a lent GPU**, which count against your daily quota."
    return f"**About {in_words(seconds)}** here, on {at.name}. The page may be closed meanwhile."
