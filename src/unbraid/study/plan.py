"""What a study will be: its runs, how they group, and an estimate of time and disk from a few steps of each kind."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unbraid import config as configs
from unbraid import evaluate, runs, tables
from unbraid.errors import UnbraidError
from unbraid.processors import cores
from unbraid.progress import duration, progress
from unbraid.study.driver import grouped
from unbraid.study.engines import ENGINES
from unbraid.study.file import Study
from unbraid.study.folders import hash_in, run_folders
from unbraid.study.grid import Cell
from unbraid.study.work import Options

_STEPS = 30  # of a calibration: a third to warm up
_IMAGES = 1_000
_ALIKE = ("data", "model", "objective", "latent_dim", "batch_size", "optimizer", "likelihood", "threads")


@dataclass(frozen=True)
class Plan:
    cells: Sequence[Cell]
    finished: int  # runs that lie in the folder already
    groups: list[list[int]]  # of the others
    jobs: int
    seconds: float | None  # of training and encoding, all jobs together at work; None on a device that is not here
    disk: float  # bytes in the end
    peak: float  # bytes on the way, with the checkpoints of what is at work
    scored: bool


def estimate(
    study: Study, cells: Sequence[Cell], out: Path, options: Options, *, engine: str = "local", show: bool = True
) -> Plan:
    """Trains a few steps of each kind of run in a temporary folder, and counts from there.

    An engine may train on a device that this machine has not: the steps are then made on the CPU, and count for the
    disk alone.
    """
    there = {digits: runs.steps_done(path) for path in run_folders(out) if (digits := hash_in(path))}
    finished = sum(there.get(cell.hash, 0) >= cell.config.steps for cell in cells)
    todo = [n for n, cell in enumerate(cells) if there.get(cell.hash, 0) < cell.config.steps]
    groups = grouped(cells, todo, options, engine)
    here = not ENGINES[engine].elsewhere or _is_here(cells[0].config.device)
    on_accelerator = not here or runs.choose_device(cells[0].config.device).type != "cpu"
    jobs = max(1, min(options.jobs or (1 if on_accelerator else cores()), len(groups)))
    kinds: dict[tuple[Any, ...], list[int]] = {}
    for n in todo:
        kinds.setdefault(tuple(getattr(cells[n].config, name) for name in _ALIKE), []).append(n)
    seconds = disk = checkpoint = 0.0
    with progress("calibrate", len(kinds), "kinds of run", show=show) as bar:
        for members in kinds.values():
            measured = _calibrate(study, cells[members[0]], {} if here else {"device": "cpu"})
            for n in members:
                config = cells[n].config
                steps = config.steps - there.get(cells[n].hash, 0)
                seconds += steps * measured.step + measured.encoding
                disk += measured.folder + config.steps / config.log_every * measured.row
            checkpoint = max(checkpoint, measured.checkpoint)
            bar.advance()
    lasting = seconds / jobs if here or not todo else None
    return Plan(cells, finished, groups, jobs, lasting, disk, disk + jobs * checkpoint, bool(study.scores))


def _is_here(device: str) -> bool:
    with suppress(UnbraidError):
        return bool(runs.choose_device(device))
    return False


@dataclass(frozen=True)
class _Measured:
    step: float  # seconds
    encoding: float  # seconds a run, for its scores
    folder: float  # bytes, but for the rows of the log
    row: float  # bytes, in log.csv and in TensorBoard
    checkpoint: float  # bytes


def _calibrate(study: Study, cell: Cell, other: Mapping[str, str]) -> _Measured:
    from unbraid.training import train

    # no service is told of runs that are no part of the study; TensorBoard's files count
    logger = cell.config.logger if cell.config.logger in ("tensorboard", "none") else "none"
    values = {**cell.config.flat(), "steps": _STEPS, "log_every": _STEPS // 3, **other}
    with tempfile.TemporaryDirectory() as folder:
        # of a run this short every third step draws for TensorBoard: so it is timed without, and its files are weighed
        timed = train(configs.resolve({**values, "logger": "none"}), out=Path(folder) / "timed", show_progress=False)
        config = configs.resolve({**values, "logger": logger})
        run = train(config, out=Path(folder) / "run", show_progress=False) if logger != "none" else timed
        step = config.batch_size / float(timed.log["images_per_s"][1:].max())
        size = sum(file.stat().st_size for file in run.path.rglob("*") if file.is_file())
        row = 120 * len(run.log) * 0.6  # a cell of the log takes about 10 bytes, and one of TensorBoard about 60
        weights = (run.path / runs.WEIGHTS).stat().st_size
        encoding = 0.0
        if study.scores:
            dataset = run.data
            indices = np.arange(min(_IMAGES, len(dataset)))
            began = time.monotonic()
            evaluate.encode_images(run, dataset, indices)
            encoding = (time.monotonic() - began) / len(indices) * (study.points or len(dataset))
    return _Measured(step, encoding, size, row, 3 * weights)


def show(plan: Plan) -> None:
    """Prints the runs, a line a group, and the estimates."""
    tables.show(
        ["run", "group", "steps", "hash"],
        [
            (plan.cells[n].name, number, plan.cells[n].config.steps, plan.cells[n].hash[:8])
            for number, group in enumerate(plan.groups, 1)
            for n in group
        ],
    )
    alone = sum(len(group) == 1 for group in plan.groups)
    tables.say(
        f"\n{len(plan.cells):,} runs, {plan.finished:,} of them finished; the others in {len(plan.groups):,} groups, "
        f"{alone:,} of one run; {plan.jobs} side by side"
    )
    what = "training and encoding for scores, without the scores themselves" if plan.scored else "training"
    disk = f"{_size(plan.disk)} of disk in the end, {_size(plan.peak)} at most"
    unknown = f"no estimate of time, as this machine has no {plan.cells[0].config.device}"
    tables.say(f"{unknown if plan.seconds is None else f'about {duration(plan.seconds)} ({what})'}, {disk}")


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit in ("bytes", "kB") else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
