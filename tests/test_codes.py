"""Codes as tables: what is written comes back, in every format, in parts, and nothing else is taken."""

import csv
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from small_runs import small_run, squares

from unbraid import codes, evaluate
from unbraid.cli import main
from unbraid.codes import tables
from unbraid.data import from_arrays
from unbraid.errors import UnbraidError
from unbraid.runs import Run

N, L = 72, 3
FORMATS = [".parquet", ".csv", ".npz"]
Columns = dict[str, list[object]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return small_run("beta_vae", tmp_path_factory.mktemp("codes") / "run")


@pytest.fixture(scope="module")
def expected(trained: Run) -> tuple[np.ndarray, np.ndarray]:
    mean, logvar = trained.encode(squares().images(np.arange(N)))
    return mean.numpy(), logvar.exp().numpy()


def columns(path: Path) -> Columns:
    """A table by the library of its format."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pydict()  # type: ignore[no-any-return]
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as stream:
            header, *rows = csv.reader(stream)
        return {name: list(column) for name, column in zip(header, zip(*rows, strict=True), strict=True)}
    with np.load(path, allow_pickle=False) as file:
        found: Columns = {"image": file["image"].tolist()}
        found |= {f"z{n}": column.tolist() for n, column in enumerate(file["codes"].T)}
        if "variances" in file:
            found |= {f"z{n}_variance": column.tolist() for n, column in enumerate(file["variances"].T)}
        return found


def values(found: Columns, names: list[str]) -> np.ndarray:
    return np.array([[float(str(cell)) for cell in found[name]] for name in names]).T


class TestEncode:
    @pytest.mark.parametrize("suffix", FORMATS)
    @pytest.mark.parametrize("variances", [False, True])
    def test_every_format_holds_what_the_run_says(
        self, trained: Run, expected: tuple[np.ndarray, np.ndarray], tmp_path: Path, suffix: str, variances: bool
    ) -> None:
        path = tmp_path / "new" / f"codes{suffix}"
        assert codes.encode(trained, squares(), path, variances=variances) == N
        found = columns(path)
        names = [f"z{n}" for n in range(L)]
        assert list(found) == ["image", *names, *(f"{name}_variance" for name in names if variances)]
        assert [int(str(index)) for index in found["image"]] == list(range(N))
        np.testing.assert_allclose(values(found, names), expected[0], rtol=1e-5, atol=1e-6)
        if variances:
            np.testing.assert_allclose(values(found, [f"{name}_variance" for name in names]), expected[1], rtol=1e-5)
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_names(self, trained: Run, tmp_path: Path, suffix: str) -> None:
        names = [f'földer, "{n}"/β {n}.png' for n in range(N)]
        codes.encode(trained, squares(), tmp_path / f"codes{suffix}", names=names)
        assert list(columns(tmp_path / f"codes{suffix}")["image"]) == names

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_the_longest_name(self, trained: Run, tmp_path: Path, suffix: str) -> None:
        names = ["x" * 4096, *(f"{n}" for n in range(1, N))]
        codes.encode(trained, squares(), tmp_path / f"codes{suffix}", names=names)
        assert list(map(str, columns(tmp_path / f"codes{suffix}")["image"])) == names
        with pytest.raises(UnbraidError, match="more than 4,096 characters: shorten it"):
            codes.encode(trained, squares(), tmp_path / f"codes{suffix}", names=["x" * 4097, *names[1:]])

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_names_that_are_no_text(self, trained: Run, tmp_path: Path, suffix: str) -> None:
        """A file system may hold any bytes, which Python reads as surrogates."""
        names = [f"{n}\udcff.png" for n in range(N)]
        codes.encode(trained, squares(), tmp_path / f"codes{suffix}", names=names)
        assert columns(tmp_path / f"codes{suffix}")["image"] == [f"{n}\\udcff.png" for n in range(N)]

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_in_many_parts(self, trained: Run, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / f"codes{suffix}"
        codes.encode(trained, squares(), path)
        whole = columns(path)
        monkeypatch.setattr(evaluate, "_CHUNK", 7)
        monkeypatch.setattr(tables, "_GROUP", 20)
        codes.encode(trained, squares(), path)
        assert list(columns(path)["image"]) == list(whole["image"])
        names = [f"z{n}" for n in range(L)]
        np.testing.assert_allclose(values(columns(path), names), values(whole, names), rtol=1e-5, atol=1e-6)
        if suffix == ".parquet":
            assert pq.ParquetFile(path).metadata.num_row_groups == 4  # 21 rows or more in each but the last

    def test_memory_does_not_grow_with_the_images(self, trained: Run, tmp_path: Path) -> None:
        """Ten times as many rows, and what Python and NumPy hold at most grows by less than half of the codes."""
        images = squares().images(np.arange(N))

        class Repeated:
            """As many images as asked for, made when they are asked for."""

            image_shape = (1, 16, 16)

            def __init__(self, n: int) -> None:
                self.n = n

            def __len__(self) -> int:
                return self.n

            def images(self, indices: np.ndarray) -> np.ndarray:
                return images[indices % N]

        peaks = []
        for n in (4_000, 40_000):
            tracemalloc.start()
            codes.encode(trained, Repeated(n), tmp_path / "codes.csv", variances=True)  # type: ignore[arg-type]
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[1] - peaks[0] < 40_000 * 8 * 3  # the indices and their parts; the codes alone are 960,000 bytes

    def test_refusals(self, trained: Run, tmp_path: Path) -> None:
        with pytest.raises(
            UnbraidError, match=r'no kind of file for codes called ".txt".*allowed: .csv, .npz, .parquet'
        ):
            codes.encode(trained, squares(), tmp_path / "codes.txt")
        with pytest.raises(UnbraidError, match=r"takes images of 1x16x16 .* and these are 1x8x8: convert them"):
            codes.encode(trained, from_arrays(np.zeros((3, 8, 8))), tmp_path / "codes.csv")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_a_failure_on_the_way_leaves_nothing(
        self, trained: Run, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def failing(*arguments: object) -> object:
            yield torch.zeros(5, L), torch.zeros(5, L)
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(evaluate, "encoded_parts", failing)
        with pytest.raises(OSError, match="No space left"):
            codes.encode(trained, squares(), tmp_path / f"codes{suffix}")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", FORMATS)
def test_one_long_name_does_not_make_all_of_them_long(tmp_path: Path, suffix: str) -> None:
    """An array of text gives every name the room of the longest, which for these would be 328 MB."""
    parts = (
        tables.Part(["x" * 4096, *(f"{n}" for n in range(99))], np.zeros((100, L), np.float32)) for _ in range(200)
    )
    tracemalloc.start()
    try:
        tables.write(tmp_path / f"codes{suffix}", parts)
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()
    assert tables.read(tmp_path / f"codes{suffix}", L).n == 20_000


@pytest.fixture
def table(trained: Run, tmp_path: Path) -> Callable[..., Path]:
    def table(suffix: str, names: list[str] | None = None) -> Path:
        codes.encode(trained, squares(), tmp_path / f"codes{suffix}", names=names)
        return tmp_path / f"codes{suffix}"

    return table


class TestDecode:
    @pytest.mark.parametrize("suffix", FORMATS)
    @pytest.mark.parametrize("out", ["images.npy", "images.npz"])
    def test_array(self, trained: Run, table: Callable[..., Path], tmp_path: Path, suffix: str, out: str) -> None:
        assert codes.decode(trained, table(suffix), tmp_path / out) == N
        found = np.load(tmp_path / out, allow_pickle=False)
        images = found if isinstance(found, np.ndarray) else found["images"]
        made = trained.reconstruct(squares().images(np.arange(N))).numpy()
        assert images.dtype == np.float32
        np.testing.assert_allclose(images, made, rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_folder(self, trained: Run, table: Callable[..., Path], tmp_path: Path, suffix: str) -> None:
        codes.decode(trained, table(suffix), tmp_path / "made")
        files = sorted((tmp_path / "made").iterdir())
        assert [file.name for file in files] == [f"{n:02d}.png" for n in range(N)]
        made = 255 * trained.reconstruct(squares().images(np.arange(N))).numpy()[:, 0]
        assert (
            max(np.abs(np.array(Image.open(file)) - image).max() for file, image in zip(files, made, strict=True)) < 1
        )
        assert not list(tmp_path.glob(".*"))

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_folder_with_the_names_of_the_images(
        self, trained: Run, table: Callable[..., Path], tmp_path: Path, suffix: str
    ) -> None:
        codes.decode(trained, table(suffix, [f"deep/földer {n % 2}/{n}.jpg" for n in range(N)]), tmp_path / "made")
        found = {file.relative_to(tmp_path / "made").as_posix() for file in (tmp_path / "made").rglob("*.png")}
        assert found == {f"deep/földer {n % 2}/{n}.png" for n in range(N)}

    def test_names_with_spaces_of_other_kinds(self, trained: Run, table: Callable[..., Path], tmp_path: Path) -> None:
        names = [
            "Screenshot 3.45\u202fPM.jpg",
            "写真\u3000旅行/a.jpg",
            "a\u200db.jpg",
            *(f"{n}.jpg" for n in range(3, N)),
        ]
        codes.decode(trained, table(".csv", names), tmp_path / "made")
        found = {file.relative_to(tmp_path / "made").as_posix() for file in (tmp_path / "made").rglob("*.png")}
        assert found == {name.replace(".jpg", ".png") for name in names}

    def test_plain_array(self, trained: Run, tmp_path: Path) -> None:
        z = np.random.default_rng(0).normal(size=(5, L))
        np.save(tmp_path / "z.npy", z)
        codes.decode(trained, tmp_path / "z.npy", tmp_path / "images.npy")
        np.testing.assert_allclose(np.load(tmp_path / "images.npy"), trained.decode(z).numpy(), rtol=1e-5, atol=1e-6)

    def test_large_images_are_decoded_few_at_a_time(
        self, trained: Run, table: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = []
        decode = Run.decode
        monkeypatch.setattr(codes, "_DECODED", 3 * 256)
        monkeypatch.setattr(Run, "decode", lambda self, z: asked.append(len(z)) or decode(self, z))
        codes.decode(trained, table(".csv"), tmp_path / "images.npy")
        assert set(asked) == {3} and len(np.load(tmp_path / "images.npy")) == N

    def test_a_folder_with_something_in_it_is_left_alone(
        self, trained: Run, table: Callable[..., Path], tmp_path: Path
    ) -> None:
        for out in (tmp_path, table(".csv")):
            if out.is_dir():
                with pytest.raises(UnbraidError, match="is there already: choose a new or an empty folder"):
                    codes.decode(trained, table(".csv"), out)
        (tmp_path / "empty").mkdir()
        assert codes.decode(trained, table(".csv"), tmp_path / "empty") == N

    @pytest.mark.parametrize(
        "name",
        [
            "../x.png",
            "a/../../x",
            "/etc/x",
            "\\x",
            "..\\x",
            "C:x",
            "C:\\x",
            "a\nb",
            "a\0b",
            "x" * 2000,
            "\x1b[1m",
            "a\u202egnp.exe",
            ".",
            "./",
            ".\\.",
        ],
    )
    def test_names_that_lead_out_of_the_folder(self, trained: Run, tmp_path: Path, name: str) -> None:
        pq.write_table(pa.table({"image": [name], "z0": [0.0], "z1": [0.0], "z2": [0.0]}), tmp_path / "z.parquet")
        with pytest.raises(UnbraidError, match="is not called by a path that stays in the folder"):
            codes.decode(trained, tmp_path / "z.parquet", tmp_path / "in" / "made")
        assert [file for file in tmp_path.rglob("*") if file.is_file()] == [tmp_path / "z.parquet"]

    @pytest.mark.parametrize("names", [["x" * 300], ["a.png", "a.png/b"]])
    def test_names_that_no_file_can_have(self, trained: Run, tmp_path: Path, names: list[str]) -> None:
        (tmp_path / "z.csv").write_text("".join(["image,z0,z1,z2\n", *(f"{name},0,0,0\n" for name in names)]))
        with pytest.raises(UnbraidError, match=r"no file can be called '.*' here \(.*\): rename it"):
            codes.decode(trained, tmp_path / "z.csv", tmp_path / "made")
        assert [file.name for file in tmp_path.iterdir()] == ["z.csv"]

    def test_two_images_of_one_name(self, trained: Run, tmp_path: Path) -> None:
        (tmp_path / "z.csv").write_text("image,z0,z1,z2\na.png,0,0,0\na.jpg,0,0,0\n")
        with pytest.raises(UnbraidError, match=r'two images would be called "a.png": rename one of them'):
            codes.decode(trained, tmp_path / "z.csv", tmp_path / "made")
        assert not (tmp_path / "made").exists()

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("", "z.csv holds no codes|must have the columns z0 to z2"),
            ("image,z0,z1\na,1,2\n", "must have the columns z0 to z2, .* its latents are z0, z1"),
            ("image,z0,z1,z2,z3\na,1,2,3,4\n", "must have the columns z0 to z2"),
            ("image,z0,z1,z2\n", "holds no codes"),
            ("image,z0,z1,z2\na,1,2\n", "cannot read codes from"),
            ("image,z0,z1,z2\na,1,2,three\n", "cannot read codes from .*three"),
            ("image,z0,z1,z2\na,1,2,nan\n", "codes hold NaN or infinity"),
            ("image,z0,z1,z2\na,1,2," + "9" * 200_000, "cannot read codes from .*field larger"),
            ("\xff\xfe", "cannot read codes from"),
        ],
    )
    def test_damaged_csv(self, trained: Run, tmp_path: Path, text: str, sentence: str) -> None:
        (tmp_path / "z.csv").write_text(text, encoding="latin-1")
        with pytest.raises(UnbraidError, match=sentence) as refused:
            codes.decode(trained, tmp_path / "z.csv", tmp_path / "made")
        assert "\n" not in str(refused.value) and len(str(refused.value)) < 600
        assert not (tmp_path / "made").exists()

    @pytest.mark.parametrize("suffix", [".parquet", ".npz", ".npy"])
    @pytest.mark.parametrize("keep", [0, 3, 40, -1, -100])
    def test_files_cut_short(
        self, trained: Run, table: Callable[..., Path], tmp_path: Path, suffix: str, keep: int
    ) -> None:
        if suffix == ".npy":
            path = tmp_path / "codes.npy"
            np.save(path, np.zeros((N, L)))
        else:
            path = table(suffix)
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(UnbraidError, match="cannot read codes from"):
            codes.decode(trained, path, tmp_path / "made")

    @pytest.mark.parametrize(
        "array",
        [np.zeros((3, 4)), np.zeros(3), np.zeros((3, 3), complex), np.array([["a"] * 3]), np.zeros((2, 3, 1))],
    )
    @pytest.mark.parametrize("suffix", [".npy", ".npz"])
    def test_other_arrays(self, trained: Run, tmp_path: Path, suffix: str, array: np.ndarray) -> None:
        np.save(tmp_path / "z.npy", array) if suffix == ".npy" else np.savez(tmp_path / "z.npz", codes=array)
        with pytest.raises(UnbraidError, match=r"must hold numbers \[N, 3\], not"):
            codes.decode(trained, tmp_path / f"z{suffix}", tmp_path / "made")

    def test_a_negative_number_of_codes(self, trained: Run, tmp_path: Path) -> None:
        np.save(tmp_path / "z.npy", np.zeros((5, 3)))
        content = (tmp_path / "z.npy").read_bytes()
        assert b"(5, 3), }" in content
        with zipfile.ZipFile(tmp_path / "z.npz", "w") as archive:
            archive.writestr("codes.npy", content.replace(b"(5, 3), }", b"(-5, 3),}"))
        with pytest.raises(UnbraidError, match="holds no codes"):
            codes.decode(trained, tmp_path / "z.npz", tmp_path / "made.npy")
        assert not (tmp_path / "made.npy").exists()

    def test_pickles_are_not_opened(self, trained: Run, tmp_path: Path) -> None:
        class Trap:
            def __reduce__(self) -> tuple[object, ...]:
                return (Path.touch, (tmp_path / "sprung",))

        trap = np.array([[Trap()] * 3], object)
        np.save(tmp_path / "z.npy", trap, allow_pickle=True)
        np.savez(tmp_path / "z.npz", codes=trap)  # type: ignore[arg-type]
        np.savez(tmp_path / "name.npz", codes=np.zeros((1, 3)), image=trap[0, :1])  # type: ignore[arg-type]
        for name in ("z.npy", "z.npz", "name.npz"):
            with pytest.raises(UnbraidError):
                codes.decode(trained, tmp_path / name, tmp_path / "made")
        assert not (tmp_path / "sprung").exists() and not (tmp_path / "made").exists()

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (b"image,z0,z1,z2\n" + b"1," * 10_000_000, "a row has 1,048,576 characters or more"),
            (b"z0," * 10_000_000, "a row has 1,048,576 characters or more"),
            (b"image,z0,z1,z2\n" + b'"\n",' * 5_000_000, "a row has 1,048,576 characters or more"),
            (b"image,z0,z1,z2\n" + (b"a,1,2,3," + b"x" * 100_000 + b"\n") * 300, "row 2 has 5 cells, and there are 4"),
            (b"image,z0,z1,z2\n" + b"a" * 4097 + b",1,2,3\n", "the name of an image has more than 4,096 characters"),
            (b"image,z0,z1,z2\na,1,2\n", "row 2 has 3 cells, and there are 4 columns"),
        ],
        ids=["row", "header", "lines", "cells", "name", "short"],
    )
    def test_csv_whose_rows_are_too_long(self, trained: Run, tmp_path: Path, content: bytes, sentence: str) -> None:
        (tmp_path / "z.csv").write_bytes(content)
        tracemalloc.start()
        try:
            with pytest.raises(UnbraidError, match=sentence):
                codes.decode(trained, tmp_path / "z.csv", tmp_path / "made")
            assert tracemalloc.get_traced_memory()[1] < 2**25
        finally:
            tracemalloc.stop()

    def test_memory_does_not_grow_with_the_rows(self, tmp_path: Path) -> None:
        peaks = []
        for n in (4_000, 40_000):
            (tmp_path / "z.csv").write_text("image,z0,z1,z2\n" + "some/name.png,0.5,0.5,0.5\n" * n)
            tracemalloc.start()
            table = tables.read(tmp_path / "z.csv", L)
            assert table.n == sum(len(part.codes) for part in table.parts) == n
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[1] < 1.1 * peaks[0]

    def test_empty_lines_are_no_codes(self, trained: Run, tmp_path: Path) -> None:
        (tmp_path / "z.csv").write_text("image,z0,z1,z2\n\na,1,2,3\n\n\n")
        assert codes.decode(trained, tmp_path / "z.csv", tmp_path / "made.npy") == 1
        assert np.load(tmp_path / "made.npy").shape == (1, 1, 16, 16)

    @pytest.mark.parametrize("compression", ["none", "zstd"])
    def test_parquet_that_repeats_a_long_name(self, trained: Run, tmp_path: Path, compression: str) -> None:
        """A thousand times a megabyte, kept once, among so many short ones that they have a usual length on average."""
        words = pa.array(["x" * 2**20, *map(str, range(999))])
        names = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), words)
        zeros = pa.array([0.0] * 1000)
        table = pa.table({"image": names, **dict.fromkeys(["z0", "z1", "z2"], zeros)})
        options = {"dictionary_pagesize_limit": 2**22, "store_schema": False}
        pq.write_table(table, tmp_path / "z.parquet", compression=compression, **options)
        assert (tmp_path / "z.parquet").stat().st_size < 2**22
        before = pa.total_allocated_bytes()
        tracemalloc.start()
        try:
            with pytest.raises(UnbraidError, match="a word of 1,048,576 bytes"):
                codes.decode(trained, tmp_path / "z.parquet", tmp_path / "made")
            assert tracemalloc.get_traced_memory()[1] < 2**25 and pa.total_allocated_bytes() - before < 2**25
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("column", [[{"a": 1.0}], [[1.0]], ["1"], [b"1"], [None], [True]])
    def test_parquet_of_no_numbers(self, trained: Run, tmp_path: Path, column: list[object]) -> None:
        pq.write_table(pa.table({"z0": column, "z1": column, "z2": column}), tmp_path / "z.parquet")
        with pytest.raises(UnbraidError, match="must hold numbers in z0 to z2"):
            codes.decode(trained, tmp_path / "z.parquet", tmp_path / "made")
        numbers = [1.0]
        pq.write_table(pa.table({"image": column, "z0": numbers, "z1": numbers, "z2": numbers}), tmp_path / "n.parquet")
        if column != ["1"]:
            with pytest.raises(UnbraidError, match="must hold names or whole numbers in image"):
                codes.decode(trained, tmp_path / "n.parquet", tmp_path / "made")

    def test_parquet_that_keeps_each_of_something_else_once(self, trained: Run, tmp_path: Path) -> None:
        """Bytes would be unfolded for every row, however long they are."""
        names = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), pa.array([b"x" * 2**12]))
        table = pa.table({"image": names, **dict.fromkeys(["z0", "z1", "z2"], pa.array([0.0] * 1000))})
        pq.write_table(table, tmp_path / "z.parquet")
        with pytest.raises(UnbraidError, match=r"must hold names or whole numbers in image, not dictionary<.*binary"):
            codes.decode(trained, tmp_path / "z.parquet", tmp_path / "made")

    @pytest.mark.parametrize("kind", [pa.large_string(), pa.string(), pa.int8(), pa.dictionary(pa.int8(), pa.string())])
    def test_parquet_with_names_of_every_kind(self, trained: Run, tmp_path: Path, kind: pa.DataType) -> None:
        names = pa.array(["7", "8", "7", "9"]).cast(pa.int8() if kind == pa.int8() else pa.string()).cast(kind)
        pq.write_table(
            pa.table({"image": names, **dict.fromkeys(["z0", "z1", "z2"], [0.0] * 4)}), tmp_path / "z.parquet"
        )
        table = tables.read(tmp_path / "z.parquet", L)
        assert [name for part in table.parts for name in part.index] == ["7", "8", "7", "9"]

    @pytest.mark.parametrize("names", [np.zeros(4, "U3"), np.zeros((5, 2), "U3"), np.zeros((), "U3")])
    def test_an_archive_of_other_names(self, trained: Run, tmp_path: Path, names: np.ndarray) -> None:
        np.savez(tmp_path / "z.npz", codes=np.zeros((5, 3)), image=names)
        with pytest.raises(UnbraidError, match=r"must hold the names of 5 images, not \["):
            codes.decode(trained, tmp_path / "z.npz", tmp_path / "made")

    def test_an_array_with_a_header_of_a_gigabyte(self, trained: Run, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "z.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("codes.npy", b"\x93NUMPY\x02\x00" + (2**30).to_bytes(4, "little") + b" " * 2**20)
        with pytest.raises(UnbraidError, match=r"version 2.0 of NumPy's format is not supported"):
            codes.decode(trained, tmp_path / "z.npz", tmp_path / "made")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    @pytest.mark.parametrize("suffix", [*FORMATS, ".npy"])
    def test_pipes_and_devices(self, trained: Run, tmp_path: Path, suffix: str) -> None:
        os.mkfifo(tmp_path / f"pipe{suffix}")
        (tmp_path / f"zero{suffix}").symlink_to("/dev/zero")
        for name in ("pipe", "zero"):
            with pytest.raises(UnbraidError, match="is a pipe or a device: give a file"):
                codes.decode(trained, tmp_path / f"{name}{suffix}", tmp_path / "made")

    def test_an_archive_that_promises_more_than_it_holds(self, trained: Run, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "z.npz", "w") as archive, archive.open("codes.npy", "w") as member:
            np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": (10**15, L)})
            member.write(bytes(4 * L))
        with pytest.raises(UnbraidError, match=r"cannot read codes from .*codes is cut short"):
            codes.decode(trained, tmp_path / "z.npz", tmp_path / "made")

    def test_tables_of_more_or_fewer_codes_than_they_say(
        self, trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The header of the array would be wrong."""
        reader = tables._READERS[".csv"]
        (tmp_path / "z.csv").write_text("z0,z1,z2\n" + "1,2,3\n" * 5)
        for n, sentence in ((4, "holds more than the 4 codes"), (6, "speaks of 6 codes, and it holds 5")):
            lying = tables.Table(n, reader(tmp_path / "z.csv", L).parts)
            monkeypatch.setitem(tables._READERS, ".csv", lambda path, latents, lying=lying: lying)
            with pytest.raises(UnbraidError, match=sentence):
                codes.decode(trained, tmp_path / "z.csv", tmp_path / "made.npy")
            assert not (tmp_path / "made.npy").exists()

    def test_an_archive_that_is_encrypted(self, trained: Run, tmp_path: Path) -> None:
        np.savez(tmp_path / "z.npz", codes=np.zeros((5, 3)))
        content = bytearray((tmp_path / "z.npz").read_bytes())
        content[6] |= 1
        content[content.rindex(b"PK\x01\x02") + 8] |= 1
        (tmp_path / "z.npz").write_bytes(content)
        with pytest.raises(UnbraidError, match="is encrypted"):
            codes.decode(trained, tmp_path / "z.npz", tmp_path / "made.npy")


class TestCommands:
    def test_there_and_back(self, trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        np.save(tmp_path / "images.npy", squares().images(np.arange(N)))
        np.savez(tmp_path / "images.npz", images=squares().images(np.arange(N)))
        made = trained.reconstruct(squares().images(np.arange(N))).numpy()
        for source in ("images.npy", "images.npz"):
            table = tmp_path / "codes.parquet"
            assert main(["encode", str(trained.path), str(tmp_path / source), "-o", str(table), "--variances"]) == 0
            assert main(["decode", str(trained.path), str(table), "-o", str(tmp_path / "back.npy")]) == 0
            np.testing.assert_allclose(np.load(tmp_path / "back.npy"), made, rtol=1e-3, atol=1e-4)
        assert f"72 images: {tmp_path / 'back.npy'}" in capsys.readouterr().out

    def test_folders_and_files_of_pictures(
        self, trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: tuple[np.ndarray, np.ndarray]
    ) -> None:
        """Of another size and in colours too: they are made what the run takes."""
        monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
        folder = tmp_path / "my pictures"
        (folder / "größer").mkdir(parents=True)
        for n, image in enumerate(squares().images(np.arange(9))):
            large = Image.fromarray(image[0]).resize((32, 32), Image.Resampling.NEAREST).convert("RGB")
            large.save(folder / ("größer" if n % 2 else ".") / f"{n}.png")
        out = tmp_path / "codes.parquet"
        assert main(["encode", str(trained.path), str(folder), "-o", str(out)]) == 0
        found = columns(out)
        order = [0, 2, 4, 6, 8, 1, 3, 5, 7]
        assert found["image"] == [f"größer/{n}.png" if n % 2 else f"{n}.png" for n in order]
        np.testing.assert_allclose(values(found, ["z0", "z1", "z2"]), expected[0][order], atol=1e-3)
        files = [folder / "größer" / "3.png", folder / "4.png"]
        assert main(["encode", str(trained.path), *map(str, files), "-o", str(out)]) == 0
        assert columns(out)["image"] == ["größer/3.png", "4.png"]
        np.testing.assert_allclose(values(columns(out), ["z0", "z1", "z2"]), expected[0][3:5], atol=1e-3)

    def test_the_data_set_of_the_run(self, tmp_path: Path) -> None:
        settings = ["--data", "balls", "--size", "8", "--model", "balls_conv", "--latent-dim", "3", "--steps", "3"]
        assert main(["train", *settings, "--no-figures", "--device", "cpu", "--out", str(tmp_path / "run")]) == 0
        from unbraid import runs

        assert codes.open_images(runs.load(tmp_path / "run"), "balls").image_shape == (1, 8, 8)

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["encode", "RUN", "nothing", "-o", "x.csv"], 'there is no data set or folder called "nothing"'),
            (["encode", "RUN", "nothing.npy", "-o", "x.csv"], "nothing.npy"),
            (["encode", "RUN", "nothing.csv", "-o", "x.csv"], "there is nothing at nothing.csv"),
            (["encode", "RUN", "nothing.png", "-o", "x.csv"], "nothing.png is not a file of a picture"),
            (["encode", "RUN", "a.png", "balls", "-o", "x.csv"], "a.png is not a file of a picture"),
            (["encode", "RUN", "balls", "-o", "x.doc"], 'there is no kind of file for codes called ".doc"'),
            (["encode", "nothing", "balls", "-o", "x.csv"], "nothing is not a run folder"),
            (["encode", "RUN"], "the following arguments are required: IMAGES, -o/--out"),
            (["decode", "RUN", "nothing.csv", "-o", "x"], "cannot read codes from nothing.csv: No such file"),
            (["decode", "RUN", "nothing", "-o", "x"], 'there is no kind of file for codes called ""'),
        ],
    )
    def test_mistakes(
        self,
        trained: Run,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        arguments: list[str],
        sentence: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert main([str(trained.path) if each == "RUN" else each for each in arguments]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("unbraid: ") and err.count("\n") == 1 and sentence in err
        assert list(tmp_path.iterdir()) == []
