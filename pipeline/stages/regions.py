"""Eyes and mouth first: small parts that a picture of the whole head says little about."""

from __future__ import annotations

from accelerate import Accelerator

from pipeline.avatar import SplatAvatar
from pipeline.guidance.guidance import Guidance
from pipeline.stages.config import Phase, RefinementConfig
from pipeline.stages.journal import Journal, State
from pipeline.stages.phases import run_phases


def eye_phases(config: RefinementConfig) -> list[Phase]:
    """Phases of a configuration that train the eyes."""
    return [phase for phase in config.phases if phase.trained == "eyes"]


def mouth_phases(config: RefinementConfig) -> list[Phase]:
    """Phases of a configuration that train the inside of the mouth."""
    return [phase for phase in config.phases if phase.trained == "mouth"]


def refine_eyes(
    avatar: SplatAvatar,
    guidance: Guidance,
    config: RefinementConfig,
    accelerator: Accelerator,
    *,
    journal: Journal = Journal(),  # noqa: B008 — keeps nothing
    state: State | None = None,
) -> SplatAvatar:
    """Eyeballs and lids, looking about and blinking, by targets that the diffusion model edits (AnimPortrait3D).

    The avatar that comes in stays as it is. ``state`` is of an interrupted attempt at one of these phases.
    Raises `Interrupted` and `UserError` as `pipeline.stages.fitting.fit` does.
    """
    return run_phases(eye_phases(config), avatar, guidance, config, accelerator, journal, state)


def refine_mouth(
    avatar: SplatAvatar,
    guidance: Guidance,
    config: RefinementConfig,
    accelerator: Accelerator,
    *,
    journal: Journal = Journal(),  # noqa: B008 — keeps nothing
    state: State | None = None,
) -> SplatAvatar:
    """Teeth, tongue and the inside of the cheeks in open mouths: distillation, then edited targets (AnimPortrait3D).

    Arguments and errors as those of `refine_eyes`.
    """
    return run_phases(mouth_phases(config), avatar, guidance, config, accelerator, journal, state)
