"""The published diffusion models, and loading them or others with a sentence for whatever is in the way."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel
from httpx2 import HTTPError
from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
from safetensors import SafetensorError

from pipeline.animportrait3d import AnimPortrait3DPipeline
from pipeline.errors import UserError
from pipeline.hub import repositories
from pipeline.hub.errors import explained
from pipeline.hub.model_files import (
    CONFIG,
    INDEX,
    NoPipelineError,
    Source,
    fetch_component,
    fetch_pipeline,
    load_component,
)
from pipeline.hub.repositories import HUB
from pipeline.pipeline_checks import check_diffusion, check_index, check_refinable
from pipeline.stages.perceptual import LPIPS_FILES
from pipeline.stages.recipes import RECIPES

BASE_MODEL = str(Source.of(repositories.BASE_MODEL))
"""Stable Diffusion 1.5 of AnimPortrait3D and HeadStudio, without the autoencoder that its name says it lacks."""
BASE_VAE = str(Source.of(repositories.BASE_VAE))
CONTROLNET = str(Source.of(repositories.HEAD_CONTROLNET))
"""Sees normals, eyes and teeth of the head model: 4 channels."""
LANDMARK_CONTROLNET = str(Source.of(repositories.LANDMARK_CONTROLNET, "diffusion_sd15"))
"""Sees landmarks: 3 channels."""
CONTROLNETS = {"normals": CONTROLNET, "landmarks": LANDMARK_CONTROLNET}
MODEL_VARIABLE, CONTROLNET_VARIABLE = "ANIMPORTRAIT3D_DIFFUSION", "ANIMPORTRAIT3D_CONTROLNET"
"""With them the operator of a place names a folder or repository to be used instead of the published ones."""


def base_model() -> str:
    """The diffusion model that is used where nobody names one."""
    return os.environ.get(MODEL_VARIABLE) or BASE_MODEL


def controlnet_of(recipe: str, model: str | None = None) -> str:
    """The ControlNet that a recipe uses where nobody names one: that of ``model``, a folder that has its own, or the
    operator's, or the published one."""
    own = Path(model or base_model()).expanduser() / "controlnet"
    if own.is_dir():
        return str(own)
    return os.environ.get(CONTROLNET_VARIABLE) or CONTROLNETS[RECIPES[recipe].condition]


def sources_of(
    model: str | Path | None = None,
    controlnet: str | Path | None = None,
    vae: str | Path | None = None,
    recipe: str | None = "animportrait3d",
) -> dict[str, Source]:
    """Where the ``model``, its ``controlnet`` and, where it is none of the model's own, its ``vae`` come from.

    Each is a folder, or a repository of the Hub as `Source.parse` reads it; what is None is `base_model`,
    `controlnet_of` the recipe, and the model's own VAE. ``recipe`` None: nothing is refined, so that there is no
    ControlNet. Raises `UserError` for what names no model.
    """
    source = Source.parse(model or base_model())
    found = {"model": source}
    if recipe is not None:
        found["controlnet"] = Source.parse(controlnet or controlnet_of(recipe, source.name))
    if vae is None and source.name == repositories.BASE_MODEL.id:
        vae = BASE_VAE
    return found if vae is None else {**found, "vae": Source.parse(vae)}


def fetch_models(
    model: str | Path | None = None,
    controlnet: str | Path | None = None,
    *,
    vae: str | Path | None = None,
    recipe: str | None = "animportrait3d",
    token: str | None = None,
) -> None:
    """Bring what a refinement loads onto this machine, and load nothing. Raises `UserError` as `load_pipeline` does."""
    missing = [
        source
        for source in sources_of(model, controlnet, vae, recipe).values()
        if not source.is_folder and kept(source) is None
    ]
    for source in missing:
        with _telling(source):
            _fetch(source, token=token)
    if missing:
        _fetch_lpips(recipe, token)


def _fetch_lpips(recipe: str | None, token: str | None) -> None:
    """Bring the network that compares pictures, where the recipe, or the inversion of a portrait, has a use for it; it
    goes without it too."""
    if recipe is None or any(phase.photometric == "l1+lpips" for phase in RECIPES[recipe].phases):
        with suppress(HfHubHTTPError, HTTPError, LocalEntryNotFoundError, OSError):
            for file in LPIPS_FILES:
                hf_hub_download(**file._asdict(), token=token)


