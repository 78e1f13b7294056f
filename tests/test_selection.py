import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from small_runs import small_run, squares

from unbraid import evaluate, runs, selection, tables
from unbraid.errors import UnbraidError
from unbraid.metrics import METRICS, Result
from unbraid.selection import Ranking


def scored(path: Path, value: float, **settings: int) -> None:
    run = small_run("beta_vae", path, squares(), steps=2, **settings)
    runs.write_scores(run.path, {"mig": Result(value), "sap": Result(0.5)}, seed=0)


def refused(number: str) -> float:
    raise AssertionError(f"{number} is no JSON")


def strict_json(ranking: Ranking) -> str:
    text = json.dumps(dataclasses.asdict(ranking))
    json.loads(text, parse_constant=refused)
    return text


def test_a_correlation_that_nothing_is_known_of_is_none_and_the_ranking_is_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "load_data", lambda *arguments: squares())
    for seed in range(2):
        scored(tmp_path / str(seed), 0.1 * seed, seed=seed)
    ranking = selection.rank(tmp_path)
    assert ranking.agreement["elbo"] == {"mig": None, "sap": None}, "two runs are too few"
    strict_json(ranking)
    scored(tmp_path / "2", 0.2, seed=2)
    ranking = selection.rank(tmp_path)
    assert ranking.agreement["elbo"]["mig"] is not None
    assert ranking.agreement["elbo"]["sap"] is None, "all runs have the same"
    assert sorted(ranking.runs) == ["0", "1", "2"]
    strict_json(ranking)


def test_runs_of_one_latent_are_ranked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "load_data", lambda *arguments: squares())
    for seed in range(2):
        scored(tmp_path / str(seed), 0.1, seed=seed, latent_dim=1)
    ranking = selection.rank(tmp_path)
    assert ranking.unsupervised["-gaussian_tc"] == ranking.unsupervised["-mean_mi"] == [0, 0], "nothing to depend on"
    assert all(value is not None for value in ranking.unsupervised["udr_lasso"])


def test_what_a_study_set_aside_is_not_ranked_nor_what_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runs, "load_data", lambda *arguments: squares())
    for seed in range(3):
        scored(tmp_path / str(seed), 0.1 * seed, seed=seed)
    shutil.copytree(tmp_path / "0", tmp_path / "set-aside" / "0-1")
    (tmp_path / "2" / runs.FACTS).write_text("half")
    assert sorted(selection.rank(tmp_path, show=True).runs) == ["0", "1"]
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("left out")]
    assert len(said) == 1 and f"{tmp_path / '2' / runs.FACTS} is damaged" in said[0]


def test_a_copy_of_a_run_is_no_seed_that_agrees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runs, "load_data", lambda *arguments: squares())
    scored(tmp_path / "0", 0.1)
    shutil.copytree(tmp_path / "0", tmp_path / "again")
    with pytest.raises(UnbraidError, match="1 finished run"):
        selection.rank(tmp_path, show=True)
    assert f"{tmp_path / 'again'} has the settings and the seed of {tmp_path / '0'}" in capsys.readouterr().err
    scored(tmp_path / "1", 0.1, seed=1)
    assert sorted(selection.rank(tmp_path).runs) == ["0", "1"]


def test_how_many_latents_agree_stands_beside_how_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "load_data", lambda *arguments: squares())
    for seed in range(2):
        scored(tmp_path / str(seed), 0.1, seed=seed)
    ranking = selection.rank(tmp_path)
    found = [evaluate.encode_sample(runs.load(tmp_path / name), squares()).active.sum() for name in ranking.runs]
    assert ranking.active_latents == found


def test_where_no_seeds_can_agree_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    criteria = ("udr_lasso", "udr_spearman", "elbo")
    ranking = Ranking(["a", "b"], [3, 4], {c: [None, None] for c in criteria}, {"mig": [0.5, None]}, {})
    tables.show_ranking(ranking)
    printed = capsys.readouterr().out
    assert (
        "no ranking: UDR compares runs that differ in nothing but the seed" in printed and "Runs by UDR" not in printed
    )


def test_one_run_is_no_ranking(tmp_path: Path) -> None:
    scored(tmp_path / "0", 0.1)
    with pytest.raises(UnbraidError, match="1 finished run"):
        selection.rank(tmp_path)


def test_the_tables_of_all_metrics_fit_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    criteria = ("udr_lasso", "udr_spearman", "elbo", "-gaussian_tc", "-mean_mi")
    ranking = Ranking(
        ["a", "b"],
        [3, 10],
        {criterion: [0.123456, None] for criterion in criteria},
        {metric: [0.5, None] for metric in METRICS},
        {criterion: dict.fromkeys(METRICS, -0.987654) for criterion in criteria},
    )
    tables.show_ranking(ranking)
    printed = capsys.readouterr().out
    for name in (*criteria, *METRICS):
        assert name in printed, "no name is broken over lines"
    assert len(printed.splitlines()) < len(METRICS) + 12
