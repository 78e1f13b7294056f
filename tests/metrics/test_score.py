from typing import Any

import numpy as np
import pytest
import torch
from metric_cases import GRID, SIZES, UNIT, rep

from unbraid.errors import UnbraidError
from unbraid.metrics import METRICS, mig, results, score, validate
from unbraid.metrics.validate import representation
from unbraid.registry import parameters
from unbraid.types import Representation

QUICK = ["mig", "mig_sup", "irs", "unsupervised"]


def test_headlines_stand_under_their_names_and_parts_beside_them() -> None:
    scores = score(UNIT, GRID, QUICK)
    assert list(scores) == [
        *("mig", "mig_sup", "mig_sup.over_factor_entropy", "irs", "unsupervised"),
        *("unsupervised.wasserstein", "unsupervised.wasserstein_norm", "unsupervised.mutual_information"),
    ]
    assert scores["mig"] == pytest.approx(1)
    assert all(type(value) is float for value in scores.values())


def test_it_takes_what_numpy_can_read() -> None:
    expected = score(UNIT, GRID, QUICK)
    assert score(torch.tensor(UNIT), torch.tensor(GRID), QUICK) == expected
    assert score(UNIT.tolist(), GRID.tolist(), QUICK) == expected
    assert score(UNIT, 10 * GRID.astype(np.float32) - 4, QUICK) == expected
    assert score(UNIT, GRID, "mig") == {"mig": expected["mig"]}


def test_by_default_every_quick_metric_that_applies_is_run() -> None:
    names = {name.split(".")[0] for name in score(UNIT, GRID)}
    assert names == {name for name, metric in METRICS.items() if metric.default and metric.needs != "posterior"}
    continuous = np.random.default_rng(0).uniform(size=(60, 2))
    names = {name.split(".")[0] for name in score(continuous, continuous)}
    assert names == {name for name, metric in METRICS.items() if metric.default and metric.needs == "any"}
    one_factor = {name.split(".")[0] for name in score(UNIT, GRID[:, :1])}
    assert "mig" in one_factor
    assert "beta_vae" not in one_factor


def test_variances_of_the_posterior_open_the_metrics_that_need_them() -> None:
    with pytest.raises(UnbraidError, match="mig_chen needs the log-variances"):
        score(UNIT, GRID, ["mig_chen"])
    assert score(UNIT, GRID, ["mig_chen"], logvar=np.full(UNIT.shape, -9.0))["mig_chen"] == pytest.approx(1, abs=0.02)


def test_a_metric_that_was_asked_for_and_cannot_score_says_why() -> None:
    continuous = np.random.default_rng(0).uniform(size=(60, 2))
    with pytest.raises(UnbraidError, match="beta_vae needs discrete factors, and factor 0"):
        score(continuous, continuous, ["beta_vae"])
    with pytest.raises(UnbraidError, match="mig_sup compares factors: give at least 2, not 1"):
        score(UNIT, GRID[:, :1], ["mig_sup"])
    with pytest.raises(UnbraidError, match='there is no metric called "mgi"; did you mean "mig"'):
        score(UNIT, GRID, ["mgi"])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("dci", "ask for dci_gbt, dci_hgb, dci_rf or dci_lasso"),
        ("udr", "udr compares runs of several seeds: see `unbraid select STUDY`"),
        ("reconstruction", "see `unbraid score RUN`"),
        ("kl", "see `unbraid score RUN`"),
    ],
)
def test_a_name_that_stands_elsewhere_says_where(name: str, sentence: str) -> None:
    with pytest.raises(UnbraidError, match=sentence):
        score(UNIT, GRID, ["mig", name])


def test_a_score_depends_on_the_seed_and_on_nothing_else_that_is_asked() -> None:
    codes = UNIT + np.random.default_rng(0).normal(size=UNIT.shape)
    names = ["factor_vae", "beta_vae", "mig"]
    together, reversed_ = score(codes, GRID, names, seed=3), score(codes, GRID, names[::-1], seed=3)
    assert together == reversed_
    assert together["factor_vae"] == score(codes, GRID, ["factor_vae"], seed=3)["factor_vae"]
    assert together["factor_vae"] != score(codes, GRID, ["factor_vae"], seed=4)["factor_vae"]


def test_options_take_the_place_of_the_published_protocol() -> None:
    codes = UNIT + np.random.default_rng(0).normal(size=UNIT.shape)
    found = score(codes, GRID, {"mig": {"bins": 5}, "sap": {}})
    assert found["mig"] == mig(rep(codes), np.random.default_rng(0), bins=5).score
    assert found["mig"] != score(codes, GRID, ["mig"])["mig"]
    assert found["sap"] == score(codes, GRID, ["sap"])["sap"]


@pytest.mark.parametrize(
    ("metrics", "sentence"),
    [
        ({"mig": {"bin": 5}}, 'mig has no option "bin"; did you mean "bins"'),
        ({"mig": 5}, "mig must have its options in a mapping"),
        ({"mig": {"bins": 1}}, "mig: bins must be a whole number from 2 to 10000, not 1"),
        ({"mig": {"bins": 2.5}}, "whole number from 2 to 10000, not 2.5"),
        ({"mig": {"bins": True}}, "not True"),
        ({"irs": {"quantile": 2}}, "irs: quantile must be a number from 0 to 1, not 2"),
        ({"dci_lasso": {"alpha": float("nan")}}, "alpha must be a number from 0 up, not nan"),
        ({"dci_lasso": {"alpha": "1"}}, "alpha must be a number from 0 up, not '1'"),
        ({"mgi": {}}, 'did you mean "mig"'),
    ],
)
def test_a_bad_option_is_refused(metrics: Any, sentence: str) -> None:
    with pytest.raises(UnbraidError, match=sentence):
        score(UNIT, GRID, metrics)


@pytest.mark.parametrize("name", METRICS)
def test_every_option_is_taken_at_the_least_that_it_may_be(name: str) -> None:
    """So that none of them ends in an exception of NumPy's."""
    codes = UNIT + np.random.default_rng(0).normal(size=UNIT.shape)
    everything = representation(codes, GRID, logvar=np.full(codes.shape, -1.0))
    for option, known in parameters(METRICS[name].function).items():
        least, _ = validate._ENDS.get(option, (1 if known.type is int else 0, 0))
        found = results(everything, {name: {option: least}})[name]
        assert isinstance(found.score, float)


def test_the_global_generator_is_neither_read_nor_set() -> None:
    before = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]  # noqa: NPY002
    score(UNIT, GRID, ["factor_vae", "beta_vae"])
    assert np.array_equal(before, np.random.get_state()[1])  # type: ignore[index, arg-type]  # noqa: NPY002


def test_results_keep_the_matrices() -> None:
    found = results(rep(UNIT), ["mig"])["mig"]
    assert found.matrices["mutual_information"] == pytest.approx(np.diag(np.log(SIZES)), abs=1e-9)
    assert found.score == mig(rep(UNIT), np.random.default_rng(0)).score


def test_a_population_is_sampled_anew_with_every_seed() -> None:
    many = np.tile(GRID, (100, 1))  # 12,000 rows, more than a metric draws
    codes = many + np.random.default_rng(0).normal(size=many.shape)
    whole = Representation(codes, many, SIZES, population=True)
    assert results(whole, ["mig"], seed=0)["mig"].score != results(whole, ["mig"], seed=1)["mig"].score
