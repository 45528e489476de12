"""Draws the picture of the README: python -m examples.make_picture"""

from pathlib import Path

import torch
from PIL import Image

from pipeline import AnimPortrait3DPipeline
from pipeline.rendering.portrait import portrait

HERE = Path(__file__).parent
SIDE, COLUMNS = 400, 3
SMILE = {"mouthSmileLeft": 0.35, "mouthSmileRight": 0.32, "cheekSquintLeft": 0.2, "cheekSquintRight": 0.2}
YAWS = (-16, 10, 24, -24, 14, -10)
SEEDS = (1, 3, 2, 3, 4, 6)


def main() -> None:
    """Write heads.png beside this file."""
    prompts = (HERE / "prompts.txt").read_text(encoding="utf-8").splitlines()
    pipe = AnimPortrait3DPipeline()
    rows = -(-len(prompts) // COLUMNS)
    picture = Image.new("RGB", (SIDE * COLUMNS, SIDE * rows))
    for number, (prompt, yaw, seed) in enumerate(zip(prompts, YAWS, SEEDS, strict=True)):
        avatar = pipe(prompt, seed=seed).avatars[0]
        expression, _ = avatar.rig.neutral()
        for name, value in SMILE.items():
            expression[0, avatar.rig.expression_index(name)] = value
        head = portrait(avatar, SIDE, yaw=yaw, expression=expression)
        picture.paste(Image.fromarray(head.numpy()), (SIDE * (number % COLUMNS), SIDE * (number // COLUMNS)))
    picture.save(HERE / "heads.png", optimize=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
