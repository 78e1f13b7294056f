import numpy as np
import pytest
from metric_cases import GRID, SIZES, UNIT, rep

from unbraid.metrics.sampling import RowsByValue, discrete_factors, draw, fit_and_test, points, rounds, rows
from unbraid.types import Representation

POPULATION = Representation(UNIT, GRID, SIZES, population=True)


def test_a_population_is_drawn_from_and_a_sample_taken_whole() -> None:
    codes, factors = draw(POPULATION, np.random.default_rng(0), 5_000)
    assert codes.shape == (5_000, 3)
    assert np.array_equal(codes, UNIT[factors @ [20, 5, 1]])  # rows stay together
    assert np.bincount(factors[:, 1]) / 5_000 == pytest.approx(0.25, abs=0.03)
    assert np.array_equal(draw(rep(UNIT), np.random.default_rng(0), 7)[0], UNIT)


def test_a_factor_that_varies_in_a_population_varies_in_every_draw() -> None:
    """Values that one row of 20,000 has are in few draws of 100 rows; without them a factor would have no entropy."""
    place = np.arange(20_000)
    rare = np.c_[place == 7, place % 3, np.where(place == 8, 5, 2)].astype(np.int64)
    whole = Representation(rare.astype(np.float64), rare, (2, 3, 6), population=True)
    for seed in range(20):
        chosen = rows(whole, np.random.default_rng(seed), 100)
        assert 100 <= len(chosen) <= 102
        assert np.ptp(rare[chosen], axis=0).all()
    plain = rows(POPULATION, np.random.default_rng(0), 100)
    assert np.array_equal(plain, np.random.default_rng(0).integers(120, size=100))


def test_points_of_a_population_are_as_many_as_published() -> None:
    codes, factors, test_codes, test_factors = points(POPULATION, np.random.default_rng(0))
    assert [len(a) for a in (codes, factors, test_codes, test_factors)] == [10_000, 10_000, 5_000, 5_000]


def test_a_sample_without_test_rows_gives_up_a_third() -> None:
    numbered = rep(np.c_[np.arange(120), np.arange(120)])
    codes, factors, test_codes, test_factors = points(numbered, np.random.default_rng(0))
    assert (len(codes), len(test_codes)) == (80, 40)
    assert sorted([*codes[:, 0], *test_codes[:, 0]]) == list(range(120))
    assert np.array_equal(factors, GRID[codes[:, 0].astype(int)])
    assert np.array_equal(test_factors, GRID[test_codes[:, 0].astype(int)])
    assert not np.array_equal(codes[:, 0], np.sort(codes[:, 0]))


def test_test_rows_are_used_where_they_are_given() -> None:
    given = Representation(UNIT, GRID, SIZES, test_codes=UNIT[:5], test_factors=GRID[:5])
    for tables in (points(given, np.random.default_rng(0)), fit_and_test(given, np.random.default_rng(0))):
        assert [len(table) for table in tables] == [120, 120, 5, 5]


def test_rows_of_each_value() -> None:
    rows = list(RowsByValue(GRID).rows(1))
    assert [set(GRID[r, 1]) for r in rows] == [{0}, {1}, {2}, {3}]
    assert sorted(np.concatenate(rows)) == list(range(120))
    gaps = RowsByValue(np.array([[0], [5], [0], [5]]))
    assert [r.tolist() for r in gaps.rows(0)] == [[0, 2], [1, 3]]


@pytest.mark.parametrize("factor", range(3))
def test_rows_that_share_a_value_are_drawn_evenly(factor: int) -> None:
    drawn = RowsByValue(GRID).draw_sharing(factor, (20_000, 6), np.random.default_rng(0))
    assert (GRID[drawn, factor] == GRID[drawn[:, :1], factor]).all()
    assert np.bincount(drawn.ravel(), minlength=120) / drawn.size == pytest.approx(1 / 120, abs=0.0015)


def test_pairs_are_two_rows_of_a_value_and_each_such_pair_is_as_likely_for_a_row() -> None:
    """Values 0 and 5 occur three times and twice; 2 and 7 once, and so can make no pair."""
    values = np.array([[0], [5], [2], [0], [5], [0], [7]])
    first, second = RowsByValue(values).draw_pairs(0, (5_000, 4), np.random.default_rng(0))
    table = np.zeros((7, 7))
    np.add.at(table, (first, second), 1 / first.size)
    expected = np.zeros((7, 7))
    for same in ([0, 3, 5], [1, 4]):
        expected[np.ix_(same, same)] = 1 / 5 / (len(same) - 1)
    np.fill_diagonal(expected, 0)
    assert table == pytest.approx(expected, abs=0.01)


def test_a_value_seen_once_is_not_held() -> None:
    values = np.c_[[0, 5, 2, 0, 5, 0, 7], np.arange(7)]
    index = RowsByValue(values)
    assert index.shared == [0]
    held = values[index.draw_sharing(0, (1_000, 3), np.random.default_rng(0)), 0]
    assert set(held.ravel()) == {0, 5}
    assert list(rounds(RowsByValue(values[:, 1:]).shared, 9, np.random.default_rng(0))) == []


def test_values_are_held_as_often_as_they_occur() -> None:
    skewed = np.array([[0]] * 90 + [[1]] * 10)
    drawn = RowsByValue(skewed).draw_sharing(0, (5_000, 2), np.random.default_rng(0))
    assert skewed[drawn[:, 0], 0].mean() == pytest.approx(0.1, abs=0.02)


def test_continuous_factors_are_binned_and_discrete_ones_kept() -> None:
    factors = np.c_[np.arange(41.0), np.linspace(0, 1, 41)]
    indices = discrete_factors(factors, (41, None), bins=4)
    assert indices[:, 0].tolist() == list(range(41))
    assert np.bincount(indices[:, 1]).tolist() == [10, 10, 10, 11]


def test_rounds_make_up_all_points_evenly() -> None:
    pieces = list(rounds(range(4), 10_000, np.random.default_rng(0), at_once=300))
    assert sum(count for _, count in pieces) == 10_000
    assert max(count for _, count in pieces) == 300
    for factor in range(4):
        assert sum(count for f, count in pieces if f == factor) == pytest.approx(2_500, abs=200)
