"""Every repository of the Hugging Face Hub that this project reads, in one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.reconstruction import published
from pipeline.stages import perceptual

HUB = "https://huggingface.co"

Kind = Literal["dataset", "model"]


@dataclass(frozen=True)
class Repository:
    """One repository and the state of it that is used."""

    id: str
    """``owner/name``."""
    kind: Kind
    revision: str | None
    """The pinned commit, 40 hex digits. None: the commit that was first seen on this machine, kept in pins.json of the
    cache and used from then on (`Hub.commit`); ``python -m pipeline doctor`` tells it."""
    licence: str
    """Short name of what its card or authors say; empty where nothing is known before the Hub is asked."""
    purpose: str
    """One line: what this project uses it for."""
    size: int = 0
    """Bytes of the whole repository, 0 where not known; nothing here ever needs the whole."""

    @property
    def address(self) -> str:
        """Its page."""
        return f"{HUB}/{'datasets/' if self.kind == 'dataset' else ''}{self.id}"

    @property
    def folder(self) -> str:
        """Name of its folder in the cache."""
        return f"{self.kind}--{self.id.replace('/', '--')}"


ANIMPORTRAIT3D_GALLERY = Repository(
    "onethousand/AnimPortrait3D_gallery",
    "dataset",
    revision=None,  # no page that names a full commit could be found
    licence="research only",
    purpose="rigged heads of AnimPortrait3D: one zip each, previews and prompts",
)
PORTRAIT3D_GALLERY = Repository(
    "onethousand/Portrait3D_gallery",
    "dataset",
    revision="9f7863f9116310ea0112ce177edd2049e05889fd",  # "Upload 030.zip": holds 000.zip to 030.zip
    licence="CC-BY-4.0",
    purpose="tri-grids of Portrait3D to start from: some ten heads in each zip, previews and prompts",
    size=31 * 1_368_000_000,
)

BASE_MODEL = Repository(
    "SG161222/Realistic_Vision_V5.1_noVAE",
    "model",
    revision="1e9f017a7b1eaefb63a1900ea6c5953d2739fd21",
    licence="CreativeML OpenRAIL-M",
    purpose="the Stable Diffusion 1.5 that guides a refinement",
)
BASE_VAE = Repository(
    "stabilityai/sd-vae-ft-ema",
    "model",
    revision="f04b2c4b98319346dad8c65879f680b1997b204a",  # "Remove text to image tag"
    licence="MIT",
    purpose="its autoencoder",
)
HEAD_CONTROLNET = Repository(
    "onethousand/AnimPortrait3D_controlnet",
    "model",
    revision=None,  # no page that names a full commit with its weights could be found
    licence="",
    purpose="ControlNet that sees a head's normals, eyes and teeth, for AnimPortrait3D's recipe",
)
LANDMARK_CONTROLNET = Repository(
    "CrucibleAI/ControlNetMediaPipeFace",
    "model",
    revision="f6ed75cc495674bea8bf7409ef3d0e5bfb7d8c90",
    licence="OpenRAIL",
    purpose="ControlNet that sees a face's landmarks, for HeadStudio's recipe",
    size=31_300_000_000,
)

LPIPS_FEATURES = Repository(
    perceptual.VGG16.repo_id,
    "model",
    revision=perceptual.VGG16.revision,
    licence="BSD-3-Clause",
    purpose="VGG16, which tells how different two pictures look",
    size=553_000_000,
)
LPIPS_HEADS = Repository(
    perceptual.HEADS.repo_id,
    "model",
    revision=perceptual.HEADS.revision,
    licence="Apache-2.0",
    purpose="what it weighs most in that",
    size=6_000,
)

FACE_MESH = Repository(
    published.FACE_MESH,
    "model",
    revision=None,  # no page that names a full commit could be found; `find_detector` checks the content
    licence="Apache-2.0",
    purpose="MediaPipe's face mesh in ONNX, which finds a portrait's landmarks",
    size=5_000_000,
)
FACE_PARSER = Repository(
    published.FACE_PARSER,
    "model",
    revision=published.FACE_PARSER_REVISION,
    licence="research only",  # of the data and the backbone that it was trained on and from
    purpose="SegFormer, which tells a portrait's face, skin, hair and clothes apart",
    size=678_000_000,
)
NORMALS = Repository(
    published.NORMALS_MODEL,
    "model",
    revision=published.NORMALS_REVISION,
    licence="Apache-2.0",
    purpose="Marigold, which sees the normals that a portrait's surface is refined by",
)

GALLERIES: tuple[Repository, ...] = (ANIMPORTRAIT3D_GALLERY, PORTRAIT3D_GALLERY)
"""Kept in this project's cache."""
MODELS: tuple[Repository, ...] = (
    BASE_MODEL,
    BASE_VAE,
    HEAD_CONTROLNET,
    LANDMARK_CONTROLNET,
    LPIPS_FEATURES,
    LPIPS_HEADS,
    FACE_MESH,
    FACE_PARSER,
    NORMALS,
)
"""Kept in huggingface_hub's own cache, which other programs share."""
REPOSITORIES: tuple[Repository, ...] = GALLERIES + MODELS
