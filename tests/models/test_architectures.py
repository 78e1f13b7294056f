"""The published nets, layer by layer: sizes and parameter counts worked out by hand from the papers' tables."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from unbraid.errors import UnbraidError
from unbraid.models import build


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def conv(size: int, before: int, after: int) -> int:
    return size * size * before * after + after


def fc(before: int, after: int) -> int:
    return before * after + after


def outputs(net: nn.Module, x: torch.Tensor) -> list[tuple[int, ...]]:
    """The shapes without the batch after each layer with parameters."""
    shapes = []
    for layer in net.children():
        x = layer(x)
        if count(layer):
            shapes.append(tuple(x.shape[1:]))
    return shapes


def activations(net: nn.Module) -> list[str]:
    """What follows each layer with parameters: an activation's name, or "linear"."""
    layers = [m for m in net.children() if not isinstance(m, nn.Flatten | nn.Unflatten | nn.PixelShuffle)]
    following = [*layers[1:], None]
    return [
        "linear" if after is None or count(after) else type(after).__name__
        for layer, after in zip(layers, following, strict=True)
        if count(layer)
    ]


def test_burgess_has_the_published_size() -> None:
    vae = build("burgess", (1, 64, 64), latent_dim=10)
    encoder = conv(4, 1, 32) + 3 * conv(4, 32, 32) + fc(512, 256) + fc(256, 256) + 2 * fc(256, 10)
    decoder = fc(10, 256) + fc(256, 512) + 3 * conv(4, 32, 32) + conv(4, 32, 1)
    assert (count(vae.encoder), count(vae.decoder)) == (encoder, decoder) == (252_052, 184_161)
    halved = [(32, 32, 32), (32, 16, 16), (32, 8, 8), (32, 4, 4)]
    assert outputs(vae.encoder, torch.zeros(1, 1, 64, 64)) == [*halved, (256,), (256,), (20,)]
    assert outputs(vae.decoder, torch.zeros(1, 10)) == [(256,), (512,), *halved[-2::-1], (1, 64, 64)]
    assert activations(vae.encoder) == 6 * ["ReLU"] + ["linear"]
    assert activations(vae.decoder) == 5 * ["ReLU"] + ["linear"]


@pytest.mark.parametrize(
    ("height", "width", "code"),
    [(8, 8, (4, 4)), (32, 32, (4, 4)), (128, 128, (4, 4)), (28, 28, (7, 7)), (96, 96, (6, 6)), (64, 160, (4, 10))],
)
def test_burgess_halves_until_the_shorter_side_is_below_8(height: int, width: int, code: tuple[int, int]) -> None:
    vae = build("burgess", (3, height, width))
    maps = [shape for shape in outputs(vae.encoder, torch.zeros(1, 3, height, width)) if len(shape) == 3]
    assert maps[-1] == (32, *code)
    assert vae.decode(torch.zeros(1, 10)).shape == (1, 3, height, width)


@pytest.mark.parametrize(("height", "width"), [(7, 7), (30, 30), (64, 66), (100, 50)])
def test_burgess_refuses_sides_that_do_not_halve(height: int, width: int) -> None:
    with pytest.raises(UnbraidError, match=f"burgess cannot take {height}x{width} images.* 32, 64"):
        build("burgess", (1, height, width))


def test_burgess_starts_uniform_by_fan_in() -> None:
    vae = build("burgess", (1, 64, 64))
    for layer in vae.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            inputs = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels * 16
            bound = 1 / math.sqrt(inputs)
            for tensor in (layer.weight, layer.bias):
                assert tensor is not None and tensor.abs().max() <= bound
            assert layer.weight.abs().max() > 0.95 * bound
            assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)
            if layer.bias.numel() > 100:
                assert layer.bias.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.2)


