"""Portraits are read and written as published, and nothing else is."""

import filecmp
import resource
import warnings

import pytest
import torch

from pipeline.__main__ import main
from pipeline.errors import UserError
from pipeline.inspection import describe
from pipeline.priors.portrait3d.portrait_file import is_portrait, read_portrait, write_portrait
from pipeline.priors.portrait3d.trigrid import RESOLUTIONS, TriGrid
from tests.priors.portrait3d.files import BAD, saved, small_portrait


@pytest.fixture(scope="module")
def portrait():
    draws = torch.Generator().manual_seed(1)
    levels = [torch.zeros(1, 3, 36, side, side) for side in RESOLUTIONS]
    for level in levels:
        level[0, :, :, 0, :8] = torch.randn(3, 36, 8, generator=draws)
    return TriGrid(tuple(levels), torch.randn(1, 14, 512, generator=draws))


def same(one: TriGrid, other: TriGrid) -> bool:
    return torch.equal(one.ws, other.ws) and all(map(torch.equal, one.levels, other.levels))


def test_what_was_written_is_read(portrait, tmp_path):
    write_portrait(tmp_path / "000.pth", portrait)
    read = read_portrait(tmp_path / "000.pth")
    write_portrait(tmp_path / "other name.pth", portrait)
    assert filecmp.cmp(tmp_path / "000.pth", tmp_path / "other name.pth", shallow=False)
    (tmp_path / "000.pth").write_bytes(b"")  # what was read does not hang on the file
    assert same(read, portrait)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_become_float32(portrait, tmp_path, kind):
    entries = {**small_portrait(), "trigrids_8": portrait.levels[0].to(kind), "ws": portrait.ws.to(kind)}
    read = read_portrait(saved(tmp_path / "000.pth", {"model": entries}))
    assert read.levels[0].dtype == torch.float32
    torch.testing.assert_close(read.levels[0], portrait.levels[0].to(kind).float(), rtol=0, atol=0)
    torch.testing.assert_close(read.ws, portrait.ws.to(kind).float(), rtol=0, atol=0)


def test_a_trainers_checkpoint_with_four_axes_is_a_portrait(portrait, tmp_path):
    entries = {f"trigrids_{level.shape[-1]}": torch.nn.Parameter(level[0]) for level in portrait.levels}
    others = {"bg_net.weight": torch.ones(3), "renderer.steps": torch.tensor(4)}
    stored = {"epoch": 18, "stats": {"loss": [1.0]}, "model": {**entries, "ws": portrait.ws[0], **others}}
    read = read_portrait(saved(tmp_path / "df.pth", stored))
    assert same(read, portrait)
    assert not any(level.requires_grad for level in read.levels)


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_portrait_is_refused_with_a_sentence(what, tmp_path):
    make, sentence = BAD[what]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would rather not make some of them
        path = make(tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=sentence) as refused:
        read_portrait(path)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "executed").exists()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 700 * 2**10  # KB: a portrait has 151 MB


def test_a_portrait_is_told_from_other_archives(tmp_path):
    known = saved(tmp_path / "any name", {"model": small_portrait()})
    saved(tmp_path / "motion.pt", {"exp": torch.zeros(4, 50)})
    (tmp_path / "cut.pth").write_bytes(known.read_bytes()[:-99])
    (tmp_path / "cut.pt").write_bytes(known.read_bytes()[:-99])
    told = [is_portrait(tmp_path / name) for name in ("any name", "cut.pth", "motion.pt", "cut.pt", "none")]
    assert told == [True, True, False, False, False]


def test_inspect_tells_what_a_portrait_holds_and_what_it_lacks(tmp_path):
    path = saved(tmp_path / "000_pyramid_trigrid.pth", {"model": small_portrait()})
    (tmp_path / "000_prompt.txt").write_text("a bald man")
    told = describe(path)
    assert told[0] == "portrait of Portrait3D"
    assert "7 levels, 8 to 512: 37,746,432 numbers" in told[1]
    assert told[2] == "made from: 'a bald man'"
    assert "get decoder_512.ckpt" in told[3]
    (tmp_path / "decoder_512.ckpt").write_bytes(b"decoder.net.0.weight torgb.affine.weight")
    assert describe(path)[3] == f"decoder: {tmp_path / 'decoder_512.ckpt'}"


def test_the_command_line_refuses_with_a_sentence(tmp_path, capsys):
    path = BAD["code"][0](tmp_path)
    assert main(["inspect", str(path)]) == 2
    assert "can run code" in capsys.readouterr().out
    assert main(["import", str(path), "--out", str(tmp_path / "A")]) == 2
    assert f"create --portrait {path}" in capsys.readouterr().err
    assert not (tmp_path / "executed").exists()
