"""dip_vae_i and dip_vae_ii."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from unbraid.objectives.dip_vae_i import dip_vae_i
from unbraid.objectives.dip_vae_ii import dip_vae_ii
from unbraid.objectives.vae import vae
from unbraid.types import Forward, Terms

Make = Callable[..., Forward]
BOTH = pytest.mark.parametrize("objective", [dip_vae_i, dip_vae_ii])


def distance(cov: np.ndarray, lambda_od: float, lambda_d: float) -> float:
    total = 0.0
    for i in range(len(cov)):
        for j in range(len(cov)):
            total += lambda_d * (cov[i, i] - 1) ** 2 if i == j else lambda_od * cov[i, j] ** 2
    return total


def test_dip_i_equals_numpy(make_forward: Make) -> None:
    out = make_forward()
    dip = distance(np.cov(out.mean.numpy().T, bias=True), lambda_od=3.0, lambda_d=30.0)
    terms = dip_vae_i(out, lambda_od=3.0)
    assert terms.logs["dip"].item() == pytest.approx(dip)
    assert terms.loss.item() == pytest.approx(vae(out).loss.item() + dip)


def test_dip_ii_equals_numpy(make_forward: Make) -> None:
    out = make_forward()
    cov = np.cov(out.mean.numpy().T, bias=True) + np.diag(np.exp(out.logvar.numpy()).mean(0))
    dip = distance(cov, lambda_od=3.0, lambda_d=3.0)
    terms = dip_vae_ii(out, lambda_od=3.0)
    assert terms.logs["dip"].item() == pytest.approx(dip)
    assert terms.loss.item() == pytest.approx(vae(out).loss.item() + dip)


def test_dip_ii_adds_each_latents_variance_to_the_diagonal_alone(make_forward: Make) -> None:
    """Uncorrelated means and variances that fill each latent up to 1: nothing is left to penalise.

    One scalar for all latents, or added off the diagonal too, would leave a rest.
    """
    signs = torch.tensor([[1, 1], [1, -1], [-1, 1], [-1, -1]], dtype=torch.float64)
    of_means = torch.tensor([0.9, 0.3], dtype=torch.float64)
    of_images = torch.tensor([[0.1], [0.1], [-0.1], [-0.1]], dtype=torch.float64) * torch.tensor([0.5, 1.0])
    out = make_forward(mean=signs * of_means.sqrt(), logvar=((1 - of_means) + of_images).log())
    assert dip_vae_ii(out).logs["dip"].item() == pytest.approx(0, abs=1e-12)
    assert dip_vae_i(out, lambda_od=1.0).logs["dip"].item() == pytest.approx(10 * (0.1**2 + 0.7**2))


@BOTH
def test_a_shift_of_all_codes_is_free(objective: Callable[..., Terms], make_forward: Make) -> None:
    out = make_forward()
    shifted = make_forward(mean=out.mean + 5, logvar=out.logvar)
    assert objective(shifted).logs["dip"].item() == pytest.approx(objective(out).logs["dip"].item())


@BOTH
def test_the_published_ratio_survives_a_change_of_lambda_od(
    objective: Callable[..., Terms], make_forward: Make
) -> None:
    out = make_forward()
    once, twice = objective(out, lambda_od=4.0).logs["dip"], objective(out, lambda_od=8.0).logs["dip"]
    assert twice.item() == pytest.approx(2 * once.item())


@BOTH
def test_zero_is_the_vae(objective: Callable[..., Terms], make_forward: Make) -> None:
    out = make_forward()
    assert objective(out, lambda_od=0.0).loss.item() == pytest.approx(vae(out).loss.item())
