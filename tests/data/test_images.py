"""Folders and tables of pictures as a data set, and their cache under bad luck."""

import csv
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import data_files
import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from unbraid.data import at, cache, image_files, image_list, load
from unbraid.errors import UnbraidError

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "pictures of Zoë"


def all_of(dataset: Any) -> np.ndarray:
    return np.moveaxis(dataset.images(np.arange(len(dataset))), 1, 3)


def table(path: Path, *rows: Any) -> str:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return str(path)


class TestFolders:
    def test_in_the_order_of_their_names(self, folder: Path) -> None:
        expected = data_files.pictures(folder)
        dataset = load(str(folder), size=12)
        assert len(dataset) == 60 and dataset.image_shape == (3, 12, 12) and not dataset.binary
        assert np.array_equal(all_of(dataset), expected)
        assert dataset.factor_names == () and np.array_equal(
            all_of(load("images", path=str(folder), size=12)), expected
        )

    def test_nested_ones_too_but_nothing_hidden(self, folder: Path) -> None:
        data_files.pictures(folder / "b" / "c", 3)
        data_files.pictures(folder / "a", 2)
        data_files.pictures(folder / ".git", 2)
        (folder / "a" / "._001.png").write_bytes(b"what another system notes beside a file")
        (folder / "notes.txt").write_text("no picture")
        assert len(load(str(folder), size=12)) == 5

    def test_colour_is_what_there_is_unless_told(self, folder: Path) -> None:
        expected = data_files.pictures(folder, colour=False)[..., :1]
        assert np.array_equal(all_of(load(str(folder), size=12)), expected)
        assert load(str(folder), size=12, colour="rgb").image_shape == (3, 12, 12)
        data_files.pictures(folder, 1)
        assert load(str(folder), size=12).image_shape == (3, 12, 12)
        assert load(str(folder), size=12, colour="grey").image_shape == (1, 12, 12)

    def test_masks_of_0_and_1_are_black_and_white(self, folder: Path) -> None:
        folder.mkdir()
        masks = RNG.integers(0, 2, (5, 6, 6), dtype=np.uint8)
        for number, mask in enumerate(masks):
            Image.fromarray(mask).save(folder / f"{number}.png")
        dataset = load(str(folder), size=6)
        assert dataset.binary and np.array_equal(all_of(dataset)[..., 0], masks * 255)

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"size": 0}, "size must be from 1 to 1024 pixels, not 0"),
            ({"crop": "no"}, 'crop must be centre or pad, not "no"'),
            ({"colour": "red"}, 'colour must be auto, grey, rgb, not "red"'),
            ({"path": "nowhere"}, 'there is nothing at "nowhere"'),
            ({"path": ""}, 'there is nothing at ""'),
            ({"path": __file__}, "must be a folder of images or a .csv or .parquet table"),
            ({"path": str(Path(__file__).parent)}, "holds no pictures"),
        ],
    )
    def test_options_that_are_none(self, options: dict[str, Any], sentence: str) -> None:
        with pytest.raises(UnbraidError, match=sentence):
            load("images", **options)

    @pytest.mark.skipif(os.name != "posix", reason="needs links and pipes")
    def test_what_leads_out_of_the_folder_or_is_no_file_is_not_opened(self, folder: Path, tmp_path: Path) -> None:
        data_files.pictures(folder, 3)
        data_files.pictures(tmp_path / "private", 2)
        (folder / "link.png").symlink_to(tmp_path / "private" / "000.png")
        (folder / "linked").symlink_to(tmp_path / "private")
        (folder / "within.png").symlink_to(folder / "001.png")
        os.mkfifo(folder / "pipe.png")
        (folder / "device.png").symlink_to("/dev/zero")
        (folder / "circle.png").symlink_to("circle.png")
        assert len(load(str(folder), size=12)) == 4


