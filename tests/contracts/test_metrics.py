"""What every metric keeps: the contract behind the table."""

from functools import cache

import numpy as np
import pytest

from unbraid.errors import UnbraidError
from unbraid.metrics import METRICS, Result, results
from unbraid.registry import parameters
from unbraid.types import Representation

SIZES = (3, 4, 5)
GRID = np.tile(np.indices(SIZES).reshape(3, -1).T, (5, 1))  # [300, 3]
UNIT = (GRID - GRID.mean(0)) / GRID.std(0)
NOISE = np.random.default_rng(0).normal(size=(len(GRID), 4))
TURN = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]

CODES = {
    "perfect": UNIT + 0.01 * NOISE[:, :3],
    "partly": np.c_[UNIT[:, :2] @ TURN[:2, :2], NOISE[:, :2]],
    "rotated": UNIT @ TURN,
    "noise": NOISE[:, :3],
    "collapsed": np.c_[UNIT, np.full((len(GRID), 2), 0.1)],
    "constant": np.full((len(GRID), 3), 0.1),
    "doubled": UNIT[:, [0, 0, 1, 1, 2]],
    "wide": np.c_[UNIT, NOISE, NOISE[:, ::-1] ** 3],
    "huge": 1e6 * (UNIT + NOISE[:, :3]),
    "tiny": 1e-6 * (UNIT + NOISE[:, :3]),
}


def frozen(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


def representation(codes: np.ndarray, factors: np.ndarray = GRID) -> Representation:
    """A sample with posteriors and test rows of its own, none of which may be written to."""
    sizes = tuple(int(column.max()) + 1 for column in factors.T)
    codes, factors = frozen(codes), frozen(factors)
    return Representation(codes, factors, sizes, codes[::-1], factors[::-1], logvar=frozen(np.full(codes.shape, -6.0)))


@cache
def result(name: str, codes: str, seed: int = 0) -> Result:
    return results(representation(CODES[codes]), [name], seed)[name]


@pytest.mark.parametrize("name", METRICS)
def test_its_line_in_the_table(name: str) -> None:
    metric = METRICS[name]
    assert metric.function.__name__ == name
    assert not metric.description.endswith(".")
    assert metric.paper[-4:].isdigit()
    assert metric.function.__doc__
    for parameter in parameters(metric.function).values():
        assert parameter.type in (int, float, str, bool)


@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("name", METRICS)
def test_any_codes_have_a_finite_score_within_its_range(name: str, codes: str) -> None:
    found = result(name, codes)
    numbers = [found.score, *found.parts.values()]
    assert np.isfinite(numbers).all()
    assert all(type(number) is float for number in numbers)
    if METRICS[name].higher_is_better:
        assert -1e-9 <= found.score <= 1 + 1e-9
    for matrix in found.matrices.values():
        assert matrix.shape[0] == CODES[codes].shape[1]
        assert np.isfinite(matrix).all()


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.higher_is_better])
def test_perfect_codes_beat_noise_and_constants(name: str) -> None:
    perfect = result(name, "perfect").score
    assert perfect > result(name, "noise").score + 0.1
    assert perfect > result(name, "constant").score + 0.05


@pytest.mark.parametrize("name", METRICS)
def test_the_same_seed_gives_the_same_score(name: str) -> None:
    again = results(representation(CODES["partly"]), [name])[name]
    assert again.score == result(name, "partly").score
    assert again.parts == result(name, "partly").parts


@pytest.mark.parametrize("name", METRICS)
def test_the_order_of_the_latents_does_not_matter(name: str) -> None:
    turned = results(representation(CODES["partly"][:, [2, 0, 3, 1]]), [name])[name]
    assert turned.score == pytest.approx(result(name, "partly").score, abs=0.05)


@pytest.mark.parametrize("name", METRICS)
def test_a_sample_without_test_rows_and_a_population_are_scored_too(name: str) -> None:
    cells = np.tile(GRID, (40, 1))  # 12,000
    codes = np.tile(UNIT, (40, 1)) + 0.01 * np.random.default_rng(3).normal(size=cells.shape)
    logvar = np.full(codes.shape, -6.0)
    bare = Representation(frozen(CODES["perfect"]), frozen(GRID), SIZES, logvar=frozen(logvar[: len(GRID)]))
    whole = Representation(frozen(codes), frozen(cells), SIZES, population=True, logvar=frozen(logvar))
    for rep in (bare, whole):
        score = results(rep, [name])[name].score
        if METRICS[name].higher_is_better:
            assert result(name, "noise").score + 0.03 < score <= 1 + 1e-9
        else:
            assert score == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("population", [True, False])
@pytest.mark.parametrize("name", METRICS)
def test_a_value_that_one_row_has_is_scored_with_every_seed(name: str, population: bool) -> None:
    """Most draws from the population miss the row, and so do two thirds of a sample now and then."""
    cells = np.c_[np.tile(GRID[:, :2], (60 if population else 1, 1)), np.zeros(18_000 if population else 300, np.int64)]
    cells[5, 2] = 1
    codes = cells + 0.1 * np.random.default_rng(0).normal(size=cells.shape)
    logvar = np.full(codes.shape, -6.0)
    rep = Representation(frozen(codes), frozen(cells), (3, 4, 2), population=population, logvar=frozen(logvar))
    for seed in range(3):
        found = results(rep, [name], seed)[name]
        assert found.finite
        if METRICS[name].higher_is_better:
            assert -1e-9 <= found.score <= 1 + 1e-9


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.needs == "any"])
def test_continuous_factors_are_scored_where_the_table_says_so(name: str) -> None:
    rng = np.random.default_rng(2)
    position = rng.uniform(size=(400, 2))
    codes = np.c_[3 * position, 0.1 * rng.normal(size=400)]
    rep = Representation(frozen(codes), frozen(position), (None, None))
    mixed = Representation(frozen(codes), frozen(np.c_[position[:, 0], position[:, 1] > 0.5]), (None, 2))
    for found in (results(rep, [name])[name], results(mixed, [name])[name]):
        assert np.isfinite([found.score, *found.parts.values()]).all()
        if METRICS[name].higher_is_better:
            assert 0.2 < found.score <= 1 + 1e-9


@pytest.mark.parametrize("name", METRICS)
def test_what_it_needs_is_asked_for(name: str) -> None:
    metric = METRICS[name]
    continuous = Representation(UNIT, UNIT + NOISE[:, :3], (None,) * 3)
    single = representation(UNIT, GRID[:, :1])
    if metric.needs != "any":
        with pytest.raises(UnbraidError, match=f"{name} needs"):
            results(continuous, [name])
    if metric.min_factors > 1:
        with pytest.raises(UnbraidError, match=f"{name} compares factors"):
            results(single, [name])
    else:
        assert np.isfinite(results(single, [name])[name].score)
