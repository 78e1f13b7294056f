"""The folder of a study: whose it is for now, which runs lie in it, and which of them can be trusted."""

import json
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from unbraid import files, runs
from unbraid.errors import UnbraidError
from unbraid.study.grid import Cell, hash_of

SUMMARY = "study.json"  # folder of each run -> "finished", or its error
STUDY = "study.yaml"  # what was last run here
TABLE = "table.parquet"
_LOCK, _HOLDER = ".study.lock", ".study.holder"
_PATIENCE = 60.0  # seconds for a killed process to let go of its run


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """One driver a study folder; raises UnbraidError that names the other where there is one."""
    from filelock import FileLock, Timeout

    files.refuse_bytes(folder)
    lock = FileLock(folder / _LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise UnbraidError(
            f"another study is running in {folder} ({_holder(folder)}): wait for it, or choose another --out"
        ) from None
    except (OSError, NotImplementedError) as error:
        why = getattr(error, "strerror", None) or error
        raise UnbraidError(f"cannot write the study folder {folder}: {why}") from None
    try:
        files.write_json(folder / _HOLDER, {"process": os.getpid(), "machine": platform.node()})
        yield
    finally:
        (folder / _HOLDER).unlink(missing_ok=True)
        lock.release()


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / _HOLDER).read_text(encoding="utf-8"))
        return f"process {holder['process']} on {holder['machine']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has just begun"


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """The lock of a run, waited for: a process that was killed may take a moment to let go of it."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / runs.LOCK, timeout=_PATIENCE):
            yield
    except Timeout:
        raise UnbraidError(f"another process is training in {folder}: wait for it, or choose another --out") from None


def run_folders(folder: Path) -> list[Path]:
    return sorted(file.parent for file in folder.glob(f"*/{runs.CONFIG}"))


def prepared(cells: Sequence[Cell], out: Path) -> list[Path]:
    """Where each run lies or will lie, found by its hash; what a killed process left half done is put right.

    A run of this study with a damaged file is set aside, not removed, and then done again. What else lies in `out` is
    left alone.
    """
    files.sweep(out)
    wanted, names = {cell.hash for cell in cells}, {cell.name for cell in cells}
    places: dict[str, Path] = {}
    for path in run_folders(out):
        digits = hash_in(path)
        if digits in wanted:
            with run_lock(path):
                for place in {left.parent for left in path.rglob(".*.tmp")}:
                    files.sweep(place)
                sound = _is_sound(path)
            if not sound:
                _set_aside(path)
            elif digits not in places or runs.steps_done(path) > runs.steps_done(places[digits]):
                places[digits] = path
        elif path.name in names:  # its config is damaged, or was edited by hand: it is not the run that it is called
            _set_aside(path)
    return [places.get(cell.hash, out / cell.name) for cell in cells]


def hash_in(path: Path) -> str | None:
    """The hash of the run's config; None where that cannot be read."""
    try:
        return hash_of(runs.read_config(path))
    except UnbraidError:
        return None


def _is_sound(path: Path) -> bool:
    """Whether the files that going on depends on are whole; scores that are not are removed, to be taken again."""
    try:
        finished = runs.state(path) == "finished"
        weights = path / (runs.WEIGHTS if finished else runs.CHECKPOINT)
        if finished and runs.last_row(path).get("step") != runs.read_config(path).steps:
            return False
        if not finished:
            runs.read_log(path)
        if finished or weights.is_file():
            with runs.opened_tensors(weights):  # the header tells the length of the file
                pass
    except (UnbraidError, OSError):
        return False
    for read, name in ((runs.read_scores, runs.SCORES), (runs.read_error, runs.ERROR)):
        try:
            read(path)
        except UnbraidError:
            (path / name).unlink()
    return True


def _set_aside(path: Path) -> None:
    aside = path.parent / runs.ASIDE
    if not runs.leads_within(aside, path.parent):
        raise UnbraidError(f"{aside} is a symbolic link out of the study: put what it points to in its place")
    aside.mkdir(exist_ok=True)
    number = next(n for n in range(1, 1_000_000) if not (aside / f"{path.name}-{n}").exists())
    path.rename(aside / f"{path.name}-{number}")
