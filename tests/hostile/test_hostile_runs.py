"""Run folders that were made to harm: loaded as they are meant, or refused in a sentence; nothing written outside."""

import json
import os
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import costs
import pytest
import torch
import yaml
from fuzzing import FEW, MANY, READERS, accepted, cases, edited, edits, paths, replaced, values, written
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from small_runs import small_run, squares

from unbraid import pictures, runs, training
from unbraid.cli import main
from unbraid.errors import UnbraidError
from unbraid.metrics import Result
from unbraid.study import folders, table
from unbraid.study.presets import PRESETS

pytest.importorskip("resource", reason="needs POSIX, which has pipes")

BALLS = ["--data", "balls", "--size", "8", "--model", "balls_conv", "--latent-dim", "3", "--batch-size", "8"]
needs_links = pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "run"
    run = small_run("beta_vae", folder)
    matrix = [[0.5, 0.1, 0.0], [0.0, 0.2, 0.3], [0.1, 0.1, 0.9]]
    runs.write_scores(folder, {"mig": Result(0.5, {"x": 0.25}, {"gaps": torch.tensor(matrix).numpy()})}, 0)
    trainer = training.Trainer(run.config, squares(), torch.device("cpu"))
    trainer.step(0)
    statistics = {"posterior_variance": [0.1, 0.5, 1.0], "kl_per_latent": [2.0, 0.5, 0.0], "elbo": -9.5, "kl": 2.5}
    information = {"factor_names": ["size", "x", "y"], "normalised_mutual_information": matrix}
    runs.write_statistics(folder, statistics | information)
    runs.write_error(folder, "the loss was not finite at step 7")
    (folder / folders.SUMMARY).write_text(json.dumps({"run": "finished", "other": "the loss was not finite"}))
    metadata = {"step": 1, "seconds": 0.5, "summed": 1}
    runs.save_tensors(folder / runs.CHECKPOINT, trainer.checkpoint(), metadata)
    return folder


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    copytree(good, tmp_path / "run")
    return tmp_path / "run"


# ---- generated ----


TREES: dict[
    str, tuple[Callable[[str], Any], Callable[[Any], str]]
] = {  # readers of trees: how such are read and written
    "facts": (json.loads, json.dumps),
    "scores": (json.loads, json.dumps),
    "statistics": (json.loads, json.dumps),
    "error": (json.loads, json.dumps),
    "summary": (json.loads, json.dumps),
    "run_config": (yaml.safe_load, yaml.safe_dump),
}
GENERATED = (*TREES, "weights", "checkpoint", "log")