class TestSkipped:
    def test_are_counted_and_listed(self, folder: Path, empty_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
        expected = data_files.pictures(folder, 40)
        for name in ("003.png", "017.png"):
            (folder / name).write_bytes(b"broken")
        rows = [[f"{number:03}.png", number] for number in range(40)]
        dataset = load(table(folder / "table.csv", ["path", "number"], *rows), size=12)
        left = np.delete(np.arange(40), [3, 17])
        assert np.array_equal(all_of(dataset), expected[left])
        assert np.array_equal(dataset.factors(np.arange(38))[:, 0], np.arange(38)) and dataset.factor_sizes == (38,)
        said = capsys.readouterr().err
        assert "2 of 40 pictures are skipped" in said and "003.png: it is no PNG" in said
        with next(empty_cache.glob("*-skipped.csv")).open() as stream:
            assert [row[:2] for row in csv.reader(stream)] == [["row", "file"], ["3", "003.png"], ["17", "017.png"]]
        assert np.array_equal(all_of(load(str(folder / "table.csv"), size=12)), expected[left])  # from the cache

    def test_with_a_name_that_is_no_unicode(self, folder: Path) -> None:
        data_files.pictures(folder, 2)
        try:
            Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png")).write_bytes(b"broken")
        except OSError:
            pytest.skip("this file system has Unicode names alone")
        assert len(load(str(folder), size=12)) == 2

    def test_with_a_name_that_would_break_the_line(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        data_files.pictures(folder, 2)
        path = table(folder / "t.csv", ["path"], ["000.png"], ["no\n\x1b[2Jsuch.png"])
        assert len(load(path, size=12)) == 1
        assert "no\\n\\x1b[2Jsuch.png: No such file" in capsys.readouterr().err
        with pytest.raises(UnbraidError, match=r"the first, no\\n\\x1b\[2Jsuch.png: No such"):
            load(table(folder / "t.csv", ["path"], ["no\n\x1b[2Jsuch.png"]))

    def test_all_of_them(self, folder: Path, empty_cache: Path) -> None:
        folder.mkdir()
        for number in range(3):
            (folder / f"{number}.png").write_bytes(b"broken")
        with pytest.raises(UnbraidError, match=r"none of the 3 pictures can be read; the first, 0.png: it is no PNG"):
            load(str(folder))
        assert {path.suffix for path in empty_cache.iterdir()} <= {".lock"}


class TestTables:
    def test_factors_of_numbers_words_and_fractions(self, folder: Path) -> None:
        expected = data_files.pictures(folder, 4)
        rows = [["002.png", "red", "30", "0.5"], ["000.png", "blue", "-10", "1"], ["003.png", "red", "30", "2"]]
        path = table(folder / "t.csv", ["file", "colour", "angle", "depth"], *rows)
        dataset = load(path, size=12)
        assert np.array_equal(all_of(dataset), expected[[2, 0, 3]])
        assert dataset.factor_names == ("colour", "angle", "depth") and dataset.factor_sizes == (2, 2, None)
        assert dataset.factors(np.arange(3)).tolist() == [[1, 1, 0.5], [0, 0, 1], [1, 1, 2]]
        assert dataset.levels == {"colour": ["blue", "red"], "angle": ["-10", "30"]}
        assert load(path, size=12, factors="angle, colour").factor_names == ("angle", "colour")
        assert load(path, size=12, factors="none").factor_names == ()
        with pytest.raises(UnbraidError, match=r'no column of factors "size" \(there are: colour, angle, depth\)'):
            load(path, factors="size")

    def test_whole_numbers_that_floats_would_take_for_one(self, folder: Path) -> None:
        data_files.pictures(folder, 3)
        rows = [["000.png", 2**53, "1_0", "+7"], ["001.png", 2**53 + 1, "10", "7.0"], ["002.png", 2**53 + 2, "1", 8]]
        dataset = load(table(folder / "t.csv", ["path", "time", "code", "angle"], *rows), size=12)
        assert dataset.factor_sizes == (3, 3, 2), "1_0 is a word"
        assert dataset.factors(np.arange(3)).tolist() == [[0, 2, 0], [1, 1, 0], [2, 0, 1]]
        rows = [[f"00{n}.png", 1_700_000_000_000_000_001 + n] for n in range(3)]
        assert load(table(folder / "t.csv", ["path", "ns"], *rows), size=12).factor_sizes == (3,)
        rows = [[f"00{n}.png", number] for n, number in enumerate(["1e300", "-2e30", "5"])]
        levels = load(table(folder / "t.csv", ["path", "n"], *rows), size=12).levels["n"]
        assert list(map(float, levels)) == [-2e30, 5, 1e300]

    @pytest.mark.parametrize(
        ("cells", "said"),
        [
            (["0,142", "1", "0,5"], 'has "0,142" (decimals take a point), though 3 of its 3 cells look like numbers'),
            (["0.1", "-2e3", "?"], 'row 4 has "?", though 2 of its 3 cells look like numbers'),
            (["1", "b", "c"], ""),
            (["1a", "2b", "3.4.5"], ""),
            (["0.1", "-2e3", "7"], ""),
        ],
    )
    def test_it_says_once_which_column_of_numbers_is_taken_as_words(
        self, folder: Path, capsys: pytest.CaptureFixture[str], cells: list[str], said: str
    ) -> None:
        data_files.pictures(folder, 3)
        path = table(folder / "t.csv", ["path", "dist"], *([f"00{n}.png", cell] for n, cell in enumerate(cells)))
        capsys.readouterr()
        load(path, size=12, factors="none")
        assert "taken as words" not in capsys.readouterr().err
        load(path, size=12)
        told = [line for line in capsys.readouterr().err.splitlines() if "taken as words" in line]
        assert len(told) == bool(said) and all(f"{path}: dist is" in line and said in line for line in told)
        load(path, size=12)
        assert not capsys.readouterr().err

    def test_a_cell_of_very_many_digits_is_looked_at_no_longer_than_others(self, folder: Path) -> None:
        data_files.pictures(folder, 2)
        path = table(folder / "t.csv", ["path", "dist"], ["000.png", "1" * 100_000 + "x"], ["001.png", "2"])
        assert load(path, size=12).factor_sizes == (2,)

    def test_parquet_says_the_same(self, folder: Path) -> None:
        expected = data_files.pictures(folder, 3)
        columns = {"shape": ["b", "a", "b"], "path": ["002.png", "001.png", "000.png"], "lit": [True, False, True]}
        parquet.write_table(pyarrow.table(columns), folder / "t.parquet")
        dataset = load(str(folder / "t.parquet"), size=12)
        assert np.array_equal(all_of(dataset), expected[[2, 1, 0]])
        assert dataset.factors(np.arange(3)).tolist() == [[1, 1], [0, 0], [1, 1]]

    def test_a_picture_may_occur_twice(self, folder: Path) -> None:
        expected = data_files.pictures(folder, 2)
        path = table(folder / "t.csv", ["path"], ["000.png"], ["001.png"], ["000.png"])
        assert np.array_equal(all_of(load(path, size=12)), expected[[0, 1, 0]])

    def test_paths_may_be_absolute_within_the_folder(self, folder: Path) -> None:
        data_files.pictures(folder / "deep", 2)
        path = table(folder / "t.csv", ["path"], [folder / "deep" / "000.png"], ["deep/../deep/001.png"])
        assert len(load(path, size=12)) == 2

    @pytest.mark.parametrize(
        "name", ["../secret.png", "/etc/passwd", "a/../../secret.png", "..", "x\0.png", "\\\\host\\share\\x.png"]
    )
    def test_paths_that_leave_the_folder(self, folder: Path, tmp_path: Path, name: str) -> None:
        folder.mkdir()
        data_files.pictures(tmp_path, 1)
        (tmp_path / "000.png").rename(tmp_path / "secret.png")
        path = table(folder / "t.csv", ["path"], [name])
        with pytest.raises(UnbraidError, match=r"outside of the table's folder|none of the 1 pictures can be read"):
            load(path)

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (b"", "names no pictures"),
            (b"path\n", "names no pictures"),
            (b"path,a,a\nx.png,1,2\n", "need different names"),
            (b"path,a\nx.png\n", "row 2 of .* has 1 cells, and there are 2 columns"),
            (b"path,a\nx.png,\n", "row 2 of .* has no value of a: .* by factors=none"),
            (b"path,b,a,c\nx.png,1,,2\n", "row 2 of .* has no value of a: .* by factors=b,c"),
            (b"path;a\nx.png;1\n", r'must have commas between its cells, and its first line is "path;a"'),
            (
                b"id,photo\n1,x.png\n",
                r'the first, 1: No such .* from the column "id"; path or file or filename or image goes',
            ),
            (b"path\n" + b"x.png\n" * 5_000, "none of the first 4,096 pictures can be read; the first, x.png: No such"),
            (b"path,a\nx.png,nan\n", "a in .* holds NaN"),
            (b"path\n\xff\xfe.png\n", "cannot be read as CSV in UTF-8"),
            (b'path\n"' + b"x" * 200_000 + b'"\n', "cannot be read as CSV in UTF-8: field larger than"),
            (b"," * 300, "of 301 columns or more: a table of pictures has at most"),
            (b"," * 1_000_000, "of 1,000,001 columns or more: a table of pictures has at most"),
            (b"path\n" + b"x" * 5_000 + b"\n", "row 2 of .* names a picture in 5,000 letters"),
            (b"path\n" + b"x" * 4_000 + b"\n", r"the first, x{200}\.\.\.: "),
        ],
    )
    def test_tables_that_are_none(self, folder: Path, content: bytes, sentence: str) -> None:
        folder.mkdir()
        (folder / "t.csv").write_bytes(content)
        with pytest.raises(UnbraidError, match=sentence):
            load(str(folder / "t.csv"))

    def test_letters_that_take_four_bytes(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """In Python one of them makes all of its word so."""
        folder.mkdir()
        path = table(folder / "t.csv", ["path", "a"], *([f"{n}.png", "\U0001f600" + "x" * 900] for n in range(30)))
        monkeypatch.setattr(image_list, "_MOST_MEMORY", 2**16)
        assert Path(path).stat().st_size < 2**15
        with pytest.raises(UnbraidError, match=r"takes more memory than a table of pictures can \(65,536 bytes\)"):
            load(path)

    def test_parquet_that_is_none(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "t.parquet").write_bytes(b"PAR1 nothing PAR1")
        with pytest.raises(UnbraidError, match="cannot be read as Parquet"):
            load(str(folder / "t.parquet"))
        parquet.write_table(pyarrow.table({"path": [["a", "b"]]}), folder / "t.parquet")
        with pytest.raises(UnbraidError, match="a column of list<"):
            load(str(folder / "t.parquet"))


class TestCache:
    def test_pictures_are_decoded_once_until_one_changes(
        self, folder: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data_files.pictures(folder, 5)
        first = all_of(load(str(folder), size=12))
        with monkeypatch.context() as patched:
            patched.setattr(image_files, "read", None)
            assert np.array_equal(all_of(load(str(folder), size=12)), first)
        changed = folder / "002.png"
        Image.new("RGB", (12, 12), "red").save(changed)
        assert all_of(load(str(folder), size=12))[2, 0, 0].tolist() == [255, 0, 0]
        changed.unlink()
        assert len(load(str(folder), size=12)) == 4
        assert load(str(folder), size=6).image_shape == (3, 6, 6)
        assert len(list(empty_cache.glob("*.npy"))) == 4

    def test_it_is_an_ordinary_array(self, folder: Path, empty_cache: Path) -> None:
        expected = data_files.pictures(folder, 5)
        load(str(folder), size=12)
        rows = np.load(next(empty_cache.glob("*.npy")), mmap_mode="r", allow_pickle=False)
        assert np.array_equal(rows.reshape(5, 3, 12, 12), np.moveaxis(expected, 3, 1))

    def test_a_file_cut_short_is_made_again(self, folder: Path, empty_cache: Path) -> None:
        expected = data_files.pictures(folder, 5)
        load(str(folder), size=12)
        os.truncate(next(empty_cache.glob("*.npy")), 500)
        assert np.array_equal(all_of(load(str(folder), size=12)), expected)

    def test_what_a_killed_process_left_goes(self, folder: Path, empty_cache: Path) -> None:
        data_files.pictures(folder, 5)
        load(str(folder), size=12)
        kept = next(empty_cache.glob("*.npy"))
        kept.unlink()
        left = kept.with_name(f".{kept.name}.123-abc.tmp")
        left.write_bytes(b"half")
        load(str(folder), size=12)
        assert not left.exists()

    def test_a_full_disk(self, folder: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(file: Any, blocks: Any, stretch: bool) -> Any:
            raise OSError(errno.ENOSPC, "No space left on device")

        data_files.pictures(folder, 5)
        monkeypatch.setattr(cache, "_write", full)
        with pytest.raises(UnbraidError, match=r"cannot be kept in .*No space left.* set UNBRAID_CACHE"):
            load(str(folder), size=12)
        assert {path.suffix for path in empty_cache.iterdir()} <= {".lock"}

    def test_a_folder_that_cannot_be_made(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        data_files.pictures(folder, 2)
        (tmp_path / "file").write_text("in the way")
        monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "file" / "cache"))
        with pytest.raises(UnbraidError, match="set UNBRAID_CACHE to another folder"):
            load(str(folder))

    @pytest.mark.skipif(os.name != "posix", reason="needs the signals of POSIX")
    def test_ctrl_c_leaves_nothing_half_written(self, folder: Path, empty_cache: Path) -> None:
        data_files.pictures(folder, 50)
        slow = (
            "import sys, time; from unbraid.data import image_files, load; read = image_files.read\n"
            "def slowly(*a, **k):\n    time.sleep(0.1); return read(*a, **k)\n"
            "image_files.read = slowly\nfrom unbraid.cli import main; raise SystemExit(main(sys.argv[1:]))"
        )
        command = [sys.executable, "-c", slow, "data", "build", str(folder), "size=12"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            began = time.monotonic()
            while not list(empty_cache.glob(".*.tmp")):
                assert process.poll() is None and time.monotonic() - began < 60
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        assert process.returncode == 130 and "Traceback" not in said
        assert {path.suffix for path in empty_cache.iterdir()} <= {".lock"}

    def test_two_processes_at_once(self, folder: Path, empty_cache: Path) -> None:
        data_files.pictures(folder, 50)
        program = f"from unbraid.data import load; print(load({str(folder)!r}, size=12).images([0, 49]).sum())"
        both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) for _ in range(2)]
        sums = [process.communicate(timeout=60)[0] for process in both]
        assert sums[0] == sums[1] != b"" and len(list(empty_cache.glob("*.npy"))) == 1


class TestNames:
    def test_of_the_table_and_paths(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "balls").mkdir()
        (tmp_path / "faces").mkdir()
        assert at("balls") == ("balls", {})
        assert at("./balls") == ("images", {"path": str(tmp_path / "balls")})
        assert at("faces") == ("images", {"path": str(tmp_path / "faces")})
        assert at("x/y.NPZ") == ("arrays", {"path": str(tmp_path / "x" / "y.NPZ")})
        assert at("t.csv") == ("images", {"path": str(tmp_path / "t.csv")})

    @pytest.mark.parametrize("name", ["", "nowhere", "a/b", "x.png", "x" * 5000, "nul\0", "~no user/x"])
    def test_of_nothing(self, name: str) -> None:
        with pytest.raises(UnbraidError, match=r"is no data|there is no data set or folder called"):
            at(name)
