"""What a dry run says before a study begins."""

from pathlib import Path

import pytest
import torch
from study_cases import SHORT, study

from unbraid import runs, training
from unbraid.config import Config
from unbraid.errors import UnbraidError
from unbraid.logs.silent import Silent
from unbraid.study import file, grid, plan
from unbraid.study.work import Options


def planned(out: Path, text: str, jobs: int = 1) -> plan.Plan:
    found = file.parse(text, "small", "")
    return plan.estimate(found, grid.cells(found, ""), out, Options(jobs), show=False)


def test_counts_what_is_left_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study(tmp_path / "out", SHORT)
    wider = SHORT.replace("[1, 2, 3]", "[1, 2, 3, 4]")
    found = planned(tmp_path / "out", wider)
    assert found.finished == 3 and found.groups == [[3]]
    plan.show(found)
    said = capsys.readouterr().out
    assert "beta_4-" in said and "beta_3-" not in said
    assert "4 runs, 3 of them finished; the others in 1 groups" in said
    nothing = planned(tmp_path / "out", SHORT)
    assert nothing.groups == [] and nothing.seconds == 0 and nothing.disk == 0
    planned(tmp_path / "none", SHORT)
    assert not (tmp_path / "none").exists()


def test_a_run_with_a_damaged_config_is_one_to_do(tmp_path: Path) -> None:
    """The study itself sets it aside and trains it again."""
    first, *_ = study(tmp_path, SHORT)
    (first.folder / runs.CONFIG).write_text("beta: [")
    found = planned(tmp_path, SHORT)
    assert found.finished == 2 and found.groups == [[0]]


def test_no_service_is_told_of_the_steps_that_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def logger(folder: Path, start: int, config: Config) -> Silent:
        told.append(config.logger)
        return Silent()

    monkeypatch.setattr(training.loop, "logger", logger)
    monkeypatch.setattr(training, "check_installed", lambda name: None)
    for name in ("wandb", "mlflow", "trackio", "none", "tensorboard"):
        planned(tmp_path, SHORT.replace("[1, 2, 3]", "[1]").replace("base:", f"base:\n  logger: {name}"))
    assert told == ["none"] * 5 + ["tensorboard"]


def test_a_device_of_another_machine_is_planned_for_without_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = file.parse(SHORT.replace("device: cpu", "device: cuda"), "small", "")
    cells = grid.cells(found, "")
    elsewhere = plan.estimate(found, cells, tmp_path, Options(), engine="ray", show=False)
    assert elsewhere.groups == [[0, 1, 2]] and elsewhere.seconds is None and elsewhere.disk > 0
    plan.show(elsewhere)
    assert "no estimate of time" in (said := capsys.readouterr().out) and "this machine has no cuda" in said
    with pytest.raises(UnbraidError, match='"cuda" is not on this machine'):
        plan.estimate(found, cells, tmp_path, Options(), show=False)


def test_estimates_follow_the_number_of_runs_and_steps(tmp_path: Path) -> None:
    one, more = (planned(tmp_path, SHORT.replace("[1, 2, 3]", betas)) for betas in ("[1]", "[1, 2, 3, 4, 5, 6]"))
    assert more.disk == pytest.approx(6 * one.disk, rel=0.05)
    long = planned(tmp_path, SHORT.replace("[1, 2, 3]", "[1]").replace("steps: 20", "steps: 2000000"))
    assert long.seconds > 100 * one.seconds and long.disk > 100 * one.disk


def test_the_disk_that_a_study_took_was_foreseen(tmp_path: Path) -> None:
    foreseen = planned(tmp_path / "out", SHORT)
    study(tmp_path / "out", SHORT)
    taken = sum(file.stat().st_size for file in (tmp_path / "out").glob("*/**/*") if file.is_file())
    assert foreseen.disk / 2 < taken < 2 * foreseen.disk <= 2 * foreseen.peak
