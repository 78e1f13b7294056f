"""Every picture of a run: what is drawn for which data, and where it lands."""

import json
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from matplotlib.figure import Figure
from small_runs import small_run, squares

from unbraid import files, pictures, runs
from unbraid.data import from_arrays, load
from unbraid.errors import UnbraidError
from unbraid.runs import Run

ALWAYS = {"traversals.png", "reconstructions.png", "training_curves.png", "posterior_variance.png", "traversals.gif"}
OF_FACTORS = {"mutual_information.png", "latents_against_factors.png"}
OF_LATENTS = {f"z{latent}.{kind}" for latent in range(3) for kind in ("gif", "png")}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return small_run("beta_vae", tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def run(trained: Run, tmp_path: Path) -> Run:
    """A copy to draw and tamper in."""
    copytree(trained.path, tmp_path / "run")
    return runs.load(tmp_path / "run", data=squares())


def drawn(run: Run) -> set[str]:
    return {file.name for file in (run.path / "figures").iterdir()}


def test_all_of_a_run(run: Run) -> None:
    pictures.finish(run)
    assert drawn(run) == ALWAYS | OF_FACTORS | OF_LATENTS


@pytest.mark.parametrize(("span", "said"), [(None, True), (2.0, False)])
def test_every_strip_of_percentiles_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch, span: float | None, said: bool
) -> None:
    words: dict[str, list[str]] = {}

    def save(figure: Figure, path: Path) -> None:
        words[path.name] = [text.get_text() for axes in figure.axes for text in axes.texts]

    monkeypatch.setattr(pictures.figures, "save", save)
    pictures.finish(run, span=span)
    for name in ("z0.png", "z2.png", "traversals.png"):
        assert any("percentile" in word for word in words[name]) == said


