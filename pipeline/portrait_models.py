"""What tells landmarks, and skin from hair, in pictures of a portrait: named by a person, or found on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from httpx2 import HTTPError
from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from pipeline.errors import UserError
from pipeline.hub.errors import explained
from pipeline.hub.model_files import Source
from pipeline.hub.repositories import HUB
from pipeline.reconstruction.multiview import LandmarkDetector, Parser
from pipeline.reconstruction.parsing import find_parser, load_parser
from pipeline.reconstruction.published import FACE_PARSER, FACE_PARSER_REVISION

FILES = ["*.json", "*.safetensors"]
"""Of a model on the Hub: nothing that runs."""


@dataclass(frozen=True)
class PortraitModels:
    """Each is None where something stands in for it."""

    detector: LandmarkDetector | None = None
    parser: Parser | None = None
    names: dict[str, str] = field(default_factory=dict)
    """``landmarks`` and ``parser`` → repository, or name of the folder, of what is there."""


def portrait_models(landmarks: str = "", parser: str = "", device: torch.device | str = "cpu") -> PortraitModels:
    """What a person named; where they named nothing, what this machine has.

    ``landmarks``: an ONNX file of MediaPipe's face mesh, or the repository of the published one. ``parser``: a folder
    or a repository of the Hub. Only what is named is fetched. Raises `UserError` for a model that is not what it should
    be, or cannot be fetched.
    """
    names: dict[str, str] = {}
    detector = None
    found = load_parser(_folder(Source.parse(parser)), device) if parser else find_parser(device)
    if found is not None:
        names["parser"] = _told(parser) if parser else f"{FACE_PARSER}@{FACE_PARSER_REVISION}"
    return PortraitModels(detector, found, names)


def check_models(landmarks: str, parser: str) -> None:
    """Raise `UserError` for names of nothing, before there is a run."""
    if parser:
        Source.parse(parser)


def _told(name: str) -> str:
    """Without the folders of this machine."""
    return Path(name).name if Path(name).expanduser().exists() else name


def _folder(source: Source) -> Path:
    if source.is_folder:
        return Path(source.name) / source.subfolder
    with _fetching(source.name):
        folder = snapshot_download(source.name, revision=source.revision, allow_patterns=FILES)
        return Path(folder) / source.subfolder


@contextmanager
def _fetching(name: str) -> Iterator[None]:
    try:
        yield
    except LocalEntryNotFoundError as error:
        raise UserError(f"{name} is not on this machine, and the Hub cannot be asked; name what is here") from error
    except (HfHubHTTPError, HTTPError) as error:
        raise explained(error, name, f"{HUB}/{name}") from error
