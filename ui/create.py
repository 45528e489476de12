"""Tab "Create": a sentence becomes a head."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import gradio as gr
import torch

from pipeline.avatar import SplatAvatar
from pipeline.errors import UserError
from pipeline.export import export_pose
from pipeline.recipe import Recipe
from ui.sentences import capitalised, plain
from ui.workshop import Report, Workshop

EXAMPLES = Path(__file__).parents[1] / "examples" / "prompts.txt"
LARGEST_SEED = 2**32 - 1


def examples() -> list[str]:
    """Prompts to start from, one per line of examples/prompts.txt."""
    return EXAMPLES.read_text(encoding="utf-8").splitlines()


def create(workshop: Workshop, prompt: str, seed: float, report: Report) -> tuple[str, dict[str, str], str, list[str]]:
    """Make an avatar: its id, what the viewer shows, what was understood, and the files to keep.

    Raises `UserError` for a prompt or seed that cannot be used.
    """
    if seed is None or seed != int(seed):
        raise UserError(f"the seed is {seed}; it must be a whole number from 0 to {LARGEST_SEED}")
    made = workshop.create(prompt, int(seed), report)
    packed = shutil.make_archive(str(made.folder.parent / "avatar-folder"), "zip", made.folder)
    glb = str(made.folder / "avatar.glb")
    return made.id, {"avatar": glb}, about(made.recipe, len(made.avatar.face)), [glb, packed]


def about(recipe: Recipe, splats: int) -> str:
    """Markdown on what was understood; the visitor's own words are escaped."""
    lines = [f"**{plain(recipe.prompt)}** · seed {recipe.seed} · {splats:,} splats"]
    lines += [plain(capitalised(note)) for note in recipe.notes]
    if recipe.unused_words:
        lines.append("Not understood: " + ", ".join(plain(word) for word in recipe.unused_words))
    return "\n\n".join(lines)


def export_ply(workshop: Workshop, avatar_id: str, pose: str) -> str:
    """Path of a plain 3DGS PLY of a pose, JSON as `read_pose` takes it. Raises `UserError`."""
    avatar = workshop.avatar(avatar_id)
    path = workshop.folder(avatar_id) / "pose.ply"
    export_pose(avatar, "ply", path, *read_pose(avatar, pose))
    return str(path)


def read_pose(avatar: SplatAvatar, text: str) -> tuple[torch.Tensor, torch.Tensor]:
    """``{"expression": {name: value}, "rotations": {joint: [x, y, z]}}`` → expression (1, E), rotations (1, J, 3).

    Empty text is the rest pose. Raises `UserError` for anything else.
    """
    expression, rotations = avatar.rig.neutral()
    if not text.strip():
        return expression, rotations
    try:
        wanted: Any = json.loads(text)
        values = {name: float(value) for name, value in wanted["expression"].items()}
        turns = {name: [float(x) for x in turn] for name, turn in wanted["rotations"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        example = '{"expression": {"jawOpen": 0.3}, "rotations": {"head": [0, 0.2, 0]}}'
        raise UserError(f"the pose is not understood; it must look like {example}") from error
    for name, value in values.items():
        expression[0, avatar.rig.expression_index(name)] = value
    for name, turn in turns.items():
        if len(turn) != 3:
            raise UserError(f"the rotation of {name!r} has {len(turn)} numbers; it must have three, radians")
        rotations[0, avatar.rig.joint_index(name)] = torch.tensor(turn)
    if not bool(expression.isfinite().all() and rotations.isfinite().all()):
        raise UserError("the pose holds a value that is not finite")
    return expression, rotations


def roll_seed() -> int:
    """A seed for another person of the same description."""
    return random.randrange(LARGEST_SEED + 1)


def create_tab() -> dict[str, gr.components.Component]:
    """The tab's controls, by name."""
    prompt = gr.Textbox(
        label="Who should it be?",
        placeholder="an elderly asian woman with a grey bun and round glasses",
        lines=3,
        max_lines=5,
        autofocus=True,
        elem_id="prompt",
    )
    make = gr.Button("Create", variant="primary", elem_id="create")
    with gr.Row(equal_height=True, elem_id="seed-row"):
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=LARGEST_SEED, scale=3, min_width=120)
        dice = gr.Button("Another person", scale=2, min_width=120, elem_id="dice")
    gr.Examples([[example] for example in examples()], prompt, label="Try", elem_id="examples")
    about_box = gr.Markdown(label="about", elem_id="about")
    files = gr.File(label="Yours to keep", interactive=False, visible=False, elem_id="files")
    ply = gr.Button("Prepare a PLY of the pose in the viewer", visible=False, elem_id="ply", size="sm")
    ply_file = gr.File(label="PLY of the pose", interactive=False, visible=False, elem_id="ply-file")
    return {
        "prompt": prompt, "make": make, "seed": seed, "dice": dice, "about": about_box, "files": files,
        "ply": ply, "ply_file": ply_file,
    }  # fmt: skip
