"""State dicts by name: the published layout, and sentences about files that are not it."""

from __future__ import annotations

import pytest
import torch

from pipeline.errors import UserError
from pipeline.priors.portrait3d.generator import Portrait3DGenerator
from pipeline.priors.portrait3d.generator_state import load_state
from pipeline.stages.randomness import generator
from tests.priors.portrait3d.generator_weights import SMALL, generator_state, published_state

Shapes = dict[str, tuple[int, ...]]
W = 512


def modulated(name: str, inner: int, out: int, size: int, planes: int = 1) -> Shapes:
    return {
        f"{name}.affine.weight": (inner * planes * planes, W),
        f"{name}.affine.bias": (inner * planes * planes,),
        f"{name}.weight": (out, inner * planes, size, size),
        f"{name}.bias": (out,),
    }


def layer(name: str, inner: int, out: int, resolution: int, planes: int = 1) -> Shapes:
    more = {"noise_const": (resolution, resolution), "noise_strength": (), "resample_filter": (4, 4)}
    return modulated(name, inner, out, 3, planes) | {f"{name}.{key}": shape for key, shape in more.items()}


def block(name: str, inner: int, out: int, resolution: int, image: int, planes: int = 1) -> Shapes:
    shapes: Shapes = {f"{name}.resample_filter": (4, 4)}
    if inner:
        shapes |= layer(f"{name}.conv0", inner, out, resolution, planes)
    else:
        shapes[f"{name}.const"] = (1, out, resolution, resolution)
    shapes |= layer(f"{name}.conv1", out, out, resolution, planes)
    return shapes | modulated(f"{name}.torgb", out, image, 1, planes)


def fully_connected(name: str, inner: int, out: int) -> Shapes:
    return {f"{name}.weight": (out, inner), f"{name}.bias": (out,)}


def published_shapes() -> Shapes:
    """Names and shapes of what is needed of ``G_ema``, as its source code makes them, written down apart from ours."""
    shapes = fully_connected("backbone.mapping.embed", 31, 512)
    shapes |= fully_connected("backbone.mapping.fc0", 1024, 512) | fully_connected("backbone.mapping.fc1", 512, 512)
    for r in (4, 8, 16, 32, 64, 128, 256):
        shapes |= block(f"backbone.synthesis.b{r}", 0 if r == 4 else 108, 108, r, 108)
        shapes |= block(f"backbone.synthesis.b3d{r}.block", 36, 36, 2 * r, 36, planes=3)
    for r, inner, out in ((4, 0, 512), (8, 512, 512), (16, 512, 512), (32, 512, 512), (64, 512, 512), (128, 512, 256)):
        shapes |= block(f"bcg_synthesis.b{r}", inner, out, r, 32)
    shapes |= block("superresolution.block0", 32, 256, 256, 3) | block("superresolution.block1", 256, 128, 512, 3)
    shapes |= fully_connected("decoder.net.0", 12, 32) | fully_connected("decoder.net.2", 32, 33)
    shapes |= modulated("torgb", 32, 3, 1)
    return shapes


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return generator_state()


def test_names_and_shapes_are_the_published_ones() -> None:
    with torch.device("meta"):
        ours = published_state(Portrait3DGenerator())
    assert {name: tuple(weight.shape) for name, weight in ours.items()} == published_shapes()


def test_a_loaded_generator_is_the_one_that_was_saved(state: dict[str, torch.Tensor]) -> None:
    loaded = Portrait3DGenerator(SMALL)
    report = load_state(loaded, state)
    assert (report.loaded, report.unexpected, report.not_needed) == (len(state), (), 0)
    original = Portrait3DGenerator(SMALL).draw(generator(0, "generator weights"))
    ws = torch.randn((1, 4, 512), generator=generator(1, "ws"))
    assert torch.equal(loaded.planes(ws).levels[1], original.planes(ws).levels[1])
    assert torch.equal(loaded.background(ws), original.background(ws))


def test_other_networks_in_the_file_are_left_alone_and_counted(state: dict[str, torch.Tensor]) -> None:
    others = {"renderer.smpl.v_template": torch.zeros(6890, 3), "backbone.mapping.w_avg": torch.zeros(512)}
    report = load_state(Portrait3DGenerator(SMALL), state | others | {"superresolution.odd": torch.zeros(1)})
    assert report.not_needed == 2
    assert report.unexpected == ("superresolution.odd",)


def test_constants_may_be_left_out_and_half_precision_is_converted(state: dict[str, torch.Tensor]) -> None:
    lean = {name: weight.half() for name, weight in state.items() if not name.endswith("resample_filter")}
    loaded = Portrait3DGenerator(SMALL)
    load_state(loaded, lean)
    assert all(weight.dtype == torch.float32 for weight in loaded.state_dict().values())
    name = "backbone.synthesis.b8.conv0.weight"
    assert torch.equal(loaded.state_dict()[name], state[name].half().float())


def refused(state: dict[str, torch.Tensor]) -> str:
    """The sentence, after which nothing of the generator has changed."""
    untouched = Portrait3DGenerator(SMALL)
    with pytest.raises(UserError) as caught:
        load_state(untouched, state)
    assert untouched.bcg_synthesis.state_dict()["b4.const"].abs().max() == 0
    return str(caught.value)


def test_missing_weights_are_told_by_name(state: dict[str, torch.Tensor]) -> None:
    without = {name: weight for name, weight in state.items() if ".b3d8." not in name}
    sentence = refused(without)
    assert sentence.startswith(f"16 of {len(state)} weights are missing (backbone.synthesis.b3d8.block.conv0.weight, ")
    assert sentence.endswith("and 13 more); the generator must be the G_ema of 3DPortraitGAN-pyramid's model_512.pkl")


def test_other_shapes_are_told_with_both(state: dict[str, torch.Tensor]) -> None:
    name = "backbone.synthesis.b4.const"
    sentence = refused(state | {name: torch.zeros(1, 512, 4, 4)})
    assert "weights have another shape: backbone.synthesis.b4.const (is 1×512×4×4, would be 1×108×4×4)" in sentence


def test_a_list_of_no_weights_at_all_is_a_sentence() -> None:
    assert "weights are missing" in refused({})


def test_numbers_that_are_not_finite_are_told(state: dict[str, torch.Tensor]) -> None:
    broken = state["torgb.weight"].clone()
    broken[0, 0] = float("nan")
    assert refused(state | {"torgb.weight": broken}) == (
        "the generator's weights hold numbers that are not finite, in torgb.weight"
    )
