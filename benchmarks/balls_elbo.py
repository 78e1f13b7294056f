"""The ELBO that each run of a bouncing-balls study reached: the fast recipe's beside the original's.

    unbraid study balls --recipe fast --out runs/balls-fast
    python benchmarks/balls_elbo.py runs/balls-fast [--original benchmarks/results/DATE-gpu_speed.json]

Of the original recipe's 100,000 steps the numbers come from `gpu_speed.py --study 100000`, or from a second folder of
runs. The ELBO, in nats per image and higher is better, is that of the objective: minus reconstruction minus beta times
KL, on 10,000 images that no run has seen.
"""

import argparse
import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unbraid import evaluate, runs
from unbraid.files import write_json

_POINTS = 10_000


def elbos(trained: Sequence[runs.Run]) -> list[dict[str, Any]]:
    rows = []
    for run in trained:
        evaluate.score_run(run, ["reconstruction", "kl"], points=_POINTS)
        scores = runs.read_scores(run.path)["metrics"]
        recon, kl = scores["reconstruction"]["score"], scores["kl"]["score"]
        flat = run.config.flat()
        beta = float(str(flat["beta"]))
        rows.append(
            {
                **{name: flat[name] for name in ("model", "n_balls", "beta", "steps")},
                "reconstruction": recon,
                "kl": kl,
                "elbo": -recon - beta * kl,
                "seconds": runs.read_facts(run.path)["seconds"],
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="folder of the fast recipe's study")
    parser.add_argument("--original", type=Path, required=True, help="result file of gpu_speed.py, or a study's folder")
    parser.add_argument("--result", type=Path, default=Path("benchmarks/results"))
    chosen = parser.parse_args()
    if chosen.original.is_dir():
        original = elbos(_finished(chosen.original))
    else:
        original = json.loads(chosen.original.read_text())["study"]["elbo"]
    fast = elbos(_finished(chosen.study))
    cells = {_key(row): row for row in fast}
    worse = 0
    for row in original:
        mine = cells.get(_key(row))
        gained = mine["elbo"] - row["elbo"] if mine else float("-inf")
        worse += gained < 0
        reached = f"{mine['elbo']:8.2f} ({mine['steps']:,} steps)" if mine else "missing"
        print(f"{_key(row)}: original {row['elbo']:8.2f} ({row['steps']:,} steps), fast {reached}, {gained:+.2f}")
    print(f"{len(original) - worse} of {len(original)} cells at least as good")
    minutes = sum(row["seconds"] for row in fast) / 60
    print(
        f"{len(fast)} runs of the fast recipe: {minutes:.0f} minutes of training, those of one process a core added up"
    )
    write_json(
        chosen.result / f"{datetime.date.today().isoformat()}-balls_elbo.json", {"original": original, "fast": fast}
    )


def _finished(study: Path) -> list[runs.Run]:
    return [runs.load(path.parent) for path in sorted(study.glob(f"*/{runs.WEIGHTS}"))]


def _key(row: dict[str, Any]) -> tuple[str, int, float]:
    return str(row["model"]), int(row["n_balls"]), float(row["beta"])


if __name__ == "__main__":
    main()
