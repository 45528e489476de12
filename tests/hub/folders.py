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


def write_licensed(folder: Path, release: str = "flame2023") -> Path:
    """A folder on a head that is, by its name, a licensed one: stored without any number of the model."""
    free = synthetic_avatar()
    rig = replace(free.rig, model=ModelIdentity("flame", release, "0" * 64, (0.5, -1.0)))
    splats = {
        name: getattr(free, name).detach()
        for name in ("face", "means", "quats", "log_scales", "opacity_logits", "sh", "layer")
    }
    avatar = SplatAvatar.from_parts(rig, **splats)
    save_avatar_folder(avatar, Recipe(PROMPT, 7, {}, {}, [], [], head=release), folder)
    return folder
