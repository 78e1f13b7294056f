"""unfold: latents opened in turn, rent, independence, a fourth moment on the means; beta-TCVAE without all of these."""

import dataclasses
import math
from functools import partial

import pytest
import torch

from unbraid import models
from unbraid.objectives.beta_tcvae import beta_tcvae
from unbraid.objectives.independence import hsic
from unbraid.objectives.unfold import LED, closed, posterior, unfold
from unbraid.probability import LIKELIHOODS, kl_per_latent
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


def test_all_open_without_rent_and_the_fourth_moment_is_beta_tcvae(out: Forward) -> None:
    ours = unfold(out, beta=1.0, tau=5.0, kappa=0.0, rent=0.0, hsic=0.0, led=0.0, opened=float(L))
    assert torch.allclose(ours.loss, beta_tcvae(out, beta=6.0).loss)


SHARES = [(0, (0, 0, 0, 0)), (2, (1, 1, 0, 0)), (2.25, (1, 1, 0.25, 0)), (4, (1, 1, 1, 1)), (9, (1, 1, 1, 1))]


@pytest.mark.parametrize(("opened", "shares"), SHARES)
def test_a_latent_pays_its_kl_as_far_as_it_is_open(out: Forward, opened: float, shares: tuple[float, ...]) -> None:
    terms = unfold(out, beta=2.0, tau=0.0, kappa=0.0, opened=opened)
    kl = kl_per_latent(out.mean, out.logvar).mean(0) * torch.tensor(shares)
    assert torch.allclose(terms.logs["kl"], kl)
    assert terms.loss.item() == pytest.approx(terms.logs["recon"].item() + 2 * float(kl.sum()), rel=1e-5)


@pytest.mark.parametrize(("opened", "shares"), SHARES)
def test_a_latent_pays_rent_as_far_as_it_is_open(out: Forward, opened: float, shares: tuple[float, ...]) -> None:
    kl = kl_per_latent(out.mean, out.logvar).mean(0) * torch.tensor(shares)
    due = unfold(out, rent=6.0, opened=opened).loss - unfold(out, rent=0.0, opened=opened).loss
    assert float(due) == pytest.approx(6 * float((kl / (1 + kl)).sum()), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(("mean", "rent"), [(0.0, 0.0), (math.sqrt(2), 3.0), (1e3, 6.0)])  # KL 0, 1 and 500,000
def test_rent_is_half_paid_at_one_nat_and_never_more_than_all(out: Forward, mean: float, rent: float) -> None:
    code = torch.full((B, 1), mean)
    told = dataclasses.replace(out, mean=code, logvar=torch.zeros(B, 1), z=code)
    weights = {"beta": 0.0, "tau": 0.0, "kappa": 0.0, "opened": 1.0}
    due = unfold(told, rent=6.0, **weights).loss - unfold(told, rent=0.0, **weights).loss
    assert float(due) == pytest.approx(rent, abs=1e-3)


def test_each_two_latents_are_asked_to_be_independent(out: Forward) -> None:
    between = hsic(out.mean)
    expected = sum(float(between[a, b]) for a in range(L) for b in range(a + 1, L))
    asked = unfold(out, hsic=50.0)
    assert float(asked.loss - unfold(out, hsic=0.0).loss) == pytest.approx(50 * expected, rel=1e-4, abs=1e-4)
    assert float(asked.logs["dependence"]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("opened", "shares"), SHARES)
def test_a_latent_moves_from_a_point_to_the_posterior_as_it_opens(
    out: Forward, opened: float, shares: tuple[float, ...]
) -> None:
    mean, logvar = posterior(out.mean, out.logvar, opened=opened, beta=3.0)
    share = torch.tensor(shares)
    assert torch.allclose(mean, share * out.mean)
    assert torch.allclose(logvar, share * out.logvar - 8 * (1 - share), atol=1e-6)


def test_no_gradient_reaches_a_closed_latent(out: Forward) -> None:
    mean, logvar = out.mean.clone().requires_grad_(), out.logvar.clone().requires_grad_()
    shut_mean, shut_logvar = posterior(mean, logvar, opened=2.0)
    z = shut_mean + torch.exp(shut_logvar / 2)
    logits = (z.sum(1) + out.logits.flatten(1).T).T.view_as(out.logits)
    forward = dataclasses.replace(out, mean=shut_mean, logvar=shut_logvar, z=z, logits=logits)
    unfold(forward, hsic=50.0, opened=2.0).loss.backward()
    for gradient in (mean.grad, logvar.grad):
        assert gradient is not None and gradient[:, :2].all() and not gradient[:, 2:].any()


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
    assert kurtosis(torch.cat([few, (few @ turn)[:, :1]], 1)) == kurtosis(few)  # the third is not led


def test_the_first_latents_are_led_by_the_linear_coordinates(out: Forward) -> None:
    linear = torch.randn(B, LED, generator=torch.Generator().manual_seed(1))
    led = dataclasses.replace(out, linear=linear)
    off = ((out.mean[:, :LED] - linear) ** 2).sum() / B
    assert float(unfold(led, led=3.0).loss - unfold(out).loss) == pytest.approx(3 * float(off), rel=1e-4)
    assert torch.equal(unfold(led, led=0.0).loss, unfold(out).loss)


@pytest.mark.parametrize(("opened", "expected"), [(0, [0, 1, 2, 3]), (2, [2, 3]), (2.25, [3]), (4, []), (9, [])])
def test_closed_are_those_that_no_step_has_heard(out: Forward, opened: float, expected: list[int]) -> None:
    assert closed({"opened": opened}, L) == expected
    shut = posterior(out.mean, out.logvar, opened=opened)[0].abs().sum(0) == 0
    assert shut.nonzero().flatten().tolist() == expected


def test_a_net_that_absorbed_a_posterior_encodes_as_it_was_trained(out: Forward) -> None:
    model = models.build("mlp", (1, 3, 3), seed=0, latent_dim=L, width=5)
    expected = model(out.x, torch.zeros(B, L), partial(posterior, opened=2.25))
    model.absorb(partial(posterior, opened=2.25))
    for found, there in zip(model(out.x, torch.zeros(B, L)), expected, strict=True):
        assert torch.allclose(found, there, atol=1e-5)
    before = [p.clone() for p in model.parameters()]
    model.absorb(partial(posterior, opened=4.0))  # all open: to the bit
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
