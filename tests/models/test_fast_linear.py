"""Dense layers, those by oneDNN too, against torch's, in float64 where it matters which of the two is nearer."""

import copy
from collections.abc import Callable

import pytest
import torch
from kernel_cases import accelerated, filled, images, layer, needs_kernels, results, rng
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from unbraid.kernels import has_kernels
from unbraid.kernels.tape import Tape
from unbraid.models import fast_linear
from unbraid.models.acceleration import accelerate
from unbraid.models.fast_linear import FastLinear


@pytest.mark.parametrize("shape", [(7, 200, 100), (128, 1200, 1200), (1, 129, 131), (64, 128, 2048)])
def test_values_and_gradients_are_those_of_the_exact_product(shape: tuple[int, int, int]) -> None:
    batch, inputs, outputs = shape
    x, gradient = torch.randn(batch, inputs, generator=rng(2)), torch.randn(batch, outputs, generator=rng(3))
    plain = layer(inputs, outputs)
    exact = layer(inputs, outputs).double()
    ours = nn.Sequential(layer(inputs, outputs))
    accelerate(ours)
    assert type(ours[0]) is FastLinear
    results = []
    for net, of, dtype in ((ours, ours[0], torch.float32), *((net, net, net.weight.dtype) for net in (plain, exact))):
        given = x.to(dtype).clone().requires_grad_()
        out = net(given)
        out.backward(gradient.to(dtype))
        assert of.weight.grad is not None and of.bias.grad is not None and given.grad is not None
        results.append([out.detach(), given.grad, of.weight.grad, of.bias.grad])
    for mine, torchs, true in zip(*results, strict=True):
        error, allowed = (mine - true).abs().max(), (torchs - true).abs().max()
        assert error <= 4 * allowed + 1e-5 * true.abs().max()


def test_only_the_gradients_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    product = fast_linear.product
    monkeypatch.setattr(fast_linear, "product", lambda *a: calls.append(1) or product(*a))
    net = nn.Sequential(layer(600, 500))
    accelerate(net)
    x = torch.randn(5, 600, generator=rng(0))
    with Tape() as written:
        torch.autograd.grad(net(x).sum(), list(net.parameters()))
    products = len(calls) + sum("mm" in str(entry.act) for entry in written.program)
    by_kernels = has_kernels() and not fast_linear.has_onednn()  # the weights' is one of ours then
    assert products == (1 if by_kernels else 2)  # forward and the weights: nobody asked for the gradient of x


