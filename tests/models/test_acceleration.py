"""The faster kernels against torch's own, in float64 where it matters which of the two is nearer."""

import copy
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import nn

from unbraid import probability
from unbraid.models import ARCHITECTURES, build, fast_linear
from unbraid.models.acceleration import accelerate, has_dense, has_kernels, likelihood
from unbraid.models.fast_convolution import FastConv2d, FastConvTranspose2d, FastSequential
from unbraid.models.fast_likelihood import bernoulli_nll as fast_nll
from unbraid.models.fast_linear import FastLinear

needs_dense = pytest.mark.skipif(not has_dense(), reason="torch's own dense layers are as fast on this processor")
needs_kernels = pytest.mark.skipif(not has_kernels(), reason="no kernels for this processor")


def layer(inputs: int, outputs: int) -> nn.Linear:
    linear = nn.utils.skip_init(nn.Linear, inputs, outputs)
    linear.weight.data = torch.randn(outputs, inputs, generator=rng(0))
    linear.bias.data = torch.randn(outputs, generator=rng(1))
    return linear


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@needs_dense
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


@needs_dense
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


Made = Callable[[], nn.Module]


def accelerated(plain: nn.Module) -> nn.Module:
    """A copy with its faster kernels, to be held beside the plain one."""
    ours = copy.deepcopy(plain)
    accelerate(ours)
    return ours


def filled(module: nn.Module) -> nn.Module:
    """With numbers of a size at which neither sums nor gradients explode."""
    for place, parameter in enumerate(module.parameters()):
        scale = parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.1
        parameter.data = scale * torch.randn(parameter.shape, generator=rng(place))
    return module


