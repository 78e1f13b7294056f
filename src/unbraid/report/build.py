"""From run folders to the one file of the page."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unbraid import files, runs
from unbraid.config import GIVEN_DATA, Config
from unbraid.errors import UnbraidError
from unbraid.metrics import METRICS, OF_A_RUN, direction
from unbraid.metrics.published import PUBLISHED
from unbraid.progress import progress
from unbraid.report.datasets import Shown
from unbraid.report.gather import Gathered, gather
from unbraid.report.page import bytes_block, json_block, page, wasm_block
from unbraid.types import Dataset


def find_runs(paths: Sequence[Path]) -> dict[str, Path]:
    """Name -> folder of every run among `paths` and, where one is no run itself, of those below it (`runs.find`).

    Names are the shortest ends of the folders' paths that tell them apart. Raises UnbraidError where there is none.
    """
    found: list[Path] = []
    for path in paths:
        below = [path] if runs.is_run(path) else runs.find(path)
        if not below:
            raise UnbraidError(f"{path} is not a run folder, and there is none in it: it holds no {runs.CONFIG}")
        found += [folder.resolve() for folder in below]
    found = list(dict.fromkeys(found))
    length = next(n for n in range(1, 1000) if len({folder.parts[-n:] for folder in found}) == len(found))
    return {"/".join(folder.parts[-length:]): folder for folder in found}


def write_report(
    paths: Sequence[Path], out: Path = Path("report.html"), *, data: Dataset | None = None, show: bool = False
) -> Path:
    """Writes the page of these runs (folders of runs, or of studies) to `out`.

    `data` is the data set of runs that were trained on images passed in from Python; without it their page has no
    images to start from. Raises UnbraidError for a folder without runs, or a run that cannot be read.
    """
    files.write_text(out, build(find_runs(paths), data=data, show=show))
    return out


def build(
    found: Mapping[str, Path],
    *,
    data: Dataset | None = None,
    show: bool = False,
    version: str = "",
    read: Callable[[Path, str, Shown | None], Gathered] = gather,
) -> str:
    """The page of these runs, each as `read` finds it; a `version` makes it one that asks its server for news.

    Of several runs those that cannot be read are left out, and the page says so. Raises UnbraidError if none is left.
    """
    shown: dict[str, Shown | None] = {}
    gathered: dict[str, Gathered] = {}
    keys: dict[str, str] = {}
    omitted: dict[str, str] = {}
    with progress("report", len(found), "runs", show=show) as bar:
        for name, path in found.items():
            try:
                config = runs.read_config(path)
                key = json.dumps([config.data, config.section("data")])
                if key not in shown:
                    shown[key] = _shown(config, data)
                gathered[name], keys[name] = read(path, name, shown[key]), key
            except (UnbraidError, OSError) as error:
                omitted[name] = str(error)
                if len(omitted) == len(found):
                    raise
            bar.advance(status=name)
    datasets = {key: each for key, each in shown.items() if each is not None}
    places = {key: f"data-{n}" for n, key in enumerate(datasets)}
    blocks = [
        _RunBlocks(f"run-{n}", each, places.get(key))
        for n, (each, key) in enumerate(zip(gathered.values(), keys.values(), strict=True))
    ]
    first = next((run for run in blocks if run.gathered.nets), blocks[0])
    opening, rest = _ordered(first, blocks, {places[key]: each.json() for key, each in datasets.items()})
    trained_on = sorted({each.summary["settings"]["data"] for each in gathered.values()})
    report = {
        "live": version,
        "runs": [run.summary() for run in blocks],
        "omitted": omitted,
        "metrics": {
            name: {"description": METRICS[name].description if name in METRICS else "", "direction": direction(name)}
            for name in (*METRICS, *OF_A_RUN, "recon")
        },
        "published": {name: PUBLISHED[name] for name in trained_on if name in PUBLISHED},
    }
    return page(report, opening, rest)


@dataclass(frozen=True)
class _RunBlocks:
    """What the page holds of one run, and under which names."""

    block: str
    gathered: Gathered
    dataset: str | None

    def summary(self) -> dict[str, Any]:
        trained = {"block": self.block if self.gathered.nets else None}  # the nets' names begin with it
        return {**self.gathered.summary, **trained, "details": self.block, "dataset": self.dataset}

    def texts(self) -> list[str]:
        nets = [bytes_block(f"{self.block}-{half}", net) for half, net in self.gathered.nets.items()]
        return [json_block(self.block, self.gathered.details), *nets]


def _ordered(
    first: _RunBlocks, every: Sequence[_RunBlocks], datasets: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """(what the first run needs to be shown, all the rest)"""
    tables = {name: json_block(name, value) for name, value in datasets.items()}
    opening = [tables.pop(first.dataset)] if first.dataset else []
    opening += first.texts()
    if first.gathered.nets:
        opening.append(wasm_block())
    return opening, [*tables.values(), *(text for run in every if run is not first for text in run.texts())]


def _shown(config: Config, data: Dataset | None) -> Shown | None:
    """What is shown of the data of this config; None where they cannot be had here."""
    try:
        return Shown.of(data if config.data == GIVEN_DATA and data is not None else runs.load_data(config))
    except (UnbraidError, OSError):  # trained elsewhere, or on images that were never named
        return None
