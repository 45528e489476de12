"""Text to a rigged Gaussian-splat head: the public names. Each is imported when it is first asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.animportrait3d import AnimPortrait3DOutput as AnimPortrait3DOutput
    from pipeline.animportrait3d import AnimPortrait3DPipeline as AnimPortrait3DPipeline
    from pipeline.avatar import Gaussians as Gaussians
    from pipeline.avatar import SplatAvatar as SplatAvatar
    from pipeline.errors import UserError as UserError
    from pipeline.heads import AnnyHead as AnnyHead
    from pipeline.heads.rig import Rig as Rig
    from pipeline.motion import Motion as Motion
    from pipeline.motion import load_motion as load_motion
    from pipeline.motion import retarget as retarget
    from pipeline.rendering.rasterize import rasterize as rasterize

_HOMES = {
    "AnimPortrait3DOutput": "pipeline.animportrait3d",
    "AnimPortrait3DPipeline": "pipeline.animportrait3d",
    "AnnyHead": "pipeline.heads",
    "Gaussians": "pipeline.avatar",
    "Motion": "pipeline.motion",
    "Rig": "pipeline.heads.rig",
    "SplatAvatar": "pipeline.avatar",
    "UserError": "pipeline.errors",
    "load_motion": "pipeline.motion",
    "rasterize": "pipeline.rendering.rasterize",
    "retarget": "pipeline.motion",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pipeline' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
