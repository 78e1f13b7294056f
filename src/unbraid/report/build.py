"""From run folders to the one file of the page."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from unbraid import files, runs
from unbraid.config import GIVEN_DATA, Config
from unbraid.errors import UnbraidError
from unbraid.metrics import METRICS
from unbraid.metrics.published import PUBLISHED
from unbraid.progress import progress
from unbraid.report.datasets import Shown
from unbraid.report.gather import Gathered, gather
from unbraid.report.page import bytes_block, json_block, page, wasm_block
from unbraid.types import Dataset


def find_runs(paths: Sequence[Path]) -> dict[str, Path]:
    """Name -> folder of every run among `paths` and, where one is no run itself, below it at any depth.

    Names are the shortest ends of the folders' paths that tell them apart. Raises UnbraidError where there is none.
    """
    found: list[Path] = []
    for path in paths:
        below = [path] if runs.is_run(path) else sorted(file.parent for file in path.rglob(runs.CONFIG))
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
    """The page of these runs, each as `read` finds it; a `version` makes it one that asks its server for news."""
    shown: dict[str, Shown | None] = {}
    gathered: list[Gathered] = []
    keys: list[str] = []
    with progress("report", len(found), "runs", show=show) as bar:
        for name, path in found.items():
            config = runs.read_config(path)
            key = json.dumps([config.data, config.section("data")])
            if key not in shown:
                shown[key] = _shown(config, data)
            gathered.append(read(path, name, shown[key]))
            keys.append(key)
            bar.advance(status=name)
    places = {key: f"data-{n}" for n, key in enumerate(key for key, each in shown.items() if each is not None)}
    report = {
        "live": version,
        "runs": [
            {
                **each.summary,
                "details": f"run-{n}",
                "block": f"run-{n}" if each.nets else None,
                "dataset": places.get(key),
            }
            for n, (each, key) in enumerate(zip(gathered, keys, strict=True))
        ],
        "metrics": {
            name: {"description": metric.description, "higher": metric.higher_is_better}
            for name, metric in METRICS.items()
        },
        "published": {
            name: PUBLISHED[name]
            for name in {each.summary["settings"]["data"] for each in gathered}
            if name in PUBLISHED
        },
    }
    first = next((n for n, each in enumerate(gathered) if each.nets), 0)
    blocks = [_blocks(n, each) for n, each in enumerate(gathered)]
    tables = {key: json_block(place, shown[key].json()) for key, place in places.items()}  # type: ignore[union-attr]
    opening = [tables.pop(keys[first])] if keys[first] in tables else []
    opening += [*blocks.pop(first), *([wasm_block()] if any(each.nets for each in gathered) else [])]
    return page(report, opening, [*tables.values(), *(block for each in blocks for block in each)])


def _blocks(number: int, gathered: Gathered) -> list[str]:
    nets = (
        bytes_block(f"run-{number}-{half}", gathered.nets[half]) for half in ("decoder", "encoder") if gathered.nets
    )
    return [json_block(f"run-{number}", gathered.details), *nets]


def _shown(config: Config, data: Dataset | None) -> Shown | None:
    """What is shown of the data of this config; None where they cannot be had here."""
    try:
        return Shown.of(data if config.data == GIVEN_DATA and data is not None else runs.load_data(config))
    except (UnbraidError, OSError):  # trained elsewhere, or on images that were never named
        return None