def images(*shape: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(shape, generator=rng(seed)).contiguous(memory_format=torch.channels_last)


def down(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Module:
    return filled(nn.Conv2d(inputs, outputs, kernel, stride, padding))


def up(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0, more: int = 0) -> nn.Module:
    return filled(nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, more))


CONVOLUTIONS: list[tuple[Made, tuple[int, int]]] = [
    (lambda: down(1, 32, 4, 2, 1), (64, 64)),
    (lambda: down(3, 32, 4, 2, 1), (8, 16)),
    (lambda: down(32, 32, 4, 2, 1), (16, 16)),
    (lambda: down(8, 8, 3, 1, 1), (9, 7)),
    (lambda: down(8, 4, 1), (8, 8)),
    (lambda: down(1, 16, 8, 4, 2), (16, 32)),
    (lambda: down(5, 6, 3, 2, 1), (6, 10)),
    (lambda: down(2, 4, 3, 1, 1), (6, 5)),
    (lambda: down(40, 48, 2, 2), (4, 4)),
    (lambda: down(2, 3, 1, 2), (4, 6)),  # pixels that no window sees
    (lambda: down(3, 20, 5, 1), (7, 5)),
    (lambda: up(32, 32, 4, 2, 1), (8, 8)),
    (lambda: up(32, 1, 4, 2, 1), (32, 32)),
    (lambda: up(16, 3, 4, 2, 1), (5, 7)),
    (lambda: up(8, 8, 3, 2, 1, 1), (4, 4)),
    (lambda: up(8, 1, 3, 2, 1, 1), (8, 8)),
    (lambda: up(8, 3, 4, 2, 0), (6, 3)),
    (lambda: up(4, 8, 1), (8, 8)),
    (lambda: up(6, 2, 5, 3, 2, 2), (4, 5)),
    (lambda: up(3, 9, 3, 1, 1), (1, 4)),
    (lambda: up(2, 12, 2, 3, 0, 1), (3, 3)),  # pixels in no window
    (lambda: down(8, 24, 3, 1, 4), (3, 5)),  # windows that see no pixel
    (lambda: down(4, 4, 3, 1, 1), (13, 17)),  # sides that no tile divides
    (lambda: up(16, 8, 3, 1, 1), (13, 17)),
    (lambda: up(20, 2, 4, 2, 1), (2, 29)),
    (lambda: down(128, 2, 1), (4, 4)),
]


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def results(net: nn.Module, x: torch.Tensor, seed: int = 3) -> list[torch.Tensor]:
    """What comes out, and the gradients of the images and of every parameter."""
    net.zero_grad()
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    out = net(x)
    out.backward(torch.randn(out.shape, generator=rng(seed)).to(out.dtype))
    gradients = [x.grad, *(parameter.grad for parameter in net.parameters())]
    assert all(gradient is not None for gradient in gradients)
    return [out.detach(), *(gradient for gradient in gradients if gradient is not None)]


@needs_kernels
@pytest.mark.parametrize("activation", [None, nn.ReLU, nn.ELU])
@pytest.mark.parametrize("which", range(len(CONVOLUTIONS)))
def test_convolutions_are_as_exact_as_torch_s(threads: int, which: int, activation: type[nn.Module] | None) -> None:
    made, size = CONVOLUTIONS[which]
    plain = nn.Sequential(made(), *([] if activation is None else [activation()]))
    ours, exact = accelerated(plain), copy.deepcopy(plain).double()
    assert isinstance(ours[0], FastConv2d | FastConvTranspose2d)
    x = images(5, plain[0].in_channels, *size)
    assert ours(x).grad_fn.name() == "_ConvolutionsBackward"  # and not torch's own
    for mine, torchs, true in zip(results(ours, x), results(plain, x), results(exact, x.double()), strict=True):
        assert mine.shape == true.shape
        error, allowed = (mine - true).norm(), (torchs - true).norm()
        assert error <= 3 * allowed + 3e-6 * true.norm()


@needs_kernels
def test_one_image_for_two_threads() -> None:
    plain = nn.Sequential(down(3, 16, 4, 2, 1), nn.ReLU())
    ours = accelerated(plain)
    x = images(1, 3, 8, 8)
    for mine, theirs in zip(results(ours, x), results(plain, x), strict=True):
        torch.testing.assert_close(mine, theirs)


@needs_kernels
def test_images_may_lie_in_any_way() -> None:
    plain = nn.Sequential(down(4, 16, 3, 1, 1), nn.ELU(), up(16, 4, 4, 2, 1))
    ours = accelerated(plain)
    rows = torch.randn(6, 2 * 4 * 8 * 8, generator=rng(4))
    for x in (rows[:, ::2].unflatten(1, (4, 8, 8)), rows[:, :8].view(6, 2, 2, 2).repeat(1, 2, 4, 4).mT):
        torch.testing.assert_close(ours(x), plain(x))
    x = images(2, 4, 8, 8)
    for gradient in (torch.tensor(0.3).expand(2, 4, 16, 16), images(2, 16, 16, 4, seed=5).permute(0, 3, 2, 1)):
        found = [torch.autograd.grad(net(x), [*net.parameters()], gradient) for net in (ours, plain)]
        for mine, theirs in zip(*found, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@needs_kernels
@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ELU()])
def test_what_is_not_a_number_stays_so(activation: nn.Module) -> None:
    net = nn.Sequential(down(1, 8, 1), activation)
    accelerate(net)
    x = images(2, 1, 4, 4)
    x[0, 0, 1, 2] = float("nan")
    out = net(x)
    assert out[0, :, 1, 2].isnan().all() and out.isnan().sum() == 8


@needs_kernels
def test_elu_from_the_least_to_the_greatest() -> None:
    net = nn.Sequential(nn.Conv2d(1, 8, 1), nn.ELU())
    nn.init.ones_(net[0].weight)
    nn.init.zeros_(net[0].bias)
    accelerate(net)
    at = torch.cat([-torch.logspace(-30, 38, 1001), torch.zeros(1), torch.logspace(-30, 38, 998)])
    x = torch.cat([at, torch.linspace(-20, 20, 2000)]).view(1, 1, 50, 80)
    torch.testing.assert_close(net(x)[:, :1].double(), nn.ELU()(x.double()), rtol=3e-7, atol=0)


