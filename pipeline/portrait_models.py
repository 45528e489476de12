"""What sees landmarks, parts and normals in pictures of a portrait: named by a person, or found on this machine."""

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
from pipeline.reconstruction.landmark_detector import find_detector, load_detector
from pipeline.reconstruction.multiview import LandmarkDetector, Parser
from pipeline.reconstruction.normal_predictor import load_normal_predictor
from pipeline.reconstruction.normal_refinement import NormalPredictor
from pipeline.reconstruction.parsing import find_parser, load_parser
from pipeline.reconstruction.published import FACE_MESH, FACE_MESH_FILE, FACE_PARSER, FACE_PARSER_REVISION

FILES = ["*.json", "*.txt", "*.safetensors"]
"""Of a model on the Hub: nothing that runs."""
TWICE = ["*.fp16.safetensors", "*.bf16.safetensors"]
"""The same weights again, which nobody asks for."""


@dataclass(frozen=True)
class PortraitModels:
    """Each is None where something stands in for it."""

    detector: LandmarkDetector | None = None
    parser: Parser | None = None
    normals: NormalPredictor | None = None
    names: dict[str, str] = field(default_factory=dict)
    """``landmarks``, ``parser`` and ``normals`` → repository, or name of the folder, of what is there."""


def portrait_models(
    landmarks: str = "", parser: str = "", normals: str = "", device: torch.device | str = "cpu"
) -> PortraitModels:
    """What a person named; where they named nothing, what this machine has, but for ``normals``, which take long.

    ``landmarks``: an ONNX file of MediaPipe's face mesh, or the repository of the published one. ``parser``, and
    ``normals``, a Marigold for normals: a folder or a repository of the Hub. Only what is named is fetched. Raises
    `UserError` for a model that is not what it should be, or cannot be fetched.
    """
    names: dict[str, str] = {}
    detector = _detector(landmarks)
    if detector is not None:
        names["landmarks"] = _told(landmarks) if landmarks else FACE_MESH
    found = load_parser(_folder(Source.parse(parser)), device) if parser else find_parser(device)
    if found is not None:
        names["parser"] = _told(parser) if parser else f"{FACE_PARSER}@{FACE_PARSER_REVISION}"
    predictor = load_normal_predictor(_folder(Source.parse(normals)), device) if normals else None
    if normals:
        names["normals"] = _told(normals)
    return PortraitModels(detector, found, predictor, names)


def check_models(landmarks: str, parser: str, normals: str) -> None:
    """Raise `UserError` for names of nothing, before there is a run."""
    if landmarks and landmarks != FACE_MESH and not Path(landmarks).is_file():
        raise UserError(f"there is no file {landmarks}; give an .onnx of MediaPipe's face mesh, or {FACE_MESH}")
    for name in filter(None, (parser, normals)):
        Source.parse(name)


def check_detector(landmarks: str) -> None:
    """Raise `UserError` where nothing is named and nothing here finds the face that the generator is to show."""
    from pipeline.priors.portrait3d.portrait_image import NO_DETECTOR  # with the networks that paint it

    if not landmarks and find_detector() is None:
        raise UserError(NO_DETECTOR)


def _told(name: str) -> str:
    """Without the folders of this machine."""
    return Path(name).name if Path(name).expanduser().exists() else name


def _detector(name: str) -> LandmarkDetector | None:
    if name and name != FACE_MESH:
        return load_detector(Path(name))
    if name:
        with _fetching(name):
            hf_hub_download(FACE_MESH, FACE_MESH_FILE)
    return find_detector()


def _folder(source: Source) -> Path:
    if source.is_folder:
        return Path(source.name) / source.subfolder
    with _fetching(source.name):
        folder = snapshot_download(source.name, revision=source.revision, allow_patterns=FILES, ignore_patterns=TWICE)
        return Path(folder) / source.subfolder


@contextmanager
def _fetching(name: str) -> Iterator[None]:
    try:
        yield
    except LocalEntryNotFoundError as error:
        raise UserError(f"{name} is not on this machine, and the Hub cannot be asked; name what is here") from error
    except (HfHubHTTPError, HTTPError) as error:
        raise explained(error, name, f"{HUB}/{name}") from error
