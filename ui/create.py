"""Tab "Create": a sentence becomes a head."""

from __future__ import annotations

import json
import math
import os
import random
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import torch

from pipeline.avatar import SplatAvatar
from pipeline.errors import UserError
from pipeline.export import SUFFIXES, export_pose
from pipeline.files import zip_folder
from pipeline.heads.model_files import find_models
from pipeline.heads.releases import RELEASES
from pipeline.motion.motion import LARGEST_COEFFICIENT
from ui.about import about
from ui.making import Made, Report
from ui.people import NOBODY
from ui.workshop import Workshop

EXAMPLES = Path(__file__).parents[1] / "examples" / "prompts.txt"
LARGEST_SEED = 2**32 - 1


def examples() -> list[str]:
    """Prompts to start from, one per line of examples/prompts.txt."""
    return EXAMPLES.read_text(encoding="utf-8").splitlines()


@dataclass(frozen=True)
class Created:
    """What the page shows of a new head."""

    id: str
    shown: dict[str, str]
    """The viewer's value."""
    about: str
    """Markdown."""
    glb: str | None
    """The file to keep; None for a licensed model's."""


def head_choices() -> list[tuple[str, str]]:
    """Label and name of every head that can be dressed here.

    A Space offers the free one alone: the browser of every visitor would be sent the licensed model.
    """
    free = [("Anny (free)", "anny")]
    if os.environ.get("SPACE_ID"):
        return free
    return free + [(f"{RELEASES[model.release].title} (your file)", model.release) for model in find_models()]


def create(
    workshop: Workshop,
    prompt: str,
    seed: float,
    attributes: Any,
    report: Report,
    head: str | None = None,
    person: str = NOBODY,
) -> Created:
    """Make an avatar for a person. Raises `UserError` for a prompt, seed, attributes or head that cannot be used."""
    if seed is None:
        raise UserError("the seed is empty; give a whole number, e.g. 0")
    if not float(seed).is_integer():
        raise UserError(f"the seed is {seed}; it must be a whole number from 0 to {LARGEST_SEED}")
    head = checked_head(head)
    return present(workshop.create(prompt, int(seed), read_overrides(attributes), report, head, person))


def checked_head(head: str | None) -> str:
    """The head model that was asked for. Raises `UserError` for one that cannot be used here."""
    head = head or "anny"
    if head != "anny" and head not in (heads := [name for _, name in head_choices()]):
        raise UserError(f"the head {head!r} cannot be used here; there is {' and '.join(heads)}")
    return head


def present(made: Made) -> Created:
    """A head of the workshop as the page shows it."""
    glb = str(made.glb)
    told = about(made.recipe, len(made.avatar.face))
    return Created(made.id, {"avatar": glb}, told, glb if made.may_be_given_away else None)


def pack(workshop: Workshop, avatar_id: str) -> str:
    """Path of the whole avatar folder as a zip. Raises `UserError` for an unknown id."""
    folder = workshop.folder(avatar_id)
    zip_folder(folder / "avatar", folder / "avatar-folder.zip")
    return str(folder / "avatar-folder.zip")


def read_overrides(attributes: Any) -> dict[str, str]:
    """``{"hair.style": "bob"}`` as it came from outside. Raises `UserError` for anything else."""
    if attributes is None:
        return {}
    if not isinstance(attributes, dict) or any(isinstance(value, dict | list | None) for value in attributes.values()):
        raise UserError('the attributes are not understood; they must look like {"hair.style": "bob", "age": 40}')
    return {name: str(value) for name, value in attributes.items()}


def export(workshop: Workshop, avatar_id: str, pose: str, kind: str) -> str:
    """Path of one pose as a ``kind`` that `export_pose` knows; ``pose`` is JSON as `read_pose` takes it.

    Raises `UserError` for an unknown id, kind or pose.
    """
    avatar = workshop.avatar(avatar_id)
    folder = workshop.folder(avatar_id)
    path = folder / secrets.token_hex(8) / f"{'avatar' if kind == 'animportrait3d' else 'pose'}{SUFFIXES.get(kind, '')}"
    prompt = (folder / "avatar" / "prompt.txt").read_text(encoding="utf-8")
    export_pose(avatar, kind, path, *read_pose(avatar, pose), prompt=prompt.strip())
    return str(path)


def read_pose(avatar: SplatAvatar, text: str) -> tuple[torch.Tensor, torch.Tensor]:
    """``{"expression": {name: value}, "rotations": {joint: [x, y, z]}}`` → expression (1, E), rotations (1, J, 3).

    Empty text is the rest pose. Raises `UserError` for anything else.
    """
    expression, rotations = avatar.rig.neutral()
    if not (text or "").strip():
        return expression, rotations
    try:
        wanted: Any = json.loads(text)
        values = {name: float(value) for name, value in wanted["expression"].items()}
        turns = {name: [float(x) for x in turn] for name, turn in wanted["rotations"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        example = '{"expression": {"jawOpen": 0.3}, "rotations": {"head": [0, 0.2, 0]}}'
        raise UserError(f"the pose is not understood; it must look like {example}") from error
    for name, value in values.items():
        if not abs(value) <= LARGEST_COEFFICIENT:  # also false for NaN
            raise UserError(f"{name} is {value:g}; it must stay within ±{LARGEST_COEFFICIENT:g}")
        expression[0, avatar.rig.expression_index(name)] = value
    for name, turn in turns.items():
        if len(turn) != 3:
            raise UserError(f"the rotation of {name!r} has {len(turn)} numbers; it must have three, radians")
        if not math.hypot(*turn) <= 2 * math.pi:
            raise UserError(f"the rotation of {name!r} is {math.hypot(*turn):g}; one turn (in radians) is the most")
        rotations[0, avatar.rig.joint_index(name)] = torch.tensor(turn)
    return expression, rotations


def roll_seed() -> int:
    """A seed for another person of the same description."""
    return random.randrange(LARGEST_SEED + 1)


def create_tab() -> dict[str, Any]:
    """The tab's parts, by name."""
    prompt = gr.Textbox(
        label="Who should it be?",
        placeholder="an elderly asian woman with a grey bun and round glasses",
        lines=1,  # so that Enter creates; style.css gives it room
        max_lines=6,
        elem_id="prompt",
    )
    with gr.Row(elem_id="make-row"):
        make = gr.Button("Create", variant="primary", scale=3, min_width=100, elem_id="create")
        dice = gr.Button("Another person", scale=2, min_width=100, elem_id="dice")
    seed = gr.Number(0, label="Seed", precision=0, elem_id="seed")
    heads = head_choices()
    head = gr.Dropdown(heads, value="anny", label="Head model", visible=len(heads) > 1, elem_id="head")
    chips = gr.Dataset(
        components=["html"],  # a textbox would cut long ones
        samples=[[example] for example in examples()],
        label="Or start from one of these",
        elem_id="examples",
    )
    chips.click(lambda row: row[0], chips, prompt, api_visibility="private", queue=False, show_progress="hidden")
    return {"prompt": prompt, "make": make, "seed": seed, "head": head, "dice": dice}
