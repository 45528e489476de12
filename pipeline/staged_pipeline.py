"""`StagedPipeline`: the stages of the method, each of which can be called by itself."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from accelerate import Accelerator

from pipeline.avatar import SplatAvatar
from pipeline.guidance.diffusion import DiffusionModel, for_speed
from pipeline.guidance.guidance import Guidance
from pipeline.guidance.text import clip_encoder
from pipeline.heads.rig import Rig
from pipeline.pipeline_checks import check_diffusion, check_place, check_refinable
from pipeline.portrait_models import PortraitModels
from pipeline.priors.portrait3d.config import Portrait3DConfig
from pipeline.priors.portrait3d.generator import Portrait3DGenerator
from pipeline.recipe import Recipe, Refinement
from pipeline.reconstruction.multiview import LandmarkDetector, Source
from pipeline.refining import condition_of, prompt_table
from pipeline.rigging import as_static, paint, rig
from pipeline.saved_pipeline import SavedPipeline
from pipeline.stages.config import RefinementConfig
from pipeline.stages.initialization import PRESETS, InitializationConfig
from pipeline.stages.journal import Journal
from pipeline.stages.refinement import refine as refine_avatar

if TYPE_CHECKING:
    from pipeline.priors.portrait3d.source import TriGridSource


class StagedPipeline(SavedPipeline):
    """A pipeline whose components make a static head of a sentence, rig it, and refine it."""

    _exclude_from_cpu_offload = ["vae"]  # noqa: RUF012  (diffusers' type; distillation runs through it in every step)
    model_cpu_offload_seq = "text_encoder->unet"

    def __init__(self) -> None:
        super().__init__()
        self._interrupt = False

    @property
    def interrupt(self) -> bool:
        """Whether a call under way ends after its current step and returns what it has; a callback may set it."""
        return self._interrupt

    @interrupt.setter
    def interrupt(self, wanted: bool) -> None:
        self._interrupt = wanted

    def enable_vae_slicing(self) -> None:
        """Let the VAE work on one picture at a time: slower, for a GPU with little memory."""
        self.vae.enable_slicing()

    def portrait(
        self,
        prompt: str,
        generator: Portrait3DGenerator,
        config: Portrait3DConfig,
        journal: Journal | None = None,
        detector: LandmarkDetector | None = None,
    ) -> TriGridSource:
        """The static head of a sentence by Portrait3D, which `rig` takes; ``generator`` is on the pipeline's device.

        Raises `Interrupted` when the journal says so, and `UserError` when components are missing, no picture shows a
        face, or an optimisation has left the numbers.
        """
        check_diffusion(self.components)
        try:
            return paint(self.components, self._execution_device, prompt, generator, config, journal, detector)
        finally:
            self.maybe_free_model_hooks()

    def rig(
        self,
        portrait: str | Path | Source,
        prompt: str = "",
        head: str = "anny",
        config: InitializationConfig = PRESETS["quick"],
        journal: Journal | None = None,
        models: PortraitModels | None = None,
    ) -> tuple[SplatAvatar, Recipe]:
        """A static head, as ``portrait`` of a call, on a rig, and what it was made from; an empty prompt is its own.

        ``models``: what sees landmarks, parts and normals in pictures, as `portrait_models` gives it by name; None
        takes what this machine has. Raises `Interrupted` when the journal says so, and `UserError` for a portrait or a
        head that cannot be used.
        """
        device = self._execution_device
        return rig(as_static(portrait, prompt, device), head, config, journal or Journal(), models, device)

    def refine(
        self,
        avatar: SplatAvatar,
        prompt: str,
        config: RefinementConfig,
        accelerator: Accelerator | None = None,
        journal: Journal | None = None,
        *,
        abstract_prompt: str | None = None,
    ) -> SplatAvatar:
        """An avatar of any origin, improved in all phases of a config; a new one, on the CPU.

        ``journal`` keeps what has come, and an earlier attempt's is gone on from. Raises `Interrupted` when the journal
        says so, and `UserError` when components are missing or an optimisation has left the numbers.
        """
        check_refinable(self.components, config.condition, config.recipe)
        accelerator = accelerator or Accelerator(cpu=self._execution_device.type == "cpu")
        if accelerator.num_processes > 1 and not getattr(self, "_all_hooks", None):
            self.to(accelerator.device)
        check_place(accelerator.device, self._execution_device)
        journal = journal or Journal()
        guidance = self.guidance(avatar.rig, prompt, config, abstract_prompt, journal.note)
        try:
            with torch.enable_grad():
                start = copy.deepcopy(avatar).to(guidance.model.device)
                return refine_avatar(start, guidance, config, accelerator, journal).cpu()
        finally:
            self.maybe_free_model_hooks()

    def guidance(
        self,
        rig: Rig,
        prompt: str,
        config: RefinementConfig,
        abstract_prompt: str | None = None,
        note: Callable[[str], None] = lambda sentence: None,
    ) -> Guidance:
        """What the stages are guided by: the components, every text of a refinement encoded, and the conditions."""
        device = self._execution_device
        encode = clip_encoder(self.tokenizer, self.text_encoder, note, device)
        model = DiffusionModel(self.unet, self.vae, self.scheduler, self.controlnet, device=device, rows=config.rows)
        prompts = prompt_table(encode, prompt, config, abstract_prompt)
        return Guidance(for_speed(model), self.scheduler, prompts, condition_of(rig, config))

    def refinement(
        self,
        config: RefinementConfig,
        num_steps_scale: float = 1.0,
        negative_prompt: str | None = None,
        abstract_prompt: str | None = None,
    ) -> Refinement:
        """What a recipe tells of a refinement by this pipeline."""
        models = {**self.models, "scheduler": type(self.scheduler).__name__}
        return Refinement(
            config.recipe, float(num_steps_scale), config.resolution, models, negative_prompt, abstract_prompt
        )
