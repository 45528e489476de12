"""What tells landmarks, and skin from hair, in pictures of a portrait: named by a person, or found on this machine."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.reconstruction.multiview import LandmarkDetector, Parser


@dataclass(frozen=True)
class PortraitModels:
    """Each is None where something stands in for it."""

    detector: LandmarkDetector | None = None
    parser: Parser | None = None
    names: dict[str, str] = field(default_factory=dict)
    """``landmarks`` and ``parser`` → repository, or name of the folder, of what is there."""


def portrait_models(landmarks: str = "", parser: str = "") -> PortraitModels:
    """What a person named; where they named nothing, what this machine has."""
    return PortraitModels()
