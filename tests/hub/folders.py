"""Small avatar folders to publish."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline.avatar import SplatAvatar
from pipeline.avatar_folder import save_avatar_folder
from pipeline.heads.rig import ModelIdentity
from pipeline.recipe import Recipe
from tests.synthetic import synthetic_avatar

PROMPT = "an old man | with a *grey* beard"


def write_free(folder: Path, prompt: str = PROMPT) -> Path:
    """A folder on the free head."""
    save_avatar_folder(synthetic_avatar(), Recipe(prompt, 7, {}, {}, [], []), folder)
    return folder


def licensed_avatar(release: str = "flame2023") -> SplatAvatar:
    """An avatar on a head that is, by its name, a licensed one."""
    free = synthetic_avatar()
    rig = replace(free.rig, model=ModelIdentity("flame", release, "0" * 64, (0.5, -1.0)))
    splats = {
        name: getattr(free, name).detach()
        for name in ("face", "means", "quats", "log_scales", "opacity_logits", "sh", "layer")
    }
    return SplatAvatar.from_parts(rig, **splats)


def write_licensed(folder: Path, release: str = "flame2023") -> Path:
    """A folder on such a head: stored without any number of the model."""
    save_avatar_folder(licensed_avatar(release), Recipe(PROMPT, 7, {}, {}, [], [], head=release), folder)
    return folder
