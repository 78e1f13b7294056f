"""Figures of a study: which runs they compare, and by what."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from study_cases import study

from unbraid import config as configs
from unbraid import figures, pictures, runs
from unbraid.errors import UnbraidError
from unbraid.files import write_json
from unbraid.study import concepts, scores
from unbraid.study.drawings import OF_A_RUN, OF_A_STUDY, OfAStudy
from unbraid.study.results import Result, Results


def results(out: Path, *cases: dict[str, Any]) -> Results:
    """Runs that exist as configs and scores alone."""
    found = []
    for n, case in enumerate(cases):
        values = {"data": "dsprites", "steps": 20} | case
        measured = {"mig": values.pop("mig", n / 10), "reconstruction": values.pop("recon", float(n))}
        folder = out / f"run_{n}"
        write_json(
            folder / runs.SCORES,
            {
                "seed": 0,
                "metrics": {k: {"score": v, "parts": {"part": 0.0}, "matrices": {}} for k, v in measured.items()},
            },
        )
        found.append(Result(folder, configs.resolve(values)))
    return Results(out, "small", found)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[tuple[tuple[Any, ...], dict[str, Any]]]]:
    """The arguments of each call of a function of `figures`, which then draws nothing."""

    def watch(name: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        monkeypatch.setattr(figures, name, lambda *given, **named: calls.append((given, named)))
        monkeypatch.setattr(figures, "save", lambda figure, path: None)
        return calls

    return watch


METHODS = [
    {"beta": 1, "seed": 0},
    {"beta": 1, "seed": 1},
    {"beta": 4},
    {"objective": "annealed_vae", "gamma": 9, "capacity": "linear(0, 5, steps=100)"},
    {"objective": "annealed_vae", "gamma": 9, "capacity": "linear(0, 7, steps=100)"},
]


def test_distributions_are_of_methods_and_their_settings(tmp_path: Path, drawn: Any) -> None:
    calls = drawn("score_distributions")
    scores.distributions(results(tmp_path, *METHODS), "light")
    assert [named["score"] for _, named in calls] == ["mig", "reconstruction"]
    ((spread,), _), _ = calls
    assert spread == {
        "beta_vae": {"beta 1": [0, 0.1], "beta 4": [0.2]},
        "annealed_vae": {"capacity 5": [pytest.approx(0.3)], "capacity 7": [0.4]},
    }


def test_against_is_a_panel_a_method_and_a_schedule_counts_as_its_end(tmp_path: Path, drawn: Any) -> None:
    calls = drawn("score_against")
    scores.against(results(tmp_path, *METHODS), "light")
    ((panels,), _), _ = calls
    assert panels["beta_vae"] == ("beta", [("", 1, 0), ("", 1, 0.1), ("", 4, 0.2)])
    assert panels["annealed_vae"] == ("capacity", [("", 5, pytest.approx(0.3)), ("", 7, 0.4)])


def test_against_names_what_else_varies(tmp_path: Path, drawn: Any) -> None:
    calls = drawn("score_against")
    cases = [{"beta": beta, "latent_dim": size} for beta in (1, 4) for size in (3, 5)]
    scores.against(results(tmp_path, *cases), "light")
    ((panels,), _), *_ = calls
    assert panels["beta_vae"][0] == "beta", "the objective's own come first"
    assert [line for line, _, _ in panels["beta_vae"][1]] == ["latent_dim 3", "latent_dim 5"] * 2


def test_rank_correlation_is_spearmans(tmp_path: Path, drawn: Any) -> None:
    calls = drawn("heat_map")
    values = [(0.1, 9.0), (0.2, 100.0), (0.15, 1.0), (0.7, 50.0), (0.7, 2.0)]
    scores.correlation(
        results(tmp_path, *({"mig": m, "recon": r, "seed": n} for n, (m, r) in enumerate(values))), "light"
    )
    ((matrix, names, _), _), *_ = calls
    ranks = np.array([[1, 3], [3, 5], [2, 1], [4.5, 4], [4.5, 2]])  # by hand; equal values share their mean rank
    centred = ranks - ranks.mean(0)
    expected = (centred[:, 0] @ centred[:, 1]) / math.sqrt(np.square(centred).sum(0).prod())
    assert names == ["mig", "reconstruction"] and matrix[0][1] == pytest.approx(expected)


def test_best_knows_which_way_is_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[Path, str, str]] = []
    monkeypatch.setattr(runs, "load", lambda folder: folder)
    monkeypatch.setattr(
        pictures, "draw_traversals", lambda run, path, *, title, theme: shown.append((run, path.name, title))
    )
    scores.best(
        results(tmp_path, {"mig": 0.2, "recon": 30}, {"mig": 0.5, "recon": 50}, {"mig": 0.1, "recon": 90}), "light"
    )
    assert [(run.name, name) for run, name, _ in shown] == [
        ("run_1", "best-mig.png"),
        ("run_0", "best-reconstruction.png"),
    ]
    shown.clear()
    scores.best(results(tmp_path, {"mig": 0.2, "recon": 30}, {"mig": 0.1, "recon": 50}), "light")
    assert [(run.name, name) for run, name, _ in shown] == [("run_0", "best-mig-reconstruction.png")]


def test_no_run_is_best_by_its_kl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(runs, "load", lambda folder: folder)
    monkeypatch.setattr(pictures, "draw_traversals", lambda run, path, *, title, theme: shown.append(path.name))
    for measured, expected in (({"mig": [0.2, 0.1], "kl": [9, 0]}, ["best-mig.png"]), ({"kl": [9, 0]}, [])):
        shown.clear()
        both = results(tmp_path, {}, {})
        for n, each in enumerate(both):
            metrics = {name: {"score": values[n], "parts": {}, "matrices": {}} for name, values in measured.items()}
            write_json(each.folder / runs.SCORES, {"seed": 0, "metrics": metrics})
        if expected:
            scores.best(both, "light")
        else:
            with pytest.raises(UnbraidError, match="no score of this study says which run is better"):
                scores.best(both, "light")
        assert shown == expected


@pytest.mark.parametrize(
    ("figure", "cases", "sentence"),
    [
        ("against", [{"seed": 0}, {"seed": 1}], "no setting with numbers varies"),
        ("correlation", [{"seed": 0}, {"seed": 1}], "three runs or more"),
        ("continuity", [{"seed": 0}, {"seed": 1}], "several values of `every`"),
        ("zero_shot", [{"seed": 0}], "leave combinations out"),
    ],
)
def test_what_a_figure_needs(tmp_path: Path, figure: str, cases: list[dict[str, Any]], sentence: str) -> None:
    with pytest.raises(UnbraidError, match=sentence):
        OF_A_STUDY[figure].function(results(tmp_path, *cases), "light")


@pytest.mark.usefixtures("dsprites_cache")
def test_continuity_is_over_the_share_of_the_images(tmp_path: Path, drawn: Any) -> None:
    calls = drawn("score_against")
    found = results(tmp_path, {"every": ""}, {"every": "pos_x:2"}, {"without": "shape:0"})
    for result, n_data in zip(found, (737_280, 368_640, 491_520), strict=True):
        runs.write_facts(result.folder, {"n_data": n_data})
    concepts.continuity(found, "light")
    ((panels,), _), *_ = calls
    assert panels[""][1] == [("", 1.0, 0.0), ("", 0.5, 0.1)]


def test_what_a_linear_map_explains() -> None:
    rng = np.random.default_rng(0)

    def kind(codes: np.ndarray) -> concepts.Kind:
        factors = np.column_stack(
            [3 * codes[:, 0] - codes[:, 1] + 5, rng.normal(size=len(codes)), np.full(len(codes), 4)]
        )
        return concepts.Kind(np.empty(0), np.empty(0), 0.0, codes, factors)

    told = concepts._explained(kind(rng.normal(size=(2000, 2))), kind(1 + rng.normal(size=(2000, 2))))
    assert told[0] == pytest.approx(1) and abs(told[1]) < 0.02 and np.isnan(told[2])


TINY = """\
base: {data: dsprites, model: swift, batch_size: 8, steps: 4, log_every: 2, device: cpu}
parts:
  - grid: {beta: [1, 4], every: ["pos_x:8,pos_y:8,orientation:8", "pos_x:16,pos_y:16,orientation:8"]}
  - base: {without: "shape:0,pos_x:16-31", every: "pos_x:8,pos_y:8,orientation:8"}
    grid: {beta: [1, 4]}
