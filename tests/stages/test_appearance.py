import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import conv2d, max_pool2d, relu

from pipeline.errors import UserError
from pipeline.stages import appearance, perceptual
from pipeline.stages.appearance import NO_LPIPS, gradient_difference, photometric_loss
from pipeline.stages.perceptual import BLOCKS, HEADS, VGG16, find_lpips, load_lpips

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights():
    """Random weights under torchvision's names, and heads of the published shape."""
    draws = torch.Generator().manual_seed(0)
    vgg16, index, channels = {}, 0, 3
    for block in BLOCKS:
        for out in block:
            gain = (2 / channels / 9) ** 0.5
            vgg16[f"features.{index}.weight"] = torch.randn(out, channels, 3, 3, generator=draws) * gain
            vgg16[f"features.{index}.bias"] = torch.randn(out, generator=draws) * 0.1
            index, channels = index + 2, out
        index += 1
    vgg16["classifier.6.bias"] = torch.zeros(1000)
    heads = {f"{n}.weight": torch.rand(1, block[-1], 1, 1, generator=draws) for n, block in enumerate(BLOCKS)}
    return vgg16, heads


@pytest.fixture(scope="module")
def files(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lpips")
    for values, file in zip(weights, (VGG16, HEADS), strict=True):
        save_file(values, folder / file.filename)
    return folder / VGG16.filename, folder / HEADS.filename


def pictures(seed: int, size: int = 32) -> torch.Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(seed))


def test_lpips_is_the_formula_written_out(weights, files):
    vgg16, heads = weights
    images, targets = pictures(1), pictures(2)
    mean, deviation = torch.tensor([-0.03, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.45])
    features = [(2 * p - 1 - mean.view(3, 1, 1)) / deviation.view(3, 1, 1) for p in (images, targets)]
    expected = torch.zeros(2)
    convolutions = [[0, 2], [5, 7], [10, 12, 14], [17, 19, 21], [24, 26, 28]]
    for depth, indices in enumerate(convolutions):
        for side in range(2):
            x = max_pool2d(features[side], 2) if depth else features[side]
            for index in indices:
                x = relu(conv2d(x, vgg16[f"features.{index}.weight"], vgg16[f"features.{index}.bias"], padding=1))
            features[side] = x
        units = [x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10) for x in features]
        expected += (heads[f"{depth}.weight"] * (units[0] - units[1]).square()).sum(1).mean((1, 2))
    torch.testing.assert_close(load_lpips(*files)(images, targets), expected, rtol=1e-4, atol=1e-6)


def test_lpips_of_equal_pictures_is_zero_and_gives_the_picture_a_gradient(files):
    lpips = load_lpips(*files)
    assert not lpips(pictures(1), pictures(1)).any()
    images = pictures(1).requires_grad_()
    lpips(images, pictures(2)).sum().backward()
    assert images.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in lpips.parameters())


def test_lpips_is_found_in_the_cache_of_the_hub(files, monkeypatch):
    asked = []

    def cached(repo_id, filename, revision):
        asked.append((repo_id, filename, revision))
        return str(files[0] if filename == VGG16.filename else files[1])

    monkeypatch.setattr(perceptual, "try_to_load_from_cache", cached)
    assert find_lpips() is not None
    assert asked == [tuple(VGG16), tuple(HEADS)]


def test_without_weights_nothing_is_found_and_nobody_is_asked(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert find_lpips() is None


def test_a_file_that_is_not_the_weights_is_named(files, tmp_path):
    broken = tmp_path / "heads.safetensors"
    save_file({"0.weight": torch.zeros(1, 7, 1, 1)}, broken)
    with pytest.raises(UserError, match=r"heads\.safetensors"):
        load_lpips(files[0], broken)
    broken.write_bytes(b"not tensors")
    with pytest.raises(UserError, match=r"heads\.safetensors"):
        load_lpips(files[0], broken)


def test_squared_differences_alone():
    loss = photometric_loss("l2", CPU, pytest.fail)
    images = torch.zeros(2, 3, 8, 8)
    targets = torch.stack([torch.full((3, 8, 8), 0.5), torch.zeros(3, 8, 8)])
    torch.testing.assert_close(loss(images, targets), torch.tensor([0.8 * 0.25, 0.0]))


def test_absolute_differences_and_lpips(files, monkeypatch):
    lpips = load_lpips(*files)
    monkeypatch.setattr(appearance, "find_lpips", lambda: lpips)
    loss = photometric_loss("l1+lpips", CPU, pytest.fail)
    images, targets = pictures(1), pictures(2)
    expected = 0.8 * (images - targets).abs().mean((1, 2, 3)) + 0.2 * lpips(images, targets)
    torch.testing.assert_close(loss(images, targets), expected)


def test_edges_stand_in_for_lpips_and_it_is_said(monkeypatch):
    monkeypatch.setattr(appearance, "find_lpips", lambda: None)
    said: list[str] = []
    loss = photometric_loss("l1+lpips", CPU, said.append)
    assert said == [NO_LPIPS]
    images, targets = pictures(1), pictures(2)
    expected = 0.8 * (images - targets).abs().mean((1, 2, 3)) + 0.2 * gradient_difference(images, targets)
    torch.testing.assert_close(loss(images, targets), expected)


def test_edges_are_compared_at_four_scales():
    def waves(period: int) -> torch.Tensor:
        return (torch.arange(64) // (period // 2) % 2).float().expand(1, 3, 64, 64)

    flat = torch.zeros(1, 3, 64, 64)
    assert gradient_difference(flat + 0.5, flat) == 0
    assert gradient_difference(waves(32), flat) > 0
    assert gradient_difference(waves(2), flat) > gradient_difference(waves(32), flat)
