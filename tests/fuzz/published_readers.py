"""The published data sets for the fuzzing: files of their formats with next to nothing in them, and who reads them."""

import gzip
import io
import struct
import sys
import tarfile
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from array_lies import lying_hdf5
from spoiling import Reader, opened, saved, spoilt

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)


def shrink(module: str, **values: Any) -> None:
    """From now on in this process, the data set is as small as the files here."""
    __import__(f"unbraid.data.{module}")
    for name, value in values.items():
        setattr(sys.modules[f"unbraid.data.{module}"], name, value)


def by_name(name: str, *, folder: bool = False, **options: Any) -> Callable[[Path], None]:
    """Reads the file, or its folder, as the data set `name`."""

    def read(file: Path) -> None:
        from unbraid.data import DATASETS

        opened(DATASETS[name].function(source=str(file.parent if folder else file), **options))

    return read


# ---- arrays ----


def hdf5(**arrays: np.ndarray) -> bytes:
    import h5py

    def write(stream: Any) -> None:
        with h5py.File(stream, "w") as file:
            for name, array in arrays.items():
                file.create_dataset(name.replace("__", "/"), data=array, compression="gzip")

    return saved(write)


def shapes3d() -> Reader:
    shrink("shapes3d", FACTOR_SIZES=(1, 1, 1, 2, 1, 2))
    labels = np.array([[0, 0, 0, scale, 0, angle] for scale in (0.75, 1.25) for angle in (-30, 30)])
    good = {"images": PIXELS, "labels": labels}
    return Reader("3dshapes.h5", [hdf5(**good)], lambda random: lying_hdf5(random, **good), by_name("shapes3d"))


def mpi3d() -> Reader:
    shrink("mpi3d", FACTOR_SIZES={4: (1, 1, 2, 1, 1, 1, 2)})
    good = [saved(lambda s, save=save: save(s, images=PIXELS)) for save in (np.savez, np.savez_compressed)]
    return Reader("mpi3d_toy.npz", good, read=by_name("mpi3d_toy"))


DSPRITES_SIZES = (1, 1, 2, 1, 2)
SPRITES = (PIXELS[..., 0] > 127).astype(np.uint8)
CLASSES = np.stack(np.unravel_index(np.arange(4), (1, *DSPRITES_SIZES)), axis=1)


def read_dsprites(file: Path) -> None:
    from unbraid.data import dsprites_file

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is not the published file
        assert dsprites_file.read(file, DSPRITES_SIZES).images(np.arange(4)).shape == (4, 1, 64, 64)


def dsprites() -> Reader:
    metadata = np.array({"date": "April 2017"}, dtype=object)
    good = saved(lambda s: np.savez_compressed(s, metadata=metadata, imgs=SPRITES, latents_classes=CLASSES))
    return Reader("dsprites.npz", [good], read=read_dsprites)


def dsprites_hdf5() -> Reader:
    good = {"imgs": SPRITES, "latents__classes": CLASSES}
    return Reader("dsprites.hdf5", [hdf5(**good)], lambda random: lying_hdf5(random, **good), read_dsprites)


# ---- Cars3D ----


def mat(compressed: bool) -> bytes:
    from scipy.io import savemat

    content = {"im": RNG.integers(0, 256, (8, 8, 3, 2, 2), dtype=np.uint8), "mask": np.zeros((8, 8)), "name": "car"}
    return saved(lambda stream: savemat(stream, content, do_compression=compressed))


def lying_mat(random: Random) -> bytes:
    """What is spoilt lies within an element that is compressed."""
    plain = spoilt([mat(False)], random)
    content = zlib.compress(plain[128:])
    return plain[:128] + struct.pack("<II", 15, len(content)) + content


def tar(content: bytes, times: int = 1) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, each in (("data/README", b"cars"), *[("data/cars/car_001_mesh.mat", content)] * times):
            info = tarfile.TarInfo(name)
            info.size = len(each)
            archive.addfile(info, io.BytesIO(each))
    return stream.getvalue()


def lying_archive(random: Random) -> bytes:
    times = random.choice([1, 1, 2, 3_000 if random.randrange(50) == 0 else 1])
    inner = times > 1 or random.random() < 0.3
    plain = tar(random.choice([lying_mat(random), mat(True)]), times) if inner else spoilt([tar(mat(True))], random)
    return gzip.compress(plain, compresslevel=1)


def cars() -> Reader:
    shrink("cars3d", FACTOR_SIZES=(2, 2, 1), _SHAPE=(8, 8, 3, 2, 2))
    read = by_name("cars3d", folder=True, size=8)
    return Reader("car_001_mesh.mat", [mat(True), mat(False)], lying_mat, read)


