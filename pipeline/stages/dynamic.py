"""The whole head in motion, pulled towards what the diffusion model expects of each expression."""

from __future__ import annotations

from accelerate import Accelerator

from pipeline.avatar import SplatAvatar
from pipeline.guidance.guidance import Guidance
from pipeline.stages.config import Phase, RefinementConfig
from pipeline.stages.journal import Journal, State
from pipeline.stages.phases import run_phases


def dynamic_phases(config: RefinementConfig) -> list[Phase]:
    """Phases of a configuration that distil the whole head."""
    return [phase for phase in config.phases if phase.trained == "all" and phase.method != "sdedit"]


def refine_dynamic(
    avatar: SplatAvatar,
    guidance: Guidance,
    config: RefinementConfig,
    accelerator: Accelerator,
    *,
    journal: Journal = Journal(),  # noqa: B008 — keeps nothing
    state: State | None = None,
) -> SplatAvatar:
    """All splats under expressions and turns of the head, by score distillation.

    The avatar that comes in stays as it is. ``state`` is of an interrupted attempt at one of these phases.
    Raises `Interrupted` and `UserError` as `pipeline.stages.fitting.fit` does.
    """
    return run_phases(dynamic_phases(config), avatar, guidance, config, accelerator, journal, state)
