"""The table of a study, its order, and what `--where` keeps of it."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from unbraid import runs, tables
from unbraid.cli import main
from unbraid.config import resolve
from unbraid.errors import UnbraidError
from unbraid.files import write_json
from unbraid.metrics import METRICS
from unbraid.study import folders, table
from unbraid.study.filtering import where


def run(out: Path, name: str, scores: dict[str, float] | None = None, **settings: Any) -> None:
    """A run folder with what the table reads."""
    config = resolve({"data": "balls", "steps": 20, **settings})
    runs.write_config(out / name, config)
    facts = {"state": "finished", "step": 20, "seconds": 1.5, "device": "cpu", "torch": "2.0", "python": "3.11"}
    runs.write_facts(out / name, facts)
    (out / name / runs.LOG).write_text(
        "step,seconds,images_per_s,loss,recon,lr,kl_0\n10,1,5,9,8,1,2\n20,2,6,7,6.5,1,2\n"
    )
    if scores:
        metrics = {
            metric: {"score": value, "parts": {"part": value / 2}, "matrices": {}} for metric, value in scores.items()
        }
        write_json(out / name / runs.SCORES, {"seed": 0, "metrics": metrics})


@pytest.fixture
def out(tmp_path: Path) -> Path:
    run(tmp_path, "b", {"mig": 0.1, "reconstruction": 20.0}, beta=4)
    run(tmp_path, "a", {"mig": 0.3, "reconstruction": 30.0}, beta=1)
    run(tmp_path, "c", objective="annealed_vae", capacity="linear(0, 5, steps=10)", gamma=3)
    write_json(tmp_path / folders.SUMMARY, {"c": "finished", "b": "finished", "gone": "finished"})
    return tmp_path


def names(rows: list[table.Row]) -> list[str]:
    return [row["run"] for row in rows]


class TestRows:
    def test_are_those_of_the_study_in_its_order_and_then_others(self, out: Path) -> None:
        assert names(table.rows(out)) == ["c", "b", "a"]

    def test_say_what_each_run_is_and_what_came_out(self, out: Path) -> None:
        row = table.rows(out)[1]
        assert (row["state"], row["beta"], row["objective"], row["error"]) == ("finished", 4, "beta_vae", None)
        assert (row["final.loss"], row["final.recon"], row["score.mig"], row["score.mig.part"]) == (7, 6.5, 0.1, 0.05)
        assert (row["measured.seconds"], row["measured.images_per_s"], row["measured.device"]) == (1.5, 6, "cpu")
        assert row["gamma"] is None and "device" not in row and "final.kl_0" not in row
        assert all(list(each) == list(row) for each in table.rows(out))

    def test_a_damaged_run_is_a_row_that_says_so(self, out: Path) -> None:
        (out / "a" / runs.FACTS).write_text("{")
        row = table.rows(out)[2]
        assert row["state"] == "damaged" and "damaged" in row["error"] and row["beta"] is None

    def test_no_study(self, tmp_path: Path) -> None:
        with pytest.raises(UnbraidError, match="is not the folder of a study: it holds no run"):
            table.rows(tmp_path)


class TestFiles:
    def test_parquet_holds_the_same(self, out: Path) -> None:
        read = parquet.read_table(table.write(out)).to_pylist()
        expected = table.rows(out)
        assert [{**row, "capacity": None} for row in read] == [{**row, "capacity": None} for row in expected]
        assert read[0]["capacity"] == "linear(0, 5, steps=10)"

    def test_parquet_of_numbers_and_schedules_is_text(self, out: Path) -> None:
        run(out, "d", objective="annealed_vae", capacity=5, gamma=3)
        assert [row["capacity"] for row in parquet.read_table(table.write(out)).to_pylist()] == [
            "linear(0, 5, steps=10)",
            None,
            None,
            "5.0",
        ]

    def test_csv(self, out: Path) -> None:
        table.write_csv(out / "table.csv", table.rows(out))
        with (out / "table.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert [row["score.mig"] for row in rows] == ["", "0.1", "0.3"]

    def test_what_a_terminal_shows(self, out: Path) -> None:
        columns, rows, _ = table.shown(table.rows(out)[1:])
        assert columns == ["run", "beta", "mig", "reconstruction", "seconds"]
        assert rows == [["b", 4, 0.1, 20, 1.5], ["a", 1, 0.3, 30, 1.5]]

    def test_a_terminal_without_room_shows_what_matters_most(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        scores = dict.fromkeys(METRICS, 0.125)
        for number, name in enumerate(("a" * 30, "b" * 30)):
            run(tmp_path, name, scores, beta=number, latent_dim=3 + number, lr=f"cosine(1e-3, 0, steps={number + 10})")
        tables.show_fitting(*table.shown(table.rows(tmp_path), "irs"))
        first, *_, last = capsys.readouterr().out.splitlines()
        assert {"run", "irs", "beta", "latent_dim", "lr", "beta_vae", "mig"} <= set(first.split())
        assert "unsupervised" not in first and last.startswith("no room for ") and "unsupervised" in last
        assert len(first) <= 140

    def test_runs_that_have_not_begun_are_counted(self, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_json(out / folders.SUMMARY, {"a": "finished", "b": "finished", "c": "unfinished", "d": "unfinished"})
        assert main(["table", str(out)]) == 0
        assert capsys.readouterr().out.startswith("1 of the study still to begin\n")
        write_json(out / folders.SUMMARY, {"a": "finished", "renamed": "finished", "d": "no disk"})
        assert table.not_begun(out) == 0, "finished under another name, or failed before it had a folder"

    def test_what_cannot_be_kept_is_shown(self, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (out / folders.TABLE).mkdir()  # as little writable as in a study of somebody else's
        assert main(["table", str(out)]) == 0
        said = capsys.readouterr().out
        assert "reconstruction" in said and f"the table is not kept in {out / folders.TABLE}: " in said


class TestOrder:
    @pytest.mark.parametrize(
        ("column", "order"),
        [
            ("mig", "abc"),
            ("score.mig", "abc"),
            ("reconstruction", "bac"),  # lower is better
            ("beta", "bac"),
            ("objective", "cba"),
            ("loss", "cba"),  # all equal: as they were
        ],
    )
    def test_the_best_first_and_the_unknown_last(self, out: Path, column: str, order: str) -> None:
        assert "".join(names(table.ordered(table.rows(out), column))) == order

    def test_no_kl_is_the_best(self, out: Path) -> None:
        """The least is that of a model that tells nothing: as of a setting, the largest value first."""
        run(out, "b", {"kl": 0.0}, beta=4)
        run(out, "a", {"kl": 9.0}, beta=1)
        assert "".join(names(table.ordered(table.rows(out), "kl"))) == "abc"

    def test_no_such_column(self, out: Path) -> None:
        with pytest.raises(UnbraidError, match='the table has no column "migg"; did you mean "mig"'):
            table.ordered(table.rows(out), "migg")


class TestWhere:
    @pytest.mark.parametrize(
        ("condition", "kept"),
        [
            ("beta>1", "b"),
            ("beta >= 1", "ba"),
            ("beta<4 and mig>0.2", "a"),
            ("objective==annealed_vae", "c"),
            ("objective != 'annealed_vae' and beta == 4.0", "b"),
            ('capacity="linear(0, 5, steps=10)"', "c"),
            ("mig<=0.1", "b"),
            ("seed=0", "cba"),
            ("objective>3", ""),  # text has no order with a number
            ("final.loss>100", ""),
            ("run==brand", ""),  # the word "and" stands alone only
        ],
    )
    def test_keeps(self, out: Path, condition: str, kept: str) -> None:
        assert "".join(names(where(table.rows(out), condition))) == kept

    @pytest.mark.parametrize(
        ("condition", "kept"),
        [
            ("beta>0", "ab"),
            ("beta<=4", "ab"),
            ("beta>a", ""),
            ("beta==4", "b"),
            ("beta!=4", "as"),
            ("beta=='linear(0, 1, steps=40)'", "s"),
        ],
    )
    def test_a_schedule_is_neither_above_nor_below_a_number(self, tmp_path: Path, condition: str, kept: str) -> None:
        for name, beta in (("a", 1), ("b", 4), ("s", "linear(0, 1, steps=40)")):
            run(tmp_path, name, beta=beta)
        assert "".join(names(where(table.rows(tmp_path), condition))) == kept

    @pytest.mark.parametrize(
        ("condition", "kept"),
        [
            ('x=="a and b"', "1"),
            ("x=='a and b' and y==1", "1"),
            ("y>0 and x=='a and b'", "1"),
            ('x!="a and b" and y>1', "2"),
            ("x==it's and y==2", "2"),
        ],
    )
    def test_the_word_and_within_quotes_is_of_the_value(self, condition: str, kept: str) -> None:
        rows = [{"run": "1", "x": "a and b", "y": 1}, {"run": "2", "x": "it's", "y": 2}]
        assert "".join(names(where(rows, condition))) == kept

    @pytest.mark.parametrize(
        "condition",
        [
            "beta",
            "beta>",
            ">4",
            "beta>4 or mig>1",
            "__import__('os')",
            "beta>4 and",
            "",
            "beta**2>3",
            "beta>>1",
            "a=!b",
        ],
    )
    def test_refuses_what_is_no_comparison(self, out: Path, condition: str) -> None:
        with pytest.raises(UnbraidError, match="is not a comparison: write name"):
            where(table.rows(out), condition)

    def test_refuses_text_for_numbers(self, out: Path) -> None:
        with pytest.raises(UnbraidError, match='"beta>four": beta holds numbers, and four is none'):
            where(table.rows(out), "mig>0 and beta>four")

    def test_refuses_an_unknown_column(self, out: Path) -> None:
        with pytest.raises(UnbraidError, match='no column "bta"; did you mean "beta"'):
            where(table.rows(out), "bta>3")


def test_a_damaged_summary_is_no_order(out: Path) -> None:
    (out / folders.SUMMARY).write_text(json.dumps({"c": 1})[:-1])
    assert names(table.rows(out)) == ["a", "b", "c"]
