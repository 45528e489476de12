"""Runs that were handed to Hugging Face: started there, looked at, ended and fetched back with the visitor's login."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from huggingface_hub import JobStage

from pipeline.errors import UserError
from pipeline.files import whole_file
from pipeline.jobs import hf_jobs
from pipeline.jobs.config import RunConfig
from pipeline.jobs.hf_jobs import FLAVORS, LONGEST_HOURS, HandedOver, handed_over
from pipeline.stages.config import RefinementConfig
from ui.run_cost import in_words, seconds_of, seconds_of_run

SEEN = "seen.json"
"""What was last seen of a job, beside the run folder."""
TERAFLOPS = {"a100-large": 65.0, "l40sx1": 80.0, "a10g-large": 25.0, "l4x1": 25.0}
"""What half-precision networks get out of the machines, roughly."""
NAMES = {"a100-large": "A100", "l40sx1": "L40S", "a10g-large": "A10G", "l4x1": "L4"}
START_SECONDS = 900.0
"""Until a job counts: its image, the packages, the models."""
MARGIN = 3.0
"""A job is ended after that many times the guess: long enough for a bad guess, short enough for a small bill."""
LOG_LINES, LONGEST_LINE = 8, 300
NOT_LOOKED = "It is in the hands of Hugging Face, in your account. Press Look to see how far it is."


@dataclass(frozen=True)
class Sight:
    """What was last seen of a job."""

    stage: str = ""
    message: str = ""
    phase: str = ""
    step: int = 0
    steps: int = 0
    done: int = 0
    log: list[str] = field(default_factory=list)
    """The last lines that a job printed which failed."""

    @property
    def ended(self) -> bool:
        """Whether the job does no more."""
        return self.stage in hf_jobs.ENDED


def flavor_choices(config: RefinementConfig) -> list[tuple[str, str]]:
    """Label and name of every machine, with time and price."""
    return [(f"{NAMES[name]}: {_price_words(config, name)}", name) for name in FLAVORS]


def hand_over(folder: Path, config: RunConfig, token: str, flavor: str) -> None:
    """Start a job on a run, which ends after a few times the guess; what was seen of an earlier job is forgotten.

    Raises `UserError` as `hf_jobs.hand_over` does.
    """
    if flavor not in FLAVORS:
        raise UserError(f"there is no machine {flavor!r}; there is {', '.join(FLAVORS)}")
    hours = (START_SECONDS + MARGIN * seconds_of_run(config, TERAFLOPS[flavor])) / 3600
    hf_jobs.hand_over(folder, token, flavor=flavor, hours=min(LONGEST_HOURS, hours))
    (folder.parent / SEEN).unlink(missing_ok=True)


def look(folder: Path, token: str) -> Sight:
    """See how a job is, note it, and fetch the head when it is finished. Raises `UserError`."""
    handed = _handed(folder)
    seen = hf_jobs.look(handed, token)
    state = seen.state
    sight = Sight(seen.stage, seen.message, log=_last_words(handed, token, seen.stage))
    if state is not None:
        sight = replace(sight, phase=state.phase, step=state.step, steps=state.steps, done=state.done)
    with whole_file(folder.parent / SEEN, durable=False) as partial:
        partial.write_text(json.dumps(asdict(sight)), encoding="utf-8")
    if state is not None and state.status == "finished":
        hf_jobs.fetch_result(handed, token, folder)
    return sight


def end(folder: Path, token: str) -> None:
    """End a job, unless it has ended. Raises `UserError`."""
    if not look(folder, token).ended:
        hf_jobs.cancel(_handed(folder), token)
        with suppress(UserError):
            look(folder, token)


def last_sight(folder: Path) -> Sight:
    """What was last seen of a job; nothing before the first look."""
    try:
        return Sight(**json.loads((folder.parent / SEEN).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Sight()


def _last_words(handed: HandedOver, token: str, stage: str) -> list[str]:
    if stage == JobStage.ERROR:
        with suppress(UserError):
            return [line[:LONGEST_LINE] for line in hf_jobs.log(handed, token, LOG_LINES)]
    return []


def _handed(folder: Path) -> HandedOver:
    handed = handed_over(folder)
    if handed is None:
        raise UserError("this run was not handed to Hugging Face")
    return handed


def _price_words(config: RefinementConfig, flavor: str) -> str:
    seconds = START_SECONDS + seconds_of(config, TERAFLOPS[flavor])
    return f"about {in_words(seconds)}, ${max(0.1, seconds / 3600 * FLAVORS[flavor]):.2f}"
