"""Convolutions of stacked models against torch's own, one model at a time.

Without a GPU the kernels run in Triton's interpreter (see conftest.py), on small images.
"""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap

pytest.importorskip("triton")
stacked_kernels = pytest.importorskip("unbraid.models.stacked_kernels")
stack_well = pytest.importorskip("unbraid.models.stacked_layers").stack_well
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
MODELS, IMAGES = 2, 3
# channels of the larger and the smaller side, kernel, stride, padding, size, and what a transposed one adds at its end
SHAPES = [
    (1, 5, 3, 2, 1, (8, 8)),
    (5, 3, 3, 1, 1, (6, 4)),
    (3, 4, 4, 2, 1, (8, 6)),
    (9, 17, 4, 2, 1, (4, 8)),
    (2, 6, 1, 1, 0, (4, 4)),
    (33, 3, 2, 2, 0, (6, 6)),
    (3, 2, 3, 2, 1, (7, 9)),
    (2, 3, 5, 3, 2, (9, 9)),
]


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(DEVICE)


def close(ours: Tensor, theirs: Tensor) -> bool:
    ours, theirs = ours.detach(), theirs.detach()
    return float((ours - theirs).norm()) < 1e-5 * float(theirs.norm()) + 1e-6


@pytest.mark.parametrize(("wide", "narrow", "k", "stride", "padding", "size"), SHAPES)
def test_each_kernel(wide: int, narrow: int, k: int, stride: int, padding: int, size: tuple[int, int]) -> None:
    x = random(MODELS, IMAGES, wide, *size).requires_grad_()
    weight, bias = random(MODELS, narrow, wide, k, k).requires_grad_(), random(MODELS, narrow)
    out = torch.stack([F.conv2d(*each, stride=stride, padding=padding) for each in zip(x, weight, bias, strict=True)])
    grad = random(*out.shape)
    of_x, of_weight = torch.autograd.grad(out, [x, weight], grad)
    x, taps_inside = x.detach(), weight.detach().permute(0, 1, 3, 4, 2).contiguous()
    assert close(stacked_kernels.down(x, taps_inside, bias, stride, padding, "ieee"), out)
    assert close(stacked_kernels.up(grad, taps_inside, None, stride, padding, size, "ieee"), of_x)
    found = stacked_kernels.weight_gradient(x, grad, (k, k), stride, padding, "ieee")
    assert close(found.permute(0, 1, 4, 2, 3), of_weight)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.ELU, nn.Sigmoid])
def test_whole_nets_under_vmap(activation: type[nn.Module]) -> None:
    """Values and gradients of stacked nets are those of each net alone; a net outside of vmap is what it was."""

    def net() -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(1, 4, 4, stride=2, padding=1),
            activation(),
            nn.Conv2d(4, 8, 3, padding=1),
            activation(),
            nn.Flatten(),
            nn.Linear(8 * 16, 8 * 16),
            activation(),
            nn.Unflatten(1, (8, 4, 4)),
            nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1),
            activation(),
            nn.ConvTranspose2d(4, 1, 4, stride=2, padding=1),
        ).to(DEVICE)

    torch.manual_seed(0)
    nets, x = [net() for _ in range(MODELS)], random(IMAGES, 1, 8, 8)
    expected = [each(x) for each in nets]
    sum(out.square().sum() for out in expected).backward()
    stacked = {
        name: torch.stack([each.get_parameter(name).detach() for each in nets]).requires_grad_()
        for name, _ in nets[0].named_parameters()
    }
    program = nets[0]
    stack_well(program)
    assert all(type(layer) is not nn.Linear and type(layer) is not nn.Conv2d for layer in program)
    found = vmap(lambda weights: functional_call(program, weights, (x,)))(stacked)
    assert close(found, torch.stack(expected))
    found.square().sum().backward()
    for name, weights in stacked.items():
        assert weights.grad is not None
        assert close(weights.grad, torch.stack([each.get_parameter(name).grad for each in nets])), name
    assert torch.equal(program(x), expected[0])


def test_activations_that_kernels_do_not_know_or_that_serve_twice() -> None:
    """Another slope, one that serves two layers, one after another."""
    again = nn.ReLU()
    for layers in ([nn.ELU(0.5)], [again, nn.Conv2d(2, 2, 1), again], [nn.ReLU()]):
        net = nn.Sequential(nn.Conv2d(1, 2, 3), *layers).to(DEVICE)
        x = random(IMAGES, 1, 5, 5)
        weights = {name: torch.stack([value.detach()] * 2) for name, value in net.named_parameters()}
        expected = net(x)
        stack_well(net)
        found = vmap(lambda each, net=net, x=x: functional_call(net, each, (x,)))(weights)
        assert close(found[1], expected)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.ELU])
def test_a_nan_stays_one(activation: type[nn.Module]) -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 1), activation()).to(DEVICE)
    weights = {name: torch.stack([value.detach()] * 2) for name, value in net.named_parameters()}
    weights["0.weight"][0] = float("nan")
    stack_well(net)
    x = random(IMAGES, 1, 5, 5)
    found = vmap(lambda each: functional_call(net, each, (x,)))(weights)
    assert found[0].isnan().all() and found[1].isfinite().all()


def test_layers_that_the_kernels_do_not_fit_stay() -> None:
    odd = nn.Sequential(
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 200, 3),
        nn.Conv2d(200, 4, (3, 3), stride=(1, 2)),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, padding_mode="circular"),
        nn.Conv2d(4, 4, 3, bias=False),
    )
    kinds = [type(layer) for layer in odd]
    stack_well(odd)
    assert [type(layer) for layer in odd] == kinds
    assert all(first is second for first, second in pairwise(kinds))
