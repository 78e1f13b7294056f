"""Small files in the exact formats of the data sets that are read from files, and the options that read them."""

import gzip
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

RNG = np.random.default_rng(0)


def pictures(folder: Path, n: int = 60, size: int = 12, colour: bool = True) -> np.ndarray:
    """uint8 [n, size, size, 3], written as PNG files called 000.png, 001.png, ... in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    images = RNG.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    if not colour:
        images[:] = images[..., :1]
    images[:, 0, 0], images[:, 0, 1] = 0, 255
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:03}.png")
    return images


def _images(folder: Path) -> dict[str, Any]:
    pictures(folder)
    return {"path": str(folder), "size": 12}


def _arrays(folder: Path) -> dict[str, Any]:
    images = RNG.integers(0, 256, (60, 3, 8, 8), dtype=np.uint8)
    images[:, 0, 0, :2] = 0, 255
    factors = np.stack(np.unravel_index(np.arange(60), (3, 4, 5)), axis=1)
    np.savez(folder / "arrays.npz", images=images, factors=factors, factor_names=np.array(["a", "b", "c"]))
    return {"path": str(folder / "arrays.npz")}


def grid(*sizes: int) -> np.ndarray:
    """[N, F]: every combination, the last factor fastest."""
    return np.stack(np.unravel_index(np.arange(np.prod(sizes)), sizes), axis=1)


SHAPES3D_SIZES = (2, 2, 2, 2, 4, 3)


def shapes3d(folder: Path) -> np.ndarray:
    """uint8 [192, 64, 64, 3], written as 3dshapes.h5 has them: images and, as fractions and degrees, labels."""
    values = [np.arange(size) / size for size in SHAPES3D_SIZES[:3]]
    values += [np.linspace(0.75, 1.25, 2), np.arange(4.0), np.linspace(-30, 30, 3)]
    labels = np.stack([value[index] for value, index in zip(values, grid(*SHAPES3D_SIZES).T, strict=True)], axis=1)
    images = RNG.integers(0, 256, (len(labels), 64, 64, 3), dtype=np.uint8)
    with h5py.File(folder / "3dshapes.h5", "w") as file:
        file.create_dataset("images", data=images, compression="gzip", chunks=(24, 8, 8, 3))
        file.create_dataset("labels", data=labels)
    return images


MPI3D_SIZES = (2, 2, 2, 1, 1, 3, 4)


def mpi3d(folder: Path) -> np.ndarray:
    """uint8 [96, 64, 64, 3], written as the files of MPI3D have them."""
    images = RNG.integers(0, 256, (96, 64, 64, 3), dtype=np.uint8)
    for name in ("toy", "realistic", "real"):
        np.savez_compressed(folder / f"mpi3d_{name}.npz", images=images)
    return images


def cars3d(folder: Path, cars: int = 2) -> np.ndarray:
    """uint8 [cars, 128, 128, 3, 24, 4], a MATLAB file each, of squares that shrink to nearly the same."""
    folder.mkdir(parents=True, exist_ok=True)
    small = RNG.integers(0, 256, (cars, 8, 8, 3, 24, 4)).astype(np.uint8)
    images = small.repeat(16, axis=1).repeat(16, axis=2)
    for number, image in enumerate(images):
        content = {"im": image, "mask": np.zeros((128, 128, 24, 4), np.uint8)}
        savemat(folder / f"car_{number + 1:03}_mesh.mat", content, do_compression=True)
    return images


NORB_SIZES = (2, 2, 2, 3, 2)
NORB_PARTS = "smallnorb-5x46789x9x18x6x2x96x96-training", "smallnorb-5x01235x9x18x6x2x96x96-testing"


def matrix(path: Path, array: np.ndarray) -> None:
    """A binary matrix: magic number, number of axes, at least three lengths, the numbers."""
    magic = {"uint8": 0x1E3D4C55, "int32": 0x1E3D4C54}[array.dtype.name]
    lengths = [*array.shape, 1, 1][: max(3, array.ndim)]
    content = struct.pack(f"<ii{len(lengths)}i", magic, array.ndim, *lengths) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def smallnorb(folder: Path, suffix: str = ".mat.gz") -> tuple[np.ndarray, np.ndarray]:
    """(uint8 [48, 96, 96] of the left pictures, their factors [48, 5]), shuffled: instance 1 trains, 0 tests."""
    factors = grid(*NORB_SIZES)[RNG.permutation(48)].astype(np.int32)
    images = RNG.integers(0, 256, (48, 6, 6), dtype=np.uint8).repeat(16, axis=1).repeat(16, axis=2)
    for part, instance in zip(NORB_PARTS, (1, 0), strict=True):
        here = factors[:, 1] == instance
        matrix(folder / f"{part}-dat{suffix}", np.stack([images[here], 255 - images[here]], axis=1))
        matrix(folder / f"{part}-cat{suffix}", factors[here, 0])
        matrix(folder / f"{part}-info{suffix}", factors[here, 1:] * np.array([1, 1, 2, 1], np.int32))
    return images, factors


def celeba(folder: Path, n: int = 50) -> np.ndarray:
    """-1 or 1 [n, 3], the attributes of faces of 178 x 218 pixels: a grey level each, with a white border."""
    (folder / "img_align_celeba").mkdir(parents=True, exist_ok=True)
    attributes = RNG.choice([-1, 1], (n, 3))
    lines = [f"{n}", "Bald Smiling Young "]
    for number, row in enumerate(attributes, 1):
        image = np.full((218, 178, 3), 255, np.uint8)
        image[35:183, 15:163] = 4 * number
        Image.fromarray(image).save(folder / "img_align_celeba" / f"{number:06}.jpg", quality=95)
        lines.append(f"{number:06}.jpg " + " ".join(f"{value:2}" for value in row))
    (folder / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    return attributes


def painting(folder: Path) -> np.ndarray:
    """uint8 [200, 150, 3], written as scream.png."""
    image = RNG.integers(0, 256, (200, 150, 3), dtype=np.uint8)
    Image.fromarray(image).save(folder / "scream.png")
    return image


def _from(option: str, write: Callable[[Path], Any], name: str = "") -> Callable[[Path], dict[str, Any]]:
    def options(folder: Path) -> dict[str, Any]:
        write(folder)
        return {option: str(folder / name)}

    return options


WRITERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "images": _images,
    "arrays": _arrays,
    "shapes3d": _from("source", shapes3d, "3dshapes.h5"),
    **{f"mpi3d_{kind}": _from("source", mpi3d, f"mpi3d_{kind}.npz") for kind in ("toy", "realistic", "real")},
    "cars3d": _from("source", cars3d),
    "smallnorb": _from("source", smallnorb),
    "celeba": _from("source", celeba),
    "scream_dsprites": _from("painting", painting, "scream.png"),
}
# data set -> (module, sizes of its factors in the small files)
SIZES: dict[str, tuple[str, Any]] = {
    "shapes3d": ("shapes3d", SHAPES3D_SIZES),
    **{f"mpi3d_{kind}": ("mpi3d", {96: MPI3D_SIZES}) for kind in ("toy", "realistic", "real")},
    "cars3d": ("cars3d", (4, 24, 2)),
    "smallnorb": ("smallnorb", NORB_SIZES),
}


def options(name: str, folder: Path) -> dict[str, Any]:
    """What `load(name, **options)` needs, whose files are written; {} for a data set that needs none."""
    if name not in WRITERS:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    return WRITERS[name](folder)


def shrink(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the end of the test the data set has as many images as the small files."""
    if name in SIZES:
        module, sizes = SIZES[name]
        monkeypatch.setattr(sys.modules[f"unbraid.data.{module}"], "FACTOR_SIZES", sizes)
