"""Published weights are read with all their names, and the programs that lie beside them are not."""

import os
import pickle

import pytest
import torch

from pipeline.errors import UserError
from pipeline.heads.model_cache import cache_folder
from pipeline.inspection import describe
from pipeline.priors.portrait3d.decoder import Painter
from pipeline.priors.portrait3d.generator_file import read_generator, read_painter
from pipeline.safe_load import Limits, convert_network
from tests.priors.portrait3d.files import RunsCode
from tests.priors.portrait3d.generator_weights import SMALL, generator_state, published_state
from tests.priors.portrait3d.published import write_decoder, write_generator


@pytest.fixture(scope="module")
def state():
    return generator_state()


@pytest.fixture(scope="module")
def generator_file(state, tmp_path_factory):
    return write_generator(tmp_path_factory.mktemp("generator") / "model_512.pkl", state)


def random_painter(seed: int = 0) -> Painter:
    draws, painter = torch.Generator().manual_seed(seed), Painter()
    for value in painter.state_dict().values():
        value.copy_(torch.randn(value.shape, generator=draws))
    return painter


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_averaged_generator_of_a_snapshot_is_read(generator_file, state):
    generator = read_generator(generator_file, SMALL)
    assert same(published_state(generator), state)
    assert not any(weight.requires_grad for weight in generator.parameters())
    assert not generator_file.with_name("executed").exists()


def test_the_decoder_of_a_snapshot_is_read_without_the_rest(generator_file, state):
    painter = read_painter(generator_file)
    assert all(torch.equal(value, state[name]) for name, value in painter.state_dict().items())


@pytest.mark.parametrize("zipped", [True, False])
def test_a_decoder_is_read_in_both_formats_of_torch(tmp_path, zipped):
    painter = random_painter()
    read = read_painter(write_decoder(tmp_path / "decoder_512.ckpt", painter.state_dict(), zipped=zipped))
    assert same(read.state_dict(), painter.state_dict())


def test_a_file_is_read_by_the_other_process_only_once(tmp_path, monkeypatch):
    path = write_decoder(tmp_path / "decoder_512.ckpt", random_painter(1).state_dict())
    first = read_painter(path)
    monkeypatch.setattr("pipeline.priors.portrait3d.generator_file.convert_network", None)
    assert same(read_painter(path).state_dict(), first.state_dict())
    assert not list(cache_folder().glob(".*"))


@pytest.mark.parametrize("where", ["snapshot", "checkpoint", "bare"])
def test_code_in_a_file_is_not_run(tmp_path, state, where):
    code = RunsCode(tmp_path / "executed")
    if where == "snapshot":
        path = write_generator(tmp_path / "model_512.pkl", state, extra=code)
    elif where == "checkpoint":
        path = write_decoder(tmp_path / "decoder_512.ckpt", random_painter().state_dict(), params=code)
    else:
        path = tmp_path / "model_512.pkl"
        path.write_bytes(pickle.dumps(code))
    with pytest.raises(UserError, match="can run code") as refused:
        read_painter(path)
    assert f"{os.system.__module__}.system" in str(refused.value)
    assert "motion" not in str(refused.value)
    assert not (tmp_path / "executed").exists()


class Unknown:
    """Of a package that is not installed where the file is read, and that would do something."""

    def __setstate__(self, values):
        open(values["proof"], "w").close()


def test_objects_of_unknown_packages_are_inert(tmp_path, state):
    unknown = Unknown()
    unknown.proof = str(tmp_path / "executed")
    path = write_generator(tmp_path / "model_512.pkl", state, extra=[unknown])
    assert read_painter(path).state_dict().keys() == Painter().state_dict().keys()
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda state: state.update({"torgb.bias": torch.zeros(4)}), "torgb.bias in bad.ckpt is 4; .* it is 3"),
        (lambda state: state["torgb.bias"].fill_(torch.nan), "not finite"),
    ],
)
def test_another_decoder_is_refused(tmp_path, change, sentence):
    state = random_painter().state_dict()
    change(state)
    with pytest.raises(UserError, match=sentence):
        read_painter(write_decoder(tmp_path / "bad.ckpt", state))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no pickle"),
        (pickle.dumps({"G": None}), "neither a network G_ema"),
        (pickle.dumps({"state_dict": {"a": "b"}}), "without weights"),
    ],
)
def test_what_is_no_network_is_refused(tmp_path, content, sentence):
    (tmp_path / "bad.pkl").write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        read_generator(tmp_path / "bad.pkl", SMALL)
    assert not list(cache_folder().glob(".*"))  # no half of a model is left


def test_a_generator_cut_short_is_damaged(tmp_path, generator_file):
    (tmp_path / "model_512.pkl").write_bytes(generator_file.read_bytes()[:-200])
    with pytest.raises(UserError, match="damaged"):
        read_generator(tmp_path / "model_512.pkl", SMALL)


def test_a_network_too_large_for_this_machine_is_no_motion(tmp_path, generator_file):
    with pytest.raises(UserError, match=r"needs more than 1 MB .* Get it again from where it was published"):
        convert_network(generator_file, tmp_path / "weights.npz", Limits(2**20, 20.0))


def test_a_generator_of_other_sizes_is_named_in_the_sentence(generator_file):
    with pytest.raises(UserError, match=r"model_512\.pkl cannot be used: \d+ of \d+ weights are missing"):
        read_generator(generator_file)


def test_inspect_tells_what_a_network_is_and_what_a_generator_lacks(tmp_path, generator_file):
    decoder = write_decoder(tmp_path / "decoder_512.ckpt", random_painter().state_dict())
    assert describe(decoder) == ["decoder of Portrait3D", "18,020 numbers"]
    with pytest.raises(UserError, match=r"model_512\.pkl cannot be used: \d+ of 420 weights are missing"):
        describe(generator_file)
