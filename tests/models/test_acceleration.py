"""The faster kernels against torch's own, in float64 where it matters which of the two is nearer."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from unbraid.models import ARCHITECTURES, build, fast_activation, fast_linear
from unbraid.models.acceleration import accelerate
from unbraid.models.fast_activation import FastReLU
from unbraid.models.fast_linear import FastLinear
from unbraid.models.fast_upsampling import FastUpsampling

needs_onednn = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this build of torch is without oneDNN"
)


def layer(inputs: int, outputs: int) -> nn.Linear:
    linear = nn.utils.skip_init(nn.Linear, inputs, outputs)
    linear.weight.data = torch.randn(outputs, inputs, generator=rng(0))
    linear.bias.data = torch.randn(outputs, generator=rng(1))
    return linear


def upsampling(inputs: int, outputs: int, kernel: int = 4, padding: int = 1, more: int = 0) -> nn.ConvTranspose2d:
    net = nn.utils.skip_init(nn.ConvTranspose2d, inputs, outputs, kernel, 2, padding, output_padding=more)
    net.weight.data = torch.randn(net.weight.shape, generator=rng(0))
    net.bias.data = torch.randn(outputs, generator=rng(1))
    return net


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_activation, "_LARGE", 0)


@needs_onednn
@pytest.mark.parametrize("shape", [(7, 200, 100), (128, 1200, 1200), (1, 129, 131), (64, 128, 2048)])
def test_values_and_gradients_are_those_of_the_exact_product(shape: tuple[int, int, int]) -> None:
    batch, inputs, outputs = shape
    x, gradient = torch.randn(batch, inputs, generator=rng(2)), torch.randn(batch, outputs, generator=rng(3))
    plain = layer(inputs, outputs)
    exact = layer(inputs, outputs).double()
    ours = layer(inputs, outputs)
    accelerate(ours)
    assert type(ours) is FastLinear
    results = []
    for net, dtype in ((ours, torch.float32), (plain, torch.float32), (exact, torch.float64)):
        given = x.to(dtype).clone().requires_grad_()
        out = net(given)
        out.backward(gradient.to(dtype))
        assert net.weight.grad is not None and net.bias.grad is not None and given.grad is not None
        results.append([out.detach(), given.grad, net.weight.grad, net.bias.grad])
    for mine, torchs, true in zip(*results, strict=True):
        error, allowed = (mine - true).abs().max(), (torchs - true).abs().max()
        assert error <= 4 * allowed + 1e-5 * true.abs().max()


@needs_onednn
def test_only_the_gradients_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    product = fast_linear.product
    monkeypatch.setattr(fast_linear, "product", lambda *a: calls.append(1) or product(*a))
    net = nn.Sequential(layer(200, 100))
    accelerate(net)
    net(torch.randn(5, 200, generator=rng(0))).sum().backward()
    assert len(calls) == 2  # forward and the weights: nobody asked for the gradient of x


def test_small_layers_stay_as_they_are() -> None:
    net = nn.Sequential(layer(10, 256), layer(256, 10))
    accelerate(net)
    assert {type(each) for each in net} == {nn.Linear}


@needs_onednn
@pytest.mark.parametrize(
    ("made", "shape", "operator"),
    [
        (lambda: layer(200, 100), (3, 5, 200), "linear"),
        (lambda: upsampling(4, 16), (3, 5, 4, 6, 6), "conv_transpose2d"),
        (lambda: upsampling(4, 2), (3, 5, 4, 6, 6), "conv_transpose2d"),
    ],
)
def test_vmap_and_export_see_torch_s_own_operators(
    made: Callable[[], nn.Module], shape: tuple[int, ...], operator: str
) -> None:
    net, x = made(), torch.randn(shape, generator=rng(4))
    kind, plain = type(net), torch.stack([net(each) for each in x])
    accelerate(net)
    assert type(net) is not kind
    torch.testing.assert_close(torch.vmap(net)(x), plain)
    exported = torch.export.export(nn.Sequential(net), (x[0],))
    assert "mkldnn" not in str(exported.graph) and operator in str(exported.graph)


@needs_onednn
@pytest.mark.parametrize("outputs", [2, 16])
@pytest.mark.parametrize("wanted", ["weight", "bias", "x"])
def test_upsampling_gives_only_the_gradient_that_is_asked_for(outputs: int, wanted: str) -> None:
    plain, ours = upsampling(4, outputs), upsampling(4, outputs)
    accelerate(ours)
    found = []
    for net in (plain, ours):
        x = torch.randn(3, 4, 6, 6, generator=rng(7)).contiguous(memory_format=torch.channels_last)
        leaves = {"weight": net.weight, "bias": net.bias, "x": x}
        for name, leaf in leaves.items():
            leaf.requires_grad_(name == wanted)
        net(x).square().sum().backward()
        assert [name for name, leaf in leaves.items() if leaf is not None and leaf.grad is not None] == [wanted]
        found.append(leaves[wanted].grad)
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-4)


@needs_onednn
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_gives_the_same_with_it(every_size: None, name: str) -> None:
    shape = (1, 32, 32) if "balls" in name else (1, 64, 64)
    plain, ours = build(name, shape, seed=0), build(name, shape, seed=0)
    accelerate(ours)
    x = torch.rand(4, *shape, generator=rng(5))
    noise = torch.randn(4, plain.latent_dim, generator=rng(6))
    results = []
    for net in (ours, plain):
        outputs = net(x, noise)
        outputs[0].square().mean().backward()
        results.append([*outputs, *(parameter.grad for parameter in net.parameters())])
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@needs_onednn
@pytest.mark.parametrize(
    ("channels", "kernel", "padding", "more", "size"),
    [
        ((32, 1), 4, 1, 0, (5, 7)),
        ((8, 8), 3, 1, 1, (4, 4)),
        ((8, 3), 3, 0, 0, (6, 3)),
        ((5, 2), 4, 1, 0, (2, 9)),
        ((16, 32), 4, 1, 0, (4, 5)),
        ((5, 9), 3, 1, 1, (3, 4)),
    ],
)
def test_upsampling(channels: tuple[int, int], kernel: int, padding: int, more: int, size: tuple[int, int]) -> None:
    inputs, outputs = channels
    plain, ours = (upsampling(inputs, outputs, kernel, padding, more) for _ in range(2))
    accelerate(ours)
    assert type(ours) is FastUpsampling and type(plain) is nn.ConvTranspose2d
    results = []
    for net in (plain, ours):
        x = torch.randn(3, inputs, *size, generator=rng(2)).requires_grad_()
        out = net(x)
        out.backward(torch.randn(out.shape, generator=rng(3)))
        results.append([out.detach(), x.grad, net.weight.grad, net.bias.grad])
    for theirs, mine in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@needs_onednn
def test_other_upsampling_stays_as_it_is() -> None:
    made = [
        nn.ConvTranspose2d(8, 16, 5, 2, 1, device="meta"),
        nn.ConvTranspose2d(8, 16, 4, 2, 1, dilation=2, device="meta"),
        nn.ConvTranspose2d(8, 16, 4, 2, (1, 0), device="meta"),
        nn.ConvTranspose2d(8, 2, 4, 2, 0, output_padding=1, device="meta"),
        nn.ConvTranspose2d(8, 8, 4, 2, 1, bias=False, device="meta"),
        nn.ConvTranspose2d(8, 8, 3, 1, 1, device="meta"),
        nn.ConvTranspose2d(8, 8, 4, 2, 1, groups=2, device="meta"),
    ]
    accelerate(nn.Sequential(*made))
    assert {type(layer) for layer in made} == {nn.ConvTranspose2d}


def pictures(channels: int, size: int = 8) -> torch.Tensor:
    return torch.randn(6, channels, size, size, generator=rng(8)).contiguous(memory_format=torch.channels_last)


def convolution(inputs: int, outputs: int) -> nn.Conv2d:
    net = nn.utils.skip_init(nn.Conv2d, inputs, outputs, 3, padding=1)
    net.weight.data = torch.randn(net.weight.shape, generator=rng(9))
    net.bias.data = torch.randn(outputs, generator=rng(10))
    return net


@needs_onednn
@pytest.mark.parametrize("channels", [4, 16])  # a narrow upsampling's output may not be written over
def test_relu_that_writes_over_its_input_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    results = []
    for large in (10**9, 0):
        monkeypatch.setattr(fast_activation, "_LARGE", large)
        net = nn.Sequential(
            convolution(3, 16), nn.ReLU(), upsampling(16, channels), nn.ReLU(), convolution(channels, 2)
        )
        accelerate(net)
        assert [type(net[place]) for place in (1, 3)] == [FastReLU, nn.ReLU if channels == 4 else FastReLU]
        x = pictures(3).requires_grad_()
        given = x.detach().clone()
        for _ in range(2):  # gradients are added to what is there
            out = net(x)
            out.square().sum().backward()
        assert torch.equal(x, given)
        results.append([out.detach(), x.grad, *(parameter.grad for parameter in net.parameters())])
    for plain, ours in zip(*results, strict=True):
        assert plain is not None and ours is not None and torch.equal(plain, ours)


def between() -> nn.Sequential:
    net = nn.Sequential(convolution(3, 16), nn.ReLU(), convolution(16, 2))
    accelerate(net)
    return net


def test_relu_writes_over_its_input_in_training_and_leaves_it_otherwise(every_size: None) -> None:
    net = between()
    for training in (True, False):
        made = net.train(training)[0](pictures(3))
        before = made.detach().clone()
        assert (net[1](made).data_ptr() == made.data_ptr()) == training
        assert torch.equal(made, before.relu() if training else before)


def test_relu_writes_over_the_gradient_that_it_is_given(every_size: None) -> None:
    gradient = torch.randn(6, 16, 8, 8, generator=rng(11))
    plain, net = nn.Sequential(convolution(3, 16), nn.ReLU()), between()
    plain(pictures(3)).backward(gradient.clone())
    written = gradient.clone()
    net[:2](pictures(3)).backward(written)
    assert not torch.equal(written, gradient) and torch.equal(plain[0].weight.grad, net[0].weight.grad)


def test_a_gradient_may_be_asked_for_twice(every_size: None) -> None:
    net = between()
    loss = net(pictures(3)).square().sum()
    first, second = (torch.autograd.grad(loss, net[0].weight, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second) and first.any()


def test_relu_stays_where_its_numbers_may_be_seen_again() -> None:
    class Keeping(nn.Sequential):
        pass

    class Derived(nn.Conv2d):
        pass

    chains = [
        nn.Sequential(nn.ReLU(), convolution(3, 3), nn.Tanh(), nn.ReLU(), convolution(3, 3), nn.ReLU()),
        nn.Sequential(convolution(3, 3), nn.ReLU(), nn.Identity(), convolution(3, 3)),
        nn.Sequential(layer(9, 9), nn.ReLU(), layer(9, 9)),
        nn.Sequential(Derived(3, 3, 3, device="meta"), nn.ReLU(), convolution(3, 3)),
        Keeping(convolution(3, 3), nn.ReLU(), convolution(3, 3)),
    ]
    for chain in chains:
        accelerate(chain)
        assert not any(isinstance(each, FastReLU) for each in chain)


def test_a_relu_that_stands_twice_is_replaced_in_the_one_place() -> None:
    relu = nn.ReLU()
    net = nn.Sequential(convolution(3, 3), relu, convolution(3, 3), relu)
    names = list(net.state_dict())
    accelerate(net)
    assert type(net[1]) is FastReLU and net[3] is relu and type(relu) is nn.ReLU
    assert list(net.state_dict()) == names


def test_vmap_and_export_see_a_plain_relu(every_size: None) -> None:
    net, x = between(), pictures(3)
    torch.testing.assert_close(torch.vmap(net)(x[:, None])[:, 0], net.eval()(x), rtol=1e-4, atol=1e-4)
    graph = str(torch.export.export(net.train(), (x,)).graph)
    assert "aten.relu.default" in graph and "relu_" not in graph


def test_export_takes_batches_of_every_size_with_it() -> None:
    net = build("burgess", (1, 64, 64), seed=0)
    accelerate(net)
    sizes = ({0: torch.export.Dim("batch")},)
    exported = torch.export.export(net.encoder, (torch.zeros(2, 1, 64, 64),), dynamic_shapes=sizes).module()
    x = torch.rand(20, 1, 64, 64, generator=rng(12))  # 20 images of the first layer are large, 2 are not
    torch.testing.assert_close(exported(x), net.encoder(x), rtol=1e-4, atol=1e-4)
