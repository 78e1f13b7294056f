"""A study of seconds, in a process of its own where it is to be killed, and what its table must be.

As a program, `python study_cases.py STUDY.yaml OUT [ENGINE [ADDRESS]]`, it runs a study as `unbraid study` does.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from unbraid import runs
from unbraid.study import driver, file, folders, grid, table
from unbraid.study.engines import ENGINES, Engine
from unbraid.study.work import Group, Options, Report, work

PATIENCE = 120.0  # seconds for what takes two on an idle machine
STUDY = """\
base:
  data: balls
  size: 8
  model: balls_conv
  latent_dim: 3
  batch_size: 8
  steps: 300
  log_every: 10
  checkpoint_minutes: 0.001
  device: cpu
grid:
  beta: [1, 2, 3]
scores: [mig, kl]
points: 300
"""
SHORT = STUDY.replace("steps: 300", "steps: 20")


def here(groups: Sequence[Group], options: Options) -> Generator[Report, None, None]:
    """An engine without processes of its own, for tests of all the rest."""
    for number, group in enumerate(groups):
        yield Report([number], {number: work(group)})


def study(out: Path, text: str = STUDY, **options: Any) -> list[driver.Outcome]:
    found = file.parse(text, "small", "small.yaml")
    cells = grid.cells(found, "small.yaml")
    engine = options.pop("engine", "here")
    ENGINES["here"] = Engine(here, lambda options: None)
    try:
        return driver.run_study(found, cells, out, engine=engine, options=Options(**options), show=False)
    finally:
        del ENGINES["here"]


def started(
    out: Path, text: str = STUDY, *arguments: str, yaml: Path | None = None, **environment: str
) -> "subprocess.Popen[str]":
    """The study in a process of its own, at the head of a group, as a shell would start it."""
    yaml = yaml or out.parent / "small.yaml"
    yaml.write_text(text)
    command = [sys.executable, __file__, str(yaml), str(out), *arguments]
    return subprocess.Popen(
        command, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def places(out: Path, text: str = STUDY) -> list[Path]:
    """The folder of each run, whether it is there or not."""
    return [out / cell.name for cell in grid.cells(file.parse(text, "small", ""), "")]


def states(out: Path, text: str = STUDY) -> list[str]:
    return [runs.state(place) for place in places(out, text)]


def wait_for(condition: Callable[[], bool]) -> None:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < PATIENCE
        time.sleep(0.01)


def wait_for_new_checkpoint(out: Path, text: str = STUDY) -> None:
    def changed() -> dict[Path, int]:
        files = [place / runs.CHECKPOINT for place in places(out, text)]
        return {file: file.stat().st_mtime_ns for file in files if file.exists()}

    before = changed()

    def written() -> bool:
        try:
            return any(before.get(file) != time for file, time in changed().items())
        except FileNotFoundError:  # finished between the two looks
            return False

    wait_for(written)


def certain(out: Path) -> list[dict[str, Any]]:
    """The table but for what is measured: the same for every way in which a study is run."""
    return [
        {name: value for name, value in row.items() if not name.startswith(table.MEASURED)} for row in table.rows(out)
    ]


def same_bits(one: Path, other: Path) -> bool:
    """Whether two studies ended with the same table, written and read, and the same weights."""
    from pyarrow import parquet

    written = [
        [
            {name: value for name, value in row.items() if not name.startswith(table.MEASURED)}
            for row in parquet.read_table(out / folders.TABLE).to_pylist()
        ]
        for out in (one, other)
    ]
    weights = [
        [(out / row["run"] / runs.WEIGHTS).read_bytes() for row in certain(out) if row["state"] == "finished"]
        for out in (one, other)
    ]
    return certain(one) == certain(other) and written[0] == written[1] and weights[0] == weights[1]


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins with it ignored
    yaml, out, *rest = sys.argv[1:]
    engine, address = (*rest, *("local", "")[len(rest) :])
    outcomes = study(Path(out), Path(yaml).read_text(), engine=engine, address=address, jobs=1)
    sys.exit(any(outcome.error for outcome in outcomes))
