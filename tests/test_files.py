"""Files appear whole or not at all."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from unbraid.files import replacing, sweep, write_json, write_table, write_text


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    write_text(path, "first\n")
    write_text(path, "β, second\n")
    assert path.read_bytes() == "β, second\n".encode()
    assert names(path.parent) == ["a.txt"]


def test_a_crash_in_the_block_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half of the n")
        _ = 1 / 0
    assert path.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_a_block_that_writes_nothing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(FileNotFoundError, match=r"'.*/a\.txt'"), replacing(path):
        pass
    assert path.read_text() == "old" and names(tmp_path) == ["a.txt"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_kill_in_the_block_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    program = (
        "import os, signal, sys; from pathlib import Path; from unbraid.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half of the n'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    write_text(path, "new")  # what the killed process left over is in nobody's way
    assert path.read_text() == "new"
    left, mine = next(tmp_path.glob(".*.tmp")), tmp_path / ".mine.tmp"
    mine.write_text("no file of ours")
    sweep(tmp_path)
    assert left.exists(), "it may be written at this very moment"
    for file in (left, mine):
        os.utime(file, (0, 0))
    sweep(tmp_path)
    assert names(tmp_path) == [".mine.tmp", "a.txt"]


def test_a_folder_is_left_over_when_nothing_in_it_is_new(tmp_path: Path) -> None:
    left, written, link = (tmp_path / f".{name}.1-0123abcd.tmp" for name in ("left", "written", "link"))
    for folder in (left, written, tmp_path / "mine"):
        (folder / "below").mkdir(parents=True)
        (folder / "below" / "0.png").touch()
        for each in (*folder.rglob("*"), folder):
            os.utime(each, (0, 0))
    os.utime(written / "below" / "0.png")
    if os.name == "posix":
        link.symlink_to(tmp_path / "mine")
        os.utime(link, (0, 0), follow_symlinks=False)
    sweep(tmp_path)
    assert names(tmp_path) == [".written.1-0123abcd.tmp", "mine"]
    assert (tmp_path / "mine" / "below" / "0.png").exists()


def test_writers_side_by_side_do_not_share_a_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with replacing(path) as one, replacing(path) as other:
        assert one != other and one.parent == other.parent == tmp_path
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"  # the outer block ended last
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.skipif(os.name != "posix", reason="mode bits of POSIX")
def test_the_new_file_may_be_read_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    write_text(tmp_path / "ours", "x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_json_comes_back(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None], "b": {"π": True}}
    write_json(tmp_path / "a.json", value)
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == value


def test_json_of_numbers_is_a_line_a_row(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"rows": [[1, -2.5e-7], [3, 4]], "names": ["a [\n1,", "b"], "none": [[], [True]]})
    text = (tmp_path / "a.json").read_text()
    assert "\n    [1, -2.5e-07],\n    [3, 4]\n" in text and '[\n    "a [\\n1,",\n' in text
    assert json.loads(text) == {"rows": [[1, -2.5e-7], [3, 4]], "names": ["a [\n1,", "b"], "none": [[], [True]]}


def test_json_without_nan(tmp_path: Path) -> None:
    """NaN is no JSON, and a reader elsewhere would stumble over it."""
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": 1\n}\n'


def test_table_comes_back_through_a_csv_reader(tmp_path: Path) -> None:
    import csv

    rows = [["plain", "1"], ['with "quotes", and a comma', "2"], ["two\nlines", "3"]]
    write_table(tmp_path / "a.csv", ["name", "value"], rows)
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as stream:
        assert list(csv.reader(stream)) == [["name", "value"], *rows]
    assert b"\r" not in (tmp_path / "a.csv").read_bytes()


def test_a_file_that_is_being_read_is_replaced_a_moment_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = iter([True, True])
    replace = Path.replace

    def refusing(self: Path, target: Path) -> Path:
        if next(refusals, False):
            raise PermissionError("in use")  # as Windows says it
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refusing)
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_a_file_that_may_not_be_replaced_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(self: Path, target: Path) -> Path:
        raise PermissionError("never")

    monkeypatch.setattr(Path, "replace", refusing)
    with pytest.raises(PermissionError):
        write_text(tmp_path / "a.txt", "new")
    assert names(tmp_path) == []
