from typing import Any

import numpy as np
import pytest
import torch
from metric_cases import GRID, UNIT

from unbraid.errors import UnbraidError
from unbraid.metrics import results, score
from unbraid.metrics.validate import check, hardly_shared, representation
from unbraid.types import Representation

BAD_CODES, BAD_FACTORS = UNIT.copy(), GRID.astype(float)
BAD_CODES[7, 1], BAD_FACTORS[9, 0] = np.nan, np.inf
CONSTANT = np.c_[GRID[:, :2], np.full(len(GRID), 4)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"codes": BAD_CODES}, "codes holds NaN or infinity in row 7"),
        ({"factors": BAD_FACTORS}, "factors holds NaN or infinity in row 9"),
        ({"codes": UNIT[:, 0]}, r"codes must have shape \[N, L\], not \[120\]"),
        ({"codes": np.array([["a", "b"]])}, "codes must be an array of real numbers, not ndarray of <U1"),
        ({"codes": UNIT * 1j}, "codes must be an array of real numbers"),
        ({"codes": [[1, 2], [3]]}, "codes must be an array of real numbers"),
        ({"codes": None}, r"codes must"),
        ({"codes": 1e13 * UNIT}, r"codes holds a number beyond 1e\+12 in row 0: rescale it"),
        ({"factors": -1e200 * GRID}, r"factors holds a number beyond 1e\+12 in row 1"),
        ({"seed": -1}, "seed must be a whole number from 0, not -1"),
        ({"seed": 0.5}, "seed must be a whole number from 0, not 0.5"),
        ({"seed": "a"}, "seed must be a whole number from 0, not 'a'"),
        ({"seed": None}, "seed must be a whole number from 0, not None"),
        ({"metrics": 3}, "metrics must be names, such as .*, not 3"),
        ({"metrics": ["mig", ["sap"]]}, r"metrics must be names, such as .*, not \['sap'\]"),
        ({"codes": UNIT[:-1]}, "codes and factors must have equally many rows, not 119 and 120"),
        ({"codes": UNIT[:1], "factors": GRID[:1]}, "1 row"),
        ({"codes": UNIT[:0], "factors": GRID[:0]}, "0 row"),
        ({"codes": UNIT[:, :1]}, "1 latent"),
        ({"factors": GRID[:, :0]}, "at least 1 factor"),
        ({"factors": CONSTANT}, "factor 2 is constant"),
        ({"test_codes": UNIT}, "belong together"),
        ({"test_factors": GRID}, "belong together"),
        ({"test_codes": UNIT[:, :2], "test_factors": GRID}, "codes and test_codes must have equally many columns"),
        ({"test_codes": UNIT, "test_factors": GRID[:, :2]}, "factors and test_factors must have equally many columns"),
        ({"test_codes": UNIT, "test_factors": GRID[:9]}, "test_codes and test_factors must have equally many rows"),
        ({"test_codes": UNIT[:0], "test_factors": GRID[:0]}, "test_codes has no rows"),
        ({"test_codes": BAD_CODES, "test_factors": GRID}, "test_codes holds NaN"),
        ({"logvar": UNIT[:, :2]}, "logvar must have the shape of codes"),
        ({"logvar": BAD_CODES}, "logvar holds NaN"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_with_a_sentence(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UnbraidError, match=sentence) as refusal:
        score(**{"codes": UNIT, "factors": GRID, "metrics": ["mig"], **arguments})
    assert "\n" not in str(refusal.value)


def test_tensors_that_record_gradients_are_taken() -> None:
    codes = torch.tensor(UNIT, requires_grad=True)
    assert score(codes, torch.tensor(GRID), ["mig"], seed=np.int64(1)) == score(UNIT, GRID, ["mig"])
    with pytest.raises(UnbraidError, match="codes must be an array of real numbers, not list"):
        score(list(codes), GRID, ["mig"])


def test_more_values_than_half_the_points_are_scored_without_a_warning_of_scikit_learn() -> None:
    many = np.random.default_rng(0).permutation(40)[:, None] * [1, 3] % 40 // [1, 2]
    with pytest.warns(UserWarning, match="factor 0 counts as 40 classes") as told:
        assert np.isfinite(list(score(many + 0.1, many, ["sap", "infoe", "explicitness"]).values())).all()
    assert len(told) == 1


@pytest.mark.parametrize(
    ("column", "doubted"),
    [
        (np.arange(600), True),  # a number of the image
        (np.round(300 * np.random.default_rng(0).random(600)), True),
        (np.round(300 * np.random.default_rng(0).random(600)) / 300, False),
        (np.arange(600) % 60, False),
        (np.arange(600) % 61, True),
        (1000 * (np.arange(600) % 60), False),  # of classes with gaps those that occur count
    ],
)
def test_a_factor_that_is_hardly_one_of_classes_is_named(column: np.ndarray, doubted: bool) -> None:
    told = hardly_shared(representation(np.eye(600)[:, :2], np.c_[np.arange(600) % 2, column]))
    assert (told is not None) == doubted
    assert told is None or told.startswith("factor 1 counts as ")
    assert doubted == ("factor y" in str(hardly_shared(representation(np.eye(600)[:, :2], column[:, None]), ["y"])))


def test_of_few_values_a_factor_may_be_however_few_the_rows() -> None:
    assert hardly_shared(representation(np.eye(20)[:, :2], np.arange(20)[:, None])) is None


def test_the_doubt_is_a_warning_and_changes_no_score() -> None:
    numbered, codes = np.c_[GRID, np.arange(len(GRID))], UNIT
    with pytest.warns(UserWarning, match=r"factor 3 counts as 120 classes.* leave out what only numbers the images"):
        score(codes, numbered, ["mig"])
    rep = representation(codes, numbered)
    with pytest.warns(UserWarning, match="factor number counts as"):
        doubted = results(rep, ["mig"], factor_names=["a", "b", "c", "number"])
    assert results(rep, ["mig"], classes_known=True)["mig"].score == doubted["mig"].score


def test_values_become_indices_in_rising_order() -> None:
    found = representation(UNIT[:4], np.array([[-3.0, 0.5], [700.0, 1], [-3.0, 2], [9.0, 3]]))
    assert found.factor_sizes == (3, None)
    assert found.factors.tolist() == [[0, 0.5], [2, 1], [0, 2], [1, 3]]
    assert representation(UNIT, GRID.astype(float)).factors.dtype == np.int64
    assert not found.population


def test_indices_stay_what_they_are_where_a_sample_lacks_some() -> None:
    found = representation(UNIT[:3], [[0.0], [7], [39]])
    assert found.factor_sizes == (40,)
    assert found.factors[:, 0].tolist() == [0, 7, 39]


def test_train_and_test_rows_share_their_indices() -> None:
    found = representation(UNIT[:3], [[-5], [7], [9]], UNIT[:2], [[6], [9]])
    assert found.factor_sizes == (4,)
    assert found.factors[:, 0].tolist() == [0, 2, 3]
    assert found.test_factors is not None
    assert found.test_factors[:, 0].tolist() == [1, 3]


def test_the_arrays_given_are_left_alone() -> None:
    codes, factors = UNIT.copy(), GRID * 10.0
    representation(codes, factors)
    assert np.array_equal(codes, UNIT)
    assert np.array_equal(factors, GRID * 10.0)


@pytest.mark.parametrize("factors", [GRID + 1, GRID - 1, GRID + 0.5])
def test_a_representation_made_by_hand_must_hold_indices(factors: np.ndarray) -> None:
    with pytest.raises(UnbraidError, match="factor 0 must hold indices from 0 to 2"):
        check(Representation(UNIT, factors, (3, 4, 5)))
    with pytest.raises(UnbraidError, match="2 sizes"):
        check(Representation(UNIT, GRID, (3, 4)))
