"""unfold: latents opened in turn, a fourth moment on the means, and beta-TCVAE where both are switched off."""

import math

import pytest
import torch

from unbraid.objectives.beta_tcvae import beta_tcvae
from unbraid.objectives.unfold import unfold
from unbraid.probability import LIKELIHOODS
from unbraid.types import Forward

B, L, N = 8, 4, 1000


@pytest.fixture
def out() -> Forward:
    g = torch.Generator().manual_seed(0)
    mean, logvar = torch.randn(B, L, generator=g), torch.randn(B, L, generator=g)
    z = mean + torch.exp(logvar / 2) * torch.randn(B, L, generator=g)
    x = torch.rand(B, 1, 3, 3, generator=g).round()
    logits = torch.randn(B, 1, 3, 3, generator=g)
    return Forward(x, logits, mean, logvar, z, LIKELIHOODS["bernoulli"].nll, N)


def test_all_open_without_the_fourth_moment_is_beta_tcvae(out: Forward) -> None:
    ours = unfold(out, beta=1.0, tau=5.0, kappa=0.0, opened=float(L), closed=100.0)
    assert torch.allclose(ours.loss, beta_tcvae(out, beta=6.0).loss)


@pytest.mark.parametrize(
    ("opened", "extra"), [(0, (1, 1, 1, 1)), (2, (0, 0, 1, 1)), (2.25, (0, 0, 0.75, 1)), (4, (0, 0, 0, 0))]
)
def test_closed_latents_pay_more_for_their_kl(out: Forward, opened: float, extra: tuple[float, ...]) -> None:
    terms = unfold(out, beta=2.0, tau=0.0, kappa=0.0, opened=opened, closed=50.0)
    expected = terms.logs["recon"] + sum((2 + 50 * e) * k for e, k in zip(extra, terms.logs["kl"], strict=True))
    assert torch.allclose(terms.loss, torch.as_tensor(expected))


def test_the_fourth_moment_tells_axes_from_diagonals() -> None:
    side = torch.linspace(-1, 1, 101) * math.sqrt(3)  # uniform with variance 1
    square = torch.cartesian_prod(side, side)
    turn = torch.tensor([[1.0, 1.0], [-1.0, 1.0]]) / math.sqrt(2)

    def kurtosis(mean: torch.Tensor) -> float:
        x = torch.zeros(len(mean), 1, 1, 1)
        forward = Forward(x, x, mean, torch.zeros_like(mean), mean, LIKELIHOODS["bernoulli"].nll, N)
        return float(unfold(forward, kappa=1.0).logs["kurtosis"])

    few = square[torch.randperm(len(square), generator=torch.Generator().manual_seed(0))[:1000]]
    assert kurtosis(few) == pytest.approx(0, abs=0.1)
    assert kurtosis(3 * few) == pytest.approx(0, abs=81 * 0.1)
    assert kurtosis(few @ turn) == pytest.approx(2 * 0.6, abs=0.15)
