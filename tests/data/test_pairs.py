"""Pairs of images that share factors."""

import tracemalloc

import costs
import numpy as np
import pytest
import torch
from small_runs import squares

from unbraid.data import from_arrays
from unbraid.data.balls import balls
from unbraid.data.pairs import _of_a_list, pairs
from unbraid.errors import UnbraidError
from unbraid.types import Dataset

SIZES = (3, 4, 2, 5)


def coded(factors: np.ndarray) -> Dataset:
    """Images of one row of pixels, each pixel one factor."""
    images = (factors * 40).astype(np.uint8)[:, None, None, :]
    return from_arrays(images, factors, list("abcd"))


def grid() -> np.ndarray:
    return np.stack(np.unravel_index(np.arange(120), SIZES), axis=1)


def listed() -> np.ndarray:
    """The same combinations, some of them twice and in no order."""
    rng = np.random.default_rng(0)
    return rng.permutation(np.concatenate([grid(), grid()[rng.choice(120, 30)]]))


def factor_pairs(dataset: Dataset, steps: int, *, changed: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Factors [steps * 32, F] of the first and of the second images, read off their pixels."""
    batches = pairs(dataset, 64, seed=seed, changed=changed)
    images = torch.stack([batches(step) for step in range(steps)])  # [S, 64, 1, 1, 4]
    values = np.rint(images.numpy()[:, :, 0, 0] * 255 / 40).astype(int)
    return values[:, :32].reshape(-1, 4), values[:, 32:].reshape(-1, 4)


@pytest.mark.parametrize("factors", [grid(), listed()], ids=["grid", "list"])
class TestPairs:
    @pytest.mark.parametrize("changed", [1, 2, 3])
    def test_no_more_factors_differ_than_told(self, factors: np.ndarray, changed: int) -> None:
        first, second = factor_pairs(coded(factors), 60, changed=changed)
        different = first != second
        assert different.sum(1).max() == changed
        assert (different.mean(0) > 0.5 * changed / 4 * (1 - 1 / np.array(SIZES))).all(), "each factor in its turn"

    def test_how_often_a_factor_differs(self, factors: np.ndarray) -> None:
        """Chosen with probability k/F, k evenly from 1 to 3, so 1/2, and then another value by 1 - 1/size."""
        first, second = factor_pairs(coded(grid()), 300, changed=0)
        expected = 0.5 * (1 - 1 / np.array(SIZES))
        assert np.abs((first != second).mean(0) - expected).max() < 0.02  # four standard deviations of 9,600 pairs

    def test_both_images_are_drawn_from_all(self, factors: np.ndarray) -> None:
        for values in factor_pairs(coded(factors), 200, changed=2):
            counts = np.unique(values, axis=0, return_counts=True)[1]
            assert len(counts) == 120 and counts.min() > 20

    def test_is_a_function_of_seed_and_step(self, factors: np.ndarray) -> None:
        one, same, other = (pairs(coded(factors), 8, seed=seed) for seed in (1, 1, 2))
        assert torch.equal(one(7), same(7)) and torch.equal(one(7), one(7))
        assert not torch.equal(one(7), one(8)) and not torch.equal(one(7), other(7))
        assert one(0).dtype == torch.float32 and one(0).shape == (8, 1, 1, 4)


def test_a_list_of_the_grid_is_drawn_as_the_grid() -> None:
    """Twice each combination makes it a list; the differences come as often."""
    shares = []
    for factors in (grid(), np.repeat(grid(), 2, axis=0)):
        first, second = factor_pairs(coded(factors), 300, changed=0)
        shares.append(np.unique((first != second) @ [1, 2, 4, 8], return_counts=True)[1] / len(first))
    assert np.abs(shares[0] - shares[1]).max() < 0.025


def test_any_image_that_shares_the_rest() -> None:
    """As by looking at all of them; forty factors, of which a pair shares other ones each time, fill no memory."""
    rng = np.random.default_rng(0)
    factors = (rng.random((20_000, 40)) < rng.random(40)).astype(np.int64)
    factors[:, 7] = rng.integers(0, 300, len(factors))
    images = np.unpackbits(np.arange(len(factors), dtype=">u4").view(np.uint8).reshape(-1, 4), axis=1)
    dataset = from_arrays(images[:, None, None, :], factors)
    tracemalloc.start()
    try:
        batches = pairs(dataset, 64, seed=0, changed=0)
        found = torch.stack([batches(step) for step in range(20)])[:, :, 0, 0].numpy().astype(np.uint8)  # [S, 64, 32]
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()
    numbers = np.packbits(found, axis=2).view(">u4")[..., 0].astype(int)
    first, second = numbers[:, :32].reshape(-1), numbers[:, 32:].reshape(-1)
    shared = (factors[first] == factors[second]).sum(1)
    assert shared.min() >= 1 and (first != second).sum() > 100


def test_factors_of_many_values_that_do_not_occur() -> None:
    """256 factors of 65,536 values would be as many lists as there are colours."""
    factors = np.zeros((50, 256), np.int64)
    factors[0] = 2**16 - 1
    factors[1, ::2] = 1
    with costs.bounded():
        batches = pairs(from_arrays(np.zeros((50, 4, 4), np.uint8), factors), 8, seed=0)
        assert batches(0).shape == (8, 1, 4, 4)


def test_a_partner_is_each_image_that_shares_the_rest() -> None:
    factors = np.random.default_rng(1).integers(0, 3, (200, 4))
    dataset = from_arrays(np.arange(200, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8), factors)
    partner = _of_a_list(dataset)
    rng = np.random.default_rng(2)
    for shared in ([True, False, True, False], [False, True, False, False], [True, True, True, False]):
        alike = np.flatnonzero((factors[:, shared] == factors[5, shared]).all(1))
        draws = 200 * len(alike)
        drawn = partner(np.full(draws, 5), np.tile(~np.array(shared), (draws, 1)), rng)
        counts = np.bincount(drawn, minlength=200)
        assert np.array_equal(np.flatnonzero(counts), alike) and counts[alike].min() > 130, "each as often"


@pytest.mark.parametrize(
    ("dataset", "batch_size", "changed", "sentence"),
    [
        (from_arrays(np.zeros((9, 4, 4))), 4, 0, "need two or more factors, all of them discrete, .* has none"),
        (from_arrays(np.zeros((9, 4, 4)), np.arange(9)[:, None]), 4, 0, "this data has factor_1"),
        (balls(), 4, 0, "this data has x_1, y_1"),
        (squares(), 5, 0, "batch_size must be even for pairs of images, not 5"),
        (squares(), 4, 3, r"pair_changes must be from 0 \(drawn\) to 2 of this data, not 3"),
    ],
)
def test_refusals(dataset: Dataset, batch_size: int, changed: int, sentence: str) -> None:
    with pytest.raises(UnbraidError, match=sentence):
        pairs(dataset, batch_size, seed=0, changed=changed)