scores: [mig, sap, reconstruction]
points: 300
score_data: {every: "pos_x:4,pos_y:4", without: ""}
figures: [distributions, against, correlation, best, continuity, zero_shot]
"""


@pytest.mark.usefixtures("dsprites_cache")
def test_every_figure_of_a_study_that_can_have_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [outcome.error for outcome in study(tmp_path, TINY)] == [None] * 6
    names = {path.name.partition("-")[0].removesuffix(".png") for path in (tmp_path / runs.FIGURES).glob("*.png")}
    assert names == {"distribution", "against", "correlation", "best", "continuity", "zero_shot"}
    assert len(list((tmp_path / runs.FIGURES).glob("zero_shot-*.png"))) == 2 + 2
    assert "figure" not in capsys.readouterr().out, "none was refused"


SPECIAL = {
    "balls": "{data: balls, model: balls_conv, size: 8, latent_dim: 3, batch_size: 8, steps: 4, log_every: 2}",
    "capacity": "{data: dsprites, model: swift, objective: annealed_vae, gamma: 10, batch_size: 8, steps: 4}",
}


SMALL = "data: balls, model: balls_fc, size: 8, latent_dim: 4, batch_size: 8, steps: 4, log_every: 2, device: cpu"


@pytest.mark.parametrize(
    ("settings", "run_figures", "figure", "sentences"),
    [
        ("objective: annealed_vae, gamma: 10", "all", "capacity", ["published"]),
        pytest.param(
            *("objective: annealed_vae, gamma: 10", "balls", "capacity", ["figure capacity: ", "set run_figures"]),
            marks=pytest.mark.slow,
        ),
        ("likelihood: gaussian", "balls", "balls", ["active latents"]),
    ],
)
def test_the_original_figures_of_other_experiments(
    tmp_path: Path,
    settings: str,
    run_figures: str,
    figure: str,
    sentences: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Four latents where the published run has ten, and a likelihood without a least loss."""
    text = f"base: {{{SMALL}, {settings}}}\nrun_figures: {run_figures}\nfigures: [{figure}]\n"
    assert [outcome.error for outcome in study(tmp_path, text)] == [None]
    said = capsys.readouterr().out
    assert all(sentence in said for sentence in sentences)
    assert ("figure " in said) == ("figure capacity: " in sentences)


