"""How disentangled a model is after so many minutes of training, from an empty run folder, without labels.

    python benchmarks/time_to_disentangle.py --minutes 10 --seeds 3 [--rate 40] [--threads 1] [--out benchmarks/records]
    python benchmarks/time_to_disentangle.py --minutes 2 --seeds 3 --data balls

Each seed trains the demo's recipe, whose schedules are shares of its length: as many steps as this machine does in the
given time at `--rate` steps per second (measured over 200 steps where it is not given). The clock runs from the start
to the last step, and what it showed is in the record. On dSprites the scores are those of `unbraid score`. The
coordinates of a ball are continuous: of each the record has the best and the second best normalised mutual information
of a latent, and whether each coordinate has a latent of its own. Labels are used for scores alone.
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
from unbraid.config import Config
from unbraid.files import write_json
from unbraid.runs import Run

_METRICS = ("mig", "factor_vae", "beta_vae", "modularity")
_WARM_UP, _MEASURED = 50, 200


def measured_rate(settings: dict[str, Any]) -> float:
    """Steps per second of the recipe on this machine now."""
    config = recipes.demo(_WARM_UP + _MEASURED, **settings)
    with tempfile.TemporaryDirectory() as folder:
        run = training.train(config, out=Path(folder) / "run", show_progress=False)
        rows = run.log
    return float(rows["images_per_s"][-1] / config.batch_size)


def race(config: Config) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run = training.train(config, out=Path(folder) / "run")
        seconds = time.perf_counter() - began
        scores = scores_of_coordinates(run) if None in run.data.factor_sizes else scores_of_factors(run)
    print(f"seed {config.seed}: {seconds:.0f} s, " + ", ".join(f"{name} {score:.3f}" for name, score in scores.items()))
    return {"seed": config.seed, "seconds": round(seconds, 1), **scores}


def scores_of_factors(run: Run) -> dict[str, float]:
    found = evaluate.score_run(run, _METRICS, seed=0, show=True)
    return {name: result.score for name, result in found.items()}


def scores_of_coordinates(run: Run) -> dict[str, float]:
    statistics = evaluate.statistics(run, run.data, evaluate.encode_sample(run, run.data))
    told = np.array(statistics["normalised_mutual_information"])  # [L, F]
    best, second = np.sort(told, axis=0)[::-1][:2]
    scores = {f"{name}_best": float(value) for name, value in zip(run.data.factor_names, best, strict=True)}
    scores |= {f"{name}_second": float(value) for name, value in zip(run.data.factor_names, second, strict=True)}
    own = len(set(told.argmax(0))) == told.shape[1] and bool((second < best / 4).all())
    return scores | {"own_latent_each": float(own)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", choices=["dsprites", "balls"], default="dsprites")
    parser.add_argument("--rate", type=float, help="steps per second (default: measured)")
    parser.add_argument("--threads", type=int, help="of the CPU (default: as the recipe says)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/records"))
    chosen = parser.parse_args()
    settings = {"data": chosen.data, **({"threads": chosen.threads} if chosen.threads else {})}
    rate = chosen.rate or measured_rate(settings)
    steps = int(rate * 60 * chosen.minutes)
    print(f"{rate:.1f} steps/s: {steps:,} steps in {chosen.minutes:g} minutes")
    runs = [race(recipes.demo(steps, seed=seed, **settings)) for seed in range(chosen.seeds)]
    medians = {name: float(np.median([run[name] for run in runs])) for name in runs[0] if name != "seed"}
    print("median: " + ", ".join(f"{name} {score:.3f}" for name, score in medians.items()))
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    today = datetime.date.today().isoformat()
    config = recipes.demo(steps, **settings).flat()
    write_json(
        chosen.out / f"{today}-{chosen.minutes:g}-minutes-{chosen.data}.json",
        {"commit": commit, "steps": steps, "median": medians, "runs": runs, "config": config},
    )


if __name__ == "__main__":
    main()