def check(name: str, good: Path, folder: Path, number: int) -> None:
    """So many cases of one reader: half with other bytes, half with other content."""
    file, reader = READERS[name]
    content = (good / file).read_bytes()

    def spoiled(made: bytes) -> None:
        written(folder / file, made)
        accepted(lambda: reader(folder))

    @cases(number // 2)
    @given(edits)
    def other_bytes(changes: list[tuple[float, int, bytes]]) -> None:
        spoiled(edited(content, changes))

    other_bytes()
    if name in TREES:
        load, dump = TREES[name]
        other_nodes(load(content.decode()), dump, spoiled, number // 2)
    elif name == "log":
        other_rows(spoiled, number // 2)
    else:
        other_headers(content, spoiled, number // 2)


def other_nodes(tree: Any, dump: Callable[[Any], str], spoiled: Callable[[bytes], None], number: int) -> None:
    @cases(number)
    @given(st.sampled_from(paths(tree)), values)
    def changed(node: tuple[Any, ...], new: Any) -> None:
        try:
            made = dump(replaced(tree, node, new)).encode("utf-8", "surrogatepass")
        except ValueError:  # a number that Python does not print
            return
        spoiled(made)

    changed()


def other_headers(content: bytes, spoiled: Callable[[bytes], None], number: int) -> None:
    length = struct.unpack("<Q", content[:8])[0]
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]

    @cases(number)
    @given(st.sampled_from(paths(header)), values, st.just(0) | st.integers(-2, 2) | st.integers(0, 2**64 - 1))
    def changed(node: tuple[Any, ...], new: Any, off: int) -> None:
        try:
            made = json.dumps(replaced(header, node, new)).encode()
        except ValueError:
            return
        spoiled(struct.pack("<Q", max(len(made) + off, 0) if abs(off) < 3 else off) + made + body)

    changed()


def other_rows(spoiled: Callable[[bytes], None], number: int) -> None:
    cells = st.sampled_from(["step", "kl", "", "1", "1e999", "nan", "-", '"', "\0"])

    @cases(number)
    @given(st.lists(st.lists(cells, max_size=4)))
    def changed(rows: list[list[str]]) -> None:
        spoiled("\n".join(map(",".join, rows)).encode())

    changed()


@pytest.mark.parametrize("name", GENERATED)
def test_generated(good: Path, folder: Path, name: str) -> None:
    check(name, good, folder, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATED)
def test_many_generated(good: Path, folder: Path, name: str) -> None:
    with costs.room(costs.MEMORY):
        check(name, good, folder, MANY)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_atheris_finds_nothing(good: Path, folder: Path, tmp_path: Path, name: str) -> None:
    """Inputs guided by the lines they reach, from a good file on; slow ones and those of much memory are found too."""
    pytest.importorskip("atheris")
    file, _ = READERS[name]
    sound = {"config": good / runs.CONFIG, "study": PRESETS["balls"]}.get(name, good / file)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "good").write_bytes(sound.read_bytes())
    program = Path(__file__).with_name("guided.py")
    options = [
        f"-runs={MANY}",
        f"-timeout={costs.PATIENCE}",
        "-rss_limit_mb=1024",
        "-seed=1",
        "-max_len=20000",
        "-verbosity=0",
    ]
    command = [sys.executable, str(program), name, str(folder), str(tmp_path / "corpus"), *options]
    beside = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}  # what the tests share is on pytest's path alone
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=beside)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-4_000:]


# ---- made by hand ----


class TestWeights:
    def refused(self, folder: Path) -> str:
        with pytest.raises(UnbraidError) as refusal:
            runs.load(folder)
        sentence = str(refusal.value)
        assert "\n" not in sentence and len(sentence) < 600
        return sentence

    def test_a_pickle_by_another_name(self, folder: Path, tmp_path: Path) -> None:
        trap = b"cposix\nsystem\n(S'touch " + str(tmp_path / "sprung").encode() + b"'\ntR."
        for content in (trap, b"\x80\x02" + trap, b"PK\x03\x04" + trap):
            written(folder / runs.WEIGHTS, content)
            assert "cannot read" in self.refused(folder)
        assert not (tmp_path / "sprung").exists()

    @pytest.mark.parametrize("length", [2**64 - 1, 2**63, 2**40, 100_000_001, 99_999_999, 1_000_001])
    def test_a_header_that_says_it_is_long(self, folder: Path, length: int) -> None:
        written(folder / runs.WEIGHTS, struct.pack("<Q", length) + b"{}")
        assert f"its header would be {length:,} bytes long" in self.refused(folder)

    def test_a_header_that_is_long(self, folder: Path) -> None:
        """A hundred megabytes of tensors without a byte in them."""
        tensors = ",".join(f'"{n}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for n in range(1_600_000))
        header = b"{" + tensors.encode() + b"}"
        written(folder / runs.WEIGHTS, struct.pack("<Q", len(header)) + header)
        assert "its header would be" in self.refused(folder)

    @pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.int64, torch.uint8, torch.bool])
    def test_numbers_of_another_type(self, folder: Path, kind: torch.dtype) -> None:
        tensors = load_file(folder / runs.WEIGHTS)
        name = next(iter(tensors))
        save_file({**tensors, name: tensors[name].to(kind)}, folder / runs.WEIGHTS)
        assert f"{name.removeprefix('model.')} must hold finite numbers of type torch.float32" in self.refused(folder)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    def test_numbers_that_are_none(self, folder: Path, value: float) -> None:
        tensors = load_file(folder / runs.WEIGHTS)
        name = next(iter(tensors))
        tensors[name].view(-1)[0] = value
        save_file(tensors, folder / runs.WEIGHTS)
        assert "must hold finite numbers" in self.refused(folder)

    def test_swapped_with_those_of_another_run(self, folder: Path, tmp_path: Path) -> None:
        other = small_run("beta_vae", tmp_path / "other", latent_dim=4, steps=2)
        (folder / runs.WEIGHTS).write_bytes((other.path / runs.WEIGHTS).read_bytes())
        assert "does not fit the model of its config" in self.refused(folder)
        (folder / runs.WEIGHTS).write_bytes((other.path / runs.LOG).read_bytes())
        assert "cannot read" in self.refused(folder)


