"""unfold: latents opened in turn, a fourth moment on the means, and beta-TCVAE where both are switched off."""

import dataclasses
import math

import pytest
import torch

from unbraid.objectives.beta_tcvae import beta_tcvae
from unbraid.objectives.unfold import LED, unfold
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
    ("opened", "shut"), [(0, (1, 1, 1, 1)), (2, (0, 0, 1, 1)), (2.25, (0, 0, 0.75, 1)), (4, (0, 0, 0, 0))]
)
def test_closed_latents_rest_and_open_ones_pay_their_kl(out: Forward, opened: float, shut: tuple[float, ...]) -> None:
    terms = unfold(out, beta=2.0, tau=0.0, kappa=0.0, opened=opened, closed=50.0)
    expected = terms.logs["recon"].item()
    for latent, c in enumerate(shut):
        rest = sum(m**2 + (v + 4) ** 2 for m, v in zip(out.mean[:, latent], out.logvar[:, latent], strict=True)) / B
        expected += (1 - c) * 2 * terms.logs["kl"][latent].item() + c * 50 * float(rest)
    assert terms.loss.item() == pytest.approx(expected, rel=1e-5)


def test_a_closed_latent_goes_to_its_rest_whatever_the_images_ask() -> None:
    """The loss of a latent that is shut is least at mean 0 and log-variance -4."""
    zeros = torch.zeros(B, 1, 1, 1)

    def loss(mean: float, logvar: float) -> float:
        means, logvars = torch.full((B, 1), mean), torch.full((B, 1), logvar)
        forward = Forward(zeros, zeros, means, logvars, means, LIKELIHOODS["bernoulli"].nll, N)
        return float(unfold(forward, tau=0.0, opened=0.0).loss)

    at_rest = loss(0.0, -4.0)
    assert all(
        loss(mean, logvar) > at_rest
        for mean, logvar in [(0.0, 0.0), (0.1, -4.0), (-0.1, -4.0), (0.0, -3.9), (0.0, -4.1)]
    )


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


def test_the_first_latents_are_led_by_the_linear_coordinates(out: Forward) -> None:
    linear = torch.randn(B, LED, generator=torch.Generator().manual_seed(1))
    led = dataclasses.replace(out, linear=linear)
    off = ((out.mean[:, :LED] - linear) ** 2).sum() / B
    assert float(unfold(led, led=3.0).loss - unfold(out).loss) == pytest.approx(3 * float(off), rel=1e-4)
    assert torch.equal(unfold(led, led=0.0).loss, unfold(out).loss)
