"""Published networks that look at a portrait's pictures: which files of the Hub they are, at which state."""

from __future__ import annotations

from pipeline.stages.perceptual import HubFile

FACE_PARSER = "jonathandinu/face-parsing"
"""SegFormer B5 trained on CelebAMask-HQ, 19 classes."""
FACE_PARSER_REVISION = "373bfce5ebb8c57c5d389ea790e109b237e346a9"  # "Fix labels (#3)"
PARSER_FILES = tuple(
    HubFile(FACE_PARSER, name, FACE_PARSER_REVISION)
    for name in ("config.json", "preprocessor_config.json", "model.safetensors")
)
"""What must be fetched, by ``hf_hub_download(**file._asdict())``, before `parsing.find_parser` finds it; 339 MB."""

NORMALS_MODEL = "prs-eth/marigold-normals-v0-1"
"""Marigold for normals, from Stable Diffusion 2, as a pipeline of diffusers."""
NORMALS_REVISION = "f29bb3c6a11a92a15a3c9c53b9fcc84fa6518ddc"  # "Update model_index.json"

FACE_MESH = "naklitechie/face-landmarks-onnx"
"""MediaPipe's face mesh V2 (Apache-2.0) in ONNX; its card names the content, which no commit had to be found for."""
FACE_MESH_FILE = "face_landmarks.onnx"
FACE_MESH_CONTENT = "f38c3321ceffbc9e95103480ad38cc3f52e7e1bde2bcee7cd9355d0b9138ac0c"
"""SHA-256 of that file, hex."""
