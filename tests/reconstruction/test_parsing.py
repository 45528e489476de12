"""Parsers on tiny models in the layout of the published ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from pipeline.errors import UserError
from pipeline.reconstruction import parsing
from pipeline.reconstruction.multiview import Part
from pipeline.reconstruction.parsing import find_parser, load_parser, parts_of
from pipeline.reconstruction.published import PARSER_FILES

CELEBA = [
    "background",
    "skin",
    "nose",
    "eye_g",
    "l_eye",
    "r_eye",
    "l_brow",
    "r_brow",
    "l_ear",
    "r_ear",
    "mouth",
    "u_lip",
    "l_lip",
    "hair",
    "hat",
    "ear_r",
    "neck_l",
    "neck",
    "cloth",
]
GOLIATH = [
    "Background",
    "Apparel",
    "Face Neck",
    "Hair",
    "Left Foot",
    "Left Hand",
    "Left Lower Arm",
    "Left Lower Leg",
    "Left Shoe",
    "Left Sock",
    "Left Upper Arm",
    "Left Upper Leg",
    "Lower Clothing",
    "Right Foot",
    "Right Hand",
    "Right Lower Arm",
    "Right Lower Leg",
    "Right Shoe",
    "Right Sock",
    "Right Upper Arm",
    "Right Upper Leg",
    "Torso",
    "Upper Clothing",
    "Lower Lip",
    "Upper Lip",
    "Lower Teeth",
    "Upper Teeth",
    "Tongue",
]
PREPROCESSOR = {  # as the published repository has it, of the years before transformers 5
    "do_normalize": True, "do_resize": True, "feature_extractor_type": "SegformerFeatureExtractor",
    "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "reduce_labels": False, "resample": 2,
    "size": 512,
}  # fmt: skip


def tiny_model(names: list[str]) -> SegformerForSemanticSegmentation:
    """A SegFormer of the usual four stages, random and narrow."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = SegformerConfig(
            depths=[1, 1, 1, 1], hidden_sizes=[4, 4, 8, 8], decoder_hidden_size=8, num_attention_heads=[1, 1, 2, 2],
            mlp_ratios=[1, 1, 1, 1], id2label=dict(enumerate(names)), label2id={n: i for i, n in enumerate(names)},
        )  # fmt: skip
        return SegformerForSemanticSegmentation(config)


def write_parser(folder: Path, names: list[str], size: int = 64) -> Path:
    """One that sees hair where a picture is dark and skin where it is bright, whatever else it was drawn with."""
    model = tiny_model(names)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({**PREPROCESSOR, "size": size}))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_parser(tmp_path_factory.mktemp("parser"), CELEBA)


def pictures(count: int, height: int = 48, width: int = 64) -> torch.Tensor:
    return torch.randint(
        0, 256, (count, height, width, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )


def test_labels_are_those_of_the_model_at_the_size_of_the_pictures(folder: Path) -> None:
    """Against the model's own classes, made without its processor: resize, normalise, upsample the scores."""
    shown = pictures(5)
    found = load_parser(folder)(shown)
    assert found.shape == shown.shape[:3]
    assert found.dtype == torch.uint8
    model = SegformerForSemanticSegmentation.from_pretrained(folder).eval()
    scaled = torch.nn.functional.interpolate(
        shown.movedim(-1, 1).float(), (64, 64), mode="bilinear", antialias=True, align_corners=False
    )
    mean, deviation = (torch.tensor(PREPROCESSOR[name]).view(3, 1, 1) for name in ("image_mean", "image_std"))
    with torch.no_grad():
        scores = model((scaled / 255 - mean) / deviation).logits
    classes = torch.nn.functional.interpolate(scores, shown.shape[1:3], mode="bilinear", align_corners=False).argmax(1)
    expected = parts_of(dict(enumerate(CELEBA)))[classes]
    assert (found == expected).float().mean() > 0.98  # the processor rounds resized pixels to whole numbers


def test_what_the_last_layer_says_is_what_is_told(tmp_path: Path) -> None:
    write_parser(tmp_path, CELEBA)
    model = SegformerForSemanticSegmentation.from_pretrained(tmp_path)
    for name, part in (("hat", Part.HAIR), ("neck_l", Part.CLOTH), ("eye_g", Part.FACE), ("r_ear", Part.SKIN)):
        torch.nn.init.zeros_(model.decode_head.classifier.weight)
        torch.nn.init.zeros_(model.decode_head.classifier.bias)
        with torch.no_grad():
            model.decode_head.classifier.bias[CELEBA.index(name)] = 1
        model.save_pretrained(tmp_path)
        assert (load_parser(tmp_path)(pictures(2, 40, 40)) == part).all()


def test_the_names_of_published_models_have_their_parts() -> None:
    celeba = parts_of({number: f"{name}.png" for number, name in enumerate(CELEBA)})
    assert celeba.tolist() == [0, *[1] * 7, 2, 2, 1, 1, 1, 3, 3, 2, 4, 2, 4]
    goliath = parts_of(dict(enumerate(GOLIATH)))
    assert [goliath[GOLIATH.index(name)] for name in ("Face Neck", "Hair", "Upper Clothing", "Torso", "Tongue")] == [
        Part.FACE, Part.HAIR, Part.CLOTH, Part.SKIN, Part.FACE,
    ]  # fmt: skip


def test_unknown_classes_are_listed(tmp_path: Path) -> None:
    write_parser(tmp_path, ["background", "skin", "Wheel", "road"])
    with pytest.raises(UserError, match="tells apart Wheel, road, and it is not known"):
        load_parser(tmp_path)


def test_a_folder_without_a_model_or_with_a_pickle_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UserError, match="holds no semantic segmentation model"):
        load_parser(tmp_path)
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    torch.save(load_file(folder / "model.safetensors"), tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match="as safetensors"):
        load_parser(tmp_path)


def test_a_model_that_needs_what_is_not_installed_is_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def needy(*_: object, **__: object) -> None:
        raise ImportError("\nSapiens2ImageProcessor requires the Torchvision library\nbut it was not found")

    monkeypatch.setattr(parsing.AutoImageProcessor, "from_pretrained", needy)
    with pytest.raises(UserError, match="requires the Torchvision library"):
        load_parser(folder)


def test_damaged_weights_are_a_sentence(tmp_path: Path, folder: Path) -> None:
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        content = (folder / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2] if name.endswith("safetensors") else content)
    with pytest.raises(UserError, match="holds no semantic segmentation model"):
        load_parser(tmp_path)


def test_the_parser_is_found_only_where_all_its_files_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = {file.filename: str(folder / file.filename) for file in PARSER_FILES}
    monkeypatch.setattr(parsing, "try_to_load_from_cache", lambda repo, name, revision: cached.get(name))
    found = find_parser()
    assert found is not None
    assert found(pictures(1)).shape == (1, 48, 64)
    del cached["model.safetensors"]
    assert find_parser() is None
