"""`AnimPortrait3DPipeline`: from a sentence to a rigged splat head, in the order of the method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, overload

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import BaseOutput

from pipeline.avatar import SplatAvatar
from pipeline.errors import UserError
from pipeline.heads.anny import AnnyHead
from pipeline.priors.procedural import Attributes, build_avatar, understand
from pipeline.priors.procedural.surface import Head
from pipeline.recipe import Recipe

StepCallback = Callable[["AnimPortrait3DPipeline", int, str, dict[str, Any]], dict[str, Any]]
"""Called as (pipeline, step index, step name, tensors) at the end of each step, as diffusers does."""


@dataclass
class AnimPortrait3DOutput(BaseOutput):
    """What the pipeline returns, one entry per prompt."""

    avatars: list[SplatAvatar]
    """Rigged heads."""
    recipes: list[Recipe]
    """What each was made from: enough to make it again."""


class AnimPortrait3DPipeline(DiffusionPipeline):
    """Text to animatable head.

    Only the built-in procedural prior is needed: it reads the prompt as attributes and dresses the free Anny head, or a
    licensed one, in splats, on a CPU, in about a second.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_to_config()

    @overload
    def __call__(
        self, prompt: str | list[str], *, seed: int = ..., attributes: dict[str, str] | None = ..., head: str = ...,
        callback_on_step_end: StepCallback | None = ..., return_dict: Literal[True] = True,
    ) -> AnimPortrait3DOutput: ...  # fmt: skip

    @overload
    def __call__(
        self, prompt: str | list[str], *, seed: int = ..., attributes: dict[str, str] | None = ..., head: str = ...,
        callback_on_step_end: StepCallback | None = ..., return_dict: Literal[False],
    ) -> tuple[list[SplatAvatar], list[Recipe]]: ...  # fmt: skip

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str],
        *,
        seed: int = 0,
        attributes: dict[str, str] | None = None,
        head: str = "anny",
        callback_on_step_end: StepCallback | None = None,
        return_dict: bool = True,
    ) -> AnimPortrait3DOutput | tuple[list[SplatAvatar], list[Recipe]]:
        """Make one avatar per prompt.

        ``prompt``: a sentence or a list of them. ``seed`` draws what the prompt leaves open; the same prompt, seed and
        attributes give the same avatar, bit for bit on one machine. ``attributes`` overrides what was understood, e.g.
        ``{"hair.style": "bob"}``. ``head``: ``anny``, the free head, or a licensed model of which a file is there:
        ``flame``, ``smplx`` or a release such as ``flame2023``. ``callback_on_step_end`` is called after "understand"
        and "build" of each prompt.

        Raises `UserError` when a prompt is empty, too long or not understood at all, an attribute is unknown, or the
        model of the head is missing.
        """
        # 1. Check the inputs
        prompts = list(prompt) if isinstance(prompt, list | tuple) else [prompt]
        self.check_inputs(prompts, seed)

        avatars: list[SplatAvatar] = []
        recipes: list[Recipe] = []
        steps = _Steps(self, callback_on_step_end)
        for sentence in prompts:
            # 2. Read the prompt as attributes; the seed draws what it leaves open
            understanding = understand(sentence, seed)
            chosen = understanding.attributes.with_overrides(attributes or {})
            steps.done("understand")

            # 3. The procedural prior: a rigged head and its splats
            person = _person(head, chosen)
            avatars.append(build_avatar(chosen, person))
            recipes.append(Recipe.of(sentence, seed, attributes or {}, chosen, understanding, person.rig.model))
            steps.done("build")

        # 4. Return
        if not return_dict:
            return avatars, recipes
        return AnimPortrait3DOutput(avatars=avatars, recipes=recipes)

    @staticmethod
    def check_inputs(prompts: list[str], seed: int) -> None:
        """Raise `UserError` for a seed or a list of prompts that cannot be used; each prompt is checked when read."""
        if not prompts:
            raise UserError("prompt is an empty list; give at least one sentence")
        for prompt in prompts:
            if not isinstance(prompt, str):
                raise UserError(f"prompt is {prompt!r}; it must be a sentence")
            if not prompt.isascii() and any("\ud800" <= character <= "\udfff" for character in prompt):
                raise UserError("the prompt holds bytes that are no UTF-8 text; type it again")
        if not 0 <= seed < 2**32:
            raise UserError(f"seed is {seed}; it must be between 0 and {2**32 - 1}")


def _person(head: str, attributes: Attributes) -> Head:
    """Whom to dress in splats: the free head as the attributes shape it, or a licensed model that resembles it."""
    person = AnnyHead(attributes.phenotype(), attributes.local_changes)
    if head == "anny":
        return person
    from pipeline.heads.licensed_person import licensed_person  # smplx takes a second to import

    return licensed_person(head, person)


class _Steps:
    """Numbers the steps for the callback."""

    def __init__(self, pipeline: AnimPortrait3DPipeline, callback: StepCallback | None):
        self._pipeline, self._callback, self._index = pipeline, callback, 0

    def done(self, name: str) -> None:
        if self._callback is not None:
            self._callback(self._pipeline, self._index, name, {})
        self._index += 1
