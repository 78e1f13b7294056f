"""Cross-entropy by kernels against torch's, in float64 where it matters which of the two is nearer."""

from collections.abc import Callable

import pytest
import torch
from kernel_cases import down, images, needs_kernels, rng
from torch import nn

from unbraid import probability
from unbraid.models.acceleration import accelerate, likelihood
from unbraid.models.fast_likelihood import bernoulli_nll as fast_nll


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
