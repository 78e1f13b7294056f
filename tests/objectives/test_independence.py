"""HSIC against a plain reading of its definition, and what it tells from what."""

import math
from itertools import permutations

import pytest
import torch

from unbraid.errors import UnbraidError
from unbraid.objectives.independence import hsic


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def by_definition(a: torch.Tensor, b: torch.Tensor) -> float:
    """Means over distinct images of k_ij l_ij + k_ij l_qr - 2 k_ij l_iq (Gretton 2005; Song 2012)."""
    k, h = (torch.exp(-((x[:, None] - x[None]) ** 2) / (2 * 0.5**2)) for x in (a, b))
    images = range(len(a))
    same = [k[i, j] * h[i, j] for i, j in permutations(images, 2)]
    apart = [k[i, j] * h[q, r] for i, j, q, r in permutations(images, 4)]
    shared = [k[i, j] * h[i, q] for i, j, q in permutations(images, 3)]
    return float(torch.stack(same).mean() + torch.stack(apart).mean() - 2 * torch.stack(shared).mean())


@pytest.mark.parametrize("count", [4, 7])
def test_is_the_mean_over_distinct_images(count: int) -> None:
    codes = torch.randn(count, 3, generator=rng(0)).double()
    found = hsic(codes)
    assert found.shape == (3, 3)
    for a in range(3):
        for b in range(3):
            assert float(found[a, b]) == pytest.approx(by_definition(codes[:, a], codes[:, b]), abs=1e-12)


def test_is_0_in_the_mean_of_independent_latents_and_not_of_a_circle() -> None:
    angle = 2 * math.pi * torch.rand(400, 16, generator=rng(1))
    circles = math.sqrt(2) * torch.stack([angle.cos(), angle.sin()], 2)  # uncorrelated, each of variance 1
    apart = torch.stack([angle.cos(), angle.sin().roll(1, 0)], 2) * math.sqrt(2)
    on, off = (torch.vmap(hsic)(batches)[:, 0, 1] for batches in (circles, apart))
    error = float(off.std()) / math.sqrt(400)
    assert abs(float(off.mean())) < 3 * error
    assert float(on.mean()) > 10 * error


def test_of_a_latent_with_itself() -> None:
    codes = torch.randn(2000, 1, generator=rng(2))
    gaussian = 1 / math.sqrt(17) + 1 / 9 - 0.4 / math.sqrt(2.6)  # E k^2 + (E k)^2 - 2 E[E[k | x]^2]
    assert float(hsic(codes)) == pytest.approx(gaussian, abs=0.005)
    assert float(hsic(2 * codes)) < 0.09
    assert float(hsic(codes / 5)) < 0.02
    assert float(hsic(torch.zeros(8, 1))) == pytest.approx(0, abs=1e-6)


def test_three_images_are_too_few() -> None:
    with pytest.raises(UnbraidError, match="HSIC takes batches of 4 images or more, not 3: give more"):
        hsic(torch.zeros(3, 2))
