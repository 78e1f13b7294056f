"""Files of published data sets: where they lie, where they come from, and how to know that they are whole."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unbraid.data.cache import cache_folder
from unbraid.errors import UnbraidError


@dataclass(frozen=True)
class Published:
    """A file by its name, the addresses that have it, and the MD5 sum that its users published."""

    name: str
    urls: tuple[str, ...]
    md5: str


def found(data: str, source: str, files: Sequence[Published], *, unpacked: bool = False) -> Path:
    """The file or, where there are several, the folder of the data set `data`.

    `source` is its path (or, if `unpacked`, that of a folder with what was in it), or "" for its place in the cache
    folder, where what is missing is downloaded and checked. Raises UnbraidError that says what to fetch and where to
    put it, and for a pipe or a device, which might never end.
    """
    if source:
        path = Path(os.path.expanduser(source))  # noqa: PTH111 - of an unknown user it stays as it is
        if not path.exists():
            raise UnbraidError(f'source must be {_described(files)} of {data}, and there is nothing at "{source}"')
        is_one = path.is_file() and len(files) == 1
        if not is_one and not (path.is_dir() and (len(files) > 1 or unpacked)):
            kind = "a folder" if path.is_dir() else "a file" if path.is_file() else "a pipe or a device"
            raise UnbraidError(f'source must be {_described(files)} of {data}, and "{source}" is {kind}')
        return path
    folder = cache_folder() / data
    missing = [file for file in files if not (folder / file.name).exists()]
    for number, file in enumerate(missing):
        problems = _fetch(file, folder)
        if problems:
            addresses = " ".join(left.urls[0] for left in missing[number:])
            raise UnbraidError(
                f"{data} needs {file.name}, which could not be downloaded ({'; '.join(problems)}): fetch {addresses} "
                f"and put {'it' if file is missing[-1] else 'them'} into {folder}, or say where by source=PATH"
            )
    return folder if len(files) > 1 else folder / files[0].name


def _described(files: Sequence[Published]) -> str:
    return f"the file {files[0].name}" if len(files) == 1 else "the folder with the files"


def _fetch(file: Published, folder: Path) -> list[str]:
    """Downloads the file; returns why it could not, [] where it could."""
    try:
        import pooch
    except ImportError:
        return ['pip install "unbraid[download]" lets this do it']
    pooch.get_logger().setLevel("WARNING")
    problems = []
    for url in file.urls:
        try:
            pooch.retrieve(url, known_hash=f"md5:{file.md5}", fname=file.name, path=folder)
            return []
        except Exception as error:  # whatever a network can do
            problems.append(f"{type(error).__name__} from {url}")
    return problems
