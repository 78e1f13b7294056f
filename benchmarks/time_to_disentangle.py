"""How disentangled a model is after so many minutes of training on dSprites, from an empty run folder, without labels.

    python benchmarks/time_to_disentangle.py --minutes 10 --seeds 3 [--rate 40] [--out benchmarks/records]

Each seed trains the demo's recipe, whose schedules are shares of its length: as many steps as this machine does in the
given time at `--rate` steps per second (measured over 200 steps where it is not given). The clock runs from the start
to the last step, and what it showed is in the record. Scores are those of `unbraid score`; labels are used there alone.
"""

import argparse
import datetime
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from unbraid import evaluate, recipes, training
from unbraid.files import write_json

_METRICS = ("mig", "factor_vae", "beta_vae", "modularity")
_WARM_UP, _MEASURED = 50, 200


def measured_rate() -> float:
    """Steps per second of the recipe on this machine now."""
    config = recipes.demo(_WARM_UP + _MEASURED)
    with tempfile.TemporaryDirectory() as folder:
        run = training.train(config, out=Path(folder) / "run", show_progress=False)
        rows = run.log
    return float(rows["images_per_s"][-1] / config.batch_size)


def race(seed: int, steps: int) -> dict[str, Any]:
    config = recipes.demo(steps, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run = training.train(config, out=Path(folder) / "run")
        seconds = time.perf_counter() - began
        found = evaluate.score_run(run, _METRICS, seed=0, show=True)
    scores = {name: result.score for name, result in found.items()}
    print(f"seed {seed}: {seconds:.0f} s, " + ", ".join(f"{name} {score:.3f}" for name, score in scores.items()))
    return {"seed": seed, "seconds": round(seconds, 1), **scores}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rate", type=float, help="steps per second (default: measured)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/records"))
    chosen = parser.parse_args()
    rate = chosen.rate or measured_rate()
    steps = int(rate * 60 * chosen.minutes)
    print(f"{rate:.1f} steps/s: {steps:,} steps in {chosen.minutes:g} minutes")
    runs = [race(seed, steps) for seed in range(chosen.seeds)]
    medians = {name: float(np.median([run[name] for run in runs])) for name in _METRICS}
    print("median: " + ", ".join(f"{name} {score:.3f}" for name, score in medians.items()))
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    today = datetime.date.today().isoformat()
    write_json(
        chosen.out / f"{today}-{chosen.minutes:g}-minutes.json",
        {"commit": commit, "steps": steps, "median": medians, "runs": runs, "config": recipes.demo(steps).flat()},
    )


if __name__ == "__main__":
    main()
