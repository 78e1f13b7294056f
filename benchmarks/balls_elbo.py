"""The ELBO of the bouncing-ball study's original recipe and of its fast one, on three of the 18 cells, one a net.

    python benchmarks/balls_elbo.py [--out runs/balls_elbo] [--jobs 2]

The original recipe takes an hour or two; it goes on where it was stopped. The ELBO, in nats per image and higher is
better, is that of the objective: minus reconstruction minus beta times KL of the whole data, as `unbraid score` takes
both.
"""

import argparse
import dataclasses
import datetime
from pathlib import Path
from typing import Any

from unbraid import runs
from unbraid.files import write_json
from unbraid.study import driver, file, grid
from unbraid.study.presets import PRESETS
from unbraid.study.work import Options

_CELLS = [("balls_conv", 2, 1.0), ("balls_all_conv", 1, 0.1), ("balls_fc", 2, 0.5)]


def trained(recipe: str, out: Path, jobs: int) -> list[dict[str, Any]]:
    study = dataclasses.replace(
        file.read(PRESETS["balls"], recipe), scores=("reconstruction", "kl"), run_figures="", figures=()
    )
    cells = [cell for cell in grid.cells(study, "balls") if _key(cell) in _CELLS]
    rows = []
    for cell, outcome in zip(cells, driver.run_study(study, cells, out, options=Options(jobs=jobs)), strict=True):
        assert outcome.error is None, outcome
        scores = runs.read_scores(outcome.folder)["metrics"]
        rows.append(
            {
                **dict(zip(("model", "n_balls", "beta"), _key(cell), strict=True)),
                "steps": cell.config.steps,
                "seconds": runs.read_facts(outcome.folder)["seconds"],
                "elbo": -scores["reconstruction"]["score"] - _key(cell)[2] * scores["kl"]["score"],
            }
        )
    return rows


def _key(cell: grid.Cell) -> tuple[str, int, float]:
    flat = cell.config.flat()
    return str(flat["model"]), int(flat["n_balls"]), float(flat["beta"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/balls_elbo"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--result", type=Path, default=Path("benchmarks/results"))
    chosen = parser.parse_args()
    found = {
        recipe or "original": trained(recipe, chosen.out / (recipe or "original"), chosen.jobs)
        for recipe in ("fast", "")
    }
    for original, fast in zip(found["original"], found["fast"], strict=True):
        cell = f"{original['model']}, {original['n_balls']} balls, beta {original['beta']:g}"
        print(
            f"{cell}: original {original['elbo']:.2f} "
            f"({original['steps']:,} steps), fast {fast['elbo']:.2f} ({fast['steps']:,} steps, {fast['seconds']:.0f} s)"
        )
    write_json(chosen.result / f"{datetime.date.today().isoformat()}-balls_elbo.json", found)


if __name__ == "__main__":
    main()
