"""`AnimPortrait3DPipeline`: from a sentence to a rigged splat head, in the order of the method."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import BaseOutput
from huggingface_hub import HfApi, snapshot_download

from pipeline.avatar import SplatAvatar
from pipeline.errors import UserError
from pipeline.hub.card import CHECKPOINT_CARD
from pipeline.priors import ProceduralPrior
from pipeline.recipe import Recipe

CHECKPOINT_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "README.md"]
"""Configurations, weights and vocabularies."""
PUSH_OPTIONS = ("repo_id", "commit_message", "private", "token", "create_pr")
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

    Only ``prior``, the built-in one where none is given, is needed: it reads the prompt as attributes and dresses the
    free Anny head, or a licensed one, in splats. Saved, loaded and pushed to the Hub in diffusers' layout.
    """

    _optional_components = ["prior"]  # noqa: RUF012  (diffusers' name and type)

    def __init__(self, prior: ProceduralPrior | None = None) -> None:
        super().__init__()
        self.register_modules(prior=prior or ProceduralPrior())

    @classmethod
    def download(
        cls,
        pretrained_model_name: str,
        *,
        revision: str | None = None,
        cache_dir: str | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        force_download: bool = False,
        **others: Any,
    ) -> str:
        """Bring a saved pipeline from the Hub; its folder on disk. ``revision`` pins a commit.

        diffusers' own takes components only from diffusers, transformers, or code in the repository. This takes those
        that model_index.json names as installed modules, and neither code nor pickles; ``others`` choose among files of
        kinds that are not brought at all.
        """
        folder = snapshot_download(
            pretrained_model_name,
            revision=revision,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
            force_download=force_download,
            allow_patterns=CHECKPOINT_FILES,
        )
        return str(folder)

    def save_pretrained(
        self, save_directory: str | Path, *arguments: Any, push_to_hub: bool = False, **options: Any
    ) -> None:
        """Save as model_index.json with a folder per component, and a card that says how to load it.

        ``push_to_hub`` also sends it to ``repo_id``, by default called as the folder, with the options of
        `push_to_hub`; other options are diffusers'.
        """
        pushed = {name: options.pop(name) for name in PUSH_OPTIONS if name in options}
        super().save_pretrained(save_directory, *arguments, **options)  # type: ignore[misc]
        card = Path(save_directory) / "README.md"
        if not card.exists():
            card.write_text(CHECKPOINT_CARD, encoding="utf-8")
        if push_to_hub:
            self.push_to_hub(**{"repo_id": Path(save_directory).name, **pushed})

    def push_to_hub(
        self,
        repo_id: str,
        *,
        commit_message: str = "Upload AnimPortrait3DPipeline",
        private: bool | None = None,
        token: str | None = None,
        create_pr: bool = False,
    ) -> str:
        """Save to a model repository, made when missing; the address of the commit. A card that is there stays."""
        api = HfApi(token=token)
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        with tempfile.TemporaryDirectory(prefix="animportrait3d-push-") as folder:
            self.save_pretrained(folder)
            if api.file_exists(repo_id, "README.md"):
                (Path(folder) / "README.md").unlink()
            return str(
                api.upload_folder(
                    repo_id=repo_id, folder_path=folder, commit_message=commit_message, create_pr=create_pr
                )
            )

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
            understanding, chosen = self.prior.understand(sentence, seed, attributes or {})
            steps.done("understand")

            # 3. The prior: a rigged head and its splats
            avatar = self.prior.build(chosen, head)
            avatars.append(avatar)
            recipes.append(Recipe.of(sentence, seed, attributes or {}, chosen, understanding, avatar.rig.model))
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


class _Steps:
    """Numbers the steps for the callback."""

    def __init__(self, pipeline: AnimPortrait3DPipeline, callback: StepCallback | None):
        self._pipeline, self._callback, self._index = pipeline, callback, 0

    def done(self, name: str) -> None:
        if self._callback is not None:
            self._callback(self._pipeline, self._index, name, {})
        self._index += 1
