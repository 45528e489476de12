"""What the doctor tells of the place itself: free disk, the Hub, and which versions run."""

from __future__ import annotations

import platform
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from huggingface_hub import constants, get_token

from pipeline.finding import MISSING, UNUSABLE, WORKS, Finding
from pipeline.heads.model_cache import cache_folder
from pipeline.hub.client import Hub
from pipeline.hub.repositories import Repository

PACKAGES = ("torch", "diffusers", "huggingface_hub", "gradio", "spaces", "numba", "numpy", "smplx")
LEAST_FREE = 1e9
"""Bytes: some sixty avatars, or one zip of the Portrait3D gallery."""
SHOWN_DIGITS = 12
"""Of a commit."""


def disk() -> list[Finding]:
    """Free room where avatars are made, where models and files of this project are kept, and in the Hub's own cache."""
    places = {
        "work folder": Path(tempfile.gettempdir()),
        "cache": cache_folder(),
        "Hub cache": Path(constants.HF_HUB_CACHE),
    }
    return [_room(name, folder) for name, folder in places.items()]


def _room(name: str, folder: Path) -> Finding:
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(nearest).free
    told = f"{free / 1e9:.1f} GB free"
    if free < LEAST_FREE:
        return Finding("disk", name, UNUSABLE, told, "delete what is not needed there", str(folder))
    return Finding("disk", name, WORKS, told, where=str(folder))


def hub(client: Hub, repositories: tuple[Repository, ...]) -> list[Finding]:
    """Whether the Hub answers (at most three seconds), who is logged in, and the pinned state of every repository."""
    problem = client.reachable()
    answers = (
        Finding("hub", "Hugging Face", WORKS, "the Hub answers")
        if problem is None
        else Finding("hub", "Hugging Face", MISSING, problem)
    )
    pins = client.pins()
    return [answers, _login(), *(_pinned(one, pins.get(one.folder)) for one in repositories)]


def _login() -> Finding:
    if get_token():
        return Finding("hub", "token", WORKS, "a login is there; it is used to publish and never shown", private=True)
    return Finding("hub", "token", MISSING, "only publishing needs one", "hf auth login, or set HF_TOKEN", private=True)


def _pinned(repository: Repository, seen: str | None) -> Finding:
    commit = repository.revision or seen
    at = f"at {commit[:SHOWN_DIGITS]}" if commit else "pinned when first opened"
    owner, name = repository.id.split("/")
    return Finding("hub", name, WORKS, f"of {owner}, {at}; {repository.licence}; {repository.purpose}")


def versions() -> list[Finding]:
    """Python and the packages that decide most."""
    python = Finding("versions", "Python", WORKS, platform.python_version())
    return [python, *(_package(name) for name in PACKAGES)]


def _package(name: str) -> Finding:
    try:
        return Finding("versions", name, WORKS, version(name))
    except PackageNotFoundError:
        return Finding("versions", name, MISSING, "not installed", "pip install -r requirements.txt")
