"""Loggers of other services: what their own readers find, where their packages are installed."""

import json
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from small_runs import RUNS, Eventful, log_rows, small_run, squares

from unbraid import config, runs
from unbraid.errors import UnbraidError
from unbraid.logs import LOGGERS
from unbraid.logs.service import identity
from unbraid.training import Interrupted, resume

OPTIONAL = [name for name in LOGGERS if name not in ("tensorboard", "none")]


def test_the_config_knows_every_logger() -> None:
    assert tuple(LOGGERS) == config.LOGGERS
    with pytest.raises(UnbraidError, match='there is no logger called "wandbb"; did you mean "wandb"'):
        config.resolve({"logger": "wandbb"})


@pytest.mark.parametrize("name", OPTIONAL)
def test_without_its_package_the_error_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UnbraidError, match=rf'pip install "unbraid\[{name}\]"'):
        small_run("beta_vae", tmp_path / "run", logger=name)
    assert not (tmp_path / "run").exists()


def test_none_writes_the_log_alone(tmp_path: Path) -> None:
    small_run("beta_vae", tmp_path / "run", logger="none", steps=14)
    assert not (tmp_path / "run" / runs.TENSORBOARD).exists() and len(log_rows(tmp_path / "run")) == 2


def test_who_is_told_changes_nothing(tmp_path: Path) -> None:
    for name in ("none", "tensorboard"):
        small_run("beta_vae", tmp_path / name, logger=name)
    assert (tmp_path / "none" / runs.WEIGHTS).read_bytes() == (tmp_path / "tensorboard" / runs.WEIGHTS).read_bytes()
    assert log_rows(tmp_path / "none") == log_rows(tmp_path / "tensorboard")


def test_a_run_is_called_as_its_folders_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project, name, key = identity(tmp_path / "study" / "run")
    assert (project, name) == ("study", "run") and identity(Path("study/run")) == (project, name, key)
    assert identity(tmp_path / "study" / "other")[2] != key


def stopped_and_resumed(folder: Path, logger: str) -> list[dict[str, str]]:
    """The rows of the log of a run that stopped on its way."""
    with pytest.raises(Interrupted):
        stop = {24: lambda: signal.raise_signal(signal.SIGINT)}
        small_run("beta_vae", folder, Eventful(squares(), stop), logger=logger)
    resume(folder, data=squares(), show_progress=False)
    return log_rows(folder)


@pytest.mark.filterwarnings("ignore")  # theirs, not ours
class TestServices:
    def test_mlflow(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        mlflow = pytest.importorskip("mlflow")
        monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
        rows = stopped_and_resumed(tmp_path / "study" / "run", "mlflow")
        client = mlflow.MlflowClient()
        (run,) = client.search_runs([client.get_experiment_by_name("study").experiment_id])
        assert run.info.run_name == "run" and run.info.status == "FINISHED"
        assert float(run.data.params["beta"]) == RUNS["beta_vae"]["beta"]
        for tag, name in (("loss", "loss"), ("kl_0", "kl_0")):
            found = {m.step: m.value for m in client.get_metric_history(run.info.run_id, tag)}
            expected = {int(row["step"]): float(row[name]) for row in rows}
            assert found == {step: pytest.approx(value, rel=1e-5) for step, value in expected.items()}
        pictures = [file.path for file in client.list_artifacts(run.info.run_id, "traversals")]
        assert len(pictures) == 10 and pictures[-1] == "traversals/000000040.png"

    def test_wandb(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        wandb = pytest.importorskip("wandb")
        monkeypatch.setenv("WANDB_MODE", "offline")
        monkeypatch.setenv("WANDB_SILENT", "true")
        logged: list[dict[str, Any]] = []
        log = wandb.Run.log
        monkeypatch.setattr(wandb.Run, "log", lambda run, data, *rest: (logged.append(data), log(run, data, *rest))[1])
        rows = stopped_and_resumed(tmp_path / "study" / "run", "wandb")
        losses = {data["step"]: data["loss"] for data in logged if "loss" in data}
        assert losses == {int(row["step"]): pytest.approx(float(row["loss"]), rel=1e-5) for row in rows}
        assert len(list((tmp_path / "study" / "run" / "wandb").rglob("*.wandb"))) == 2, "before and after the stop"
        assert len(list((tmp_path / "study" / "run" / "wandb").rglob("traversals_*.png"))) == 10

    def test_trackio(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
        pytest.importorskip("trackio")
        rows = stopped_and_resumed(tmp_path / "study" / "run", "trackio")
        (database,) = (tmp_path / "trackio").glob("study*.db")
        with closing(sqlite3.connect(database)) as connection:
            found = connection.execute("select step, metrics from metrics").fetchall()
        logged = [(step, json.loads(metrics)) for step, metrics in found]
        losses = {step: metrics["loss"] for step, metrics in logged if "loss" in metrics}
        assert losses == {int(row["step"]): pytest.approx(float(row["loss"]), rel=1e-5) for row in rows}
        assert sum("traversals" in metrics for _, metrics in logged) == 10
