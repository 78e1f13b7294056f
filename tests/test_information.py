import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import mutual_info_score

from unbraid.information import (
    entropy,
    entropy_of_counts,
    equal_width_bins,
    joint_entropy,
    joint_histogram,
    mixture_entropy,
    mutual_information,
    quantile_bins,
)

indices = hnp.arrays(np.int64, (30, 2), elements=st.integers(0, 4))


@given(st.integers(0, 10**6), st.sampled_from([2, 20, 33]))
def test_bins_are_those_of_a_numpy_histogram(seed: int, bins: int) -> None:
    values = np.random.default_rng(seed).normal(size=(50, 3)) * [1, 1e-6, 1e6]
    for column, binned in zip(values.T, equal_width_bins(values, bins).T, strict=True):
        edges = np.histogram(column, bins)[1]
        assert np.array_equal(binned, np.digitize(column, edges[:-1]) - 1)


def test_the_largest_value_is_in_the_last_bin_and_whole_numbers_keep_apart() -> None:
    assert equal_width_bins(np.arange(21.0)[:, None], 20)[:, 0].tolist() == [*range(20), 19]
    assert len(np.unique(equal_width_bins(np.arange(13.0)[:, None], 20))) == 13


@given(st.integers(0, 10**6), st.sampled_from([2, 20, 33]))
def test_quantile_bins_hold_equally_many_whatever_the_shape(seed: int, bins: int) -> None:
    values = np.random.default_rng(seed).normal(size=(200, 2))
    binned = quantile_bins(values, bins)
    assert np.array_equal(binned, quantile_bins(np.exp(values), bins))
    for column, own in zip(values.T, binned.T, strict=True):
        assert (np.diff(own[column.argsort()]) >= 0).all()
        assert np.ptp(np.bincount(own, minlength=bins)) <= 1


def test_equal_values_share_a_quantile_bin() -> None:
    values = np.r_[np.zeros(60), np.arange(1.0, 41)]
    assert np.bincount(quantile_bins(values[:, None], 4)[:, 0]).tolist() == [0, 0, 75, 25]
    assert len(np.unique(quantile_bins(np.full((9, 1), 0.1), 4))) == 1


@pytest.mark.parametrize("constant", [0.0, 0.1, -3e8, 1e300])
def test_a_constant_column_is_one_bin(constant: float) -> None:
    assert len(np.unique(equal_width_bins(np.full((9, 1), constant), 20))) == 1


def test_entropy_of_known_distributions() -> None:
    assert entropy_of_counts(np.array([5, 0, 0])) == 0
    assert entropy_of_counts(np.full((2, 4), 3)) == pytest.approx(math.log(8))
    assert entropy_of_counts(np.array([0.5, 0.25, 0.25])) == pytest.approx(1.5 * math.log(2))
    assert entropy(np.array([[0, 7], [1, 7]])) == pytest.approx([math.log(2), 0])


@given(indices, indices)
def test_mutual_information_agrees_with_another_library(first: np.ndarray, second: np.ndarray) -> None:
    expected = [[mutual_info_score(a, b) for b in second.T] for a in first.T]
    assert np.allclose(mutual_information(first, second), expected, atol=1e-10)


@given(indices)
def test_a_variable_tells_all_of_itself(values: np.ndarray) -> None:
    assert np.allclose(np.diag(mutual_information(values, values)), entropy(values), atol=1e-10)
    assert np.allclose(np.diag(joint_entropy(values, values)), entropy(values), atol=1e-10)


def test_independent_variables_share_exactly_nothing() -> None:
    grid = np.indices((7, 11)).reshape(2, -1).T
    assert mutual_information(grid[:, :1], grid[:, 1:]) == 0
    assert np.array_equal(joint_histogram(*grid.T), np.ones((7, 11)))


def gaussian_entropy(sd: float) -> float:
    return 0.5 * math.log(2 * math.pi * math.e * sd**2)


@pytest.mark.parametrize("mean", [0.0, -40.0, 1e4])
@pytest.mark.parametrize("sd", [1e-3, 0.7, 50.0])
def test_one_gaussian_has_its_textbook_entropy(mean: float, sd: float) -> None:
    assert mixture_entropy(np.full(3, mean), np.full(3, sd)) == pytest.approx(gaussian_entropy(sd), abs=1e-5)


def test_far_gaussians_add_the_entropy_of_the_choice() -> None:
    means = np.array([0.0, 100.0, 200.0, 300.0])
    assert mixture_entropy(means, np.ones(4)) == pytest.approx(math.log(4) + gaussian_entropy(1), abs=2e-3)


@pytest.mark.parametrize(("count", "narrowest"), [(1, 0.01), (20, 0.01), (200, 0.02), (200, 0.3)])
def test_mixtures_agree_with_the_density_added_up_point_by_point(count: int, narrowest: float) -> None:
    rng = np.random.default_rng(count)
    mean, sd = rng.normal(size=count), narrowest * np.exp(rng.uniform(0, 2, count))
    line = np.linspace(-20, 20, 80_001)
    density = np.zeros_like(line)
    for m, s in zip(mean, sd, strict=True):
        density += np.exp(-0.5 * ((line - m) / s) ** 2) / (s * math.sqrt(2 * math.pi) * count)
    surprise = -density * np.log(np.maximum(density, 1e-300))
    assert mixture_entropy(mean, sd) == pytest.approx(surprise.sum() * (line[1] - line[0]), abs=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_spikes_as_narrow_as_is_allowed_have_the_entropy_of_the_choice_besides_their_own(seed: int) -> None:
    """Between two points of the grid a spike is shared by both, which must not widen it."""
    mean = 5.0 * np.arange(32) + np.random.default_rng(seed).uniform(size=32)
    sd = np.ptp(mean) / 1_990
    assert mixture_entropy(mean, np.full(32, sd)) == pytest.approx(math.log(32) + gaussian_entropy(sd), abs=2e-3)


def test_widths_between_those_of_the_ladder() -> None:
    """A Gaussian shared by two widths has the right variance but longer tails; the steps are small enough for it."""
    line = np.linspace(-8, 9, 40_001)
    for between in np.linspace(1, 1.5, 12):
        sds = np.array([0.001, 0.04 * between])
        density = sum(np.exp(-0.5 * ((line - m) / s) ** 2) / s for m, s in zip([0, 0.5], sds, strict=True))
        density /= 2 * math.sqrt(2 * math.pi)
        surprise = -density * np.log(np.maximum(density, 1e-300))
        expected = surprise.sum() * (line[1] - line[0])
        assert mixture_entropy(np.array([0, 0.5]), sds) == pytest.approx(expected, abs=2e-3)


@given(st.integers(0, 10**6), st.floats(-50, 50), st.floats(0.01, 100))
def test_shift_and_scale_act_on_a_mixture_as_they_must(seed: int, shift: float, scale: float) -> None:
    rng = np.random.default_rng(seed)
    mean, sd = rng.normal(size=30), rng.uniform(0.1, 1, 30)
    expected = mixture_entropy(mean, sd) + math.log(scale)
    assert mixture_entropy(shift + scale * mean, scale * sd) == pytest.approx(expected, abs=1e-3)


def test_points_without_width_are_widened_not_divided_by() -> None:
    assert math.isfinite(mixture_entropy(np.full(4, 2.5), np.zeros(4)))
    assert math.isfinite(mixture_entropy(np.arange(4.0), np.zeros(4)))
