"""Every picture of a run: what is drawn for which data, and where it lands."""

import json
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from matplotlib.figure import Figure
from small_runs import small_run, squares

from unbraid import pictures, runs
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


def test_scores_of_another_hand_are_not_drawn_outside_the_run(run: Run) -> None:
    matrices = {"mutual_information": np.ones((3, 3)).tolist()}
    scores = {name: {"score": 1, "parts": {}, "matrices": matrices} for name in ("mig", "/../../../out")}
    (run.path / runs.SCORES).write_text(json.dumps({"seed": 0, "metrics": scores}))
    pictures.draw_scores(run)
    assert drawn(run) == {"score-mig-mutual_information.png"}
    assert list(run.path.parent.iterdir()) == [run.path]
