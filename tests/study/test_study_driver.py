"""A study in real processes: finished, killed, interrupted and failing."""

import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from study_cases import (
    PATIENCE,
    SHORT,
    STUDY,
    certain,
    places,
    same_bits,
    started,
    states,
    study,
    wait_for_new_checkpoint,
)

from unbraid import evaluate, runs
from unbraid.errors import UnbraidError
from unbraid.study import file, grid, work
from unbraid.study.driver import grouped
from unbraid.study.folders import STUDY as COPY
from unbraid.study.folders import SUMMARY, TABLE, prepared
from unbraid.study.work import Finish, Options

needs_signals = pytest.mark.skipif(os.name != "posix", reason="needs the signals of POSIX")
FAILING = STUDY.replace(
    "grid:\n  beta: [1, 2, 3]", "zip:\n  beta: [1, 2, 2, 3]\n  lr: [0.0005, 0.0005, 1.0e+30, 0.0005]"
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    assert [outcome.error for outcome in study(out, engine="local", jobs=2)] == [None] * 3
    return out


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("short")
    study(out, SHORT)
    return out


def interrupted(*arguments: Any, **options: Any) -> None:
    raise KeyboardInterrupt


class TestUndisturbed:
    def test_each_run_is_what_it_was_asked_to_be(self, undisturbed: Path) -> None:
        assert [runs.read_config(place).options["beta"] for place in places(undisturbed)] == [1, 2, 3]
        assert states(undisturbed) == ["finished"] * 3
        assert all(runs.steps_done(place) == 300 for place in places(undisturbed))

    def test_the_folder_says_so(self, undisturbed: Path) -> None:
        summary = json.loads((undisturbed / SUMMARY).read_text())
        assert summary == {place.name: "finished" for place in places(undisturbed)}
        assert (undisturbed / COPY).read_text() == STUDY
        assert [row["run"] for row in certain(undisturbed)] == list(summary)
        assert not list(undisturbed.rglob("*.tmp"))

    def test_a_failing_run_stops_no_other(self, tmp_path: Path) -> None:
        outcomes = study(tmp_path, FAILING.replace("steps: 300", "steps: 20"))
        errors = [outcome.error for outcome in outcomes]
        assert [error is None for error in errors] == [True, True, False, True]
        assert str(errors[2]).startswith("the loss stopped being a number")
        assert runs.read_error(outcomes[2].folder) == errors[2]
        assert [row["state"] for row in certain(tmp_path)] == ["finished", "finished", "failed", "finished"]
        assert [row["error"] for row in certain(tmp_path)] == errors
        assert json.loads((tmp_path / SUMMARY).read_text())[outcomes[2].folder.name] == errors[2]

    def test_a_score_that_cannot_be_is_that_runs_error(self, tmp_path: Path) -> None:
        (outcome,) = study(tmp_path, SHORT.replace("[1, 2, 3]", "[1]").replace("mig", "dci_rf"))
        assert "needs discrete factors" in str(outcome.error)
        assert runs.state(outcome.folder) == "finished"
        (outcome,) = study(tmp_path, SHORT.replace("[1, 2, 3]", "[1]"))
        assert outcome.error is None and runs.read_error(outcome.folder) is None


@needs_signals
class TestDisturbed:
    @pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
    def test_it_goes_on_to_the_same_table_after_all(
        self, tmp_path: Path, undisturbed: Path, number: signal.Signals
    ) -> None:
        """Interrupted, as by Ctrl-C in a terminal, which reaches the workers too; then killed; and then in peace."""
        out = tmp_path / "study"
        with started(out) as process:
            wait_for_new_checkpoint(out)
            os.killpg(process.pid, number) if number == signal.SIGINT else process.terminate()
            _, said = process.communicate(timeout=PATIENCE)
        assert said.splitlines()[-1] == "KeyboardInterrupt: stopped, everything is kept: the same command goes on"
        assert said.count("Traceback") == 1, "the workers say nothing"
        assert "stopped" in states(out), "it waits for the checkpoints of its workers"
        assert states(out)[-1] == "new", "no run is begun after the signal"

        with started(out) as process:
            wait_for_new_checkpoint(out)
            process.kill()
        for place in places(out):  # the workers die with their parent, or else they would hold these
            place.mkdir(exist_ok=True)
            with FileLock(place / runs.LOCK, timeout=PATIENCE):
                pass
        assert "running" in states(out), "the kill came too late to show anything"

        assert [outcome.error for outcome in study(out)] == [None, None, None]
        assert same_bits(out, undisturbed)

    def test_the_folder_tells_what_was_finished_before_an_interrupt(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real, told = work._trained, list[dict[str, str]]()

        def trained(*arguments: Any) -> Any:
            told.append(json.loads((tmp_path / SUMMARY).read_text()))
            return interrupted() if len(told) == 2 else real(*arguments)

        monkeypatch.setattr(work, "_trained", trained)
        with pytest.raises(KeyboardInterrupt):
            study(tmp_path, SHORT)
        assert list(told[1].values()) == ["finished", "unfinished", "unfinished"], "at once, not in the end"
        now = json.loads((tmp_path / SUMMARY).read_text())
        assert list(now.values()) == ["finished", "unfinished", "unfinished"]
        study(tmp_path, SHORT)
        assert told[2] == now, "the next call does not forget it as it begins"
        assert list(json.loads((tmp_path / SUMMARY).read_text()).values()) == ["finished"] * 3

    def test_a_killed_worker_stops_no_other(self, tmp_path: Path, undisturbed: Path) -> None:
        def kill() -> None:
            wait_for_new_checkpoint(tmp_path)
            (worker,) = multiprocessing.active_children()
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        outcomes = study(tmp_path, engine="local", jobs=1)
        killer.join()
        errors = [outcome.error for outcome in outcomes if outcome.error is not None]
        (error,) = errors
        assert error.startswith("its process was ended from outside (exit code -9), perhaps for want of memory")
        assert [row["error"] for row in certain(tmp_path)].count(error) == 1
        assert [outcome.error for outcome in study(tmp_path)] == [None] * 3
        assert same_bits(tmp_path, undisturbed)

    def test_a_second_study_on_the_folder_is_refused(self, tmp_path: Path, undisturbed: Path) -> None:
        out = tmp_path / "study"
        with started(out) as process:
            wait_for_new_checkpoint(out)
            with pytest.raises(UnbraidError, match=f"another study is running in .* .process {process.pid} on "):
                study(out)
            assert process.wait(timeout=PATIENCE) == 0
        assert same_bits(out, undisturbed)


class TestAgain:
    def test_what_is_finished_is_not_done_again(self, undisturbed: Path) -> None:
        """Nor where the runs are saved at other times, or computed elsewhere."""
        before = {place: (place / runs.WEIGHTS).stat().st_mtime_ns for place in places(undisturbed)}
        other = STUDY.replace("checkpoint_minutes: 0.001", "checkpoint_minutes: 3")
        assert [outcome.error for outcome in study(undisturbed, other)] == [None] * 3
        assert before == {place: (place / runs.WEIGHTS).stat().st_mtime_ns for place in places(undisturbed)}

    def test_a_study_can_be_extended_renamed_and_moved(self, tmp_path: Path) -> None:
        one = tmp_path / "one"
        study(one, SHORT)
        (first, *_) = places(one, SHORT)
        weights = (first / runs.WEIGHTS).stat().st_mtime_ns
        first.rename(one / "mine")
        one.rename(tmp_path / "two")
        wider = SHORT.replace("[1, 2, 3]", "[5, 1, 2, 3]").replace("[mig, kl]", "[mig, kl, sap]") + "seeds: 2\n"
        outcomes = study(tmp_path / "two", wider)
        assert len(outcomes) == 8 and not any(outcome.error for outcome in outcomes)
        assert outcomes[2].folder == tmp_path / "two" / "mine"
        assert (tmp_path / "two" / "mine" / runs.WEIGHTS).stat().st_mtime_ns == weights
        assert sum(path.is_dir() for path in (tmp_path / "two").iterdir()) == 8
        assert all(set(runs.read_scores(o.folder)["metrics"]) == {"mig", "kl", "sap"} for o in outcomes)

        study(tmp_path / "anew", wider)
        names = [
            {**row, "run": row["run"].replace("mine", outcomes[2].folder.name)} for row in certain(tmp_path / "two")
        ]
        plain = [{**row, "run": ""} for row in certain(tmp_path / "anew")]
        assert [{**row, "run": ""} for row in names] == plain

    @pytest.mark.parametrize("jobs", [-1])
    def test_no_jobs(self, tmp_path: Path, jobs: int) -> None:
        with pytest.raises(UnbraidError, match=f"jobs must be at least 1, not {jobs}"):
            study(tmp_path, jobs=jobs)

    def test_scores_are_taken_again_where_they_would_be_others(self, tmp_path: Path) -> None:
        def scored(text: str) -> list[float]:
            return [runs.read_scores(outcome.folder)["metrics"]["mig"]["score"] for outcome in study(tmp_path, text)]

        first = scored(SHORT)
        assert scored(SHORT.replace("points: 300", "points: 200")) != first
        other = SHORT.replace("scores:", "score_data: {n_balls: 2}\nscores:")
        assert scored(other) != first
        assert scored(SHORT) == first

    def test_scores_of_other_data_are_not_taken_for_these(
        self, tmp_path: Path, short: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Though the process is killed as it scores, one score alone is taken again, or the user takes one by hand."""
        folder = tmp_path / "run"
        shutil.copytree(places(short, SHORT)[0], folder)
        (folder / runs.SCORES).unlink()
        other, own = (Finish(("mig", "sap"), 300, data) for data in ({"n_balls": 2}, {}))
        own.make(folder)
        true = runs.read_scores(folder)["metrics"]
        other.make(folder)
        assert other.is_done(folder) and not own.is_done(folder)
        assert all(found["score"] != true[name]["score"] for name, found in runs.read_scores(folder)["metrics"].items())

        with monkeypatch.context() as killed:
            killed.setattr(evaluate, "score_run", interrupted)
            with pytest.raises(KeyboardInterrupt):
                own.make(folder)
        assert own.missing_scores(folder) == ["mig", "sap"]

        Finish(("mig",), 300, {}).make(folder)
        assert own.missing_scores(folder) == ["sap"]
        own.make(folder)
        assert runs.read_scores(folder)["metrics"] == true

        other.make(folder)
        evaluate.score_run(runs.load(folder), ["mig"], points=300)
        assert other.missing_scores(folder) == ["mig", "sap"] and own.missing_scores(folder) == ["sap"]
        run = runs.load(folder)
        evaluate.score_run(run, ["sap"], points=300, dataset=runs.load_data(run.config))
        assert own.missing_scores(folder) == ["mig", "sap"], "nobody knows what data set that was"

    def test_scores_of_older_versions_name_their_data_in_the_facts(self, tmp_path: Path, short: Path) -> None:
        folder = tmp_path / "run"
        shutil.copytree(places(short, SHORT)[0], folder)
        scores = json.loads((folder / runs.SCORES).read_text())
        (folder / runs.SCORES).write_text(json.dumps({k: scores[k] for k in ("seed", "points", "metrics")}))
        assert Finish(("mig", "kl"), 300, {}).is_done(folder)
        runs.write_facts(folder, {**runs.read_facts(folder), "score_data": {"n_balls": 2}})
        assert Finish(("mig", "kl"), 300, {"n_balls": 2}).is_done(folder)
        assert not Finish(("mig", "kl"), 300, {}).is_done(folder)

    def test_what_else_lies_in_the_folder_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "theirs").mkdir()
        (tmp_path / "theirs" / runs.CONFIG).write_text("of: another program\n")
        (tmp_path / "notes.txt").write_text("mine")
        assert [outcome.error for outcome in study(tmp_path, SHORT)] == [None] * 3
        assert (tmp_path / "theirs" / runs.CONFIG).read_text() == "of: another program\n"
        assert (tmp_path / "notes.txt").exists() and not (tmp_path / "set-aside").exists()

    def test_a_folder_whose_name_is_no_text_is_refused_before_anything_is_written(self, tmp_path: Path) -> None:
        with pytest.raises(UnbraidError, match="has bytes in its name that are no UTF-8"):
            study(tmp_path / "s\udcff", SHORT)
        assert not list(tmp_path.iterdir())

    def test_an_unknown_engine(self, tmp_path: Path) -> None:
        with pytest.raises(UnbraidError, match='no engine called "rai"; did you mean "ray"'):
            study(tmp_path, engine="rai")

    def test_a_logger_that_is_not_installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "mlflow", None)
        with pytest.raises(UnbraidError, match=r'the logger mlflow needs its package: pip install "unbraid\[mlflow\]"'):
            study(tmp_path / "study", "base: {data: balls, logger: mlflow}\n")
        assert not (tmp_path / "study").exists()

    def test_a_run_that_cannot_be_is_refused_before_any_is_begun(self, tmp_path: Path) -> None:
        with pytest.raises(UnbraidError, match='line 4: there is no model called "baals_conv"'):
            study(tmp_path, STUDY.replace("balls_conv", "baals_conv"))
        assert list(tmp_path.iterdir()) == []


class TestStacks:
    def test_runs_that_can_be_one_program_are_grouped(self) -> None:
        text = SHORT.replace("grid:\n", "grid:\n  batch_size: [8, 16]\n") + "seeds: 2\n"
        cells = grid.cells(file.parse(text, "small", ""), "")
        chosen = range(len(cells))
        assert grouped(cells, chosen, Options()) == [[n] for n in chosen], "a CPU is quicker with each alone"
        assert grouped(cells, chosen, Options(stack=99)) == [list(range(6)), list(range(6, 12))]
        assert grouped(cells, chosen, Options(stack=4)) == [[0, 1, 2, 3], [4, 5], [6, 7, 8, 9], [10, 11]]
        assert grouped(cells, [1, 2, 7], Options(stack=4)) == [[1, 2], [7]]

    def test_on_a_cluster_this_machine_is_not_asked_for_its_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        cells = grid.cells(file.parse(SHORT.replace("device: cpu", "device: cuda"), "small", ""), "")
        assert grouped(cells, range(3), Options(), "ray") == [[0, 1, 2]]
        assert grouped(cells, range(3), Options(stack=2), "ray") == [[0, 1], [2]]
        with pytest.raises(UnbraidError, match='the device "cuda" is not on this machine'):
            grouped(cells, range(3), Options())
        cells = grid.cells(file.parse(SHORT, "small", ""), "")
        assert grouped(cells, range(3), Options(), "ray") == [[0], [1], [2]]

    def test_a_stack_is_its_runs_but_for_rounding(self, tmp_path: Path, short: Path) -> None:
        assert [outcome.error for outcome in study(tmp_path, SHORT, stack=3)] == [None] * 3
        for one, other in zip(certain(tmp_path), certain(short), strict=True):
            assert one["run"] == other["run"] and one["final.loss"] == pytest.approx(other["final.loss"], rel=1e-4)

    def test_a_member_that_fails_leaves_the_others(self, tmp_path: Path) -> None:
        outcomes = study(tmp_path, FAILING.replace("steps: 300", "steps: 20"), stack=4)
        assert [outcome.error is None for outcome in outcomes] == [True, True, False, True]


class TestHalfWritten:
    """A file that a power cut left half done, or a disk that lost its end."""

    @pytest.mark.parametrize(
        "name", [runs.CONFIG, runs.FACTS, runs.WEIGHTS, runs.LOG, runs.SCORES, TABLE, SUMMARY, runs.ERROR]
    )
    def test_of_a_finished_study(self, tmp_path: Path, short: Path, name: str) -> None:
        study(tmp_path, SHORT)
        place = places(tmp_path, SHORT)[1]
        file = (tmp_path if name in (TABLE, SUMMARY) else place) / name
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2] if file.exists() else b'{"err')
        assert [outcome.error for outcome in study(tmp_path, SHORT)] == [None] * 3
        assert same_bits(tmp_path, short)
        aside = list((tmp_path / "set-aside").glob("*")) if (tmp_path / "set-aside").exists() else []
        assert len(aside) == (name in (runs.CONFIG, runs.FACTS, runs.WEIGHTS, runs.LOG)), "kept, and out of the way"

    def test_nothing_is_set_aside_out_of_the_study(self, tmp_path: Path) -> None:
        out = tmp_path / "study"
        study(out, SHORT)
        (places(out, SHORT)[1] / runs.WEIGHTS).write_bytes(b"half")
        (tmp_path / "elsewhere").mkdir()
        try:
            (out / "set-aside").symlink_to(tmp_path / "elsewhere")
        except OSError:
            pytest.skip("this system makes no links")
        with pytest.raises(UnbraidError, match="set-aside is a symbolic link out of the study"):
            study(out, SHORT)
        assert not list((tmp_path / "elsewhere").iterdir())

    @needs_signals
    def test_of_a_killed_one(self, tmp_path: Path, undisturbed: Path) -> None:
        out = tmp_path / "study"
        with started(out) as process:
            wait_for_new_checkpoint(out)
            process.kill()
        (place, *_) = [place for place in places(out) if (place / runs.CHECKPOINT).exists()]
        with FileLock(place / runs.LOCK, timeout=PATIENCE):
            content = (place / runs.CHECKPOINT).read_bytes()
            (place / runs.CHECKPOINT).write_bytes(content[: len(content) // 2])
            (place / f".{runs.CHECKPOINT}.1-0123abcd.tmp").write_bytes(content[:9])
            (place / "figures").mkdir()
            (place / "figures" / ".x.png.1-0123abcd.tmp").touch()
            (place / ".pictures.1-0123abcd.tmp").mkdir()  # of a killed `unbraid decode`
        (out / f".{TABLE}.1-0123abcd.tmp").touch()
        for left in out.rglob(".*.tmp"):
            os.utime(left, (0, 0))
        new = place / "figures" / ".y.png.2-0123abcd.tmp"  # somebody may be writing it
        new.touch()
        assert [outcome.error for outcome in study(out)] == [None] * 3
        assert same_bits(out, undisturbed)
        assert [path.name for path in out.rglob("*.tmp")] == [new.name]

    def test_a_spoiled_log_of_an_unfinished_run(self, tmp_path: Path) -> None:
        """Set aside like that of a finished one; a line that a kill cut off is no damage."""
        study(tmp_path, SHORT)
        (cut, spoiled, _) = places(tmp_path, SHORT)
        for place in (cut, spoiled):
            tensors, metadata = runs.load_tensors(place / runs.WEIGHTS)
            runs.save_tensors(place / runs.CHECKPOINT, tensors, metadata)
            (place / runs.WEIGHTS).unlink()
            runs.write_facts(place, {**runs.read_facts(place), "state": "stopped"})
        (cut / runs.LOG).write_bytes((cut / runs.LOG).read_bytes()[:-9])
        (spoiled / runs.LOG).write_bytes(b"\xff\xfe" * 40)
        cells = grid.cells(file.parse(SHORT, "small", ""), "")
        assert prepared(cells, tmp_path) == places(tmp_path, SHORT)
        assert cut.exists() and not spoiled.exists()
        assert [path.name for path in (tmp_path / "set-aside").iterdir()] == [f"{spoiled.name}-1"]

    def test_a_config_that_was_edited_is_another_run(self, tmp_path: Path, short: Path) -> None:
        study(tmp_path, SHORT)
        place = places(tmp_path, SHORT)[0]
        text = (place / runs.CONFIG).read_text()
        (place / runs.CONFIG).write_text(text.replace("beta: 1.0", "beta: 9.0"))
        study(tmp_path, SHORT)
        assert same_bits(tmp_path, short)