def cars_archive() -> Reader:
    shrink("cars3d", FACTOR_SIZES=(2, 2, 1), _SHAPE=(8, 8, 3, 2, 2))
    return Reader("cars.tar.gz", [gzip.compress(tar(mat(True)))], lying_archive, by_name("cars3d", size=8))


# ---- Small NORB ----

NORB = "smallnorb-5x46789x9x18x6x2x96x96-training", "smallnorb-5x01235x9x18x6x2x96x96-testing"
NORB_IMAGES = RNG.integers(0, 256, (1, 2, 96, 96), dtype=np.uint8)


def matrix(array: np.ndarray) -> bytes:
    lengths = [*array.shape, 1, 1][: max(3, array.ndim)]
    magic = 0x1E3D4C55 if array.dtype == np.uint8 else 0x1E3D4C54
    return struct.pack(f"<ii{len(lengths)}i", magic, array.ndim, *lengths) + array.tobytes()


def norb_files(folder: Path) -> None:
    for part, instance in zip(NORB, (1, 0), strict=True):
        info = np.array([[instance, 0, 0, 0]], np.int32)
        for kind, array in (("dat", NORB_IMAGES), ("cat", np.zeros(1, np.int32)), ("info", info)):
            (folder / f"{part}-{kind}.mat").write_bytes(matrix(array))


def lying_matrix(random: Random) -> bytes:
    head = struct.pack("<ii", random.choice([0x1E3D4C54, 0x1E3D4C55, 0]), random.choice([1, 2, 4, 3, 0, -1, 2**31 - 1]))
    lengths = random.choices([1, 2, 4, 96, 0, -1, 2**31 - 1], k=random.randrange(5))
    return head + struct.pack(f"<{len(lengths)}i", *lengths) + random.choice([b"", NORB_IMAGES.tobytes(), bytes(16)])


def norb(kind: str, good: bytes, *, packed: bool = False) -> Reader:
    """One of the files of the training set; the others are sound. A .gz goes before the other of its name."""
    shrink("smallnorb", FACTOR_SIZES=(1, 2, 1, 1, 1))

    def lying(random: Random) -> bytes:
        content = lying_matrix(random) if random.random() < 0.5 else spoilt([good], random)
        return gzip.compress(content, compresslevel=1) if packed else content

    name, content = (f"{NORB[0]}-{kind}.mat.gz", gzip.compress(good)) if packed else (f"{NORB[0]}-{kind}.mat", good)
    return Reader(name, [content], lying, by_name("smallnorb", folder=True, size=8), norb_files)


# ---- CelebA ----

LIST = b"2\nBald Smiling Young \n000001.jpg -1  1  1\n000002.jpg  1 -1 -1\n"
CELLS = [
    "000001.jpg",
    "000002.jpg",
    "../x.jpg",
    "/etc/passwd",
    "1",
    "-1",
    "0",
    "2",
    "9" * 400,
    "",
    "Bald",
    "é",
    "\0",
    "x" * 5_000,
]


def faces(folder: Path) -> None:
    from PIL import Image

    (folder / "img_align_celeba").mkdir()
    for number in (1, 2):
        Image.fromarray(PIXELS[number]).save(folder / "img_align_celeba" / f"00000{number}.jpg")


def lying_list(random: Random) -> bytes:
    rows = [" ".join(random.choices(CELLS, k=random.randrange(5))) for _ in range(random.randrange(6))]
    text = random.choice(["\n", "\r\n", ""]).join([random.choice(["2", "1", "", "-1", "x"]), "Bald Young", *rows])
    return text.encode(random.choice(["utf-8", "utf-8", "utf-16", "latin1"]), errors="replace")


def celeba() -> Reader:
    return Reader("list_attr_celeba.txt", [LIST], lying_list, by_name("celeba", folder=True, size=8), faces)


READERS: dict[str, Callable[[], Reader]] = {
    "shapes3d": shapes3d,
    "mpi3d": mpi3d,
    "dsprites": dsprites,
    "dsprites_hdf5": dsprites_hdf5,
    "cars3d": cars,
    "cars3d_archive": cars_archive,
    "smallnorb_dat": lambda: norb("dat", matrix(NORB_IMAGES), packed=True),
    "smallnorb_cat": lambda: norb("cat", matrix(np.zeros(1, np.int32))),
    "smallnorb_info": lambda: norb("info", matrix(np.array([[1, 0, 0, 0]], np.int32))),
    "celeba": celeba,
}