@pytest.fixture
def no_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor that has narrow vectors alone."""
    monkeypatch.setattr(fast_linear, "has_onednn", lambda: False)


@needs_kernels
@pytest.mark.parametrize("count", [1, 9, 64, 300])
def test_images_as_columns(no_onednn: None, threads: int, count: int) -> None:
    sizes = [(147, 1801), (1801, 300), (300, 900), (900, 39)]  # all but the last beyond what a chain takes
    acts = [nn.ELU(), nn.ReLU(), nn.Tanh(), nn.Identity()]
    plain = nn.Sequential(
        *(each for size, act in zip(sizes, acts, strict=True) for each in (filled(nn.Linear(*size)), act))
    )
    x = images(count, 147)
    ours, exact = accelerated(plain), copy.deepcopy(plain).double()
    assert count == 1 or "_Rows" in str(ours[:1](x).grad_fn)  # which only columns are followed by
    found = results(ours, x), results(plain, x), results(exact, x.double())
    for mine, torchs, true in zip(*found, strict=True):
        assert mine.shape == true.shape and mine.is_contiguous()
        error, allowed = (mine - true).norm(), (torchs - true).norm()
        assert error <= 3 * allowed + 3e-6 * true.norm()
    with torch.no_grad():
        assert torch.equal(ours(x), found[0][0])


@needs_kernels
def test_columns_without_a_bias_and_of_gradients_that_are_not_asked_for(no_onednn: None) -> None:
    plain = nn.Sequential(filled(nn.Linear(200, 300, bias=False)), nn.ReLU(), filled(nn.Linear(300, 200)))
    plain[0].weight.requires_grad_(False)
    plain[2].bias.requires_grad_(False)
    for x in (images(20, 200), images(200, 20).t()):
        for mine, theirs in zip(*(gradients(net, x) for net in (accelerated(plain), plain)), strict=True):
            torch.testing.assert_close(mine, theirs)


@needs_kernels
def test_columns_whatever_else_is_set(no_onednn: None) -> None:
    plain = nn.Sequential(filled(nn.Linear(400, 700)), nn.ELU(), filled(nn.Linear(700, 400)), nn.ELU())
    ours = accelerated(plain)
    for each in (0, 2):
        with_gaps = plain[each].bias.detach().repeat_interleave(2)[::2]
        ours[each].bias = nn.Parameter(with_gaps)
    x = images(20, 400)
    torch.set_default_dtype(torch.float64)
    try:
        expected = results(plain, x)
        with torch.autograd.graph.saved_tensors_hooks(lambda saved: saved, lambda kept: kept.t().contiguous().t()):
            found = results(ours, x)
    finally:
        torch.set_default_dtype(torch.float32)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    assert results(ours, x[:0])[1].shape == (0, 400)


@pytest.fixture
def columns(no_onednn: None) -> nn.Module:
    """A layer whose images are columns, alone in its row."""
    return accelerated(nn.Sequential(filled(nn.Linear(600, 700)), nn.ELU()))


@needs_kernels
@pytest.mark.parametrize("size", [(1,), (5,), (700, 1), (20, 700)])
def test_biases_of_other_sizes_are_torch_s(columns: nn.Module, size: tuple[int, ...]) -> None:
    columns[0].bias = nn.Parameter(torch.ones(size))
    x = images(20, 600)
    try:
        expected = nn.functional.elu(nn.functional.linear(x, columns[0].weight, columns[0].bias))
    except RuntimeError:
        with pytest.raises(RuntimeError, match="expanded size"):
            columns(x)
    else:
        assert torch.equal(columns(x), expected)


@needs_kernels
def test_gradients_of_columns_where_torch_looks_on(columns: nn.Module) -> None:
    x = images(3, 600).requires_grad_()
    asked = [x, *columns.parameters()]
    made = columns(x)
    outer = torch.randn(4, *made.shape, generator=rng(4))
    batched = torch.autograd.grad(made, asked, outer, is_grads_batched=True, retain_graph=True)
    for number, each in enumerate(outer):
        for mine, one in zip(batched, torch.autograd.grad(made, asked, each, retain_graph=True), strict=True):
            torch.testing.assert_close(mine[number], one, rtol=1e-4, atol=1e-5)
    with FlopCounterMode(display=False) as counter:
        torch.autograd.grad(made, asked, outer[0])
    assert counter.get_total_flops() == 2 * 2 * 3 * 600 * 700
    expected = torch.autograd.grad(columns(x), asked, outer[0])
    with torch.autograd.graph.saved_tensors_hooks(torch.Tensor.double, lambda kept: kept):
        made = columns(x)
    for mine, theirs in zip(torch.autograd.grad(made, asked, outer[0]), expected, strict=True):
        torch.testing.assert_close(mine.float(), theirs, rtol=1e-4, atol=1e-5)


@needs_kernels
@pytest.mark.parametrize(
    "lies", [torch.clone, lambda grad: grad[:, :1].expand_as(grad), lambda grad: grad.t().contiguous().t()]
)
def test_a_gradient_is_read_as_it_lies_and_left_so(
    columns: nn.Module, lies: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    plain = nn.Sequential(nn.Linear(600, 700), nn.ELU())
    plain.load_state_dict(columns.state_dict())
    x = images(30, 1200)[:, ::2]  # with gaps in memory
    gradient = lies(torch.randn(30, 700, generator=rng(4)))
    before = gradient.clone()
    results = [torch.autograd.grad(net[:1](x), list(net.parameters()), gradient) for net in (columns, plain)]
    results += [torch.autograd.grad(net(x), list(net.parameters()), gradient) for net in (columns, plain)]
    for mine, theirs in zip(results[0] + results[2], results[1] + results[3], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
    assert torch.equal(gradient, before)


@needs_kernels
def test_batches_of_other_sizes_are_not_compiled_for_anew(columns: nn.Module) -> None:
    for count in (65, 100, 128):
        columns(images(count, 600)).sum().backward()
    from unbraid.models import column_kernels

    before = column_kernels._gradient_of_weight.cache_info().misses
    for count in (66, 90, 127):
        columns(images(count, 600)).sum().backward()
    assert column_kernels._gradient_of_weight.cache_info().misses == before


@needs_kernels
def test_a_nan_stays_one_on_the_way_back(columns: nn.Module) -> None:
    x = images(9, 600)
    x[4] = float("nan")
    columns(x).sum().backward()
    assert columns[0].bias.grad.isnan().all() and columns[0].weight.grad.isnan().all()


def gradients(net: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    x = x.clone().requires_grad_()
    asked = [x, *(weight for weight in net.parameters() if weight.requires_grad)]
    return [*torch.autograd.grad(net(x).sum(), asked)]


@pytest.mark.parametrize("act", [nn.LeakyReLU(0.1, inplace=True), nn.SiLU(inplace=True), nn.Tanh(), nn.Softmax(1)])
@pytest.mark.parametrize("last", [layer(2000, 100), nn.Unflatten(1, (5, 20, 20)), nn.LayerNorm(2000), nn.Identity()])
def test_what_comes_after_is_given_what_it_takes(act: nn.Module, last: nn.Module) -> None:
    plain = nn.Sequential(layer(200, 2000), act, copy.deepcopy(last))
    ours = accelerated(plain)
    found = []
    for net in (ours, plain):
        x = torch.randn(7, 200, generator=rng(0)).requires_grad_()
        y = net(x)
        y.view(-1).backward(torch.randn(y.numel(), generator=rng(1)))  # as only rows that follow each other can be seen
        found.append([y.detach(), x.grad, *(weight.grad for weight in net.parameters())])
    for mine, theirs in zip(*found, strict=True):
        assert mine.shape == theirs.shape and (mine - theirs).norm() <= 1e-4 * theirs.norm() + 1e-6


def test_where_torch_looks_on_it_is_torch_s() -> None:
    net, x = layer(600, 500), torch.randn(5, 600, generator=rng(0))
    accelerate(net)
    with torch.autocast("cpu", torch.bfloat16):
        assert net(x).dtype == torch.bfloat16
    with FlopCounterMode(display=False) as counter:
        net(x)
    assert counter.get_total_flops() == 2 * 5 * 600 * 500


def test_small_layers_that_stand_alone_are_torch_s() -> None:
    net = layer(10, 256)
    accelerate(net)
    x = torch.randn(5, 10, generator=rng(0))
    assert torch.equal(net(x), layer(10, 256)(x))
