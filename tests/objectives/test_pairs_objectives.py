"""ada_gvae and ada_ml_vae: what a pair shares, found latent by latent."""

import math
from collections.abc import Callable

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from unbraid.objectives import OBJECTIVES
from unbraid.objectives.ada_gvae import ada_gvae
from unbraid.objectives.beta_vae import beta_vae
from unbraid.types import Forward

NAMES = ["ada_gvae", "ada_ml_vae"]


def by_loops(name: str, mean: torch.Tensor, logvar: torch.Tensor) -> tuple[list[list[float]], list[list[float]]]:
    """The posteriors of 2 P images, one pair and one latent at a time."""
    n_pairs, n_latents = len(mean) // 2, mean.shape[1]
    means, variances = mean.tolist(), logvar.exp().tolist()
    for p in range(n_pairs):
        q = [[Normal(mean[row, n], (logvar[row, n] / 2).exp()) for n in range(n_latents)] for row in (p, n_pairs + p)]
        apart = [float(kl_divergence(q[0][n], q[1][n])) for n in range(n_latents)]
        for n in range(n_latents):
            if apart[n] >= (min(apart) + max(apart)) / 2:
                continue
            (m1, v1), (m2, v2) = ((means[row][n], variances[row][n]) for row in (p, n_pairs + p))
            if name == "ada_gvae":
                m, v = (m1 + m2) / 2, (v1 + v2) / 2
            else:  # precisions 1/v add up, and half of them is taken
                v = 1 / ((1 / v1 + 1 / v2) / 2)
                m = v * (m1 / v1 + m2 / v2) / 2
            for row in (p, n_pairs + p):
                means[row][n], variances[row][n] = m, v
    return means, [[math.log(v) for v in row] for row in variances]


@pytest.mark.parametrize("name", NAMES)
class TestPosterior:
    def test_equals_plain_loops(self, name: str) -> None:
        generator = torch.Generator().manual_seed(3)
        mean, logvar = (torch.randn(12, 7, dtype=torch.float64, generator=generator) for _ in range(2))
        posterior = OBJECTIVES[name].posterior
        assert posterior is not None
        found, expected = posterior(mean, logvar), by_loops(name, mean, logvar)
        torch.testing.assert_close(found[0], torch.tensor(expected[0], dtype=torch.float64))
        torch.testing.assert_close(found[1], torch.tensor(expected[1], dtype=torch.float64))
        changed = (found[0] != mean).sum(1)
        assert changed.min() > 0 and changed.max() < 7, "some latents are shared, one is not"

    def test_of_equal_images_changes_nothing(self, name: str) -> None:
        posterior = OBJECTIVES[name].posterior
        assert posterior is not None
        mean, logvar = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0)).repeat(1, 2, 1)
        for after, before in zip(posterior(mean, logvar), (mean, logvar), strict=True):
            torch.testing.assert_close(after, before)

    def test_what_a_pair_shares_is_one(self, name: str) -> None:
        """Latent 2 differs by far; what is left of the others is the same for both images."""
        posterior = OBJECTIVES[name].posterior
        assert posterior is not None
        mean = torch.tensor([[0.1, -0.2, 3.0], [0.0, -0.1, -3.0]], requires_grad=True)
        logvar = torch.tensor([[-1.0, -2.0, -3.0], [-1.5, -2.0, -3.0]])
        after, _ = posterior(mean, logvar)
        assert after[0, :2].tolist() == after[1, :2].tolist() and after[:, 2].tolist() == [3.0, -3.0]
        after[0, :2].sum().backward()
        assert mean.grad is not None and (mean.grad[:, :2] > 0).all(), "both images pull at what they share"
        assert not mean.grad[:, 2].any()


def test_the_loss_is_the_beta_vaes(make_forward: Callable[..., Forward]) -> None:
    out = make_forward()
    for name in NAMES:
        assert OBJECTIVES[name].function(out, beta=3.0).loss.item() == beta_vae(out, beta=3.0).loss.item()
    assert ada_gvae(out).loss.item() == beta_vae(out, beta=1.0).loss.item()
