"""Decoded images as a folder of PNG files, or as one array."""

import errno
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

import numpy as np

from unbraid import files
from unbraid.errors import UnbraidError, is_plain

_OF_NAMES = {errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EINVAL}  # what a system says of them

Images = Iterable[tuple[list[str], np.ndarray]]  # names and float32 [n, C, H, W] in [0, 1], in turn


def write(path: Path, shape: tuple[int, int, int, int], parts: Images) -> None:
    """All images [N, C, H, W] into `path`: a new folder, or one file where its name ends in .npy or .npz."""
    if path.suffix.lower() == ".npy":
        with files.replacing(path) as temporary, temporary.open("wb") as file:
            _write_array(file, shape, parts)
    elif path.suffix.lower() == ".npz":
        with (
            files.replacing(path) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("images.npy", "w", force_zip64=True) as member,
        ):
            _write_array(member, shape, parts)
    else:
        _write_folder(path, shape[0], parts)


def _write_array(file: IO[bytes], shape: tuple[int, ...], parts: Images) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for _, images in parts:
        file.write(images.astype("<f4").tobytes())


def _write_folder(folder: Path, n: int, parts: Images) -> None:
    from PIL import Image

    with files.new_folder(folder) as temporary:
        done = 0
        for names, images in parts:
            for name, image in zip(names, images, strict=True):
                path = temporary / _file_name(name, done, n)
                pixels = np.rint(255 * image).astype(np.uint8).transpose(1, 2, 0)
                picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if path.exists():
                        raise UnbraidError(
                            f'two images would be called "{path.relative_to(temporary)}": rename one of them'
                        )
                    picture.save(path, "PNG")
                except OSError as error:
                    if error.errno not in _OF_NAMES:
                        raise
                    raise UnbraidError(
                        f"no file can be called {name[:80]!r} here ({error.strerror}): rename it"
                    ) from None
                done += 1


def _file_name(name: str, number: int, n: int) -> str:
    """The path of an image below the folder: as the image was called where that is a path, else its number."""
    if not name or name.isdecimal():
        return f"{name or number:>0{len(str(n - 1))}}.png"
    parts = PurePosixPath(name.replace("\\", "/")).parts
    plain = not PureWindowsPath(name).drive and not name.startswith(("/", "\\")) and is_plain(name)
    if not parts or not plain or ".." in parts or len(name) > 1000:
        raise UnbraidError(f"the image {name[:80]!r} is not called by a path that stays in the folder: rename it")
    return str(PurePosixPath(*parts).with_suffix(".png"))
