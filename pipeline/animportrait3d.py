"""`AnimPortrait3DPipeline`: from a sentence to a rigged splat head, in the order of the method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, overload

import torch
from accelerate import Accelerator
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    SchedulerMixin,
    UNet2DConditionModel,
)
from diffusers.utils import BaseOutput
from transformers import CLIPTextModel, CLIPTokenizer

from pipeline.avatar import SplatAvatar
from pipeline.errors import UserError
from pipeline.pipeline_checks import check_inputs, check_portrait, check_refinable
from pipeline.priors import ProceduralPrior
from pipeline.recipe import Recipe
from pipeline.reconstruction.multiview import Source
from pipeline.refining import refinement_config
from pipeline.staged_pipeline import StagedPipeline
from pipeline.stages.initialization import PRESETS
from pipeline.stages.journal import Journal
from pipeline.step_callback import StepCallback, Steps, WatchedJournal


@dataclass
class AnimPortrait3DOutput(BaseOutput):
    """What the pipeline returns, one entry per prompt."""

    avatars: list[SplatAvatar]
    """Rigged heads."""
    recipes: list[Recipe]
    """What each was made from: enough to make it again."""


class AnimPortrait3DPipeline(StagedPipeline):
    """Text to animatable head.

    Only ``prior``, the built-in one where none is given, is needed: it reads the prompt as attributes and dresses the
    free Anny head, or a licensed one, in splats. With the components of a Stable Diffusion 1.5 and a ControlNet that
    sees the head model, the head is refined too. Saved, loaded and pushed to the Hub in diffusers' layout.
    """

    _optional_components = ["prior", "vae", "text_encoder", "tokenizer", "unet", "controlnet", "scheduler"]  # noqa: RUF012  (diffusers' name and type)

    def __init__(
        self,
        prior: ProceduralPrior | None = None,
        vae: AutoencoderKL | None = None,
        text_encoder: CLIPTextModel | None = None,
        tokenizer: CLIPTokenizer | None = None,
        unet: UNet2DConditionModel | None = None,
        controlnet: ControlNetModel | None = None,
        scheduler: SchedulerMixin | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            prior=prior or ProceduralPrior(), vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet,
            controlnet=controlnet, scheduler=scheduler,
        )  # fmt: skip

    @overload
    def __call__(
        self, prompt: str | list[str] = ..., *, portrait: str | Path | Source | None = ..., seed: int = ...,
        attributes: dict[str, str] | None = ..., head: str = ..., initialization: str = ..., refine: bool = ...,
        recipe: str = ..., num_steps_scale: float = ..., resolution: int | None = ...,
        negative_prompt: str | None = ..., abstract_prompt: str | None = ..., generator: torch.Generator | None = ...,
        callback_on_step_end: StepCallback | None = ..., accelerator: Accelerator | None = ...,
        journal: Journal | None = ..., return_dict: Literal[True] = True,
    ) -> AnimPortrait3DOutput: ...  # fmt: skip

    @overload
    def __call__(
        self, prompt: str | list[str] = ..., *, portrait: str | Path | Source | None = ..., seed: int = ...,
        attributes: dict[str, str] | None = ..., head: str = ..., initialization: str = ..., refine: bool = ...,
        recipe: str = ..., num_steps_scale: float = ..., resolution: int | None = ...,
        negative_prompt: str | None = ..., abstract_prompt: str | None = ..., generator: torch.Generator | None = ...,
        callback_on_step_end: StepCallback | None = ..., accelerator: Accelerator | None = ...,
        journal: Journal | None = ..., return_dict: Literal[False],
    ) -> tuple[list[SplatAvatar], list[Recipe]]: ...  # fmt: skip

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str] = "",
        *,
        portrait: str | Path | Source | None = None,
        seed: int = 0,
        attributes: dict[str, str] | None = None,
        head: str = "anny",
        initialization: str = "quick",
        refine: bool = False,
        recipe: str = "animportrait3d",
        num_steps_scale: float = 1.0,
        resolution: int | None = None,
        negative_prompt: str | None = None,
        abstract_prompt: str | None = None,
        generator: torch.Generator | None = None,
        callback_on_step_end: StepCallback | None = None,
        accelerator: Accelerator | None = None,
        journal: Journal | None = None,
        return_dict: bool = True,
    ) -> AnimPortrait3DOutput | tuple[list[SplatAvatar], list[Recipe]]:
        """Make one avatar per prompt.

        ``prompt``: a sentence or a list of them. ``seed`` draws what the prompt leaves open; the same prompt, seed and
        attributes give the same avatar, bit for bit on one machine. ``attributes`` overrides what was understood, e.g.
        ``{"hair.style": "bob"}``. ``head``: ``anny``, the free head, or a licensed model of which a file is there:
        ``flame``, ``smplx`` or a release such as ``flame2023``.

        ``portrait``: a static head to put on a rig, instead of what the prior makes of one prompt, which may then be
        empty: the tri-grid of Portrait3D in a .pth beside its decoder, an avatar folder, or anything that can be looked
        at from all around (`Source`). ``initialization``: ``quick`` or ``published``, how thoroughly.

        ``refine``: let the diffusion model improve the head as ``recipe`` says, ``animportrait3d`` or ``headstudio``,
        in ``num_steps_scale`` times its steps, shown to the diffusion model at ``resolution`` pixels where not the
        recipe's. ``negative_prompt`` stands for all of the recipe's; ``abstract_prompt``, gender and age as small crops
        are told, is read from the prompt where None. ``generator`` gives its initial seed in the place of ``seed``:
        each step draws from generators of its own, seeded by name. ``accelerator``: of a program that runs in several
        processes, which then share the views of each step. ``journal`` keeps the refinement, and resumes it.

        ``callback_on_step_end`` is called after "understand" and "build" of each prompt, or after each step of the
        rigging, and after each step of the refinement (`StepCallback`), in the first process alone. Interrupted, that
        one returns the head as it is by then, none where it is not on its rig yet, and `interrupt` stays set.

        Raises `UserError` when a prompt is empty, too long or not understood at all, an attribute is unknown, the
        model of the head is missing, the components to refine with are, or the portrait cannot be used.
        """
        # 1. Check the inputs
        prompts = list(prompt) if isinstance(prompt, list | tuple) else [prompt]
        seed = seed if generator is None else generator.initial_seed() % 2**32
        check_inputs(prompts, seed)
        check_portrait(portrait, prompts, attributes, initialization, refine)
        if journal is not None and len(prompts) > 1:
            raise UserError(f"a journal keeps one refinement, and there are {len(prompts)} prompts; give one of them")
        config = refinement_config(recipe, num_steps_scale, resolution, negative_prompt, seed)
        if refine:
            check_refinable(self.components, config.condition, config.recipe)
        self.interrupt = False

        avatars: list[SplatAvatar] = []
        recipes: list[Recipe] = []
        steps = Steps(self, callback_on_step_end)
        for sentence in prompts:
            if portrait is None:
                # 2. Read the prompt as attributes; the seed draws what it leaves open
                understanding, chosen = self.prior.understand(sentence, seed, attributes or {})
                steps.done("understand")

                # 3. The prior: a rigged head and its splats
                avatar = self.prior.build(chosen, head)
                made_from = Recipe.of(sentence, seed, attributes or {}, chosen, understanding, avatar.rig.model)
                steps.done("build")
            else:
                # 2. and 3. Look at the portrait from all around, fit a head to it, and splats on the head to the views
                rigging = replace(PRESETS[initialization], seed=seed)
                with WatchedJournal(journal, self, steps, rigging.steps) as watched:
                    avatar, made_from = self.rig(portrait, sentence, head, rigging, watched)
                if watched.was_interrupted:
                    break

            # 4. to 8. Encode the texts; refine the eyes, the mouth, the moving head, and what it looks like
            if refine and not self.interrupt:
                with WatchedJournal(journal, self, steps, config.steps) as watched:
                    avatar = self.refine(
                        avatar, made_from.prompt, config, accelerator, watched, abstract_prompt=abstract_prompt
                    )
                if watched.was_interrupted:
                    watched.notes.append(f"The refinement was interrupted {watched.reached}.")
                    avatar = watched.copy_of_avatar() or avatar
                refinement = self.refinement(config, num_steps_scale, negative_prompt, abstract_prompt)
                made_from = made_from.refined(refinement, watched.notes)
            avatars.append(avatar)
            recipes.append(made_from)
            if self.interrupt:
                break

        # 9. Return
        if not return_dict:
            return avatars, recipes
        return AnimPortrait3DOutput(avatars=avatars, recipes=recipes)
