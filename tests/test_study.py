"""A study in real processes: finished, killed, interrupted and failing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from small_runs import same_run

from unbraid import runs
from unbraid.config import resolve
from unbraid.errors import UnbraidError
from unbraid.study import SUMMARY, Cell, Outcome, run_study

needs_signals = pytest.mark.skipif(os.name != "posix", reason="needs the signals of POSIX")

COMMON: dict[str, Any] = {
    "data": "balls",
    "size": 8,
    "model": "balls_conv",
    "latent_dim": 3,
    "batch_size": 8,
    "steps": 300,
    "log_every": 10,
    "checkpoint_minutes": 0.001,
    "device": "cpu",
}
CELLS = [Cell(f"beta_{beta}", {**COMMON, "beta": beta}) for beta in (1, 2, 3)]
PATIENCE = 120.0  # seconds for what takes two on an idle machine


def finish(folder: Path, *_: str) -> None:
    (folder / "finish.txt").write_text(runs.state(folder))


def finish_but(folder: Path, *_: str) -> None:
    if folder.name == "unfinishable":
        raise RuntimeError("no ink")
    finish(folder)


def die(folder: Path, *_: str) -> None:
    if folder.name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)


def study(out: Path, cells: list[Cell] = CELLS, finish: Any = finish, jobs: int = 2) -> list[Outcome]:
    return run_study(cells, out, finish, jobs=jobs, show_progress=False)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with cells that fail: one before, one in and one after its training."""
    out = tmp_path_factory.mktemp("undisturbed")
    damaged = Cell("damaged", {**COMMON, "steps": 10})
    diverging = Cell("diverging", {**COMMON, "lr": 1e30})
    unfinishable = Cell("unfinishable", {**COMMON, "steps": 10})
    runs.write_config(out / "damaged", resolve(damaged.settings))
    (out / "damaged" / runs.FACTS).write_text("{")
    outcomes = study(out, [damaged, diverging, unfinishable, *CELLS], finish_but)
    (out / "outcomes.json").write_text(json.dumps({outcome.name: outcome.error for outcome in outcomes}))
    return out


class TestUndisturbed:
    def test_a_failing_cell_stops_no_other(self, undisturbed: Path) -> None:
        outcomes = json.loads((undisturbed / "outcomes.json").read_text())
        assert list(outcomes) == ["damaged", "diverging", "unfinishable", "beta_1", "beta_2", "beta_3"]
        assert outcomes["damaged"].endswith("is missing or damaged: it must hold the JSON object that unbraid wrote")
        assert outcomes["diverging"].startswith("the loss stopped being a number")
        assert outcomes["unfinishable"] == "RuntimeError: no ink"
        assert [outcomes[cell.name] for cell in CELLS] == [None, None, None]

    def test_the_summary_says_so(self, undisturbed: Path) -> None:
        outcomes = json.loads((undisturbed / "outcomes.json").read_text())
        summary = json.loads((undisturbed / SUMMARY).read_text())
        assert summary == {name: error or "finished" for name, error in outcomes.items()}

    def test_finish_is_called_for_trained_runs_alone(self, undisturbed: Path) -> None:
        assert [(undisturbed / cell.name / "finish.txt").read_text() for cell in CELLS] == ["finished"] * 3
        assert not (undisturbed / "diverging" / "finish.txt").exists()

    def test_each_cell_is_what_it_was_asked_to_be(self, undisturbed: Path) -> None:
        assert [runs.read_config(undisturbed / cell.name).options["beta"] for cell in CELLS] == [1, 2, 3]
        assert not same_run(undisturbed / "beta_1", undisturbed / "beta_2")