def test_strips_say_what_the_traversals_say(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    words: dict[str, set[str]] = {}

    def save(figure: Figure, path: Path) -> None:
        words[path.name] = {text.get_text() for axes in figure.axes for text in axes.texts}

    monkeypatch.setattr(pictures.figures, "save", save)
    monkeypatch.setattr(pictures.evaluate, "follows", lambda *_: ["size", "", "x, y"])
    found = pictures.finish(run)
    for latent in range(3):
        strip = words[f"z{latent}.png"]
        assert strip <= words["traversals.png"] | {"percentile"}
        assert {f"z{latent}", f"{found['kl_per_latent'][latent]:.2f}", "KL, nats", "σ²"} <= strip
    assert "→ size" in words["z0.png"] and "→ x, y" in words["z2.png"]
    assert not any(word.startswith("→") for word in words["z1.png"])


def test_values_of_factors_stand_by_their_words(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: dict[str, list[str]] = {}

    def save(figure: Figure, path: Path) -> None:
        shown[path.name] = [label.get_text() for axes in figure.axes for label in axes.get_xticklabels()]

    monkeypatch.setattr(pictures.figures, "save", save)
    known = squares()
    known = replace(known, labels=replace(known.labels, levels={"size": ["small", "large"]}))  # type: ignore[type-var, attr-defined]
    pictures.finish(runs.load(run.path, data=known))
    assert {"small", "large", "0", "5"} <= {*shown["latents_against_factors.png"]}


def test_without_factors(run: Run) -> None:
    bare = from_arrays(squares().images(np.arange(72)))
    pictures.finish(runs.load(run.path, data=bare))
    assert drawn(run) == ALWAYS | OF_LATENTS


@pytest.mark.parametrize("there", [False, True])
def test_before_the_first_row_of_the_log(run: Run, there: bool) -> None:
    (run.path / runs.LOG).unlink()
    if there:
        (run.path / runs.LOG).touch()
    pictures.finish(run)
    assert drawn(run) == (ALWAYS | OF_FACTORS | OF_LATENTS) - {"training_curves.png"}


def test_a_run_whose_latents_are_all_unused_is_drawn_too(run: Run) -> None:
    run.model.close([0, 1, 2])
    assert pictures.finish(run)["posterior_variance"] == [1, 1, 1]
    assert drawn(run) == ALWAYS | OF_FACTORS | OF_LATENTS


@pytest.mark.parametrize("start", [-1, 72])
def test_an_image_that_is_not_there_is_refused(run: Run, start: int) -> None:
    with pytest.raises(UnbraidError, match=f"from 0 to 71 of the data set, not {start}"):
        pictures.finish(run, start=start)


def test_traversals_begin_with_the_middle_of_a_grid() -> None:
    dataset = squares()
    assert dataset.factors(np.array([pictures._middle(dataset)])).tolist() == [[1, 3, 3]]


def test_or_with_image_0_where_the_middle_is_not_one_image() -> None:
    four = np.zeros((4, 8, 8), np.uint8)
    four[0] = 255
    assert pictures._middle(from_arrays(four)) == 0
    assert pictures._middle(from_arrays(four, [[0], [0], [3], [3]])) == 0  # as many images as values, and none of 2
    assert pictures._middle(from_arrays(four, [[1, 0.5], [0, 0.1], [0, 0.2], [0, 0.3]])) == 0
    assert pictures._middle(load("balls")) == 0


def write_scores(run: Run, *names: str, **facts: object) -> None:
    matrices = {"mutual_information": np.ones((3, 3)).tolist()}
    scores = {name: {"score": 1, "parts": {}, "matrices": matrices} for name in names}
    (run.path / runs.SCORES).write_text(json.dumps({"seed": 0, "metrics": scores, **facts}))


def latents_shown(figure: Figure) -> list[str]:
    labels = [label.get_text() for axes in figure.axes if axes.axison for label in axes.get_yticklabels()]
    words = [text.get_text() for text in (*figure.texts, *(text for axes in figure.axes for text in axes.texts))]
    return [word for word in (*words, *labels) if word in ("z0", "z1", "z2")]


@pytest.mark.parametrize("start", [None, 5])
def test_one_order_of_latents_in_all_figures_that_are_not_grouped(
    run: Run, monkeypatch: pytest.MonkeyPatch, start: int | None
) -> None:
    shown: dict[str, Figure] = {}
    monkeypatch.setattr(pictures.figures, "save", lambda figure, path: shown.update({path.name: figure}))
    run.model.close([0])  # so that it does not come first
    write_scores(run, "mig")
    found = pictures.finish(run, start=start)
    variance = found["posterior_variance"] if start is None else found["image_posterior_variance"]
    order = [f"z{latent}" for latent in np.argsort(variance)]
    assert order[0] != "z0"
    for name in ("traversals.png", "posterior_variance.png", "score-mig-mutual_information.png"):
        assert latents_shown(shown[name]) == order, name
    against = latents_shown(shown["latents_against_factors.png"])
    assert against and against == [latent for latent in order if latent in against]
    titles = [shown[name].axes[0].texts[0].get_text() for name in ("score-mig-mutual_information.png",)]
    titles.append(shown["latents_against_factors.png"].texts[0].get_text())
    assert all(title.endswith("the most used latent first") for title in titles)
    assert "grouped by factor" in shown["mutual_information.png"].axes[0].texts[0].get_text()


@pytest.mark.parametrize("statistics", [{}, {"posterior_variance": [1, 2]}, {"posterior_variance": "x"}])
def test_scores_stand_by_number_where_statistics_do_not_say_which_latent_is_used(
    run: Run, monkeypatch: pytest.MonkeyPatch, statistics: dict[str, object]
) -> None:
    shown: list[Figure] = []
    monkeypatch.setattr(pictures.figures, "save", lambda figure, path: shown.append(figure))
    write_scores(run, "mig")
    if statistics:
        runs.write_statistics(run.path, statistics)
    pictures.draw_scores(run)
    assert latents_shown(shown[0]) == ["z0", "z1", "z2"]
    assert shown[0].axes[0].texts[0].get_text() == "mig: mutual information"


def test_pictures_of_scores_go_when_the_scores_do(run: Run) -> None:
    write_scores(run, "mig", "sap")
    pictures.draw_scores(run)
    (run.path / runs.FIGURES / "score-of-mine-1.png").write_bytes(b"")
    write_scores(run, "mig")
    pictures.draw_scores(run)
    assert drawn(run) == {"score-mig-mutual_information.png", "score-of-mine-1.png"}
    write_scores(run, "mig", step=run.facts["step"] - 1)  # of before it trained on
    pictures.finish(run)
    assert drawn(run) == ALWAYS | OF_FACTORS | OF_LATENTS | {"score-of-mine-1.png"}


def test_scores_are_drawn_beside_damaged_statistics(run: Run) -> None:
    write_scores(run, "mig")
    (run.path / runs.STATISTICS).write_text("{")
    pictures.draw_scores(run)
    assert drawn(run) == {"score-mig-mutual_information.png"}


@pytest.mark.parametrize("names", [["x" * 9999], "shape", [1], [["shape"]], None])
def test_factors_that_are_none_of_the_data_name_no_columns(run: Run, names: object) -> None:
    write_scores(run, "mig")
    scores = runs.read_scores(run.path)
    files.write_json(run.path / runs.SCORES, {**scores, "data": {runs.BY_FACTORS: names}})
    pictures.draw_scores(run)
    assert drawn(run) == {"score-mig-mutual_information.png"}


def test_scores_of_another_hand_are_not_drawn_outside_the_run(run: Run) -> None:
    write_scores(run, "mig", "/../../../out")
    pictures.draw_scores(run)
    assert drawn(run) == {"score-mig-mutual_information.png"}
    assert list(run.path.parent.iterdir()) == [run.path]
