import itertools
import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import distributions

from unbraid.errors import UnbraidError
from unbraid.probability import (
    LIKELIHOODS,
    bernoulli_floor,
    bernoulli_nll,
    continuous_bernoulli_mean,
    continuous_bernoulli_nll,
    gaussian_nll,
    kl_per_latent,
    log_aggregate,
    log_density,
    minibatch_log_weights,
    stratified_log_weights,
)

LOGITS = [-200.0, -30.0, -3.0, -0.5001, -0.4999, -0.1, -1e-4, 0.0, 1e-8, 1e-3, 0.3, 0.4999, 0.5001, 2.0, 40.0, 200.0]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def uniform(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_kl_equals_the_closed_form_of_torch() -> None:
    mean, logvar = normal(7, 3), normal(7, 3, seed=1)
    prior = distributions.Normal(torch.zeros(()).double(), torch.ones(()).double())
    expected = distributions.kl_divergence(distributions.Normal(mean, (logvar / 2).exp()), prior)
    torch.testing.assert_close(kl_per_latent(mean, logvar), expected)


def test_kl_is_zero_at_the_prior_and_exact_beside_it() -> None:
    assert kl_per_latent(torch.zeros(1, 1), torch.zeros(1, 1)).item() == 0.0
    near = kl_per_latent(torch.zeros(1, 1), torch.full((1, 1), 1e-3)).item()  # float32
    assert near == pytest.approx(1e-6 / 4, rel=1e-2)


def test_log_density_equals_torch() -> None:
    z, mean, logvar = normal(5, 4), normal(5, 4, seed=1), normal(5, 4, seed=2)
    expected = distributions.Normal(mean, (logvar / 2).exp()).log_prob(z)
    torch.testing.assert_close(log_density(z, mean, logvar), expected)


def test_log_aggregate_equals_plain_loops() -> None:
    z, mean, logvar = normal(4, 3), normal(4, 3, seed=1), normal(4, 3, seed=2)
    weights = uniform(4, 4, seed=3)
    log_qz, log_qz_per_latent = log_aggregate(z, mean, logvar, weights.log())
    for i in range(4):
        whole, single = 0.0, [0.0] * 3
        for j in range(4):
            variances = [math.exp(v) for v in logvar[j].tolist()]
            densities = [
                math.exp(-((z[i, k].item() - mean[j, k].item()) ** 2) / (2 * variances[k]))
                / math.sqrt(2 * math.pi * variances[k])
                for k in range(3)
            ]
            whole += weights[i, j].item() * math.prod(densities)
            single = [s + weights[i, j].item() * d for s, d in zip(single, densities, strict=True)]
        assert log_qz[i].item() == pytest.approx(math.log(whole))
        assert log_qz_per_latent[i].tolist() == pytest.approx(np.log(single))


def expected_estimate(log_weights: torch.Tensor, densities: list[float], own: int, batch: int) -> float:
    """The mean of sum_j W_0j q(z|x_j) over every ordered batch that begins with image `own`."""
    weights = log_weights.double().exp()[0].tolist()
    others = [n for n in range(len(densities)) if n != own]
    estimates = [
        sum(w * densities[n] for w, n in zip(weights, (own, *rest), strict=True))
        for rest in itertools.permutations(others, batch - 1)
    ]
    return sum(estimates) / len(estimates)


@pytest.mark.parametrize("batch", [2, 3, 5])
def test_stratified_weights_are_unbiased(batch: int) -> None:
    densities = [0.1, 2.0, 0.7, 1e-4, 5.0]
    estimate = expected_estimate(stratified_log_weights(5, batch), densities, own=1, batch=batch)
    assert estimate == pytest.approx(sum(densities) / 5, rel=1e-5)


def test_minibatch_weights_bound_from_below() -> None:
    densities = [0.1, 2.0, 0.7, 1e-4, 5.0]
    estimate = expected_estimate(minibatch_log_weights(5, 3), densities, own=4, batch=3)
    assert estimate < sum(densities) / 5


def test_stratified_weights_put_one_in_n_on_the_diagonal() -> None:
    """The matrix in wide circulation has 1/N down its first column."""
    n_data, batch = 1000, 6
    weights = stratified_log_weights(n_data, batch).exp()
    m = batch - 1
    for i in range(batch):
        row = sorted(weights[i].tolist())
        assert weights[i, i].item() == pytest.approx(1 / n_data)
        assert row[1] == pytest.approx((n_data - m) / (n_data * m))
        assert row[2:] == pytest.approx([1 / m] * (batch - 2))
    assert weights.sum(1).tolist() == pytest.approx([1.0] * batch)
    assert weights.sum(0).tolist() == pytest.approx([1.0] * batch)  # so no column is special


@pytest.mark.parametrize(("n_data", "batch"), [(100, 1), (5, 6)])
def test_stratified_weights_refuse_what_they_cannot_weigh(n_data: int, batch: int) -> None:
    with pytest.raises(UnbraidError, match=f"2 to {n_data}.*not {batch}"):
        stratified_log_weights(n_data, batch)


def test_bernoulli_equals_torch() -> None:
    logits, x = 5 * normal(3, 2, 4, 4), uniform(3, 2, 4, 4)
    expected = distributions.Bernoulli(logits=logits, validate_args=False).log_prob(x)
    torch.testing.assert_close(bernoulli_nll(logits, x), -expected.sum((1, 2, 3)))


def test_gaussian_equals_torch() -> None:
    logits, x = normal(3, 1, 4, 4), uniform(3, 1, 4, 4)
    expected = distributions.Normal(torch.sigmoid(logits), 0.2).log_prob(x)
    torch.testing.assert_close(gaussian_nll(logits, x, sigma=0.2), -expected.sum((1, 2, 3)))


def test_gaussian_default_is_the_summed_squared_error() -> None:
    logits, x = normal(3, 1, 4, 4), uniform(3, 1, 4, 4)
    squared = (x - torch.sigmoid(logits)).square().sum((1, 2, 3))
    torch.testing.assert_close(gaussian_nll(logits, x) - squared, torch.full((3,), 8 * math.log(math.pi)).double())


def test_gaussian_takes_a_sigma_per_member() -> None:
    logits, x = normal(2, 3, 1, 4, 4), uniform(3, 1, 4, 4)
    stacked = torch.func.vmap(lambda member, s: gaussian_nll(member, x, sigma=s))(
        logits, torch.tensor([0.1, 0.3]).double()
    )
    for member, sigma in enumerate([0.1, 0.3]):
        torch.testing.assert_close(stacked[member], gaussian_nll(logits[member], x, sigma=sigma), rtol=1e-6, atol=0)


def test_continuous_bernoulli_equals_torch() -> None:
    logits, x = 4 * normal(5, 1, 8, 8), uniform(5, 1, 8, 8)
    other = distributions.ContinuousBernoulli(logits=logits)
    torch.testing.assert_close(continuous_bernoulli_nll(logits, x), -other.log_prob(x).sum((1, 2, 3)))
    torch.testing.assert_close(continuous_bernoulli_mean(logits), other.mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("logit", [logit for logit in LOGITS if abs(logit) <= 40])
def test_continuous_bernoulli_is_a_density_with_that_mean(logit: float, dtype: torch.dtype) -> None:
    tensor = torch.full((1, 1, 1, 1), logit, dtype=dtype)

    def density(x: float) -> float:
        return math.exp(-continuous_bernoulli_nll(tensor, torch.full_like(tensor, x)).item())

    tolerance = 1e-8 if dtype == torch.float64 else 1e-5
    assert quad(density, 0, 1)[0] == pytest.approx(1, abs=tolerance)
    mean = continuous_bernoulli_mean(tensor).item()
    assert quad(lambda x: x * density(x), 0, 1)[0] == pytest.approx(mean, abs=tolerance)


def test_bernoulli_floor_is_the_entropy_of_grey_targets() -> None:
    """Cross-entropy on grey pixels does not reach 0: its least value is where the logits reproduce the targets."""
    grey = 0.01 + 0.98 * uniform(4, 1, 8, 8)
    best = torch.logit(grey).requires_grad_()
    nll = bernoulli_nll(best, grey)
    torch.testing.assert_close(nll, bernoulli_floor(grey))
    assert (bernoulli_floor(grey) > 1).all()
    (slope,) = torch.autograd.grad(nll.sum(), best)
    torch.testing.assert_close(slope, torch.zeros_like(slope))
    assert (bernoulli_nll(best + 0.3 * normal(4, 1, 8, 8), grey) > bernoulli_floor(grey)).all()


def test_bernoulli_floor_is_zero_for_binary_targets() -> None:
    binary = (uniform(4, 1, 8, 8) > 0.5).double()
    assert bernoulli_floor(binary).tolist() == [0.0] * 4
    assert bernoulli_nll(60 * (2 * binary - 1), binary).max().item() < 1e-6


@pytest.mark.parametrize("name", LIKELIHOODS)
class TestEveryLikelihood:
    def test_sums_over_pixels(self, name: str) -> None:
        """A mean over pixels beside a sum over latents would silently be another beta."""
        nll = LIKELIHOODS[name].nll
        logits, x = normal(2, 3, 4, 4), uniform(2, 3, 4, 4)
        pixels = [[nll(logits[b, c, i, j].view(1, 1, 1, 1), x[b, c, i, j].view(1, 1, 1, 1)).item()
                   for c in range(3) for i in range(4) for j in range(4)] for b in range(2)]  # fmt: skip
        assert nll(logits, x).tolist() == pytest.approx([sum(p) for p in pixels])

    def test_is_least_where_the_mean_is_the_image(self, name: str) -> None:
        likelihood = LIKELIHOODS[name]
        logits = (3 * normal(2, 1, 4, 4)).requires_grad_()
        x = likelihood.mean(logits).detach()
        (slope,) = torch.autograd.grad(likelihood.nll(logits, x).sum(), logits)
        torch.testing.assert_close(slope, torch.zeros_like(slope))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("pixel", [0.0, 0.3, 1.0])
    def test_is_finite_everywhere(self, name: str, pixel: float, dtype: torch.dtype) -> None:
        likelihood = LIKELIHOODS[name]
        logits = torch.tensor(LOGITS, dtype=dtype).view(-1, 1, 1, 1).requires_grad_()
        nll = likelihood.nll(logits, torch.full_like(logits, pixel))
        (slope,) = torch.autograd.grad(nll.sum(), logits)
        x_hat = likelihood.mean(logits)
        (mean_slope,) = torch.autograd.grad(x_hat.sum(), logits)
        assert nll.isfinite().all() and slope.isfinite().all() and mean_slope.isfinite().all()
        assert ((x_hat >= 0) & (x_hat <= 1)).all()
        assert (x_hat.flatten().diff() >= 0).all()

    def test_stacked_equals_alone(self, name: str) -> None:
        nll = LIKELIHOODS[name].nll
        logits, x = normal(3, 2, 1, 4, 4), uniform(3, 2, 1, 4, 4)
        stacked = torch.func.vmap(nll)(logits, x)
        torch.testing.assert_close(stacked, torch.stack([nll(*pair) for pair in zip(logits, x, strict=True)]))