def driver(out: Path) -> "subprocess.Popen[str]":
    """The study in a process of its own, at the head of a group, as a shell would start it."""
    program = "import sys; from pathlib import Path; from test_study import study; study(Path(sys.argv[1]), jobs=1)"
    paths = [str(Path(__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", program, str(out)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for(condition: Callable[[], bool]) -> None:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < PATIENCE
        time.sleep(0.01)


def wait_for_new_checkpoint(out: Path) -> None:
    began = time.time()

    def written() -> bool:
        files = [out / cell.name / runs.CHECKPOINT for cell in CELLS]
        return any(file.exists() and file.stat().st_mtime > began for file in files)

    wait_for(written)


def states(out: Path) -> list[str]:
    return [runs.state(out / cell.name) for cell in CELLS]


@needs_signals
class TestDisturbed:
    @pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
    def test_it_goes_on_to_the_same_weights_after_all(
        self, tmp_path: Path, undisturbed: Path, number: signal.Signals
    ) -> None:
        """Interrupted, as by Ctrl-C in a terminal, which reaches the workers too; then killed; and then in peace."""
        out = tmp_path / "study"
        with driver(out) as process:
            wait_for_new_checkpoint(out)
            os.killpg(process.pid, number) if number == signal.SIGINT else process.terminate()
            _, said = process.communicate(timeout=PATIENCE)
        assert said.splitlines()[-1] == "KeyboardInterrupt: stopped, everything is kept: the same command goes on"
        assert said.count("Traceback") == 1, "the workers say nothing"
        assert "stopped" in states(out), "it waits for the checkpoints of its workers"
        assert states(out)[-1] == "new", "no cell is begun after the signal"

        with driver(out) as process:
            wait_for_new_checkpoint(out)
            process.kill()
        for cell in CELLS:  # the workers die with their parent, or else they would hold these
            (out / cell.name).mkdir(exist_ok=True)
            with FileLock(out / cell.name / runs.LOCK, timeout=PATIENCE):
                pass
        assert "running" in states(out), "the kill came too late to show anything"

        assert [outcome.error for outcome in study(out, jobs=1)] == [None, None, None]
        assert [same_run(out / cell.name, undisturbed / cell.name) for cell in CELLS] == [True] * 3

    def test_a_killed_worker_stops_no_other(self, tmp_path: Path) -> None:
        cells = [Cell(name, {**COMMON, "steps": 10}) for name in ("killed", "next")]
        killed, following = study(tmp_path, cells, die, jobs=1)
        assert str(killed.error).startswith("its process was ended from outside (exit code -9), perhaps for want of")
        assert following == Outcome("next", None)


class TestAgain:
    def test_what_is_finished_is_not_done_again(self, undisturbed: Path) -> None:
        """Nor is it another study where the runs are saved at other times."""
        before = {cell.name: (undisturbed / cell.name / runs.WEIGHTS).stat().st_mtime_ns for cell in CELLS}
        other = Cell("beta_1", {**CELLS[0].settings, "checkpoint_minutes": 3})
        assert [outcome.error for outcome in study(undisturbed, [other], jobs=1)] == [None]
        assert before == {cell.name: (undisturbed / cell.name / runs.WEIGHTS).stat().st_mtime_ns for cell in CELLS}

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"steps": 600}, "steps=300, and this asks for steps=600"),
            ({"beta": 7}, "beta=1.0, and this asks for beta=7.0"),
            ({"objective": "vae", "beta": None}, "was run with"),
        ],
    )
    def test_other_settings_in_the_same_folder_are_refused(
        self, undisturbed: Path, change: dict[str, Any], sentence: str
    ) -> None:
        settings = {name: value for name, value in {**CELLS[0].settings, **change}.items() if value is not None}
        with pytest.raises(UnbraidError, match=sentence):
            study(undisturbed, [Cell("beta_1", settings)])

    @pytest.mark.parametrize("jobs", [0, -1])
    def test_no_jobs(self, tmp_path: Path, jobs: int) -> None:
        with pytest.raises(UnbraidError, match=f"jobs must be at least 1, not {jobs}"):
            study(tmp_path, jobs=jobs)

    def test_a_cell_that_cannot_be_is_refused_before_any_is_begun(self, tmp_path: Path) -> None:
        with pytest.raises(UnbraidError, match='there is no model called "baals_conv"'):
            study(tmp_path, [CELLS[0], Cell("bad", {**COMMON, "model": "baals_conv"})])
        assert list(tmp_path.iterdir()) == []
