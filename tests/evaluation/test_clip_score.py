"""The CLIP score of a tiny CLIP with random weights."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

from pipeline.errors import UserError
from pipeline.evaluation import clip_models, clip_score
from pipeline.evaluation.clip_score import ClipScore

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def write_tiny_clip(folder):
    """A CLIP in transformers' layout: 16 px pictures, letters for tokens."""
    tokens = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=[], model_max_length=77)
    part = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": len(tokens) - 2, "eos_token_id": len(tokens) - 1, "pad_token_id": len(tokens) - 1}
    config = CLIPConfig(
        text_config={**part, **ends, "vocab_size": len(tokens), "max_position_embeddings": 77},
        vision_config={**part, "image_size": 16, "patch_size": 8},
        projection_dim=8,
    )
    torch.manual_seed(3)
    CLIPModel(config).save_pretrained(folder)
    size = {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}}
    CLIPProcessor(CLIPImageProcessor(**size), tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_clip(tmp_path_factory.mktemp("clips") / "tiny-clip")


def pictures(count):
    return list(np.random.default_rng(1).integers(0, 255, (count, 20, 20, 3), dtype=np.uint8))


def test_the_score_is_the_mean_cosine_that_clip_itself_scales(tiny):
    shown = pictures(11)
    model, processor = CLIPModel.from_pretrained(tiny).eval(), CLIPProcessor.from_pretrained(tiny)
    given = processor(text=["an old man"], images=[Image.fromarray(one) for one in shown], return_tensors="pt")
    with torch.no_grad():
        told = model(**given)
    expected = float((told.logits_per_image / model.logit_scale.detach().exp()).mean())
    score = ClipScore(str(tiny))
    assert score.name == "tiny-clip"
    assert score.score(shown, "an old man") == pytest.approx(expected, abs=1e-6)
    assert score.score(shown, "a young woman") != pytest.approx(expected, abs=1e-6)


def test_a_prompt_of_any_length_will_do(tiny):
    assert -1 <= ClipScore(str(tiny)).score(pictures(1), "word " * 300) <= 1


@pytest.mark.parametrize("name", ["nobody/has-this", "no such folder", "../up"])
def test_a_model_that_is_not_here_is_one_sentence(name):
    with pytest.raises(UserError, match="hf download"):
        clip_models([name])


def test_a_folder_without_a_model_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="no CLIP model"):
        clip_models([str(tmp_path)])


def test_a_damaged_model_is_one_sentence(tiny, tmp_path):
    folder = write_tiny_clip(tmp_path / "clip")
    (folder / "model.safetensors").write_bytes(b"\x10" * 100)
    with pytest.raises(UserError, match="no CLIP model"):
        ClipScore(str(folder))


def test_weights_that_are_pickles_are_not_read(tiny, tmp_path):
    folder = write_tiny_clip(tmp_path / "clip")
    torch.save(CLIPModel.from_pretrained(folder).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match="no CLIP model"):
        ClipScore(str(folder))


def test_without_names_those_on_this_machine_are_taken(tiny, monkeypatch):
    monkeypatch.setattr(clip_score, "MODELS", ("nobody/has-this", str(tiny)))
    assert [model.name for model in clip_models(None)] == ["tiny-clip"]
