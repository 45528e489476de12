"""A run in the page's words: what its line, its picture and its log say, and what can be done with it."""

from __future__ import annotations

import re
import time
from typing import Any

from pipeline.jobs.config import RunConfig
from ui.cards import picture_url
from ui.run_cards import RunCard
from ui.run_cost import in_words
from ui.run_jobs import NOT_LOOKED, last_sight
from ui.runs import Run, Runs
from ui.sentences import capitalised

RECIPES = {"animportrait3d": "AnimPortrait3D", "headstudio": "HeadStudio"}
LENGTHS = {"Quick look": 0.02, "Draft": 0.1, "As published": 1.0}
"""Share of the published steps."""
STATES = {
    "waiting": "Waiting", "running": "Running", "stopped": "Stopped", "failed": "Failed", "finished": "Finished",
}  # fmt: skip
WORKS = {
    "start": "Making the head to start from", "models": "Loading the diffusion model", "avatar": "Writing the head",
    "video": "Filming the head", "views": "Looking at the portrait from all around",
    "surface": "Finding its surface and laying a head over it", "normals": "Seeing which way it looks everywhere",
    "refined_surface": "Sharpening the surface", "picture": "Painting pictures of the person",
    "portrait": "Laying the best picture straight", "inverted": "Finding it in the generator",
    "distilled": "Shaping it by the sentence", "refined": "Sharpening it", "refined views": "Repainting views of it",
}  # fmt: skip
"""What a worker does besides the steps of phases."""
PHASES = {
    "mesh_normals": "Sharpening the surface", "initialization": "Fitting the splats",
    "inversion": "Finding the portrait in the generator", "sds": "Shaping by the sentence", "view_fit": "Sharpening",
}  # fmt: skip
"""Phases that make a start; those of a recipe are told by their names."""
HEADS = {"anny": "the free head"}
PIECE = re.compile(r"(?P<work>\w+?)_(?P<number>\d+)")
"""The name of a piece of work, e.g. ``views_3``."""
TOLD = {"note", "resume", "checkpoint", "step"}
AGAIN = "Hand over again"
LOG_LINES = 8
LOG_EVENTS = 40
"""Events that are read for those lines."""


def card_of(runs: Runs, run: Run) -> RunCard:
    """What the page shows of a run."""
    if run.job is not None and not run.finished:
        return _job_card(runs, run)
    state, waits = run.state, runs.line.has(run)
    status = "waiting" if waits else "stopped" if state.status == "waiting" and not run.is_starting else state.status
    picture = runs.preview(run)
    return RunCard(
        id=run.id,
        title=title_of(run.config),
        recipe=recipe_words(run.config),
        status=status,
        state="Stopping" if runs.line.is_stopping(run) else STATES[status],
        step=_ahead(runs.line.ahead_of(run)) if waits else step_words(run),
        share=1.0 if status == "finished" else min(1.0, state.done / max(1, state.total)),
        picture=picture_url(picture),
        log=log_lines(run),
        note=capitalised(sentence) if (sentence := own_words(run, state.sentence)) else "",
        link=run.job.url if run.job else "",
        actions=actions_of(status),
    )


def _job_card(runs: Runs, run: Run) -> RunCard:
    """A run in the hands of Hugging Face, as it was last seen."""
    sight = last_sight(run.folder.path)
    stage = f"The job is {sight.stage.lower()}. {capitalised(sight.message) if sight.message else ''}".strip()
    return RunCard(
        id=run.id,
        title=title_of(run.config),
        recipe=recipe_words(run.config),
        status="elsewhere",
        state="At Hugging Face",
        step=f"{phase_words(sight.phase)}: step {sight.step} of {sight.steps}" if sight.steps else "",
        share=min(1.0, sight.done / max(1, run.config.total)),
        picture=picture_url(runs.preview(run)),
        log=sight.log,
        note=stage if sight.stage else NOT_LOOKED,
        link=run.job.url if run.job else "",
        actions=["resume", "config", "delete"] if sight.ended else ["look", "stop", "config", "delete"],
        resume=AGAIN,
    )


