"""What one sees of a running study."""

import sys
from pathlib import Path

import pytest
from rich.console import Console
from study_cases import SHORT, places, study

from unbraid import runs
from unbraid.study import file, grid
from unbraid.study.live import Watch, panel, watched


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("live") / "out"
    study(out, SHORT)
    return out


def watch(out: Path, errors: dict[int, str | None], text: str = SHORT) -> Watch:
    found = file.parse(text, "small", "")
    return Watch(grid.cells(found, ""), places(out, text), errors, found)


def test_counts_steps_of_runs_at_work_and_of_those_that_ended(out: Path) -> None:
    errors: dict[int, str | None] = {}
    seen = watch(out, errors)
    assert seen.total == 60 and seen.done == 60
    seen.steps, seen.done, seen.initial = {0: 0, 1: 5, 2: 20}, 25, 25
    assert seen.look([1]) and seen.done == 40
    assert not seen.look([1]), "not again at once"
    errors[0] = None
    assert seen.look([]) and seen.done == 60 and seen.left() == "0 s"


def test_without_standard_error_it_is_counted_in_silence(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = file.parse(SHORT, "small", "")
    monkeypatch.setattr(sys, "stderr", None)
    with watched(grid.cells(found, ""), places(out, SHORT), {0: None}, found, show=True) as view:
        view([1])
    assert capsys.readouterr().out == ""


def test_the_best_is_by_the_first_score_of_the_file(out: Path) -> None:
    scores = [runs.read_scores(place)["metrics"]["mig"]["score"] for place in places(out, SHORT)]
    errors: dict[int, str | None] = {0: None, 1: None, 2: "no memory"}
    seen = watch(out, errors)
    seen.look([])
    assert seen.best is not None and seen.best[0] == max(scores[:2])
    assert seen.status().startswith("3/3 runs, 1 failed, best mig ")


def test_without_scores_it_is_by_the_loss(out: Path) -> None:
    losses = [runs.last_row(place)["loss"] for place in places(out, SHORT)]
    seen = watch(out, {0: None, 1: None, 2: None}, SHORT.replace("scores: [mig, kl]\n", ""))
    seen.look([])
    assert seen.best == (min(losses), losses.index(min(losses)))


@pytest.mark.parametrize(("named", "criterion"), [("[kl, mig]", "mig"), ("[kl]", "loss"), ("[reconstruction]", None)])
def test_the_run_that_tells_the_least_is_not_the_best(out: Path, named: str, criterion: str | None) -> None:
    seen = watch(out, {}, SHORT.replace("[mig, kl]", named))
    assert seen.criterion == (criterion or "reconstruction")


def test_a_terminal_shows_every_run_at_work_up_to_a_dozen(out: Path) -> None:
    text = SHORT.replace("[1, 2, 3]", str(list(range(1, 16))))
    seen = watch(out, {}, text)
    seen.look(range(15))
    console = Console(width=140)
    with console.capture() as shown:
        console.print(panel(seen))
    lines = shown.get().splitlines()
    assert "60/300 steps" in lines[0] and "left" in lines[0]
    assert sum("beta_" in line for line in lines) == 12 and "and 3 more at work" in lines[-2]
    assert lines[-1] == "0/15 runs"


def test_plain_lines_without_a_terminal(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = file.parse(SHORT, "small", "")
    with watched(grid.cells(found, ""), places(out, SHORT), {0: None}, found, show=True) as view:
        view([1])
    assert "study: 60/60 steps (100 %)" in capsys.readouterr().err
