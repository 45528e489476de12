"""What the doctor tells of refining: the diffusion model, its ControlNets, and what they would run on."""

from __future__ import annotations

from importlib.metadata import version

import torch
from huggingface_hub import try_to_load_from_cache

from pipeline.errors import UserError
from pipeline.finding import MISSING, UNUSABLE, WORKS, Finding
from pipeline.hub.errors import megabytes
from pipeline.hub.model_files import Source
from pipeline.pretrained import BASE_MODEL, BASE_VAE, base_model, controlnet_of, kept
from pipeline.stages.perceptual import LPIPS_FILES
from pipeline.stages.recipes import RECIPES

SECTION = "diffusion"
LATER = "not here; fetched when something is first refined"


def diffusion() -> list[Finding]:
    """The models as far as they are on this machine, without asking the Hub; where a refinement would run."""
    models = {"base model": base_model()}
    if base_model() == BASE_MODEL:
        models["VAE"] = BASE_VAE
    models |= {f"ControlNet {recipe}": controlnet_of(recipe) for recipe in RECIPES}
    return [*(_model(name, text) for name, text in models.items()), _lpips(), *_runs_on()]


def _model(name: str, text: str) -> Finding:
    try:
        source = Source.parse(text)
    except UserError as error:
        return Finding(SECTION, name, UNUSABLE, str(error), "name a folder, or owner/name", private=True)
    found = kept(source)
    if found is not None:
        folder, size = found
        told = f"{folder.name if source.is_folder else source.name}, {megabytes(size)}"
        return Finding(SECTION, name, WORKS, told, where=str(folder))
    if source.is_folder:
        return Finding(SECTION, name, UNUSABLE, f"{text} holds no diffusion model", "name another", private=True)
    return Finding(SECTION, name, MISSING, f"{source.name}: {LATER}")


def _lpips() -> Finding:
    if all(isinstance(try_to_load_from_cache(**file._asdict()), str) for file in LPIPS_FILES):
        return Finding(SECTION, "LPIPS", WORKS, "compares pictures as people do")
    fetch = " && ".join(
        f"hf download {file.repo_id} {file.filename} --revision {file.revision}" for file in LPIPS_FILES
    )
    return Finding(SECTION, "LPIPS", MISSING, "not here; edges at four scales stand in for it", fetch)


def _runs_on() -> list[Finding]:
    processes = Finding(SECTION, "accelerate", WORKS, f"version {version('accelerate')}; several GPUs share a step")
    if not torch.cuda.is_available():
        slow = "no CUDA device: a refinement as published takes days on a CPU; short ones are for trying out"
        return [Finding(SECTION, "device", MISSING, slow, "use a GPU with 24 GB"), processes]
    device = torch.cuda.get_device_properties(0)
    told = f"{device.name}, {megabytes(device.total_memory)}, float16"
    return [Finding(SECTION, "device", WORKS, told), processes]