def test_locatello_has_the_published_layers() -> None:
    vae = build("locatello", (3, 64, 64), latent_dim=10)
    encoder = conv(4, 3, 32) + conv(4, 32, 32) + conv(2, 32, 64) + conv(2, 64, 64) + fc(1024, 256) + 2 * fc(256, 10)
    decoder = fc(10, 256) + fc(256, 1024) + conv(4, 64, 64) + conv(4, 64, 32) + conv(4, 32, 32) + conv(4, 32, 3)
    assert (count(vae.encoder), count(vae.decoder)) == (encoder, decoder)
    halved = [(32, 32, 32), (32, 16, 16), (64, 8, 8), (64, 4, 4)]
    assert outputs(vae.encoder, torch.zeros(1, 3, 64, 64)) == [*halved, (256,), (20,)]
    grown = [(64, 8, 8), (32, 16, 16), (32, 32, 32), (3, 64, 64)]
    assert outputs(vae.decoder, torch.zeros(1, 10)) == [(256,), (1024,), *grown]
    assert activations(vae.encoder) == 5 * ["ReLU"] + ["linear"]
    assert activations(vae.decoder) == 5 * ["ReLU"] + ["linear"]


@pytest.mark.parametrize("name", ["locatello", "mlp"])
def test_glorot_uniform_and_zero_biases(name: str) -> None:
    for layer in build(name, (1, 64, 64)).modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            cells = 1 if isinstance(layer, nn.Linear) else math.prod(layer.kernel_size)
            bound = math.sqrt(6 / (cells * (layer.weight.shape[0] + layer.weight.shape[1])))
            assert 0.95 * bound < layer.weight.abs().max() <= bound
            assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)
            assert not layer.bias.any()


def test_mlp_has_the_published_layers() -> None:
    vae = build("mlp", (1, 64, 64), latent_dim=10)
    assert outputs(vae.encoder, torch.zeros(1, 1, 64, 64)) == [(1200,), (1200,), (20,)]
    assert outputs(vae.decoder, torch.zeros(1, 10)) == [(1200,), (1200,), (1200,), (4096,)]
    assert activations(vae.encoder) == ["ReLU", "ReLU", "linear"]
    assert activations(vae.decoder) == ["Tanh", "Tanh", "Tanh", "linear"]


def test_swift_is_as_cheap_as_it_says() -> None:
    flops = {}
    for name in ("swift", "burgess"):
        vae = build(name, (1, 64, 64), latent_dim=10)
        with FlopCounterMode(display=False) as counter:
            vae(torch.zeros(1, 1, 64, 64), torch.zeros(1, 10))
        flops[name] = counter.get_total_flops() / 1e6
    assert flops["swift"] == pytest.approx(7.0, abs=0.05)
    assert flops["burgess"] == pytest.approx(24.8, abs=0.05)


