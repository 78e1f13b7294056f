"""Pictures of one's own: a folder of them or a table that names them, decoded once and kept in the cache."""

import os
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from unbraid.data import cache, image_files, image_list
from unbraid.data.image_list import Pictures
from unbraid.data.stored import Stored
from unbraid.errors import UnbraidError, printable
from unbraid.files import write_table
from unbraid.processors import cores
from unbraid.progress import progress

COLOURS = {"auto": 0, "grey": 1, "rgb": 3}
_SAMPLE = 64  # pictures that tell whether there is any colour
_AT_ONCE = 32  # pictures a task
_TRIED = 4096  # pictures from the first on of which one must be sound
_SHOWN = 3  # of those that were skipped

Result = TypeVar("Result")


def images(
    *, path: str = "", size: int = 64, crop: str = "centre", colour: str = "auto", factors: str = "all"
) -> Stored:
    """Pictures [C, size, size] of a folder (and those below it), or of a CSV or Parquet table that names them.

    `crop` makes them square: "centre" keeps the middle, "pad" everything, with white bars. `colour` is "grey", "rgb",
    or "auto": grey where 64 pictures spread over the list have no colour. `factors` says which columns of a table
    are ground truth: "all" but the paths, "none", or names with commas between; whole numbers and words become value
    indices in sorted order. Pictures in the order of their names or of the table; what cannot be read is skipped, and
    listed beside the decoded pictures in the cache folder. Raises UnbraidError where nothing can be read, or a table
    names what lies outside of its folder.
    """
    _check(size, crop, colour)
    source = Path(os.path.expanduser(path))  # noqa: PTH111
    if not path or not source.exists():
        raise UnbraidError(
            f'path must be a folder of images or a table of their paths, and there is nothing at "{path}"'
        )
    if source.is_dir():
        pictures = image_list.below(source)
    elif source.suffix.lower() in image_list.TABLES and source.is_file():
        pictures = image_list.named_by(source, factors)
    else:
        raise UnbraidError(f"path must be a folder of images or a .csv or .parquet table of their paths, not {path}")
    return stored(pictures, "images", size=size, crop=crop, colour=colour)


def _check(size: int, crop: str, colour: str) -> None:
    if not 1 <= size <= 1024:
        raise UnbraidError(f"size must be from 1 to 1024 pixels, not {size}")
    if crop not in image_files.CROPS:
        raise UnbraidError(f'crop must be {" or ".join(image_files.CROPS)}, not "{crop}"')
    if colour not in COLOURS:
        raise UnbraidError(f'colour must be {", ".join(COLOURS)}, not "{colour}"')


def stored(pictures: Pictures, name: str, *, size: int, crop: str, colour: str, cut: int = 0) -> Stored:
    """The data set of these pictures, which go by `name` in the cache; see `images`, and `image_files.read` for cut."""
    skipped: list[tuple[int, str, str]] = []

    def decoded(channels: int) -> Callable[[int], np.ndarray | UnbraidError]:
        def decoded(row: int) -> np.ndarray | UnbraidError:
            try:
                why = image_list.refusal(pictures.root, pictures.names[row])
                if why:
                    raise UnbraidError(why)
                return image_files.read(
                    pictures.root / pictures.names[row], size=size, crop=crop, channels=channels, cut=cut
                )
            except UnbraidError as error:
                return error

        return decoded

    def blocks() -> Iterator[np.ndarray]:
        with warnings.catch_warnings(), ThreadPoolExecutor(cores()) as pool:
            warnings.simplefilter("ignore")  # what a decoder thinks of a file that it can read
            channels = COLOURS[colour] or _channels(pool, decoded(3), len(pictures.names))
            with progress("reading images", len(pictures.names), "images") as bar:
                for rows, found in _in_order(pool, decoded(channels), range(len(pictures.names))):
                    bar.advance(len(rows))
                    skipped.extend(
                        (row, printable(pictures.names[row]), sys.intern(str(each)))  # millions may say the same
                        for row, each in zip(rows, found, strict=True)
                        if isinstance(each, UnbraidError)
                    )
                    _refuse_none(skipped, tried=rows[-1] + 1, n=len(pictures.names), column=pictures.column)
                    good = [each for each in found if not isinstance(each, UnbraidError)]
                    if good:
                        yield np.stack(good)

    def notes(beside: Path) -> dict[str, Any]:
        if skipped:
            listed = beside.with_name(f"{beside.stem}-skipped.csv")
            write_table(listed, ["row", "file", "why"], skipped)
            _tell(skipped, len(pictures.names), listed)
        return {"skipped": [row for row, _, _ in skipped]}

    identity = [str(pictures.root.resolve()), pictures.digest(), size, crop, colour, cut]
    found = cache.kept(name, identity, blocks, notes=notes)
    rows = np.delete(np.arange(len(pictures.names)), found.notes["skipped"])
    names = [pictures.names[row] for row in rows]
    return Stored(found.pixels, pictures.labels(rows), found.binary, names=names)


def _channels(pool: ThreadPoolExecutor, decoded: Callable[[int], Any], n: int) -> int:
    """1 where no picture of a sample has any colour, else 3."""
    rows = np.unique(np.linspace(0, n - 1, min(n, _SAMPLE)).astype(int)).tolist()
    found = (each for _, some in _in_order(pool, decoded, rows) for each in some)
    colourless = ((each == each[:1]).all() for each in found if isinstance(each, np.ndarray))
    return 1 if all(colourless) else 3


def _in_order(
    pool: ThreadPoolExecutor, function: Callable[[int], Result], rows: Sequence[int]
) -> Iterator[tuple[Sequence[int], list[Result]]]:
    """(rows, results) some at a time, in order, computed a little ahead; what was not begun is dropped at the end."""

    def run(some: Sequence[int]) -> list[Result]:
        return [function(row) for row in some]

    ahead: deque[tuple[Sequence[int], Future[list[Result]]]] = deque()
    starts = iter(range(0, len(rows), _AT_ONCE))
    try:
        while True:
            for start in islice(starts, 2 * cores() - len(ahead)):
                some = rows[start : start + _AT_ONCE]
                ahead.append((some, pool.submit(run, some)))
            if not ahead:
                return
            some, future = ahead.popleft()
            yield some, future.result()
    finally:
        for _, future in ahead:
            future.cancel()


def _refuse_none(skipped: list[tuple[int, str, str]], *, tried: int, n: int, column: str) -> None:
    """Where many in a row cannot be read, the list is of other pictures, and trying millions takes long."""
    if len(skipped) == tried >= min(n, _TRIED):
        _, first, why = skipped[0]
        of = "first " if tried < n else ""
        known = " or ".join(image_list.PATH_COLUMNS)
        hint = f' (paths are taken from the column "{column}"; {known} goes before others)' if column else ""
        raise UnbraidError(f"none of the {of}{tried:,} pictures can be read; the first, {_short(first)}: {why}{hint}")


def _short(name: str) -> str:
    return name if len(name) <= 200 else f"{name[:200]}..."


def _tell(skipped: list[tuple[int, str, str]], n: int, listed: Path) -> None:
    first = "; ".join(f"{_short(name)}: {why}" for _, name, why in skipped[:_SHOWN])
    more = "; ..." if len(skipped) > _SHOWN else ""
    print(f"{len(skipped):,} of {n:,} pictures are skipped, listed in {listed} ({first}{more})", file=sys.stderr)  # noqa: T201