class TestCheckpoints:
    @pytest.mark.parametrize(
        ("changes", "metadata"),
        [
            ({}, {"step": 0}),
            ({}, {"step": 10**6}),
            ({}, {"step": "many"}),
            ({}, {"seconds": -1}),
            ({}, {"seconds": "inf"}),
            ({}, {"summed": 0}),
            ({}, {"summed": None}),
            ({"optimizer0.-1.exp_avg": torch.zeros(1)}, {}),
            ({"optimizer0.99.exp_avg": torch.zeros(1)}, {}),
            ({"optimizer0.0.other": torch.zeros(1)}, {}),
            ({"optimizer0.0.exp_avg": torch.zeros(1)}, {}),
            ({"optimizer0.0.step": torch.zeros(1000)}, {}),
            ({"optimizer1.0.step": torch.zeros(())}, {}),
            ({"optimizer0.0.exp_avg": None}, {}),
            ({"sums.loss": torch.zeros(7)}, {}),
            ({"other": torch.zeros(7)}, {}),
        ],
    )
    def test_of_another_trainer(
        self, folder: Path, changes: dict[str, torch.Tensor | None], metadata: dict[str, Any]
    ) -> None:
        tensors, before = runs.load_tensors(folder / runs.CHECKPOINT)
        made = {name: tensor for name, tensor in (tensors | changes).items() if tensor is not None}
        runs.save_tensors(folder / runs.CHECKPOINT, made, before | metadata)
        runs.write_facts(folder, {**runs.read_facts(folder), "state": "stopped"})
        with pytest.raises(UnbraidError, match=r"checkpoint.safetensors is damaged or of another run") as refused:
            training.resume(folder, data=squares(), show_progress=False)
        assert "\n" not in str(refused.value)

    def test_tensors_larger_than_those_of_the_run(self, folder: Path) -> None:
        """Three gigabytes of nothing, which take no room on the disk."""
        length, size = b'{"a": {"dtype": "U8", "shape": [%d], "data_offsets": [0, %d]}}', 3 * 2**30
        header = length % (size, size)
        with (folder / runs.CHECKPOINT).open("wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            file.truncate(8 + len(header) + size)
        runs.write_facts(folder, {**runs.read_facts(folder), "state": "stopped"})
        with costs.room(2**27):
            with pytest.raises(UnbraidError, match=r"has 3,221,225,\d+ bytes, and that of this run has at most \d,"):
                training.resume(folder, data=squares(), show_progress=False)
            (folder / runs.CHECKPOINT).replace(folder / runs.WEIGHTS)
            with pytest.raises(UnbraidError, match="does not fit the model of its config"):
                runs.load(folder)


class TestShapes:
    @pytest.mark.parametrize("model", ["balls_conv", "mlp", "balls_fc", "burgess", "locatello", "balls_all_conv"])
    def test_no_memory_is_taken_for_a_model_that_does_not_fit(self, folder: Path, model: str) -> None:
        """Images of 4096 x 4096 x 4096 would take 10^17 weights."""
        config = yaml.safe_load((folder / runs.CONFIG).read_text())
        config.pop("width", None)
        (folder / runs.CONFIG).write_text(yaml.safe_dump({**config, "model": model}))
        runs.write_facts(folder, {**runs.read_facts(folder), "image_shape": [4096, 4096, 4096]})
        with (
            costs.room(2**27),
            pytest.raises(
                UnbraidError,
                match=r"does not fit the model of its config|cannot take|no array is large|latents per channel",
            ),
        ):
            runs.load(folder)

    @pytest.mark.parametrize("shape", [[True, 16, 16], [1.0, 16, 16], [1, -16, 16], [1, 16, 4097], {"0": 1}, "1"])
    def test_shapes_that_are_none(self, folder: Path, shape: Any) -> None:
        runs.write_facts(folder, {**runs.read_facts(folder), "image_shape": shape})
        with pytest.raises(UnbraidError, match="image_shape must be three whole numbers"):
            runs.load(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
class TestPipes:
    """Whoever opened one would wait for somebody to write into it."""

    @pytest.mark.parametrize("name", [runs.FACTS, runs.WEIGHTS, runs.LOG, runs.SCORES, runs.STATISTICS, runs.ERROR])
    def test_in_a_run(self, folder: Path, name: str) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
        with pytest.raises(UnbraidError, match=f"{name} is a pipe or a device: give a file"):
            runs.load(folder)

    def test_where_nothing_else_was_read_before(self, folder: Path) -> None:
        (folder / runs.STATISTICS).unlink()
        os.mkfifo(folder / runs.STATISTICS)
        with pytest.raises(UnbraidError, match="is a pipe or a device: give a file"):
            runs.read_statistics(folder)
        (folder / runs.WEIGHTS).unlink()
        os.mkfifo(folder / runs.WEIGHTS)
        with pytest.raises(UnbraidError, match="is a pipe or a device: give a file"):
            runs.load_tensors(folder / runs.WEIGHTS)

    def test_the_summary_of_a_study(self, folder: Path) -> None:
        os.mkfifo(folder.parent / folders.SUMMARY)
        assert [row["run"] for row in table.rows(folder.parent)] == ["run"]


@pytest.mark.parametrize("text", ["[" * 1_000_000, '{"a":' * 100_000, "[]", "{" + " " * 16_000_000 + "}", "\xff"])
def test_a_summary_of_a_study_that_is_none(folder: Path, text: str) -> None:
    """It tells the order of the runs and nothing else."""
    (folder.parent / folders.SUMMARY).write_text(text, encoding="latin1")
    assert [row["run"] for row in table.rows(folder.parent)] == ["run"]


class TestSizes:
    @pytest.mark.parametrize(
        ("file", "size", "read"),
        [
            (runs.FACTS, 4_000_000, runs.read_facts),
            (runs.SCORES, 4_000_000, runs.read_scores),
            (runs.STATISTICS, 4_000_000, runs.read_statistics),
            (runs.LOG, 2**30, runs.read_log),
        ],
    )
    def test_files_far_too_large_are_not_read(
        self, folder: Path, file: str, size: int, read: Callable[[Path], object]
    ) -> None:
        with written(folder / file, b"{").open("rb+") as stream:
            stream.truncate(size + 1)  # the rest is a hole
        with pytest.raises(UnbraidError, match="damaged"):
            read(folder)

    @pytest.mark.parametrize(
        "content",
        [
            b"," * 15_000_000,
            b"\n" * 15_000_000,
            b"step\n" + b"\n" * 15_000_000,
            b"step," * 12_000 + b"loss\n",
            b"step,loss\n" + b"1," * 7_000_000,
            b"step\n" + b"1" * 15_000_000,
        ],
        ids=["names", "lines", "blank", "columns", "cells", "number"],
    )
    def test_logs_of_a_form_that_takes_long(self, folder: Path, content: bytes) -> None:
        """Within the bytes that a log may have."""
        written(folder / runs.LOG, content)
        tracemalloc.start()
        try:
            with costs.bounded():
                assert runs.last_row(folder) == {}
                with pytest.raises(UnbraidError, match=r"log.csv is damaged"):
                    runs.read_log(folder)
                if content.startswith((b",", b"\n", b"step,step")):
                    with pytest.raises(UnbraidError, match=r"log.csv is damaged"):
                        runs.Log(folder, 10)
            assert tracemalloc.get_traced_memory()[1] < 2**28
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("size", [2**29, 2**32])
    @pytest.mark.parametrize("content", [b"", b"step,loss\n"])
    def test_a_log_of_holes(self, folder: Path, size: int, content: bytes) -> None:
        with (folder / runs.LOG).open("wb") as file:
            file.write(content)
            file.truncate(size)
        with costs.bounded():
            assert runs.last_row(folder) == {}
            for read in (runs.read_log, lambda folder: runs.Log(folder, 10)):
                with pytest.raises(UnbraidError, match=r"log.csv is damaged"):
                    read(folder)

    @pytest.mark.parametrize(
        "text",
        [
            '{"metrics": NaN}',
            '{"metrics": {"mig": {"score": 1e999, "parts": {}, "matrices": {}}}}',
            "[" * 1_000_000,
            '{"a":' * 100_000,
        ],
    )
    def test_json_that_is_none(self, folder: Path, text: str) -> None:
        (folder / runs.SCORES).write_text(text)
        with pytest.raises(UnbraidError, match="damaged"):
            runs.read_scores(folder)

    @pytest.mark.parametrize("number", ["1" * 31, "1e999", "-1e999"])
    def test_numbers_beyond_floats(self, folder: Path, number: str) -> None:
        for file, read in ((runs.FACTS, runs.read_facts), (runs.STATISTICS, runs.read_statistics)):
            (folder / file).write_text(f'{{"seconds": {number}}}')
            with pytest.raises(UnbraidError, match="is damaged"):
                read(folder)
        (folder / runs.SCORES).write_text(f'{{"metrics": {{"mig": {{"score": {number}}}}}}}')
        with pytest.raises(UnbraidError, match="is damaged"):
            runs.read_scores(folder)

    @pytest.mark.parametrize(
        "metric",
        [
            5,
            None,
            {"score": 1.0},
            {"score": "1", "parts": {}, "matrices": {}},
            {"score": True, "parts": {}, "matrices": {}},
            {"score": 1, "parts": {"a": None}, "matrices": {}},
            {"score": 1, "parts": {}, "matrices": {"a": [[1], [1, 2]]}},
            {"score": 1, "parts": {}, "matrices": {"a": [["1"]]}},
            {"score": 1, "parts": {}, "matrices": {"a": [1]}},
        ],
    )
    def test_scores_that_are_none(self, folder: Path, metric: Any) -> None:
        (folder / runs.SCORES).write_text(json.dumps({"seed": 0, "metrics": {"mig": metric}}))
        with pytest.raises(UnbraidError, match="every metric must have a score, parts and matrices of numbers"):
            runs.read_scores(folder)


@pytest.fixture(scope="module")
def balls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose data need not be passed in."""
    folder = tmp_path_factory.mktemp("balls") / "run"
    assert main(["train", *BALLS, "--steps", "40", "--log-every", "10", "--device", "cpu", "--out", str(folder)]) == 0
    assert main(["score", str(folder), "--metrics", "irs"]) == 0
    return folder


def everything(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


COMMANDS = (["figures", "RUN"], ["score", "RUN", "--metrics", "irs"], ["train", "--resume", "RUN"])


class TestCommands:
    """The program on spoiled folders: a code and a line, and never a file anywhere else."""

    @pytest.fixture
    def spoiled(self, balls: Path, tmp_path: Path) -> Path:
        copytree(balls, tmp_path / "in" / "run")
        return tmp_path / "in" / "run"

    def refused(self, capsys: pytest.CaptureFixture[str], command: list[str], folder: Path) -> str:
        capsys.readouterr()
        assert main([str(folder) if each == "RUN" else each for each in command]) == 2
        *_, last = capsys.readouterr().err.splitlines()
        assert last.startswith("unbraid: ") and last.isprintable()
        return last

    @needs_links
    @pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
    @pytest.mark.parametrize(
        "name",
        [
            runs.FIGURES,
            runs.EXPORT,
            runs.STATISTICS,
            runs.TENSORBOARD,
            runs.LOG,
            runs.SCORES,
            runs.FACTS,
            runs.WEIGHTS,
            runs.CONFIG,
            runs.LOCK,
        ],
    )
    def test_links_out_of_the_folder(
        self, spoiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str], name: str
    ) -> None:
        """What the run would write would be written there."""
        outside = tmp_path / "precious"
        if (spoiled / name).exists():
            (spoiled / name).rename(outside)
        (spoiled / name).symlink_to(outside)
        before = everything(tmp_path)
        assert f"{name} is a symbolic link out of the run folder" in self.refused(capsys, command, spoiled)
        assert everything(tmp_path) == before and outside.exists() == any(str(outside) in each for each in before)

    @needs_links
    @pytest.mark.parametrize("name", [runs.SCORES, runs.FIGURES])
    def test_links_in_a_circle(self, spoiled: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
        if (spoiled / name).exists():
            (spoiled / name).rename(spoiled / "other")
        (spoiled / name).symlink_to(name)
        for command in (["report", "RUN"], ["export", "RUN"], ["score", "RUN", "--metrics", "irs"]):
            assert "is a symbolic link out of the run folder" in self.refused(capsys, command, spoiled)

    @needs_links
    def test_links_within_the_folder_and_to_it(self, spoiled: Path, tmp_path: Path) -> None:
        (spoiled / runs.WEIGHTS).rename(spoiled / "best")
        (spoiled / runs.WEIGHTS).symlink_to("best")
        (tmp_path / "link").symlink_to(spoiled)
        assert main(["score", str(tmp_path / "link"), "--metrics", "kl"]) == 0

    @needs_links
    def test_pictures_take_the_place_of_links(self, spoiled: Path, tmp_path: Path) -> None:
        outside = written(tmp_path / "precious", b"precious")
        for file in list((spoiled / runs.FIGURES).iterdir()):
            file.unlink()
            file.symlink_to(outside)
        assert main(["figures", str(spoiled)]) == 0
        assert outside.read_bytes() == b"precious"

    @pytest.mark.parametrize(
        "name", ["../../x", "/etc/x", "a/b", "a\\b", "..", "a\0b", "x" * 300, "con", "\x1b[2Jmig", "a\nb"]
    )
    def test_names_of_metrics_become_no_paths(self, spoiled: Path, tmp_path: Path, name: str) -> None:
        scores = {"seed": 0, "metrics": {name: {"score": 1, "parts": {name: 1}, "matrices": {name: [[1, 2]] * 3}}}}
        (spoiled / runs.SCORES).write_text(json.dumps(scores))
        before = {file for file in tmp_path.rglob("*") if file.is_file()}
        accepted(lambda: pictures.draw_scores(runs.load(spoiled)))
        new = {file for file in tmp_path.rglob("*") if file.is_file()} - before
        assert all(file.parent == spoiled / runs.FIGURES for file in new)

    @pytest.mark.parametrize(
        ("file", "content", "sentence"),
        [
            (runs.CONFIG, "!!python/object/apply:os.system [exit]", "is not a config in YAML"),
            (runs.CONFIG, "data: nowhere", "there is no data set or folder called"),
            (runs.FACTS, "[]", "is damaged"),
            (runs.FACTS, "{}", "image_shape must be three whole numbers"),
            (runs.WEIGHTS, "junk", "cannot read"),
            (runs.LOG, "step\nx\n", "log.csv is damaged"),
            (runs.LOG, "step,loss\n", "training curves need at least one row"),
            (runs.LOG, "a,b\n1,2\n", "training curves need the column"),
            (runs.LOG, "step,loss\ninf,1\n", "log.csv is damaged"),
            (runs.LOG, f"step,loss\n1{'0' * 400},1\n", "log.csv is damaged"),
            (runs.SCORES, '{"metrics": []}', "scores.json is damaged"),
        ],
    )
    def test_files_of_something_else(
        self, spoiled: Path, capsys: pytest.CaptureFixture[str], file: str, content: str, sentence: str
    ) -> None:
        (spoiled / file).write_text(content)
        assert sentence in self.refused(capsys, ["figures", "RUN"], spoiled)

    @pytest.mark.parametrize("file", [runs.CONFIG, runs.FACTS, runs.WEIGHTS, runs.LOG, runs.SCORES])
    def test_files_that_are_folders_or_not_there(
        self, spoiled: Path, capsys: pytest.CaptureFixture[str], file: str
    ) -> None:
        (spoiled / file).unlink()
        assert main(["figures", str(spoiled)]) in (0, 2)
        (spoiled / file).mkdir()
        assert main(["figures", str(spoiled)]) in (0, 2)
        assert "Traceback" not in capsys.readouterr().err