@needs_kernels
@pytest.mark.parametrize("wanted", ["weight", "bias", "x"])
@pytest.mark.parametrize("made", [lambda: down(4, 16, 4, 2, 1), lambda: up(4, 2, 4, 2, 1)])
def test_only_the_gradient_that_is_asked_for(made: Made, wanted: str) -> None:
    plain, ours = made(), made()
    accelerate(ours)
    found = []
    for net in (plain, ours):
        x = images(3, 4, 8, 8)
        leaves = {"weight": net.weight, "bias": net.bias, "x": x}
        for name, leaf in leaves.items():
            leaf.requires_grad_(name == wanted)
        net(x).square().sum().backward()
        assert [name for name, leaf in leaves.items() if leaf.grad is not None] == [wanted]
        found.append(leaves[wanted].grad)
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-4)


@needs_kernels
def test_a_gradient_may_be_asked_for_twice_and_has_the_same_bits() -> None:
    net = nn.Sequential(down(3, 16, 4, 2, 1), nn.ReLU(), down(16, 8, 3, 1, 1))
    accelerate(net)
    loss = net(images(6, 3, 8, 8)).square().sum()
    first, second = (torch.autograd.grad(loss, net[0].weight, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second) and first.any()


@needs_kernels
def test_what_no_kernel_takes_goes_torch_s_way_with_its_activation() -> None:
    plain = nn.Sequential(down(3, 8, 4, 2, 1), nn.ELU(), up(8, 3, 4, 2, 1), nn.ReLU())
    ours = accelerated(plain)
    x = images(2, 3, 8, 8)
    assert torch.equal(ours(x[0]), plain(x[0]))  # without a batch
    assert torch.equal(ours(x[:0]), plain(x[:0]))
    code = plain[:2](x)
    assert torch.equal(ours[2](code, output_size=(8, 8)), plain[2](code))
    assert torch.equal(ours.double()(x.double()), plain.double()(x.double()))


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_default_dtype_and_device_change_nothing(dtype: torch.dtype) -> None:
    net = nn.Sequential(down(3, 8, 3, 1, 1), nn.ReLU())
    accelerate(net)
    x = images(2, 3, 8, 8)
    before = results(net, x)
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            out = net(x)
            gradients = torch.autograd.grad(out, [*net.parameters()], before[0])
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(out, before[0])
    assert all(gradient.isfinite().all() for gradient in gradients)


@needs_kernels
def test_saved_images_may_come_back_in_another_layout() -> None:
    net, found = nn.Sequential(down(3, 16, 3, 1, 1), nn.ELU()), []
    accelerate(net)
    for saved in (lambda t: t, lambda t: t.clone(memory_format=torch.contiguous_format)):
        with torch.autograd.graph.saved_tensors_hooks(saved, lambda t: t):
            out = net(images(4, 3, 8, 8))
        found.append(torch.autograd.grad(out.square().sum(), [*net.parameters()]))
    assert all(torch.equal(first, second) for first, second in zip(*found, strict=True))


@needs_kernels
def test_weights_that_were_replaced_are_used_as_they_are() -> None:
    plain = nn.Sequential(down(3, 8, 3, 1, 1), nn.ReLU())
    ours, x = accelerated(plain), images(2, 3, 8, 8)
    for net in (plain, ours):
        net[0].weight = nn.Parameter(net[0].weight[:4].detach())
        net[0].bias = nn.Parameter(net[0].bias[:4].detach())
    torch.testing.assert_close(ours(x), plain(x))
    assert ours(x).shape[1] == 4
    for net in (plain, ours):
        net[0].weight = nn.Parameter(net[0].weight[..., :1].detach())
    torch.testing.assert_close(ours(x), plain(x))
    for net in (plain, ours):
        net[0].bias.data = net[0].bias.data.expand(2, 4)
        with pytest.raises(RuntimeError):
            net(x)
    for net in (plain, ours):
        net[0].bias = None
    assert torch.equal(ours(x), plain(x))
    for net in (plain, ours):
        net[0].weight = nn.Parameter(net[0].weight.to("meta"))
    assert ours(x).device == plain(x).device  # and no address is taken of what has none


@needs_kernels
def test_modes_of_torch_see_its_own_operators() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    plain = nn.Sequential(down(3, 8, 3, 1, 1), nn.ReLU())
    ours, x = accelerated(plain), images(2, 3, 8, 8)
    counted = []
    for net in (plain, ours):
        with FlopCounterMode(display=False) as counter:
            net(x)
        counted.append(counter.get_total_flops())
    assert counted[0] == counted[1] > 0
    with torch.autocast("cpu", torch.bfloat16):
        assert ours(x).dtype == plain(x).dtype == torch.bfloat16
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert ours(mode.from_tensor(x)).shape == (2, 8, 8, 8)
    assert torch.equal(ours(torch._neg_view(x)), plain(torch._neg_view(x)))
    torch.testing.assert_close(torch.fx.symbolic_trace(ours)(x), plain(x))


@needs_kernels
def test_differentiating_twice_is_refused() -> None:
    net = nn.Sequential(down(3, 8, 3, 1, 1))
    accelerate(net)
    x = images(2, 3, 8, 8).requires_grad_()
    (first,) = torch.autograd.grad(net(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


@needs_kernels
def test_copies_and_several_python_threads_give_the_same() -> None:
    net, x = nn.Sequential(down(3, 24, 4, 2, 1), nn.ELU(), up(24, 3, 4, 2, 1)), images(8, 3, 16, 24)
    accelerate(net)
    before = results(copy.deepcopy(net), x)
    from unbraid.models.convolution_kernels import backward_kernel, forward_kernel

    for kernels in (forward_kernel, backward_kernel):
        kernels.cache_clear()  # so that the threads make them, all at once
    nets = [copy.deepcopy(net) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        for found in pool.map(lambda each: results(each, x), nets):
            for mine, theirs in zip(found, before, strict=True):
                torch.testing.assert_close(mine, theirs)


@needs_kernels
def test_a_wrong_number_of_channels_is_refused_as_torch_does() -> None:
    net = nn.Sequential(down(3, 8, 4, 2, 1))
    accelerate(net)
    with pytest.raises(RuntimeError, match="channels"):
        net(images(2, 4, 8, 8))


@needs_kernels
def test_sides_that_strides_do_not_divide_go_torch_s_way() -> None:
    plain = nn.Sequential(down(3, 8, 4, 2, 1), nn.ReLU())
    ours = accelerated(plain)
    x = images(2, 3, 9, 8)
    assert torch.equal(ours(x), plain(x))


def test_other_convolutions_stay_as_they_are() -> None:
    class Derived(nn.Conv2d):
        pass

    made = [
        nn.Conv2d(8, 16, (3, 4), 2, 1, device="meta"),
        nn.Conv2d(8, 16, 3, (2, 1), 1, device="meta"),
        nn.Conv2d(8, 16, 3, 2, (1, 0), device="meta"),
        nn.Conv2d(8, 16, 3, padding="same", device="meta"),
        nn.Conv2d(8, 16, 3, padding=1, padding_mode="reflect", device="meta"),
        nn.Conv2d(8, 16, 4, 2, 1, dilation=2, device="meta"),
        nn.Conv2d(8, 8, 4, 2, 1, groups=2, device="meta"),
        nn.Conv2d(8, 8, 4, 2, 1, bias=False, device="meta"),
        nn.Conv2d(8, 129, 4, 2, 1, device="meta"),
        nn.Conv2d(8, 31, 4, 2, 1, device="meta"),  # in vectors, 16 + 8 + 4 + 2 + 1
        nn.Conv2d(128, 128, 5, 1, 1, device="meta"),  # too many weights
        nn.Conv2d(4, 4, 17, 1, 8, device="meta"),  # too large
        nn.Conv2d(8, 8, 3, 1, -1, device="meta"),
        nn.ConvTranspose2d(8, 8, 1, 1, 0, 1, device="meta"),  # which torch refuses
        nn.ConvTranspose2d(8, 8, 4, 2, 1, output_padding=(1, 0), device="meta"),
        Derived(8, 8, 4, 2, 1, device="meta"),
    ]
    kinds = [type(layer) for layer in made]
    accelerate(nn.Sequential(*made))
    assert [type(layer) for layer in made] == kinds


IN_A_ROW: list[tuple[Made, tuple[int, int, int]]] = [
    (lambda: nn.Sequential(down(1, 8, 4, 2, 1), nn.ELU(), down(8, 8, 3, 1, 1), nn.ReLU(), up(8, 3, 2, 2)), (1, 8, 12)),
    (lambda: nn.Sequential(down(3, 4, 1), down(4, 16, 3, 1, 1), nn.ReLU(), nn.ReLU(), down(16, 2, 1)), (3, 5, 7)),
    (lambda: nn.Sequential(nn.Sequential(up(4, 8, 1), nn.ELU()), nn.Sequential(up(8, 2, 2, 2))), (4, 3, 3)),
    (lambda: nn.Sequential(nn.ELU(), down(4, 8, 3), nn.ELU(0.5), down(8, 4, 1), nn.Tanh(), down(4, 4, 1)), (4, 6, 6)),
    (lambda: nn.Sequential(*twice(down(4, 4, 3, 1, 1), nn.ReLU())), (4, 6, 6)),
]


def twice(*layers: nn.Module) -> list[nn.Module]:
    return [*layers, *layers]


@needs_kernels
@pytest.mark.parametrize("which", range(len(IN_A_ROW)))
def test_rows_of_layers_give_what_they_give_one_by_one(threads: int, which: int) -> None:
    made, size = IN_A_ROW[which]
    plain = made()
    ours, x = accelerated(plain), images(5, *size)
    for mine, theirs in zip(results(ours, x), results(plain, x), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    trained = ours(x)
    with torch.no_grad():
        assert torch.equal(ours(x), trained)


def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where the number of convolutions of each run of a kernel forward will stand."""
    from unbraid.models import convolution_kernels

    kernel, found = convolution_kernels.forward_kernel, list[int]()
    monkeypatch.setattr(
        convolution_kernels, "forward_kernel", lambda chain, kept: found.append(len(chain)) or kernel(chain, kept)
    )
    return found


@needs_kernels
def test_convolutions_in_a_row_are_run_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    net, found = nn.Sequential(down(1, 8, 4, 2, 1), nn.ReLU(), down(8, 8, 3, 1, 1), nn.ELU()), calls(monkeypatch)
    accelerate(net)
    x = images(2, 1, 8, 8)
    for part in (net, net[:3], net[2:], net[:2]):
        part(x if part[0] is net[0] else net[:2](x))
    assert found == [2, 2, 1, 1, 1]
    found.clear()
    large = nn.Sequential(*(down(16, 16, 3, 1, 1) for _ in range(5)))
    accelerate(large)
    large(images(1, 16, 64, 64))
    assert len(found) > 1 and sum(found) == 5  # more images than the cache would hold
    found.clear()
    part_way = nn.Sequential(down(2, 4, 1), down(4, 4, 2, 2), down(4, 4, 1))
    accelerate(part_way)
    part_way(images(1, 2, 5, 5))
    assert found == [1, 1]  # between them torch's own, whose stride leaves pixels over


HOOKS = [
    "register_forward_hook",
    "register_forward_pre_hook",
    "register_full_backward_hook",
    "register_full_backward_pre_hook",
]


@needs_kernels
def test_frozen_convolutions_before_others_keep_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = nn.Sequential(down(3, 8, 3, 1, 1), nn.ReLU(), down(8, 8, 3, 1, 1), nn.ReLU(), down(8, 4, 1))
    plain[0].requires_grad_(False)
    ours, x, found = accelerated(plain), images(2, 3, 6, 6), calls(monkeypatch)
    for net in (ours, plain):
        net(x).square().sum().backward()
    assert found == [1, 2] and ours[0].weight.grad is None
    for layer in (2, 4):
        torch.testing.assert_close(ours[layer].weight.grad, plain[layer].weight.grad, rtol=1e-4, atol=1e-4)


@needs_kernels
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("watched", [0, 1, 2])
def test_hooks_see_what_they_would_see(watched: int, hook: str) -> None:
    plain, x = nn.Sequential(down(1, 8, 4, 2, 1), nn.ReLU(), down(8, 8, 3, 1, 1), nn.ELU()), images(2, 1, 8, 8)
    seen: list[torch.Tensor] = []

    def see(layer: nn.Module, *tensors: torch.Tensor | tuple[torch.Tensor | None, ...]) -> None:
        for each in tensors:
            seen.extend(tensor for tensor in (each if isinstance(each, tuple) else [each]) if tensor is not None)

    for net in (plain, accelerated(plain)):
        getattr(net[watched], hook)(see)
        net(x.requires_grad_()).square().sum().backward()
    count = len(seen) // 2
    assert count
    for mine, theirs in zip(seen[count:], seen[:count], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@needs_kernels
def test_hooks_on_all_modules_see_every_layer() -> None:
    net, seen = nn.Sequential(down(1, 8, 4, 2, 1), nn.ReLU(), down(8, 8, 3, 1, 1)), list[type[nn.Module]]()
    accelerate(net)
    handle = nn.modules.module.register_module_forward_hook(lambda layer, given, made: seen.append(type(layer)))
    net(images(2, 1, 8, 8))
    handle.remove()
    assert seen == [FastConv2d, nn.ReLU, FastConv2d, FastSequential]


@needs_kernels
def test_layers_of_anyone_stand_between_convolutions() -> None:
    class Snake(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.alpha = nn.Parameter(torch.ones(8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.sin(self.alpha[:, None, None] * x) ** 2

    plain, x = nn.Sequential(down(1, 8, 4, 2, 1), Snake(), down(8, 8, 3, 1, 1)), images(2, 1, 8, 8)
    ours = accelerated(plain)
    for mine, theirs in zip(results(ours, x), results(plain, x), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    plain[0].forward = ours[0].forward = lambda given: given.expand(-1, 8, -1, -1)
    torch.testing.assert_close(ours(x), plain(x), rtol=1e-4, atol=1e-5)

    class Louder(FastConv2d):
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(given)

    single = accelerated(nn.Sequential(plain[2], nn.ReLU()))
    code = images(2, 8, 4, 4)
    before = single(code)
    single[0].__class__ = Louder
    torch.testing.assert_close(single(code), 2 * before)


@needs_kernels
@pytest.mark.filterwarnings("ignore:.*jit.script:DeprecationWarning")  # torch's own, where it makes ready for them
def test_derivatives_forward_are_torch_s() -> None:
    from torch.autograd import forward_ad

    net, x = nn.Sequential(down(1, 8, 4, 2, 1), nn.ReLU()).requires_grad_(False), images(2, 1, 8, 8)
    accelerate(net)
    with forward_ad.dual_level():
        assert forward_ad.unpack_dual(net(forward_ad.make_dual(x, torch.ones_like(x)))).tangent is not None


@needs_kernels
def test_what_comes_out_may_be_written_over_where_no_activation_ends_it() -> None:
    plain, x = nn.Sequential(down(1, 8, 4, 2, 1), nn.ReLU(), down(8, 8, 3, 1, 1)), images(2, 1, 8, 8)
    found = []
    for net in (plain, accelerated(plain)):
        net(x).mul_(2).square().sum().backward()
        found.append([parameter.grad for parameter in net.parameters()])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@needs_kernels
def test_sequences_of_another_kind_stay_as_they_are() -> None:
    class Keeping(nn.Sequential):
        pass

    net = Keeping(nn.Sequential(down(3, 3, 3)), nn.Tanh())
    accelerate(net)
    assert [type(each) for each in net] == [FastSequential, nn.Tanh] and type(net) is Keeping


def cross_entropy(logits: torch.Tensor, x: torch.Tensor, nll: Callable[..., torch.Tensor]) -> list[torch.Tensor]:
    """Nats of each image, and the gradient of the logits where images count differently, one of them not at all."""
    logits = logits.clone(memory_format=torch.preserve_format).requires_grad_()
    nats = nll(logits, x)
    nats.backward(torch.linspace(-1, 1, len(nats), dtype=nats.dtype))
    assert logits.grad is not None
    return [nats.detach(), logits.grad]


@needs_kernels
@pytest.mark.parametrize("shape", [(5, 1, 32, 32), (5, 3, 7, 9), (1, 1, 1, 5), (3, 2, 4, 4)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_likelihood_is_as_exact_as_torch_s(
    threads: int, shape: tuple[int, ...], layout: torch.memory_format
) -> None:
    logits = (5 * torch.randn(shape, generator=rng(7))).contiguous(memory_format=layout)
    x, nll = torch.rand(shape, generator=rng(8)), probability.bernoulli_nll
    ours = likelihood(nll)
    assert ours is not nll and ours(logits.clone().requires_grad_(), x).grad_fn.name() == "_BernoulliBackward"
    found = cross_entropy(logits, x, ours), cross_entropy(logits, x, nll)
    exact = cross_entropy(logits.double(), x.double(), nll)
    for mine, torchs, true in zip(*found, exact, strict=True):
        assert mine.shape == true.shape
        assert (mine - true).norm() <= 3 * (torchs - true).norm() + 3e-7 * true.norm()


@needs_kernels
def test_the_likelihood_at_its_ends() -> None:
    inf, nan = float("inf"), float("nan")
    logits = torch.tensor([-inf, -1e5, -100, -88, -87, -40, -1e-6, -0.0, 0.0, 1e-6, 16, 40, 88, 1e5, inf, nan])
    for shade in (0.0, 0.25, 1.0):
        x = torch.full((16, 1, 1, 1), shade)
        found = [cross_entropy(logits.view(16, 1, 1, 1), x, nll) for nll in (fast_nll, probability.bernoulli_nll)]
        for mine, theirs in zip(*found, strict=True):
            torch.testing.assert_close(mine, theirs, equal_nan=True, rtol=1e-6, atol=2e-6)  # that of float at 16


@needs_kernels
def test_the_likelihood_of_large_images_is_exact() -> None:
    logits, x = (torch.rand(1, 1, 512, 500, generator=rng(seed)) for seed in (7, 8))
    assert abs(float(fast_nll(logits, x) / probability.bernoulli_nll(logits.double(), x.double())) - 1) < 3e-7


@needs_kernels
def test_tensors_without_memory_go_torch_s_way() -> None:
    nothing, some = torch._efficientzerotensor((2, 1, 4, 4)), images(2, 1, 4, 4)
    assert torch.equal(fast_nll(some, nothing), probability.bernoulli_nll(some, nothing))
    net = nn.Sequential(down(1, 8, 3, 1, 1))
    expected = net(nothing)
    accelerate(net)
    assert torch.equal(net(nothing), expected)
    net(some).backward(torch._efficientzerotensor((2, 8, 4, 4)))
    assert not net[0].weight.grad.any()


@needs_kernels
def test_other_likelihoods_go_torch_s_way() -> None:
    assert likelihood(probability.gaussian_nll) is probability.gaussian_nll
    logits, x = torch.randn(3, 1, 4, 4, generator=rng(7)), torch.rand(3, 1, 4, 4, generator=rng(8))
    nll = probability.bernoulli_nll
    assert torch.equal(fast_nll(logits.double(), x.double()), nll(logits.double(), x.double()))
    assert torch.equal(fast_nll(logits, x[:1]), nll(logits, x[:1]))  # broadcast
    assert torch.equal(torch.vmap(fast_nll)(logits[:, None], x[:, None]), torch.vmap(nll)(logits[:, None], x[:, None]))
    for mine, theirs in zip(*(cross_entropy(logits.mT, x, each) for each in (fast_nll, nll)), strict=True):
        torch.testing.assert_close(mine, theirs)
    of_x = [torch.autograd.grad(each(logits, x.requires_grad_()).sum(), x)[0] for each in (fast_nll, nll)]
    assert torch.equal(*of_x)


@needs_kernels
def test_names_of_weights_stay() -> None:
    plain = build("burgess", (1, 64, 64), seed=0)
    names = list(plain.state_dict())
    accelerate(plain)
    assert list(plain.state_dict()) == names


@pytest.mark.parametrize(
    ("made", "shape", "operators"),
    [
        pytest.param(lambda: layer(200, 100), (3, 5, 200), ["linear"], marks=needs_dense),
        pytest.param(lambda: down(4, 16, 3, 1, 1), (3, 5, 4, 6, 6), ["conv2d", "relu"], marks=needs_kernels),
        pytest.param(lambda: up(4, 2, 4, 2, 1), (3, 5, 4, 6, 6), ["conv_transpose2d", "relu"], marks=needs_kernels),
    ],
)
def test_vmap_and_export_see_torch_s_own_operators(made: Made, shape: tuple[int, ...], operators: list[str]) -> None:
    net, x = nn.Sequential(made(), nn.ReLU()), torch.randn(shape, generator=rng(4))
    kind, plain = type(net[0]), torch.stack([net(each) for each in x])
    accelerate(net)
    assert type(net[0]) is not kind
    torch.testing.assert_close(torch.vmap(net)(x), plain)
    graph = str(torch.export.export(net, (x[0],)).graph)
    assert "mkldnn" not in graph and all(operator in graph for operator in operators)


@pytest.mark.skipif(not (has_dense() or has_kernels()), reason="nothing is faster on this processor")
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_gives_the_same_with_it(name: str) -> None:
    shape = (1, 32, 32) if "balls" in name else (1, 64, 64)
    plain, ours = build(name, shape, seed=0), build(name, shape, seed=0)
    accelerate(ours)
    x = torch.rand(4, *shape, generator=rng(5))
    noise = torch.randn(4, plain.latent_dim, generator=rng(6))
    found = []
    for net in (ours, plain):
        outputs = net(x, noise)
        outputs[0].square().mean().backward()
        found.append([*outputs, *(parameter.grad for parameter in net.parameters())])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_export_takes_batches_of_every_size_with_it() -> None:
    net = build("burgess", (1, 64, 64), seed=0)
    accelerate(net)
    sizes = ({0: torch.export.Dim("batch")},)
    exported = torch.export.export(net.encoder, (torch.zeros(2, 1, 64, 64),), dynamic_shapes=sizes).module()
    x = torch.rand(20, 1, 64, 64, generator=rng(12))
    torch.testing.assert_close(exported(x), net.encoder(x), rtol=1e-4, atol=1e-4)


def run_python(*arguments: str, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_kernels
@pytest.mark.parametrize("environment", [{}, {"ATEN_CPU_CAPABILITY": "avx2"}], ids=["as it is", "narrower vectors"])
def test_nothing_is_read_or_written_beyond_the_arrays(environment: dict[str, str]) -> None:
    run_python(str(Path(__file__).with_name("guarded_arrays.py")), **environment)


@needs_kernels
def test_narrower_vectors_are_as_exact() -> None:
    chosen = "exact_as_torch_s and 2- and ELU"
    run_python("-m", "pytest", "-p", "no:cacheprovider", "-q", __file__, "-k", chosen, ATEN_CPU_CAPABILITY="avx2")


@pytest.mark.parametrize("missing", ["processor", "llvmlite"])
def test_where_there_are_no_kernels_layers_stay_as_they_are(missing: str) -> None:
    without = 'import sys; sys.modules["llvmlite"] = None' if missing == "llvmlite" else ""
    script = f"""
{without}
from unbraid.models import acceleration, build
net = build("balls_all_conv", (3, 32, 32), seed=0)
kinds = [type(layer) for layer in net.modules()]
acceleration.accelerate(net)
assert not acceleration.has_kernels() and kinds == [type(layer) for layer in net.modules()]
import unbraid.export.graph
"""
    run_python("-c", script, **({"ATEN_CPU_CAPABILITY": "default"} if missing == "processor" else {}))
