"""The look of the whole head at the end, and `refine`: all stages in order."""

from __future__ import annotations

from dataclasses import replace

from accelerate import Accelerator
from torch.nn.functional import pad

from pipeline.avatar import SplatAvatar
from pipeline.guidance.guidance import Guidance
from pipeline.stages.config import Phase, RefinementConfig
from pipeline.stages.dynamic import dynamic_phases, refine_dynamic
from pipeline.stages.journal import Journal, State
from pipeline.stages.phases import run_phases
from pipeline.stages.processes import main_answers
from pipeline.stages.regions import eye_phases, mouth_phases, refine_eyes, refine_mouth
from pipeline.stages.super_dense import super_dense
from pipeline.stages.training import attributes, with_attributes


def appearance_phases(config: RefinementConfig) -> list[Phase]:
    """Phases of a configuration that fit the whole head to edited targets."""
    return [phase for phase in config.phases if phase.trained == "all" and phase.method == "sdedit"]


def refine_appearance(
    avatar: SplatAvatar,
    guidance: Guidance,
    config: RefinementConfig,
    accelerator: Accelerator,
    *,
    journal: Journal = Journal(),  # noqa: B008 — keeps nothing
    state: State | None = None,
) -> SplatAvatar:
    """All splats by pictures that the diffusion model has edited, which sharpens what distillation left soft.

    The avatar that comes in stays as it is. ``state`` is of an interrupted attempt at one of these phases.
    Raises `Interrupted` and `UserError` as `pipeline.stages.fitting.fit` does.
    """
    return run_phases(appearance_phases(config), avatar, guidance, config, accelerator, journal, state)


STAGES = (
    (eye_phases, refine_eyes),
    (mouth_phases, refine_mouth),
    (dynamic_phases, refine_dynamic),
    (appearance_phases, refine_appearance),
)
"""Which phases each stage runs."""


def refine(
    avatar: SplatAvatar,
    guidance: Guidance,
    config: RefinementConfig,
    accelerator: Accelerator,
    journal: Journal = Journal(),  # noqa: B008 — keeps nothing
) -> SplatAvatar:
    """Run the phases of ``config`` in their order, from where the journal was left.

    The avatar that comes in stays as it is; it is the same one when an interrupted refinement goes on. Each phase
    belongs to the stage that trains what it trains. Of several processes the journal of the first counts.

    Raises:
        Interrupted: the journal asked to stop.
        UserError: as `fit` does.
    """
    names = [phase.name for phase in config.phases]
    phases, state = _left(config, main_answers(lambda: journal.resume(names), accelerator))
    avatar = _begun(avatar, config)
    for phase in phases:
        stage = next(stage for belongs, stage in STAGES if phase in belongs(config))
        alone = replace(config, phases=(phase,))
        avatar = stage(avatar, guidance, alone, accelerator, journal=journal, state=state)
        state = None
    return avatar


def _begun(avatar: SplatAvatar, config: RefinementConfig) -> SplatAvatar:
    """What the first phase begins with: the avatar, or new splats on its head.

    Colours that depend on the direction have as many degrees as the recipe learns, where the avatar can have them.
    """
    if config.start == "super_dense":
        avatar = super_dense(avatar.rig, config.per_triangle, config.seed)
    values = attributes(avatar)
    missing = (config.sh_degree + 1) ** 2 - values["sh"].shape[1]
    if avatar.config["sh_frame"] == "rest" or missing <= 0:
        return avatar
    return with_attributes(avatar, values | {"sh": pad(values["sh"], (0, 0, 0, missing))})


def _left(config: RefinementConfig, resumed: tuple[str, State] | None) -> tuple[tuple[Phase, ...], State | None]:
    """Phases that are still to be run, and the state of the first of them where it was begun."""
    if resumed is None:
        return config.phases, None
    name, state = resumed
    names = [phase.name for phase in config.phases]
    return config.phases[names.index(name) :], state
