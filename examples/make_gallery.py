"""Draws the previews of the built-in gallery again: python -m examples.make_gallery [NAME …]"""

from __future__ import annotations

import json
import sys

import numpy as np
import torch
from PIL import Image

from pipeline import AnimPortrait3DPipeline
from pipeline.avatar import SplatAvatar
from pipeline.camera import portrait_camera
from pipeline.gallery import builtin
from pipeline.rendering.portrait import draw

SIDE = 320
OVERSAMPLED = 2
"""Pixels drawn per pixel kept, each way: thin hair stays thin."""
YAW = 15.0
QUALITY = 88
"""Of WebP: some 6 kB a head."""
SMILE = {"mouthSmileLeft": 0.3, "mouthSmileRight": 0.27, "cheekSquintLeft": 0.2, "cheekSquintRight": 0.2}
BACKDROPS = {
    "slate": (112, 128, 148),
    "sage": (134, 152, 128),
    "sand": (184, 164, 134),
    "rose": (182, 142, 140),
    "lilac": (150, 140, 176),
    "sea": (112, 154, 158),
    "grey": (142, 145, 150),
}
"""Display sRGB: of middle brightness, so that the cards sit well on a light page and on a dark one."""
GLOW, SHADE = 1.16, 0.80
"""Brightness of the backdrop behind the head and in the corners."""


def draw_preview(avatar: SplatAvatar, backdrop: str) -> Image.Image:
    """Head and shoulders, slightly turned and smiling, `SIDE` pixels square."""
    expression, rotations = avatar.rig.neutral()
    for name, value in SMILE.items():
        expression[0, avatar.rig.expression_index(name)] = value
    side = SIDE * OVERSAMPLED
    camera = portrait_camera(avatar.rig, side, side, yaw=YAW)
    gaussians = avatar.gaussians(avatar.rig.pose(expression, rotations)[0])
    picture = _studio(side, BACKDROPS[backdrop])
    picture.alpha_composite(Image.fromarray(draw(gaussians, camera, None, avatar.config["rasterize_mode"])))
    return picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def _studio(side: int, color: tuple[int, int, int]) -> Image.Image:
    """A wall that is lit behind the head and falls off towards the corners."""
    y, x = np.mgrid[0:side, 0:side] / (side - 1)
    distance = np.clip(np.hypot(x - 0.5, y - 0.42) / 0.76, 0, 1)[..., None]
    light = GLOW + (SHADE - GLOW) * distance * distance * (3 - 2 * distance)
    rgb = np.clip(np.array(color) * light, 0, 255)
    return Image.fromarray(np.concatenate([rgb, np.full((side, side, 1), 255)], -1).round().astype(np.uint8))


def main(names: list[str]) -> None:
    """Write the previews of the named recipes, or of all."""
    listed = json.loads((builtin.FOLDER / "recipes.json").read_text(encoding="utf-8"))
    pipe = AnimPortrait3DPipeline()
    for one in listed:
        if names and one["name"] not in names:
            continue
        recipe = builtin.recipe(f"{builtin.SOURCE}/{one['name']}")
        avatar = pipe(recipe.prompt, seed=recipe.seed, attributes=recipe.attributes).avatars[0]
        path = builtin.preview_path(one["name"])
        draw_preview(avatar, one["backdrop"]).save(path, quality=QUALITY, method=6)
        print(f"{path.name}: {path.stat().st_size / 1000:.1f} kB")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
