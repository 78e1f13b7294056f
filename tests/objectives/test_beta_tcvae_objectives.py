"""beta_tcvae and beta_tcvae_mss."""

import math
from collections.abc import Callable

import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm

from unbraid.errors import UnbraidError
from unbraid.objectives.beta_tcvae import beta_tcvae
from unbraid.objectives.beta_tcvae_mss import beta_tcvae_mss
from unbraid.objectives.vae import vae
from unbraid.types import Forward, Terms

Make = Callable[..., Forward]
BOTH = pytest.mark.parametrize("objective", [beta_tcvae, beta_tcvae_mss])


def tc_by_loops(out: Forward, weight: Callable[[int, int], float]) -> float:
    """Mean of log q(z_i) - sum_l log q(z_il), with q(z_i) = sum_j weight(i, j) q(z_i|x_j)."""
    z, mean, sd = out.z.numpy(), out.mean.numpy(), out.logvar.exp().sqrt().numpy()
    batch, latents = z.shape
    total = 0.0
    for i in range(batch):
        logs = [[norm.logpdf(z[i, k], mean[j, k], sd[j, k]) for k in range(latents)] for j in range(batch)]
        weights = [math.log(weight(i, j)) for j in range(batch)]
        total += logsumexp([weights[j] + sum(logs[j]) for j in range(batch)])
        total -= sum(logsumexp([weights[j] + logs[j][k] for j in range(batch)]) for k in range(latents))
    return total / batch


def test_weighted_sampling_equals_plain_loops(make_forward: Make) -> None:
    out = make_forward()
    tc = tc_by_loops(out, lambda i, j: 1 / (out.n_data * len(out.z)))
    terms = beta_tcvae(out, beta=5.0)
    assert terms.logs["tc"].item() == pytest.approx(tc)
    assert terms.loss.item() == pytest.approx(vae(out).loss.item() + 4 * tc)


def test_stratified_sampling_equals_plain_loops(make_forward: Make) -> None:
    out = make_forward()
    n, batch = out.n_data, len(out.z)
    others = batch - 1

    def weight(i: int, j: int) -> float:
        if i == j:
            return 1 / n
        return (n - others) / (n * others) if j == (i + 1) % batch else 1 / others

    tc = tc_by_loops(out, weight)
    terms = beta_tcvae_mss(out, beta=5.0)
    assert terms.logs["tc"].item() == pytest.approx(tc)
    assert terms.loss.item() == pytest.approx(vae(out).loss.item() + 4 * tc)


@BOTH
def test_beta_one_is_the_vae(objective: Callable[..., Terms], make_forward: Make) -> None:
    out = make_forward()
    assert objective(out, beta=1.0).loss.item() == pytest.approx(vae(out).loss.item())


@BOTH
def test_the_three_parts_add_up_to_the_sampled_kl(objective: Callable[..., Terms], make_forward: Make) -> None:
    out = make_forward()
    sd = torch.exp(out.logvar / 2)
    log_q = torch.distributions.Normal(out.mean, sd).log_prob(out.z).sum(1)
    log_p = torch.distributions.Normal(0.0, 1.0).log_prob(out.z).sum(1)
    logs = objective(out).logs
    total = logs["mi"] + logs["tc"] + logs["dwkl"]
    assert total.item() == pytest.approx((log_q - log_p).mean().item())


def test_stratified_sampling_of_all_the_data_finds_the_total_correlation(make_forward: Make) -> None:
    """Two correlated Gaussian latents have TC -1/2 log(1 - r^2)."""
    n, spread, correlation = 1500, 0.2, 0.9
    generator = torch.Generator().manual_seed(0)
    a, b, e1, e2 = torch.randn(4, n, dtype=torch.float64, generator=generator)
    mean = torch.stack([a, correlation * a + math.sqrt(1 - correlation**2) * b], dim=1)
    out = make_forward(
        mean=mean,
        logvar=torch.full_like(mean, 2 * math.log(spread)),
        z=mean + spread * torch.stack([e1, e2], dim=1),
        n_data=n,
    )
    r = correlation / (1 + spread**2)
    assert beta_tcvae_mss(out).logs["tc"].item() == pytest.approx(-0.5 * math.log(1 - r**2), abs=0.05)


def test_weighted_sampling_is_off_by_a_known_constant_at_the_prior(make_forward: Make) -> None:
    mean = torch.zeros(6, 3, dtype=torch.float64)
    out = make_forward(mean=mean, logvar=mean)
    assert beta_tcvae(out).logs["tc"].item() == pytest.approx(2 * math.log(out.n_data))


def test_the_gradient_does_not_depend_on_the_size_of_the_data(make_forward: Make) -> None:
    """disentanglement_lib leaves the constant out; the gradient must be the same."""
    gradients = []
    for n_data in (10, 700_000):
        mean = make_forward().mean.requires_grad_()
        loss = beta_tcvae(make_forward(mean=mean, n_data=n_data)).loss
        gradients += torch.autograd.grad(loss, mean)
    torch.testing.assert_close(*gradients)


def test_stratified_sampling_refuses_a_batch_larger_than_the_data(make_forward: Make) -> None:
    with pytest.raises(UnbraidError, match=r"2 to 5 .*not 6: change batch_size"):
        beta_tcvae_mss(make_forward(n_data=5))
