"""Files appear whole or not at all: written under a temporary name in the same folder, then renamed."""

import csv
import errno
import json
import os
import re
import secrets
import shutil
import stat
import time
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from unbraid.errors import UnbraidError

_TEMPORARY = re.compile(r"\.\d+-[0-9a-f]{8}\.tmp$")
_NUMBERS = re.compile(r"\[\n[\s\d.,eE+-]+\]")  # in JSON, where a text has no line ends
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of which the system does not say where
_LEFT_OVER = 3600.0  # seconds after which no writer is still at it


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` that takes its place when the block ends well, and goes when it does not.

    The content is on the disk before the rename, so a power cut leaves the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        with full_disks_named(path):
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        _take_place(temporary, path)
    except OSError as error:
        if error.filename == str(temporary):
            error.filename = str(path)  # a name that the user knows
        raise
    finally:
        with suppress(OSError):  # a disk that takes nothing says so where it was written to
            temporary.unlink()


@contextmanager
def full_disks_named(path: Path) -> Iterator[None]:
    """Has the system's error of a full disk, which by itself names nothing, name what the block was to write."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in _NO_ROOM:
            error.filename = str(path)
        raise


def refuse_unbounded(archive: zipfile.ZipFile) -> None:
    """Raises ValueError where zipfile would unfold a member without bounds, however little of it is asked for."""
    for member in archive.infolist():
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{member.filename[:80]} is compressed in an unusual way: save it by np.savez_compressed")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder beside `path` that takes its place when the block ends well, and goes when it does not.

    Raises UnbraidError where `path` is a file, or a folder with anything in it.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UnbraidError(f"{path} is there already: choose a new or an empty folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        temporary.mkdir()
        with full_disks_named(path):
            yield temporary
        if path.exists():
            path.rmdir()
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def sweep(folder: Path) -> None:
    """Removes what processes that were killed as they wrote left in `folder` more than an hour ago."""
    for left in folder.glob(".*.tmp"):
        with suppress(OSError):  # another process may be sweeping too
            if _TEMPORARY.search(left.name) and time.time() - _written(left) > _LEFT_OVER:
                if left.is_dir() and not left.is_symlink():
                    shutil.rmtree(left)
                else:
                    left.unlink()


def _written(path: Path) -> float:
    """When a file, or anything in a folder, was last written."""
    return max(each.lstat().st_mtime for each in (path, *path.rglob("*")))


def _take_place(temporary: Path, path: Path) -> None:
    """Windows lets no file be replaced at the moment when somebody reads it: so some more tries, for half a second."""
    for _ in range(10):
        try:
            temporary.replace(path)
            return
        except PermissionError:
            time.sleep(0.05)
    temporary.replace(path)


def refuse_device(path: Path) -> None:
    """Raises UnbraidError where `path` is a pipe, which one would wait for, or a device, which may never end."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # whoever opens it says what is wrong with it
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise UnbraidError(f"{path} is a pipe or a device: give a file")


def refuse_bytes(path: Path) -> None:
    """Raises UnbraidError where the name of `path` is no UTF-8: weights of such a name can be written and not read."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UnbraidError(f"{path} has bytes in its name that are no UTF-8: choose another name") from None


def read_at_most(path: Path, limit: int, kind: str) -> bytes:
    """The content of a file of at most `limit` bytes; raises UnbraidError where it is longer, as a device can be."""
    with path.open("rb") as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise UnbraidError(f"{path} is larger than {kind} can be ({limit:,} bytes)")
    return content


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Indented but for lists of numbers, each of which takes one line: matrices would be mostly spaces."""
    text = json.dumps(value, indent=2, allow_nan=False)
    write_text(path, _NUMBERS.sub(lambda found: "[" + " ".join(found[0][1:-1].split()) + "]", text) + "\n")


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A CSV file with one line of names."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(columns)
        table.writerows(rows)