def test_a_figure_that_fails_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(results: Results, theme: str) -> None:
        raise KeyError("something")

    monkeypatch.setitem(OF_A_STUDY, "balls", OfAStudy(broken, ""))
    (outcome,) = study(tmp_path, f"base: {{{SMALL}}}\nfigures: [balls]\n")
    assert outcome.error is None and "figure balls: KeyError: 'something'\n" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("dsprites_cache")
@pytest.mark.parametrize("name", SPECIAL)
def test_the_figures_of_the_original_experiments(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"base: {SPECIAL[name]}\nrun_figures: {name}\nfigures: [{name}]\n"
    (outcome,) = study(tmp_path, text)
    assert outcome.error is None and name in OF_A_RUN
    drawn = {path.name for path in (outcome.folder / runs.FIGURES).iterdir()}
    said = capsys.readouterr().out
    if name == "balls":
        assert {"heat_map.png", "reconstructions.png", "training_curves.png"} <= drawn
        whole = {path.name for path in (tmp_path / runs.FIGURES).iterdir()}
        assert whole == {"posterior_deviation-conv-one_ball.png", "reconstruction-one_ball.png"}
        assert "active latents" in said and (tmp_path / "balls.csv").exists()
    else:
        assert {"traversals.png", "z0.gif"} <= drawn and "published" in said
    before = {path: path.stat().st_mtime_ns for path in (outcome.folder / runs.FIGURES).iterdir()}
    study(tmp_path, text)
    assert before == {path: path.stat().st_mtime_ns for path in (outcome.folder / runs.FIGURES).iterdir()}