def test_a_woken_latent_is_centred_lively_and_sure_and_the_others_are_as_before() -> None:
    vae = build("swift", (1, 64, 64), latent_dim=5)
    x = torch.rand(50, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = vae.encode(x)
        vae.waken([1, 3], x)
        mean, logvar = vae.encode(x)
    for latent in (1, 3):
        assert mean[:, latent].mean().item() == pytest.approx(0, abs=1e-4)
        assert mean[:, latent].std().item() == pytest.approx(0.7, abs=1e-4)
        assert logvar[:, latent].unique().tolist() == [-3]
        assert abs(torch.corrcoef(torch.stack([mean[:, latent], before[0][:, latent]]))[0, 1]) > 0.999
    for latent in (0, 2, 4):
        assert torch.equal(mean[:, latent], before[0][:, latent])
        assert torch.equal(logvar[:, latent], before[1][:, latent])


def test_balls_fc_has_the_published_layers() -> None:
    vae = build("balls_fc", (1, 32, 32))
    assert outputs(vae.encoder, torch.zeros(1, 1, 32, 32)) == [(1200,), (1200,), (20,)]
    assert outputs(vae.decoder, torch.zeros(1, 10)) == [(1200,), (1200,), (1200,), (1024,)]
    assert activations(vae.encoder) == ["ELU", "ELU", "linear"]
    assert activations(vae.decoder) == ["ELU", "ELU", "ELU", "linear"]


def test_balls_conv_has_the_published_layers() -> None:
    vae = build("balls_conv", (1, 32, 32))
    maps = [(8, 16, 16), (8, 16, 16), (8, 8, 8), (4, 8, 8)]
    assert outputs(vae.encoder, torch.zeros(1, 1, 32, 32)) == [*maps, (128,), (64,)]
    maps = [(8, 8, 8), (8, 16, 16), (8, 16, 16), (1, 32, 32)]
    assert outputs(vae.decoder, torch.zeros(1, 32)) == [(128,), (256,), *maps]
    assert activations(vae.encoder) == 5 * ["ELU"] + ["linear"]
    assert activations(vae.decoder) == 5 * ["ELU"] + ["linear"]
    encoder = conv(3, 1, 8) + 2 * conv(3, 8, 8) + conv(1, 8, 4) + fc(256, 128) + fc(128, 64)
    decoder = fc(32, 128) + fc(128, 256) + conv(1, 4, 8) + 2 * conv(3, 8, 8) + conv(3, 8, 1)
    assert (count(vae.encoder), count(vae.decoder)) == (encoder, decoder)


def test_balls_all_conv_has_the_published_layers() -> None:
    vae = build("balls_all_conv", (1, 32, 32))
    maps = [(8, 16, 16), (8, 16, 16), (16, 8, 8), (8, 8, 8), (8, 8, 8), (2, 4, 4)]
    assert outputs(vae.encoder, torch.zeros(1, 1, 32, 32)) == maps
    maps = [(8, 8, 8), (8, 8, 8), (16, 8, 8), (8, 16, 16), (8, 16, 16), (1, 32, 32)]
    assert outputs(vae.decoder, torch.zeros(1, 16)) == maps
    assert activations(vae.encoder) == 5 * ["ELU"] + ["linear"]
    assert activations(vae.decoder) == 5 * ["ELU"] + ["linear"]
    assert vae.latent_dim == 16


def test_balls_all_conv_counts_its_latents_by_cells() -> None:
    assert build("balls_all_conv", (1, 64, 64), latent_dim=64).decode(torch.zeros(1, 64)).shape == (1, 1, 64, 64)
    with pytest.raises(UnbraidError, match=r"has 16 latents per channel.*32x32.*not 10"):
        build("balls_all_conv", (1, 32, 32), latent_dim=10)
    with pytest.raises(UnbraidError, match="must be 64 or a multiple of it, not 16"):
        build("balls_all_conv", (1, 64, 64))


@pytest.mark.parametrize(
    ("name", "conv_sd", "dense_sd"),
    [("balls_fc", None, 0.01), ("balls_conv", 0.01, 0.1), ("balls_all_conv", 0.01, None)],
)
def test_balls_start_truncated_normal(name: str, conv_sd: float | None, dense_sd: float | None) -> None:
    weights: dict[float, list[torch.Tensor]] = {}
    for layer in build(name, (1, 32, 32)).modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            sd = dense_sd if isinstance(layer, nn.Linear) else conv_sd
            assert sd is not None and layer.bias.tolist() == pytest.approx([sd] * len(layer.bias))
            weights.setdefault(sd, []).append(layer.weight.flatten())
    for sd, tensors in weights.items():
        together = torch.cat(tensors)
        assert 1.9 * sd < together.abs().max() <= 2 * sd
        assert together.std().item() == pytest.approx(0.8796 * sd, rel=0.06)  # of a normal cut at two deviations


def same_convolution(layer: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """TensorFlow's SAME, 3x3 of stride 2 at an even size: one row and column of zeros, after the last."""
    return F.conv2d(F.pad(x, (0, 1, 0, 1)), layer.weight, layer.bias, stride=2)


def same_transposed(layer: nn.ConvTranspose2d, x: torch.Tensor) -> torch.Tensor:
    """The adjoint of it: the whole transposed convolution without its last row and column."""
    return F.conv_transpose2d(x, layer.weight, layer.bias, stride=2)[:, :, :-1, :-1]


def test_strided_layers_of_the_balls_are_tensorflows_turned_by_180_degrees() -> None:
    vae = build("balls_conv", (1, 32, 32))
    down, up = vae.encoder[0], vae.decoder[-1]  # type: ignore[index]
    generator = torch.Generator().manual_seed(0)
    for layer, reference, x in (
        (down, same_convolution, torch.randn(1, 1, 8, 8, generator=generator)),
        (up, same_transposed, torch.randn(1, 8, 4, 4, generator=generator)),
    ):
        ours = layer(x)
        with torch.no_grad():
            layer.weight.copy_(layer.weight.flip(2, 3))
        torch.testing.assert_close(reference(layer, x.flip(2, 3)).flip(2, 3), ours)
