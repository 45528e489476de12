"""Runs that put a static portrait on a rig: from a file that somebody brought, or from a card of the gallery."""

from __future__ import annotations

from pathlib import Path

from pipeline.jobs.config import RunConfig
from pipeline.jobs.making import check_request
from pipeline.jobs.starting import described
from pipeline.portraits import find_portrait
from ui.create import checked_head
from ui.run_cost import computing
from ui.runs import Run, Runs


def start_portrait_run(
    runs: Runs, person: str, portrait: Path, prompt: str = "", *, decoder: Path | None = None, head: str = "anny"
) -> Run:
    """Keep a new run of a person that rigs a portrait, and let it wait for its turn here.

    ``portrait``: the .pth of a tri-grid, which is copied; its ``decoder`` is looked for where None. ``prompt``: who it
    shows; what lies beside the file where empty. Where the GPU is lent for minutes, nothing happens before the run is
    continued on the page. Raises `UserError` for files that cannot be used, and where there is no room or turn.
    """
    found = find_portrait(portrait, decoder)
    config = RunConfig.of(
        prompt.strip() or found.prompt,
        refine=False,
        portrait=described(found),
        initialization="quick" if computing().kind == "cpu" else "published",
        head=checked_head(head),
    )
    check_request(config)
    lent = computing().kind == "lent"
    if not lent:
        runs.check_turns(person)
    run = runs.add(config, person, bring=found.copy_to)
    if not lent:
        runs.line.join(run)
    return run
