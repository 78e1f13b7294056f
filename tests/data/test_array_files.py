"""Arrays in files as a data set; and files that lie, point elsewhere or would run code."""

import io
import itertools
import struct
import sys
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import costs
import h5py
import numpy as np
import pytest

from unbraid.data import array_files, load
from unbraid.errors import UnbraidError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (30, 6, 8), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (30, 3, 6, 8), dtype=np.uint8)
FACTORS = np.stack(np.unravel_index(np.arange(30), (5, 6)), axis=1)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def written(path: Path, **members: np.ndarray) -> Path:
    """.npz and HDF5 hold all members, .npy the only one."""
    if path.suffix == ".npy":
        np.save(path, *members.values())
    elif path.suffix == ".npz":
        np.savez_compressed(path, **members)
    else:
        with h5py.File(path, "w") as file:
            for name, member in members.items():
                file.create_dataset(name, data=member, compression="gzip")
    return path


def all_of(path: Path) -> np.ndarray:
    dataset = load(str(path))
    return dataset.images(np.arange(len(dataset)))


class TestRead:
    def test_what_is_left_alone_is_said_once(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = written(tmp_path / "a.npz", images=GREY, labels=FACTORS[:, 0])
        all_of(path)
        assert 'images is read, and labels left alone (factors are read from an array [N, F] called "factors"' in (
            capsys.readouterr().err
        )
        all_of(path)
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5", "a.HDF5"])
    @pytest.mark.parametrize("at_once", [1, 1000, 2**24])
    def test_layouts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, at_once: int) -> None:
        monkeypatch.setattr(sys.modules["unbraid.data.arrays"], "_AT_ONCE", at_once)
        path = tmp_path / name
        for images, expected in (
            (GREY, GREY[:, None]),
            (GREY[..., None], GREY[:, None]),
            (COLOUR, COLOUR),
            (np.moveaxis(COLOUR, 1, 3).copy(), COLOUR),
        ):
            assert np.array_equal(all_of(written(path.with_suffix(path.suffix.lower()), images=images)), expected)

    @pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ">f4"])
    def test_floats(self, tmp_path: Path, kind: Any) -> None:
        assert np.array_equal(all_of(written(tmp_path / "a.npz", x=(GREY / 255).astype(kind)))[:, 0], GREY)

    def test_floats_that_are_nearly_black_stay_so(self, tmp_path: Path) -> None:
        images = np.zeros((5, 6, 6))
        images[:, 0] = 1 / 255
        assert all_of(written(tmp_path / "a.npy", images=images)).max() == 1

    @pytest.mark.parametrize("kind", [np.bool_, np.uint8])
    def test_truth_values(self, tmp_path: Path, kind: Any) -> None:
        path = written(tmp_path / "a.h5", images=(GREY > 99).astype(kind))
        assert load(str(path)).binary and np.array_equal(all_of(path)[:, 0], np.where(GREY > 99, 255, 0))

    @pytest.mark.parametrize("suffix", [".npz", ".h5"])
    def test_factors(self, tmp_path: Path, suffix: str) -> None:
        dataset = load(str(written(tmp_path / f"a{suffix}", images=GREY, factors=FACTORS)))
        assert dataset.factor_sizes == (5, 6) and np.array_equal(dataset.factors(np.arange(30)), FACTORS)
        assert dataset.factor_names == ("factor_1", "factor_2")

    def test_names_of_factors(self, tmp_path: Path) -> None:
        path = written(tmp_path / "a.npz", images=GREY, factors=FACTORS / 2, factor_names=np.array(["a", "b"]))
        assert load(str(path)).factor_names == ("a", "b") and load(str(path)).factor_sizes == (None, None)

    def test_names_of_factors_that_are_too_long_are_left_alone(self, tmp_path: Path) -> None:
        names = np.array(["x" * 2**22, "b"])  # 32 MB
        path = written(tmp_path / "a.npz", images=GREY, factors=FACTORS, factor_names=names)
        assert load(str(path)).factor_names == ("factor_1", "factor_2")

    def test_the_images_are_those_called_so_or_the_only_ones(self, tmp_path: Path) -> None:
        assert len(all_of(written(tmp_path / "a.npz", digits=GREY, factors=FACTORS))) == 30
        assert len(all_of(written(tmp_path / "b.npz", images=GREY, other=GREY))) == 30
        with pytest.raises(UnbraidError, match=r'one array called "images" \(it holds: one, two\)'):
            load(str(written(tmp_path / "c.npz", one=GREY, two=GREY)))
        with pytest.raises(UnbraidError, match="it holds: factors"):
            load(str(written(tmp_path / "d.npz", factors=FACTORS)))

    def test_in_groups_of_hdf5(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["train/pictures"] = GREY
            file["train/again"] = file["train"]  # a circle
        with pytest.raises(UnbraidError, match="too many groups"):
            load(str(tmp_path / "a.h5"))
        with h5py.File(tmp_path / "a.h5", "a") as file:
            del file["train/again"]
        assert np.array_equal(all_of(tmp_path / "a.h5")[:, 0], GREY)

    def test_pickled_members_are_left_alone(self, tmp_path: Path) -> None:
        class Trap:
            def __reduce__(self) -> Any:
                return (sys.exit, ("it was unpickled",))

        np.savez(tmp_path / "a.npz", images=GREY, metadata=np.array({"trap": Trap()}, dtype=object))
        assert np.array_equal(all_of(tmp_path / "a.npz")[:, 0], GREY)
        np.savez(tmp_path / "b.npz", images=np.array([Trap()], dtype=object))
        with pytest.raises(UnbraidError, match="it holds: no plain array"):
            load(str(tmp_path / "b.npz"))
        np.save(tmp_path / "c.npy", np.array([Trap()] * 8, dtype=object).reshape(2, 2, 2))
        with pytest.raises(UnbraidError, match="Python objects, which could run code"):
            load(str(tmp_path / "c.npy"))


def npy(shape: Any, content: bytes, descr: str = "'|u1'", version: bytes = b"\x01\x00") -> bytes:
    """An .npy file put together by hand, so that it may lie."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + content


class TestNpy:
    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (b"", "cannot be read as .npy"),
            (b"\x93NUMPY", "cannot be read as .npy"),
            (npy((10**12, 64, 64), b"\0" * 64), "its header speaks of 4,096,000,000,000,000 bytes, and 64 follow"),
            (npy((2, 4, 4), b"\0" * 31), "speaks of 32 bytes, and 31 follow"),
            (npy((2, 4, 4), b"\0" * 33), "speaks of 32 bytes, and 33 follow"),
            (npy((-2, -4, 4), b"\0" * 32), "cannot be read"),
            (npy((2, 4, 4), b"\0" * 32, version=b"\x09\x00"), "cannot be read|not supported"),
            (npy((2, 4, 4), b"\0" * 32, descr="'|O'"), "Python objects"),
            (npy((2, 4, 4), b"\0" * 256, descr="'<c16'"), "speaks of|complex"),
            (npy((2, 4, 4), b"\0" * 32, descr="[('a', '|u1')]"), "must be uint8"),
            (npy("(2, __import__('os').system('true'), 4)", b"\0" * 32), "cannot be read"),
            (npy((0, 4, 4), b""), "with something in it"),
            (npy((1, 1, 5000), b"\0" * 5000), "at most 4096 pixels"),
            (npy((32,), b"\0" * 32), "must be an array"),
        ],
    )
    def test_lies_are_refused(self, tmp_path: Path, content: bytes, sentence: str) -> None:
        (tmp_path / "a.npy").write_bytes(content)
        with pytest.raises(UnbraidError, match=sentence):
            load(str(tmp_path / "a.npy"))

    def test_columns_first(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.asfortranarray(GREY))
        with pytest.raises(UnbraidError, match=r"save np.ascontiguousarray"):
            load(str(tmp_path / "a.npy"))


class TestNpz:
    def test_a_bomb(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            content = npy((2**28 // 64, 8, 8), bytes(2**28))
            archive.writestr("images.npy", content)
        with pytest.raises(UnbraidError, match=r"claims to unfold .* which no images do"):
            load(str(tmp_path / "a.npz"))

    @pytest.mark.parametrize("claimed", [1, 2**40])
    def test_a_directory_that_lies_about_a_member(self, tmp_path: Path, claimed: int) -> None:
        stream = io.BytesIO()
        np.savez_compressed(stream, images=GREY)
        content = stream.getvalue()
        size = struct.pack("<L", GREY.nbytes + 128)
        assert content.count(size) == 1 or content.count(size) == 2
        (tmp_path / "a.npz").write_bytes(content.replace(size, struct.pack("<L", claimed & 0xFFFFFFFF)))
        with pytest.raises(UnbraidError, match=r"cannot be read as .npz"):
            load(str(tmp_path / "a.npz"))

    def test_one_that_is_damaged_in_the_middle(self, tmp_path: Path, empty_cache: Path) -> None:
        path = written(tmp_path / "a.npz", images=RNG.integers(0, 256, (200, 64, 64), dtype=np.uint8))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
        with pytest.raises(UnbraidError, match=r"cannot be read as .npz"):
            load(str(path))
        assert {file.suffix for file in empty_cache.iterdir()} <= {".lock"}

    def test_names_that_lead_elsewhere_write_nothing(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", **{"../../images": GREY})
        before = sorted(tmp_path.parent.iterdir())
        assert len(all_of(tmp_path / "a.npz")) == 30
        assert sorted(tmp_path.parent.iterdir()) == before

    @pytest.mark.parametrize("bomb", [None, 0, 1])
    def test_one_name_for_two_members(self, tmp_path: Path, bomb: int | None) -> None:
        """The last is read, as NumPy does, and neither may promise what it does not hold."""
        members = [(GREY[:7], (7, 6, 8)), (GREY, (30, 6, 8))]
        if bomb is not None:
            members[bomb] = GREY, (2**30, 64, 64)
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the name occurs twice
            for array, shape in members:
                header = io.BytesIO()
                np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
                archive.writestr("images.npy", header.getvalue() + array.tobytes())
        if bomb is None:
            assert np.array_equal(all_of(tmp_path / "a.npz")[:, 0], GREY)
        else:
            with pytest.raises(UnbraidError, match=r"its header speaks of 4,398,046,511,104 bytes"):
                load(str(tmp_path / "a.npz"))

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_compression_that_zipfile_unfolds_whole(self, tmp_path: Path, method: int) -> None:
        with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
            archive.writestr("images.npy", npy((2, 4, 4), bytes(32)))
        with pytest.raises(UnbraidError, match=r"images.npy is compressed in an unusual way: save it by np.savez_comp"):
            load(str(tmp_path / "a.npz"))

    def test_too_many_members(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(array_files, "_MOST_MEMBERS", 3)
        with pytest.raises(UnbraidError, match="it holds 4 arrays, more than 3"):
            load(str(written(tmp_path / "a.npz", a=GREY, b=GREY, c=GREY, d=GREY)))


class TestHdf5:
    @pytest.fixture
    def secret(self, tmp_path: Path) -> Path:
        return written(tmp_path / "secret.h5", images=GREY)

    def refused(self, path: Path, sentence: str) -> None:
        with pytest.raises(UnbraidError, match=sentence):
            load(str(path))

    def test_external_and_soft_links_are_not_followed(self, tmp_path: Path, secret: Path) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["images"] = h5py.ExternalLink(str(secret), "images")
            file["soft"] = h5py.SoftLink("/images")
        self.refused(tmp_path / "a.h5", "it holds: no plain array")

    def test_groups_that_are_linked_many_times(self, tmp_path: Path) -> None:
        """Three groups of 200 links each, to the next one: eight million ways down."""
        with h5py.File(tmp_path / "a.h5", "w") as file:
            groups = [file, *(file.create_group(f"g{number}") for number in range(3))]
            for group, inner in itertools.pairwise(groups):
                for number in range(200):
                    group[f"link{number}"] = inner
            groups[-1]["images"] = GREY
        with costs.bounded():
            self.refused(tmp_path / "a.h5", "too many groups or arrays")

    @pytest.mark.parametrize("together", [1, 7, 24, 100])
    def test_chunks_are_unfolded_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: int) -> None:
        """However few rows are asked for, HDF5 is asked for whole chunks, in turn."""
        images = RNG.integers(0, 256, (100, 6, 8), dtype=np.uint8)
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("images", data=images, chunks=(together, 3, 4), compression="gzip")
        monkeypatch.setattr(array_files, "_AT_ONCE", 1)
        asked: list[slice] = []
        with array_files.opened(tmp_path / "a.h5") as arrays:
            array = arrays["images"]
            dataset = array._dataset
            seen = {
                "__getitem__": lambda self, rows: asked.append(rows) or dataset[rows],
                "__getattr__": lambda self, name: getattr(dataset, name),
            }
            monkeypatch.setattr(array, "_dataset", type("Seen", (), seen)())
            assert np.array_equal(np.concatenate([array.read(rows) for rows in (1, 1, 30, 20, 5, 43)]), images)
        assert [rows.start for rows in asked[1:]] == [rows.stop for rows in asked[:-1]]
        assert all(rows.start % together == 0 and rows.stop % together == 0 for rows in asked)

    def test_chunks_across_too_many_images(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("images", (2**20, 64, 64), np.uint8, chunks=(2**20, 4, 4), compression="gzip")
        self.refused(tmp_path / "a.h5", "each chunk of images holds parts of 1,048,576 rows: save it with chunks of f")
        monkeypatch.setattr(array_files, "_AT_ONCE", 1)
        monkeypatch.setattr(array_files, "_MOST_AT_ONCE", 1000)  # 20 rows of 48 bytes
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("images", data=GREY, chunks=(30, 1, 1))
        assert np.array_equal(all_of(tmp_path / "a.h5")[:, 0], GREY)

    def test_millions_of_chunks_that_are_not_there(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("images", (100_000, 8, 8), np.uint8, chunks=(1, 1, 1))
        self.refused(tmp_path / "a.h5", "images lies in 6,400,000 chunks: save it in fewer")
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("images", data=GREY, chunks=(1, 1, 1), compression="gzip")
        assert np.array_equal(all_of(tmp_path / "a.h5")[:, 0], GREY)

    def test_a_chunk_that_unfolds_beyond_itself(self, tmp_path: Path) -> None:
        """A gibibyte of zeros where 64 bytes belong; a large chunk that holds what it should is read."""
        packer = zlib.compressobj()
        bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(1024)) + packer.flush()
        for filters in ({"compression": "gzip"}, {"compression": "gzip", "shuffle": True, "fletcher32": True}):
            with h5py.File(tmp_path / "a.h5", "w") as file:
                images = file.create_dataset("images", (4, 8, 8), np.uint8, chunks=(1, 8, 8), **filters)
                images.id.write_direct_chunk((0, 0, 0), bomb)
            self.refused(tmp_path / "a.h5", "a chunk unfolds to more than it should hold")
            noise = RNG.integers(0, 256, (40, 100, 100), dtype=np.uint8)
            with h5py.File(tmp_path / "b.h5", "w") as file:
                file.create_dataset("images", data=noise, chunks=(40, 100, 100), **filters)
            assert np.array_equal(all_of(tmp_path / "b.h5")[:, 0], noise)

    def test_external_storage(self, tmp_path: Path) -> None:
        (tmp_path / "raw").write_bytes(GREY.tobytes())
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("images", GREY.shape, np.uint8, external=[(str(tmp_path / "raw"), 0, GREY.nbytes)])
        self.refused(tmp_path / "a.h5", "images lies in other files")

    def test_virtual_storage(self, tmp_path: Path, secret: Path) -> None:
        layout = h5py.VirtualLayout(GREY.shape, np.uint8)
        layout[:] = h5py.VirtualSource(str(secret), "images", GREY.shape)
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_virtual_dataset("images", layout)
        self.refused(tmp_path / "a.h5", "images lies in other files")

    def test_absurd_shapes(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("images", (10**9, 64, 64), np.uint8, chunks=(1, 64, 64))
        self.refused(tmp_path / "a.h5", "claims to unfold 0 bytes into 4,096,000,000,000")
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("images", (2**18, 64, 64), np.uint8, chunks=(2**17, 64, 64), compression="gzip")
        self.refused(tmp_path / "a.h5", "the chunks of images are larger")

    def test_filters_that_would_load_a_plug_in(self, tmp_path: Path) -> None:
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((1, 6, 8))
        creation.set_scaleoffset(h5py.h5z.SO_INT, 0)
        with h5py.File(tmp_path / "a.h5", "w") as file:
            space = h5py.h5s.create_simple(GREY.shape)
            h5py.h5d.create(file.id, b"images", h5py.h5t.NATIVE_UINT8, space, creation).write(
                h5py.h5s.ALL, h5py.h5s.ALL, GREY
            )
        self.refused(tmp_path / "a.h5", "compressed in an unusual way")

    def test_what_lies_beside_the_images_may_be_stored_in_any_way(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("images", data=GREY)
            file.create_dataset("table", (2**30, 4), np.uint8, chunks=(2**20, 4), compression="gzip")
            file.create_dataset("codes", (30, 5), np.int32, scaleoffset=4)
        assert np.array_equal(all_of(tmp_path / "a.h5")[:, 0], GREY)

    def test_damage(self, tmp_path: Path) -> None:
        (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500))
        self.refused(tmp_path / "a.h5", "cannot be read as .h5")
        path = written(tmp_path / "b.h5", images=RNG.integers(0, 256, (200, 64, 64), dtype=np.uint8))
        path.write_bytes(path.read_bytes()[:-5000])
        self.refused(path, "cannot be read as .h5")

    def test_without_h5py(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = written(tmp_path / "a.h5", images=GREY)
        monkeypatch.setitem(sys.modules, "h5py", None)
        self.refused(path, r'needs h5py: pip install "unbraid\[hdf5\]"')


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"images": GREY.astype(np.int64)}, "not int64"),
        ({"images": GREY.astype(np.float32)}, "between 0 and 1, and these run from 0 to 255"),
        ({"images": np.full((3, 4, 4), np.nan)}, "NaN"),
        ({"images": np.zeros((3, 4, 4, 4), np.uint8)}, "no axis for channels"),
        ({"images": GREY, "factors": FACTORS[:5]}, r"factors must be an array of numbers \[30, F\]"),
        ({"images": GREY, "factors": FACTORS - 9}, "value indices start at 0"),
        ({"images": GREY, "factors": FACTORS.astype(np.longdouble)}, "factors must be an array of numbers"),
        ({"images": GREY, "factors": np.full((30, 1), "x" * 2**12)}, "factors must be an array of numbers"),
        ({"images": GREY, "factors": np.zeros((30, 257))}, "too many: at most 256 for an image and 16,777,216 in all"),
    ],
)
def test_arrays_that_are_no_images(tmp_path: Path, members: dict[str, np.ndarray], sentence: str) -> None:
    with pytest.raises(UnbraidError, match=sentence):
        load(str(written(tmp_path / "a.npz", **members)))


@pytest.mark.parametrize(
    ("path", "what"), [("", "is none"), ("nowhere.npz", "there is nothing at"), (__file__, "is none")]
)
def test_paths_that_are_none(path: str, what: str) -> None:
    with pytest.raises(UnbraidError, match=f"must be a file of arrays .*{what}"):
        load("arrays", path=path)
