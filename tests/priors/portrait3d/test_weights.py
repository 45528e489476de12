"""Decoder and generator are found where people put them, by what they hold."""

import os

import pytest
import torch

from pipeline.errors import UserError
from pipeline.priors.portrait3d.decoder import Painter
from pipeline.priors.portrait3d.weights import find_generator, find_painter
from tests.priors.portrait3d.published import write_decoder, write_generator


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with a decoder and one with a generator, both renamed, among others."""
    state = Painter().state_dict()
    decoder, generator = (tmp_path_factory.mktemp(name) for name in ("decoder", "generator"))
    (generator / "deeper").mkdir()
    write_decoder(decoder / "mine.ckpt", state)
    write_generator(generator / "deeper" / "other.pkl", state)
    torch.save({"state_dict": {"a": torch.zeros(2)}}, decoder / "decoder_512.ckpt")
    (generator / "empty.pkl").touch()
    return {"decoder": decoder / "mine.ckpt", "generator": generator / "deeper" / "other.pkl"}


@pytest.fixture
def named(files, monkeypatch):
    def name(*kinds):
        folders = [{"decoder": files["decoder"].parent, "generator": files["generator"].parents[1]}[k] for k in kinds]
        monkeypatch.setenv("ANIMPORTRAIT3D_MODELS", os.pathsep.join(map(str, folders)))

    return name


def test_a_decoder_beside_the_portrait_comes_first(files, named, tmp_path):
    named("generator")
    assert find_painter(files["decoder"].parent) == files["decoder"]
    assert find_painter(tmp_path) == files["generator"]


def test_the_folders_of_the_operator_are_searched(files, named):
    named("generator", "decoder")
    assert find_painter() == files["decoder"]
    assert find_generator() == files["generator"]
    named("generator")
    assert find_painter() == files["generator"]


def test_without_the_files_a_sentence_tells_how_to_get_them(files, named, tmp_path):
    named("decoder")
    with pytest.raises(UserError, match=r"get model_512\.pkl from https://drive.* ANIMPORTRAIT3D_MODELS names$"):
        find_generator()
    named()
    with pytest.raises(
        UserError, match=rf"get decoder_512\.ckpt from https://drive.* beside the portrait in {tmp_path}"
    ):
        find_painter(tmp_path)