def recipe_words(config: RunConfig) -> str:
    """Recipe and length."""
    if config.refinement is None:
        return f"{_start_words(config)} on {HEADS.get(config.head, config.head)}"
    lengths = {scale: name for name, scale in LENGTHS.items()}
    length = lengths.get(config.num_steps_scale, f"{config.num_steps_scale:g} × the published steps")
    return f"{RECIPES.get(config.recipe, config.recipe)} · {length} · seed {config.seed}"


def title_of(config: RunConfig) -> str:
    """The sentence; of a portrait without one the name of its file."""
    return config.prompt or next(iter(config.portrait.files if config.portrait else ()), "A portrait")


def _start_words(config: RunConfig) -> str:
    if config.portrait is None:
        return "A portrait by Portrait3D"
    return "A portrait of Portrait3D" if config.portrait.kind == "trigrid" else "The look of another head"


def step_words(run: Run) -> str:
    """How far a run is, and how long it still takes."""
    state = run.state
    if not state.phase or state.status == "finished":
        return f"Took {in_words(state.seconds)}" if state.status == "finished" else ""
    work = _work_words(state.phase)
    if work:
        told = f": {state.step} of {state.steps}" if state.steps else ""
        return work + told if state.status == "running" else ""
    told = f"{phase_words(state.phase)}: step {state.step} of {state.steps}"
    if state.status == "running" and state.seconds_left is not None:
        told += f"; about {in_words(state.seconds_left)} left"
    return told


def _work_words(name: str) -> str:
    """What is done between the steps of phases; empty where the name is that of a phase."""
    piece = PIECE.fullmatch(name)
    return WORKS.get(piece["work"] if piece else name, "")


def phase_words(phase: str) -> str:
    """``mouth_ism`` → ``Mouth ISM``."""
    if phase in PHASES:
        return PHASES[phase]
    words = [word.upper() if word in ("ism", "sds", "dsd") else word for word in phase.split("_")]
    return capitalised(" ".join(words)).removesuffix(".").replace("sdedit", "SDEdit")


def log_lines(run: Run) -> list[str]:
    """The last lines, each with its time of day."""
    events = [event for event in run.folder.events(LOG_EVENTS) if event.get("kind") in TOLD]
    return [line for event in events[-LOG_LINES:] if (line := _event_words(run, event))]


def own_words(run: Run, sentence: str) -> str:
    """A sentence of the runner with phases named for people, without this machine's folders."""
    path, phase = str(run.folder.path), run.state.phase
    sentence = sentence.replace(f" of {phase};", f" of {phase_words(phase)};")
    return sentence.replace(f"--resume {path}", "Resume").replace(path, "the run")


def actions_of(status: str) -> list[str]:
    """What can be done with a run, the most likely first."""
    first = {"waiting": "stop", "running": "stop", "stopped": "resume", "failed": "resume", "finished": "open"}[status]
    return [first, "config", "delete"]


def _ahead(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'} before it" if count else "Its turn comes at once"


def _event_words(run: Run, event: dict[str, Any]) -> str:
    kind, phase = event["kind"], phase_words(str(event.get("phase", "")))
    told = {
        "note": own_words(run, str(event.get("sentence", ""))),
        "resume": f"resumed in {phase}",
        "checkpoint": f"kept after {event.get('done')} steps",
        "step": f"{phase} {event.get('step')}  {_losses(event.get('losses'))}",
    }[kind]
    try:
        clock = time.strftime("%H:%M:%S", time.localtime(float(event.get("time", 0))))
    except (TypeError, ValueError, OverflowError, OSError):
        return told
    return f"{clock}  {told}"


def _losses(losses: Any) -> str:
    if not isinstance(losses, dict):
        return ""
    return "  ".join(f"{name} {value:.4g}" for name, value in losses.items() if isinstance(value, int | float))
