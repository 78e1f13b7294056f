import numpy as np
import pytest
from metric_cases import GRID, SIZES, UNIT, rep

from unbraid.metrics import factor_vae
from unbraid.metrics.result import Result
from unbraid.types import Representation

FEW = {"train": 1_000, "test": 1_000}


def result(codes: np.ndarray, seed: int = 0, **options: float) -> Result:
    whole = Representation(codes, GRID, SIZES, population=True)
    return factor_vae(whole, np.random.default_rng(seed), **{**FEW, **options})  # type: ignore[arg-type]


def slow_factor_vae(codes: np.ndarray, seed: int, points: int, batch: int) -> float:
    """Batch after batch of random cells with one factor held."""
    rng = np.random.default_rng(seed)
    cell = {tuple(row): code for row, code in zip(GRID, codes, strict=True)}
    spread = codes.var(axis=0, ddof=1)

    def ballots() -> list[tuple[int, int]]:
        cast = []
        for _ in range(points):
            held, rows = int(rng.integers(3)), rng.integers(SIZES, size=(batch, 3))
            rows[:, held] = rows[0, held]
            drawn = np.array([cell[tuple(row)] for row in rows])
            cast.append((int(np.argmin(drawn.var(axis=0, ddof=1) / spread)), held))
        return cast

    fitted = ballots()
    majority = {
        latent: max(range(3), key=lambda k: sum(ballot == (latent, k) for ballot in fitted))
        for latent in range(codes.shape[1])
    }
    return float(np.mean([majority[latent] == held for latent, held in ballots()]))


def test_it_is_the_published_protocol() -> None:
    mixed = UNIT @ np.random.default_rng(0).normal(size=(3, 4))
    slow = [slow_factor_vae(mixed, seed, points=500, batch=8) for seed in range(3)]
    fast = [result(mixed, seed, train=500, test=500, batch=8).score for seed in range(10)]
    assert 0.4 < np.mean(slow) < 0.98  # neither guessing nor certain: the comparison can fail
    assert np.mean(fast) == pytest.approx(np.mean(slow), abs=0.04)


def test_known_codes() -> None:
    assert result(UNIT).score == 1
    assert result(-5 * UNIT[:, [2, 0, 1]]).score == 1
    assert result(UNIT[:, [0, 0, 1, 2]]).score == 1  # a factor in two latents costs nothing
    noise = np.random.default_rng(0).normal(size=(len(GRID), 4))
    assert result(noise, test=5_000).score < 0.6
    missing = result(np.c_[UNIT[:, :2], noise[:, :1]]).score
    assert 0.6 < missing <= 1


def test_the_scale_of_an_active_latent_does_not_matter() -> None:
    mixed = UNIT @ np.random.default_rng(0).normal(size=(3, 4))
    assert result(mixed * [1, 0.5, 64, 1024]).score == result(mixed).score


def test_a_constant_latent_gets_no_votes() -> None:
    codes = np.c_[np.full(len(UNIT), 0.1), UNIT, 0.01 * UNIT]
    found = result(codes)
    assert found.score == 1
    assert found.parts["active"] == 3
    votes = found.matrices["votes"]
    assert votes.sum() == FEW["train"]
    assert not votes[[0, 4, 5, 6]].any()
    assert (votes[1:4] > 0).tolist() == np.eye(3, dtype=bool).tolist()


def test_no_active_latent_scores_0() -> None:
    assert result(0.01 * UNIT).score == 0
    assert result(np.full((len(GRID), 2), 0.1)).score == 0
    assert result(0.01 * UNIT, min_sd=0.001).score == 1


def test_a_value_that_one_row_has_casts_no_vote() -> None:
    """All latents stand still in such a batch, and the first of them would stand for the factor, noise or not."""
    rng = np.random.default_rng(0)
    numbered = np.c_[np.arange(1_500), rng.integers(2, size=(1_500, 2))]
    found = factor_vae(rep(rng.normal(size=(1_500, 4)), numbered), rng, **FEW)
    assert not found.matrices["votes"][:, 0].any()
    assert found.score == pytest.approx(0.5, abs=0.1)  # the two other factors are guessed
    nothing = factor_vae(rep(rng.normal(size=(9, 2)), np.c_[np.arange(9), np.arange(9)]), rng, **FEW)
    assert (nothing.score, nothing.parts["train_accuracy"]) == (0.5, 0.5)


def test_a_sample_is_tested_on_rows_it_was_not_fitted_on() -> None:
    swapped = Representation(UNIT, GRID, SIZES, test_codes=UNIT[:, [1, 2, 0]], test_factors=GRID)
    found = factor_vae(swapped, np.random.default_rng(0), **FEW)
    assert found.parts["train_accuracy"] == 1
    assert found.score == 0
    assert factor_vae(rep(UNIT), np.random.default_rng(0), **FEW).score == 1