def load_pipeline(
    model: str | Path | None = None,
    controlnet: str | Path | None = None,
    *,
    vae: str | Path | None = None,
    recipe: str | None = "animportrait3d",
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    local_files_only: bool = False,
    token: str | None = None,
) -> AnimPortrait3DPipeline:
    """A pipeline that can refine; with ``recipe`` None, one that makes pictures and distils only.

    ``model``, ``controlnet``, ``vae``, ``recipe``: as `sources_of` takes them. ``device``: a GPU where there is one.
    ``dtype``: float16 on a GPU, else float32. ``local_files_only``: use what is on this machine and never ask the Hub.

    Raises `UserError` when a model is not here and cannot be fetched, needs its licence accepted, does not fit on the
    disk, is damaged, or is of another kind.
    """
    sources = sources_of(model, controlnet, vae, recipe)
    if not local_files_only and not sources["model"].is_folder and kept(sources["model"]) is None:
        _fetch_lpips(recipe, token)  # with the first download; later ones are not delayed by asking again
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    options: dict[str, Any] = {
        "dtype": dtype or (torch.float16 if place.type == "cuda" else torch.float32),
        "local_files_only": local_files_only,
        "token": token,
    }
    given = {}
    for name, kind in (("controlnet", ControlNetModel), ("vae", AutoencoderKL)):
        if name in sources:
            with _telling(sources[name]):
                given[name] = load_component(kind, sources[name], **options)
    with _telling(sources["model"]):
        pipe = AnimPortrait3DPipeline.from_pretrained(str(sources["model"]), **given, **options)
        pipe.to(place)
    if recipe is None:
        check_diffusion(pipe.components)
    else:
        check_refinable(pipe.components, RECIPES[recipe].condition, recipe)
    return pipe


@contextmanager
def _telling(source: Source) -> Iterator[None]:
    """What goes wrong while a model is loaded, as a sentence about it."""
    try:
        yield
    except UserError:
        raise
    except LocalEntryNotFoundError as error:
        cause = error.__cause__
        if isinstance(cause, Exception) and not isinstance(cause, OfflineModeIsEnabled):
            raise explained(cause, source.name, f"{HUB}/{source.name}") from error
        raise UserError(
            f"{source.name} is not on this machine, and the Hub may not be asked (HF_HUB_OFFLINE=1, or local files "
            f"only); allow it once, or copy the folder {constants.HF_HUB_CACHE} of a machine that has the model"
        ) from error
    except (HfHubHTTPError, HTTPError) as error:
        raise explained(error, source.name, f"{HUB}/{source.name}") from error
    except torch.OutOfMemoryError as error:
        raise UserError(
            "the GPU has too little free memory for the diffusion model; close other programs that use it"
        ) from error
    except (OSError, SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise _unusable(error, source) from error


def _unusable(error: Exception, source: Source) -> UserError:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = constants.HF_HUB_CACHE
        return UserError(f"the disk became full while {source.name} was coming to {where}; free some space there")
    reason = str(error).strip().split("\n")[0][:200]
    return UserError(f"{source.name} cannot be loaded ({reason}); fetch it again, or name another model")


def kept(source: Source) -> tuple[Path, int] | None:
    """Where a model lies on this machine and how many bytes it has; None where a file that is needed is not here.

    A pipeline or a component of one. The Hub is not asked.
    """
    if source.is_folder:
        folder = Path(source.name) / source.subfolder
        found = folder if (folder / INDEX).is_file() or (folder / CONFIG).is_file() else None
    else:
        found = _in_cache(source)
    return None if found is None else (found, sum(file.stat().st_size for file in found.rglob("*") if file.is_file()))


def _in_cache(source: Source) -> Path | None:
    try:
        return _fetch(source, local_files_only=True)
    except (UserError, LocalEntryNotFoundError):
        return None


def _fetch(source: Source, **options: Any) -> Path:
    """Bring a pipeline, or else the one component that the source is."""
    components = ["text_encoder", "tokenizer", "unet", "scheduler"]
    if source.name != repositories.BASE_MODEL.id:  # which takes its VAE from elsewhere
        components.append("vae")
    with suppress(NoPipelineError):
        return fetch_pipeline(source, components, None, check_index, **options)
    return fetch_component(source, **options)
