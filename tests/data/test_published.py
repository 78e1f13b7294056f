"""Data sets of the field from small files in the exact formats of the published ones."""

import functools
import gzip
import hashlib
import math
import os
import shutil
import struct
import sys
import tarfile
import threading
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import costs
import data_files
import numpy as np
import pytest
from scipy.io import savemat

from unbraid.data import load, published
from unbraid.errors import UnbraidError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in data_files.SIZES:
        data_files.shrink(name, monkeypatch)
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def all_of(dataset: Any) -> np.ndarray:
    """[N, H, W, C]"""
    return np.moveaxis(dataset.images(np.arange(len(dataset))), 1, 3)


@contextmanager
def most_traced(size: int) -> Iterator[None]:
    """What happens within takes no more memory of Python and NumPy than this, nor of the processor than is allowed."""
    tracemalloc.start()
    try:
        with costs.bounded():
            yield
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


def no_network(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Calls of pooch, none of which succeed."""
    calls: list[dict[str, Any]] = []

    def retrieve(url: str, **options: Any) -> None:
        calls.append({"url": url, **options})
        raise ConnectionError("no route")

    logger = SimpleNamespace(setLevel=lambda level: None)
    monkeypatch.setitem(sys.modules, "pooch", SimpleNamespace(retrieve=retrieve, get_logger=lambda: logger))
    return calls


class TestShapes3D:
    def test_images_and_factors(self, tmp_path: Path) -> None:
        images = data_files.shapes3d(tmp_path)
        dataset = load("shapes3d", source=str(tmp_path / "3dshapes.h5"))
        assert np.array_equal(all_of(dataset), images) and dataset.factor_sizes == data_files.SHAPES3D_SIZES
        assert dataset.factor_names == ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
        assert dataset.indices([[1, 0, 0, 0, 0, 2]]).tolist() == [98]

    def test_another_order_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        data_files.shapes3d(tmp_path)
        monkeypatch.setattr(sys.modules["unbraid.data.shapes3d"], "FACTOR_SIZES", data_files.SHAPES3D_SIZES[::-1])
        with pytest.raises(UnbraidError, match=r"its labels are not those of the published order"):
            load("shapes3d", source=str(tmp_path / "3dshapes.h5"))

    def test_another_file_is_refused(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "x.npz", images=np.zeros((5, 64, 64, 3), np.uint8), labels=np.zeros((5, 6)))
        with pytest.raises(UnbraidError, match=r"is not 3dshapes.h5: it must hold images \[192, 64, 64, 3\]"):
            load("shapes3d", source=str(tmp_path / "x.npz"))
        images = np.zeros((192, 64, 64, 3), np.uint8)
        for labels in (np.zeros((1, 20_000_000), np.uint8), np.zeros((192, 6), "U9"), np.zeros(192), np.float64(0)):
            np.savez_compressed(tmp_path / "x.npz", images=images, labels=labels)
            with most_traced(2**24), pytest.raises(UnbraidError, match=r"and labels \[192, 6\] of numbers"):
                load("shapes3d", source=str(tmp_path / "x.npz"))
        (tmp_path / "x.txt").write_text("")
        with pytest.raises(UnbraidError, match=r"is not 3dshapes.h5"):
            load("shapes3d", source=str(tmp_path / "x.txt"))


class TestMPI3D:
    @pytest.mark.parametrize("name", ["mpi3d_toy", "mpi3d_realistic", "mpi3d_real"])
    def test_images_and_factors(self, tmp_path: Path, name: str) -> None:
        images = data_files.mpi3d(tmp_path)
        dataset = load(name, source=str(tmp_path / f"{name}.npz"))
        assert np.array_equal(all_of(dataset), images) and dataset.factor_sizes == data_files.MPI3D_SIZES
        assert dataset.factor_names[-2:] == ("horizontal_axis", "vertical_axis")

    def test_the_published_numbers_of_images(self) -> None:
        sizes = sys.modules["unbraid.data.mpi3d"].FACTOR_SIZES
        assert sizes == {96: data_files.MPI3D_SIZES}  # what the fixture put there
        assert math.prod((6, 6, 2, 3, 3, 40, 40)) == 1_036_800 and math.prod((4, 4, 2, 3, 3, 40, 40)) == 460_800

    def test_another_file_is_refused(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "x.npz", images=np.zeros((5, 64, 64, 3), np.uint8))
        with pytest.raises(UnbraidError, match=r"is not a file of MPI3D: it must hold 96 images"):
            load("mpi3d_toy", source=str(tmp_path / "x.npz"))


class TestCars3D:
    def test_from_a_folder_and_from_the_archive(self, tmp_path: Path) -> None:
        images = data_files.cars3d(tmp_path / "cars")
        with tarfile.open(tmp_path / "nips2015-analogy-data.tar.gz", "w:gz") as archive:
            for file in sorted((tmp_path / "cars").iterdir(), reverse=True):
                archive.add(file, f"data/cars/{file.name}")
            archive.add(__file__, "data/shapes48.mat")
        for source in (tmp_path / "cars", tmp_path / "nips2015-analogy-data.tar.gz"):
            dataset = load("cars3d", source=str(source), size=128)
            assert dataset.factor_names == ("elevation", "azimuth", "object_type")
            for index in (0, 1, 77, 191):
                elevation, azimuth, car = dataset.factors([index])[0]
                assert np.array_equal(all_of(dataset)[index], images[car, ..., azimuth, elevation])

    def test_made_smaller(self, tmp_path: Path) -> None:
        images = data_files.cars3d(tmp_path)
        found = all_of(load("cars3d", source=str(tmp_path)))[0]  # the middle of each square of 8 x 8 keeps its colour
        assert found.shape == (64, 64, 3)
        assert np.abs(found[4::8, 4::8].astype(int) - images[0, 8::16, 8::16, :, 0, 0]).max() < 12

    def test_what_is_missing_or_broken(self, tmp_path: Path) -> None:
        data_files.cars3d(tmp_path / "one", cars=1)
        with pytest.raises(UnbraidError, match=r"holds 1 files car_\*.mat, and Cars3D has 2"):
            load("cars3d", source=str(tmp_path / "one"))
        (tmp_path / "one" / "car_002_mesh.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
        with pytest.raises(UnbraidError, match=r"car_002_mesh.mat"):
            load("cars3d", source=str(tmp_path / "one"))
        (tmp_path / "x.tar.gz").write_bytes(b"junk")
        with pytest.raises(UnbraidError, match="cannot be read as nips2015"):
            load("cars3d", source=str(tmp_path / "x.tar.gz"))

    def bomb(self, path: Path, elements: bytes, name: str = "car_001_mesh.mat") -> Path:
        """A file of MATLAB as its elements, compressed or not."""
        path.mkdir(exist_ok=True)
        (path / name).write_bytes(b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + elements)
        return path

    def compressed(self, size: int, name: bytes = b"im") -> bytes:
        """An element that unfolds to zeros, as many as asked for, after the header of an image of 2.5 GiB."""
        header = struct.pack("<IIIIIIIIiiII", 14, size + 48, 6, 8, 9, 0, 5, 8, 16384, 163840, 1, 2) + name.ljust(
            8, b"\0"
        )
        packer = zlib.compressobj()
        content = packer.compress(header)
        content += b"".join(packer.compress(bytes(2**20)) for _ in range(size // 2**20)) + packer.flush()
        return struct.pack("<II", 15, len(content)) + content

    def test_a_file_that_unfolds_beyond_a_car(self, tmp_path: Path) -> None:
        """It is refused by then, and its image never read; a smaller one by what its header declares."""
        bomb = self.compressed(2**30)
        assert len(bomb) < 2**21
        with most_traced(2**28), pytest.raises(UnbraidError, match="unfolds to more than 67,108,864 bytes"):
            load("cars3d", source=str(self.bomb(tmp_path / "large", bomb)))
        many = self.compressed(2**25, b"ma") * 3
        with most_traced(2**28), pytest.raises(UnbraidError, match="unfolds to more than 67,108,864 bytes"):
            load("cars3d", source=str(self.bomb(tmp_path / "many", many)))
        with most_traced(2**28), pytest.raises(UnbraidError, match=r"must hold im \[128, 128, 3, 24, 4\] of bytes"):
            load("cars3d", source=str(self.bomb(tmp_path / "small", self.compressed(2**23))))

    @pytest.mark.parametrize("array", [np.zeros((128, 128, 3, 24, 4)), np.zeros((128, 128, 3, 24), np.uint8)])
    def test_a_file_of_another_image(self, tmp_path: Path, array: np.ndarray) -> None:
        savemat(tmp_path / "car_001_mesh.mat", {"im": array}, do_compression=True)
        with pytest.raises(UnbraidError, match=r"must hold im \[128, 128, 3, 24, 4\] of bytes"):
            load("cars3d", source=str(tmp_path))

    def test_more_cars_than_there_are(self, tmp_path: Path) -> None:
        data_files.cars3d(tmp_path, cars=3)
        with pytest.raises(UnbraidError, match="holds more files"):
            load("cars3d", source=str(tmp_path))

    def test_one_car_again_and_again(self, tmp_path: Path) -> None:
        data_files.cars3d(tmp_path / "cars", cars=1)
        with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
            for _ in range(1_000):
                archive.add(tmp_path / "cars" / "car_001_mesh.mat", "car_001_mesh.mat")
        with most_traced(2**27), pytest.raises(UnbraidError, match=r"x.tar.gz holds car_001_mesh.mat twice"):
            load("cars3d", source=str(tmp_path / "x.tar.gz"))
        shutil.copytree(tmp_path / "cars", tmp_path / "cars" / "copy")
        with pytest.raises(UnbraidError, match=r"cars holds car_001_mesh.mat twice"):
            load("cars3d", source=str(tmp_path / "cars"))

    @pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
    def test_headers_before_headers(self, tmp_path: Path, kind: bytes) -> None:
        """Of which tarfile calls itself for each; and records that take more time than room."""
        with gzip.open(tmp_path / "chain.tar.gz", "wb", compresslevel=1) as stream:
            for _ in range(2_000):
                stream.write(self.info(kind, 0).tobuf(tarfile.USTAR_FORMAT))
        with gzip.open(tmp_path / "records.tar.gz", "wb", compresslevel=1) as stream:
            records = b"6 a=b\n" * (2**19 // 6)
            for _ in range(60):
                stream.write(self.info(kind, len(records)).tobuf(tarfile.USTAR_FORMAT))
                stream.write(records.ljust(-(-len(records) // 512) * 512, b"\0"))
                stream.write(tarfile.TarInfo("y").tobuf(tarfile.USTAR_FORMAT))
        for name in ("chain.tar.gz", "records.tar.gz"):
            with costs.bounded(), pytest.raises(UnbraidError, match=r"cannot be read as nips2015|holds 0 files"):
                load("cars3d", source=str(tmp_path / name))

    def info(self, kind: bytes, size: int) -> tarfile.TarInfo:
        info = tarfile.TarInfo("x")
        info.type, info.size = kind, size
        return info

    def test_a_folder_whose_files_have_changed(self, tmp_path: Path) -> None:
        data_files.cars3d(tmp_path)
        before = all_of(load("cars3d", source=str(tmp_path)))
        data_files.cars3d(tmp_path)  # the same names, other pictures
        assert not np.array_equal(all_of(load("cars3d", source=str(tmp_path))), before)

    def test_files_that_are_not_to_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refused(self: Path) -> bytes:
            raise PermissionError(13, "Permission denied")

        data_files.cars3d(tmp_path)
        with (tmp_path / "car_002_mesh.mat").open("ab") as file:
            file.truncate(2**26 + 1)
        with pytest.raises(UnbraidError, match=r"files of Cars3D: car_002_mesh.mat is larger than 67,108,864 bytes"):
            load("cars3d", source=str(tmp_path))
        monkeypatch.setattr(Path, "read_bytes", refused)
        with pytest.raises(UnbraidError, match=r"cannot be read as the files of Cars3D: .*Permission denied"):
            load("cars3d", source=str(tmp_path))

    def test_an_archive_that_unfolds_beyond_the_published_one(self, tmp_path: Path) -> None:
        """A file of two gigabytes, a header of one, and a hundred thousand files without content."""
        large, header, empty = tarfile.TarInfo("x"), tarfile.TarInfo("x"), tarfile.TarInfo("x")
        large.size, header.size, header.type = 2**31, 2**30, tarfile.XHDTYPE
        for name, infos, sentence in (
            ("large", [large], "unfolds to more than"),
            ("header", [header], "a header would be 1073741824 bytes long"),
            ("many", [empty] * 100_000, "unfolds to more than"),
        ):
            with gzip.open(tmp_path / f"{name}.tar.gz", "wb", compresslevel=1) as archive:
                for info in infos:
                    archive.write(info.tobuf(tarfile.USTAR_FORMAT))
                archive.write(bytes(2**20))
            with most_traced(2**27), pytest.raises(UnbraidError, match=sentence):
                load("cars3d", source=str(tmp_path / f"{name}.tar.gz"))


class TestSmallNorb:
    @pytest.mark.parametrize("suffix", [".mat.gz", ".mat"])
    def test_in_the_order_of_their_factors(self, tmp_path: Path, suffix: str) -> None:
        images, factors = data_files.smallnorb(tmp_path, suffix)
        dataset = load("smallnorb", source=str(tmp_path), size=96)
        assert len(dataset) == 48 and dataset.image_shape == (1, 96, 96)
        assert np.array_equal(dataset.images(dataset.indices(factors))[:, 0], images)
        assert load("smallnorb", source=str(tmp_path)).image_shape == (1, 64, 64)

    def test_what_is_missing_or_broken(self, tmp_path: Path) -> None:
        data_files.smallnorb(tmp_path)
        dat, cat, info = (tmp_path / f"{data_files.NORB_PARTS[0]}-{kind}.mat.gz" for kind in ("dat", "cat", "info"))
        kept = {path: path.read_bytes() for path in (dat, cat, info)}
        for path, content, sentence in (
            (dat, kept[dat][:-2000], "cannot be read as a binary matrix"),
            (dat, kept[cat], r"must hold \[24, 2, 96, 96\] of uint8, and its header says \[24\] of int32"),
            (cat, b"junk", "cannot be read as a binary matrix"),
            (info, kept[cat], r"must hold \[24, 4\] of int32, and its header says \[24\] of int32"),
            (cat, None, "lacks smallnorb-5x46789x9x18x6x2x96x96-training-cat.mat.gz"),
        ):
            path.unlink() if content is None else path.write_bytes(content)
            with pytest.raises(UnbraidError, match=sentence):
                load("smallnorb", source=str(tmp_path))
            path.write_bytes(kept[path])
        data_files.matrix(cat, np.zeros(24, np.int32))
        with pytest.raises(UnbraidError, match="of the 48 combinations"):
            load("smallnorb", source=str(tmp_path))

    @pytest.mark.parametrize("lengths", [(2**31 - 1, 2**31 - 1, 1), (-5, 1, 1), (0, 1, 1)])
    def test_a_matrix_of_an_absurd_shape(self, tmp_path: Path, lengths: tuple[int, ...]) -> None:
        data_files.smallnorb(tmp_path, ".mat")
        header = np.array([0x1E3D4C54, 2, *lengths], "<i4")
        (tmp_path / f"{data_files.NORB_PARTS[0]}-cat.mat").write_bytes(header.tobytes())
        with pytest.raises(UnbraidError, match=r"must hold \[24\] of int32, and its header says \["):
            load("smallnorb", source=str(tmp_path))

    def test_a_bomb_is_read_as_far_as_a_matrix_goes(self, tmp_path: Path) -> None:
        """The right header, and a gigabyte behind it."""
        data_files.smallnorb(tmp_path)
        with gzip.open(tmp_path / f"{data_files.NORB_PARTS[0]}-cat.mat.gz", "wb", compresslevel=1) as stream:
            stream.write(struct.pack("<iiiii", 0x1E3D4C54, 1, 24, 1, 1))
            for _ in range(1024):
                stream.write(bytes(2**20))
        with most_traced(2**25), pytest.raises(UnbraidError, match="of the 48 combinations"):
            load("smallnorb", source=str(tmp_path))

    def test_a_matrix_cut_short_is_refused_by_its_size(self, tmp_path: Path) -> None:
        data_files.smallnorb(tmp_path, ".mat")
        file = tmp_path / f"{data_files.NORB_PARTS[0]}-dat.mat"
        file.write_bytes(file.read_bytes()[:-10_000])
        with pytest.raises(UnbraidError, match="it is cut short"):
            load("smallnorb", source=str(tmp_path))


class TestCelebA:
    def test_the_middle_of_each_face(self, tmp_path: Path) -> None:
        attributes = data_files.celeba(tmp_path)
        dataset = load("celeba", source=str(tmp_path), size=32)
        assert dataset.factor_names == ("Bald", "Smiling", "Young") and dataset.factor_sizes == (2, 2, 2)
        assert np.array_equal(dataset.factors(np.arange(50)), (attributes + 1) // 2)
        levels = all_of(dataset)[:, 4:-4, 4:-4].mean((1, 2, 3))
        assert np.abs(levels - 4 * np.arange(1, 51)).max() < 2 and all_of(dataset).max() < 230  # nothing of the border

    def test_what_is_missing_or_broken(self, tmp_path: Path) -> None:
        with pytest.raises(UnbraidError, match=r"lacks img_align_celeba: fetch .*mmlab.ie.cuhk.edu.hk"):
            load("celeba")
        data_files.celeba(tmp_path)
        file = tmp_path / "list_attr_celeba.txt"
        good = file.read_text()
        for content in ("", "junk\n", good.replace("50", "51", 1), good.replace("-1", "7", 1), good + "x 1\n"):
            file.write_text(content)
            with pytest.raises(UnbraidError, match=r"is not list_attr_celeba.txt of CelebA"):
                load("celeba", source=str(tmp_path))
        file.write_text(good.replace("000001.jpg", "../private.jpg", 1))
        with pytest.raises(UnbraidError, match="names files outside"):
            load("celeba", source=str(tmp_path))

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (b"0\nBald\n", "it speaks of 0 files"),
            (b"2\n", "it speaks of 2 files and 0 attributes"),
            (b"202600\nBald\n", r"it speaks of 202,600 files and 1 attributes \(1 to 202,599"),
            (b"2\nBald\n" + b"000001.jpg 1\n" * 1_000_000, "line 5 is too much"),
            (b"1\nBald\n" + b"1 " * 15_000_000, "line 3 is too much"),
            (b"1\n" + b"Bald " * 6_000_000, "is not list_attr"),
            (b"9" * 30_000_000, "is not list_attr"),
            (b"50\nBald\n" + b"\n" * 2**25, "it has more than 33,554,432 bytes"),
        ],
        ids=["none", "no attributes", "count", "lines", "line", "header", "number", "size"],
    )
    def test_a_list_longer_than_the_published_one(self, tmp_path: Path, content: bytes, sentence: str) -> None:
        data_files.celeba(tmp_path)
        (tmp_path / "list_attr_celeba.txt").write_bytes(content)
        with most_traced(2**24), pytest.raises(UnbraidError, match=sentence):
            load("celeba", source=str(tmp_path))


class TestWhereFilesAre:
    def test_in_the_cache_folder(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = no_network(monkeypatch)
        (cache / "shapes3d").mkdir(parents=True)
        images = data_files.shapes3d(cache / "shapes3d")
        assert np.array_equal(all_of(load("shapes3d")), images) and calls == []

    @pytest.mark.parametrize("name", ["shapes3d", "mpi3d_toy", "mpi3d_realistic", "mpi3d_real", "cars3d", "smallnorb"])
    def test_a_download_is_checked_by_its_sum(self, cache: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        calls = no_network(monkeypatch)
        with pytest.raises(UnbraidError, match=r"could not be downloaded .* fetch https?://.* and put (it|them) into"):
            load(name)
        (call,) = calls
        assert call["known_hash"].startswith("md5:") and len(call["known_hash"]) == 36
        assert call["path"] == cache / name and call["url"].endswith(call["fname"])

    def test_a_download_from_a_server(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        class Quiet(SimpleHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

        (tmp_path / "site").mkdir()
        data_files.shapes3d(tmp_path / "site")
        md5 = hashlib.md5((tmp_path / "site" / "3dshapes.h5").read_bytes()).hexdigest()
        handler = functools.partial(Quiet, directory=str(tmp_path / "site"))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            urls = tuple(f"http://127.0.0.1:{server.server_port}/{name}" for name in ("gone.h5", "3dshapes.h5"))
            module = sys.modules["unbraid.data.shapes3d"]
            monkeypatch.setattr(module, "_FILE", published.Published("3dshapes.h5", urls, "0" * 32))
            with pytest.raises(UnbraidError, match=r"HTTPError from http://.*; ValueError from http://"):
                load("shapes3d")
            assert not list((tmp_path / "cache").rglob("*.h5")), "what fails its sum is not kept"
            monkeypatch.setattr(module, "_FILE", published.Published("3dshapes.h5", urls, md5))
            assert len(load("shapes3d")) == 192
            server.shutdown()

    def test_without_pooch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pooch", None)
        with pytest.raises(UnbraidError, match=r'pip install "unbraid\[download\]" lets this do it'):
            load("shapes3d")

    def test_mirrors_are_tried_in_turn(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = no_network(monkeypatch)
        file = published.Published("x.h5", ("https://one/x.h5", "https://two/x.h5"), "0" * 32)
        with pytest.raises(
            UnbraidError, match=r"ConnectionError from https://one/x.h5; ConnectionError from https://two"
        ):
            published.found("x", "", [file])
        assert [call["url"] for call in calls] == list(file.urls)

    @pytest.mark.parametrize("name", ["shapes3d", "mpi3d_toy", "cars3d", "smallnorb"])
    def test_a_source_that_is_not_there(self, name: str) -> None:
        with pytest.raises(UnbraidError, match=r'source must be the f.*, and there is nothing at "nowhere"'):
            load(name, source="nowhere")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    @pytest.mark.parametrize(
        "name", ["dsprites", "shapes3d", "mpi3d_toy", "mpi3d_realistic", "mpi3d_real", "cars3d", "smallnorb"]
    )
    def test_a_source_that_never_ends(self, tmp_path: Path, name: str) -> None:
        """Whoever opened the pipe would wait; the suffix is not what gives it away."""
        for suffix in (".npz", ".h5", ".hdf5", ".tar.gz"):
            os.mkfifo(tmp_path / f"x{suffix}")
            (tmp_path / f"zero{suffix}").symlink_to("/dev/zero")
            for source in ("/dev/zero", tmp_path / f"x{suffix}", tmp_path / f"zero{suffix}"):
                with pytest.raises(UnbraidError, match=r"is a pipe or a device|published file, which ends in"):
                    load(name, source=str(source))

    def test_a_folder_for_a_file_and_a_file_for_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "x.npz").mkdir()
        for name in ("shapes3d", "mpi3d_toy"):
            with pytest.raises(UnbraidError, match=r'source must be the file .*, and ".*" is a folder'):
                load(name, source=str(tmp_path / "x.npz"))
        with pytest.raises(UnbraidError, match=r"cannot be read as the published dSprites file|cannot be read as .npz"):
            load("dsprites", source=str(tmp_path / "x.npz"))
        (tmp_path / "x").write_bytes(b"")
        with pytest.raises(UnbraidError, match=r'source must be the folder with the files .*, and ".*" is a file'):
            load("smallnorb", source=str(tmp_path / "x"))

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_pipes_within_a_folder(self, tmp_path: Path) -> None:
        data_files.cars3d(tmp_path / "cars", cars=1)
        os.mkfifo(tmp_path / "cars" / "car_002_mesh.mat")
        with pytest.raises(UnbraidError, match="holds 1 files"):
            load("cars3d", source=str(tmp_path / "cars"))
        data_files.celeba(tmp_path)
        (tmp_path / "list_attr_celeba.txt").unlink()
        os.mkfifo(tmp_path / "list_attr_celeba.txt")
        with pytest.raises(UnbraidError, match=r"lacks list_attr_celeba.txt"):
            load("celeba", source=str(tmp_path))
