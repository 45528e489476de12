"""What tells landmarks, and skin from hair, in pictures of a portrait: named by a person, or found on this machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from httpx2 import HTTPError
from huggingface_hub import snapshot_download
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


def portrait_models(parser: str = "", device: torch.device | str = "cpu") -> PortraitModels:
    """What a person named, a folder or a repository of the Hub; where they named nothing, what this machine has.

    Raises `UserError` for a model that is not what it should be, or cannot be fetched.
    """
    if parser:
        return PortraitModels(
            parser=load_parser(_brought(Source.parse(parser)), device), names={"parser": _told(parser)}
        )
    found = find_parser(device)
    if found is None:
        return PortraitModels()
    return PortraitModels(parser=found, names={"parser": f"{FACE_PARSER}@{FACE_PARSER_REVISION}"})


def _told(name: str) -> str:
    """Without the folders of this machine."""
    source = Source.parse(name)
    return Path(source.name).name if source.is_folder else name


def _brought(source: Source) -> Path:
    """The folder of a model, fetched where it is on the Hub."""
    if source.is_folder:
        return Path(source.name) / source.subfolder
    try:
        folder = snapshot_download(source.name, revision=source.revision, allow_patterns=FILES)
    except LocalEntryNotFoundError as error:
        raise UserError(f"{source.name} is not on this machine, and the Hub cannot be asked; name a folder") from error
    except (HfHubHTTPError, HTTPError) as error:
        raise explained(error, source.name, f"{HUB}/{source.name}") from error
    return Path(folder) / source.subfolder
