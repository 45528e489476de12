"""Phases one after the other, from where an earlier attempt was left."""

from __future__ import annotations

from collections.abc import Sequence

from accelerate import Accelerator

from pipeline.avatar import SplatAvatar
from pipeline.guidance.guidance import Guidance
from pipeline.stages.config import Phase, RefinementConfig
from pipeline.stages.fitting import fit
from pipeline.stages.journal import Journal, State


def run_phases(
    phases: Sequence[Phase],
    avatar: SplatAvatar,
    guidance: Guidance,
    config: RefinementConfig,
    accelerator: Accelerator,
    journal: Journal,
    state: State | None,
) -> SplatAvatar:
    """Fit ``phases`` in order; with a ``state``, from the phase and step that it is of."""
    names = [phase.name for phase in phases]
    first = 0 if state is None else names.index(state["phase"])
    for phase in phases[first:]:
        avatar = fit(avatar, phase, guidance, config, accelerator, journal, state)
        state = None
    return avatar
