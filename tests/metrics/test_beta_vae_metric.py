import numpy as np
import pytest
from metric_cases import GRID, SIZES, UNIT, rep
from sklearn.linear_model import LogisticRegression

from unbraid.metrics import beta_vae
from unbraid.types import Representation

FEW = {"train": 1_000, "test": 1_000}


def value(codes: np.ndarray, seed: int = 0, **options: int) -> float:
    whole = Representation(codes, GRID, SIZES, population=True)
    return beta_vae(whole, np.random.default_rng(seed), **{**FEW, **options}).score


def slow_beta_vae(codes: np.ndarray, seed: int, points: int, pairs: int) -> float:
    """Pair after pair: two random cells, the second given the first one's value of the shared factor."""
    rng = np.random.default_rng(seed)
    cell = {tuple(row): code for row, code in zip(GRID, codes, strict=True)}

    def table() -> tuple[list[np.ndarray], list[int]]:
        features, labels = [], []
        for _ in range(points):
            shared, total = int(rng.integers(3)), np.zeros(codes.shape[1])
            for _ in range(pairs):
                first, second = rng.integers(SIZES), rng.integers(SIZES)
                second[shared] = first[shared]
                total += abs(cell[tuple(first)] - cell[tuple(second)])
            features.append(total / pairs)
            labels.append(shared)
        return features, labels

    return float(LogisticRegression(max_iter=1_000).fit(*table()).score(*table()))


def test_it_is_the_published_protocol() -> None:
    mixed = UNIT @ np.random.default_rng(0).normal(size=(3, 2))
    slow = [slow_beta_vae(mixed, seed, points=600, pairs=8) for seed in range(3)]
    fast = [value(mixed, seed, train=600, test=600, pairs=8) for seed in range(10)]
    assert 0.4 < np.mean(slow) < 0.98  # neither guessing nor certain: the comparison can fail
    assert np.mean(fast) == pytest.approx(np.mean(slow), abs=0.04)


def test_known_codes() -> None:
    assert value(UNIT) == 1
    assert value(-5 * UNIT[:, [2, 0, 1]]) == 1
    assert value(np.c_[UNIT, np.zeros(len(UNIT))]) == 1
    assert value(UNIT[:, :2]) == pytest.approx(1, abs=0.02)  # a missing factor is told by elimination
    rotated = UNIT @ np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    assert value(rotated) > 0.95


def test_noise_and_constants_are_guessed() -> None:
    constant = value(np.full((len(GRID), 2), 0.1), test=5_000)
    noise = value(np.random.default_rng(0).normal(size=(len(GRID), 4)), test=5_000, pairs=2)
    assert constant == pytest.approx(1 / 3, abs=0.04)
    assert noise == pytest.approx(1 / 3, abs=0.08)


@pytest.mark.parametrize("values", [(3, 10, 300), (3, 10, 30), (2, 100, 1_500)])
def test_noise_is_guessed_where_few_rows_have_a_value(values: tuple[int, ...]) -> None:
    """A row paired with itself differs by nothing: the rarer a factor's values, the more that gave it away."""
    found = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        factors = rng.integers(values, size=(1_500, 3))
        found.append(beta_vae(rep(rng.normal(size=(1_500, 4)), factors), rng, train=3_000, test=3_000).score)
    assert np.mean(found) == pytest.approx(1 / 3, abs=0.05)


def test_values_of_one_row_each_make_no_pair() -> None:
    numbered = np.c_[np.arange(120), GRID[:, 0], GRID[:, 1]]
    assert beta_vae(rep(UNIT, numbered), np.random.default_rng(0), **FEW).score == 1  # the two others are told apart
    alone = beta_vae(rep(UNIT, numbered[:, :2]), np.random.default_rng(0), **FEW)
    assert (alone.score, alone.parts) == (0.5, {"train_accuracy": 0.5})


def test_a_sample_is_tested_on_rows_it_was_not_fitted_on() -> None:
    given = Representation(UNIT, GRID, SIZES, test_codes=np.zeros_like(UNIT), test_factors=GRID)
    result = beta_vae(given, np.random.default_rng(0), **FEW)
    assert result.parts["train_accuracy"] == 1
    assert result.score < 0.5
    assert beta_vae(rep(UNIT), np.random.default_rng(0), **FEW).score == 1


def test_codes_of_any_scale_raise_no_warning() -> None:
    assert 0 <= value(1e8 * UNIT) <= 1
    assert 0 <= value(1e-8 * UNIT) <= 1
