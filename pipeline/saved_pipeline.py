"""`SavedPipeline`: a diffusers pipeline as it is loaded, fetched, saved and pushed to the Hub here."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Self

from diffusers import AutoencoderKL, ControlNetModel, DiffusionPipeline
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from diffusers.utils import is_peft_available
from huggingface_hub import HfApi

from pipeline.errors import UserError
from pipeline.hub.checkpoint_card import checkpoint_card
from pipeline.hub.model_files import Source, fetch_pipeline, load_component, read_index, told_source
from pipeline.pipeline_checks import check_components, check_index

SHARED_OPTIONS = ("dtype", "variant", "cache_dir", "token", "local_files_only", "force_download")
"""Of ``from_pretrained``, for components that are loaded from a place of their own."""
PUSH_OPTIONS = ("repo_id", "commit_message", "private", "token", "create_pr")


class SavedPipeline(DiffusionPipeline, StableDiffusionLoraLoaderMixin):
    """Loads Stable Diffusion's repositories too, brings no code and no file twice, and saves with a card."""

    def __init__(self) -> None:
        super().__init__()
        self._loras: list[str] = []

    @property
    def models(self) -> dict[str, str]:
        """Component of the diffusion model, or LoRA → where it came from, as a recipe tells it."""
        parts = {name: getattr(self, name, None) for name in ("unet", "vae", "text_encoder", "controlnet")}
        told = {
            name: told_source(getattr(part.config, "_name_or_path", ""), name)
            for name, part in parts.items()
            if part is not None
        }
        return told | {f"lora {number}": place for number, place in enumerate(self._loras, 1)}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> Self:
        """Load a saved pipeline, or a Stable Diffusion 1.5, whose safety checker is left aside.

        ``controlnet`` and ``vae`` may be models, folders or repositories of the Hub; every place is named as
        `Source.parse` reads it. Other options are diffusers'. Raises `UserError` for a model of another kind or parts
        that do not belong together.
        """
        source = Source.parse(pretrained_model_name_or_path)
        if "torch_dtype" in options:
            options["dtype"] = options.pop("torch_dtype")
        passed = {name: options[name] for name in SHARED_OPTIONS if options.get(name) is not None}
        for name, kind in (("controlnet", ControlNetModel), ("vae", AutoencoderKL)):
            if isinstance(options.get(name), str | Path):
                options[name] = load_component(kind, Source.parse(options[name]), **passed)
        if source.revision is not None:
            options["revision"] = source.revision
        if source.is_folder:
            check_index(read_index(Path(source.name), source.name), source.name)
        pipe = super().from_pretrained(source.name, **options)
        check_components(pipe.components)
        return pipe

    @classmethod
    def download(
        cls,
        pretrained_model_name: str,
        *,
        revision: str | None = None,
        variant: str | None = None,
        cache_dir: str | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        force_download: bool = False,
        **others: Any,
    ) -> str:
        """Bring a pipeline from the Hub; its folder on disk. ``revision`` pins a commit, ``variant`` is e.g. fp16.

        diffusers' own takes components only from diffusers, transformers, or code in the repository. This takes those
        that model_index.json names as installed modules, each in one form (`pipeline.hub.model_files`), no code, and
        nothing of a component that is given in ``others``.
        """
        folder = fetch_pipeline(
            Source(pretrained_model_name, revision=revision),
            [name for name in cls._optional_components if name not in others],
            variant,
            check=check_index,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
            force_download=force_download,
        )
        return str(folder)

    def load_lora_weights(self, *arguments: Any, **options: Any) -> None:
        """diffusers' own; the usual LCM and Hyper-SD LoRAs for Stable Diffusion 1.5 fit. Needs the package peft."""
        if not is_peft_available():
            raise UserError("a LoRA needs the package peft: pip install peft")
        super().load_lora_weights(*arguments, **options)
        place = arguments[0] if arguments else options.get("pretrained_model_name_or_path_or_dict")
        self._loras.append(told_source(place if isinstance(place, str | Path) else "", "lora"))

    def unload_lora_weights(self, *arguments: Any, **options: Any) -> None:
        """diffusers' own."""
        super().unload_lora_weights(*arguments, **options)
        self._loras.clear()

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
            card.write_text(checkpoint_card(self.models), encoding="utf-8")
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
