"""Dense layers, those by oneDNN too, against torch's, in float64 where it matters which of the two is nearer."""

import pytest
import torch
from kernel_cases import layer, rng
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from unbraid.models import fast_linear
from unbraid.models.acceleration import accelerate
from unbraid.models.fast_linear import FastLinear


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


def test_only_the_gradients_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    product = fast_linear.product
    monkeypatch.setattr(fast_linear, "product", lambda *a: calls.append(1) or product(*a))
    net = nn.Sequential(layer(600, 500))
    accelerate(net)
    net(torch.randn(5, 600, generator=rng(0))).sum().backward()
    assert len(calls) == (2 if fast_linear.has_onednn() else 1)  # forward and the weights, not the gradient of x


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
