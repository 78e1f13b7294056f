"""Times the scoring of a trained run: encoding every image once, then each metric from the table.

    python benchmarks/score_speed.py RUN [--out benchmarks/results]

Prints and writes the seconds of each part and the share of encoding.
"""

import argparse
import datetime
import time
from pathlib import Path

from unbraid import evaluate, runs
from unbraid.files import write_json
from unbraid.metrics import METRICS, results
from unbraid.processors import cores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    chosen = parser.parse_args()
    run = runs.load(chosen.run)
    began = time.perf_counter()
    rep = evaluate.representation(run, run.data, show=True)
    seconds = {"encoding": time.perf_counter() - began}
    for name in (name for name, metric in METRICS.items() if metric.default):
        at = time.perf_counter()
        results(rep, [name])
        seconds[name] = time.perf_counter() - at
    total = time.perf_counter() - began
    for name, value in {**seconds, "total": total}.items():
        print(f"{name:16}{value:8.1f} s{value / total:7.0%}")
    write_json(
        chosen.out / f"{datetime.date.today().isoformat()}-{cores()}-cores-score_speed-{run.config.model}.json",
        {"model": run.config.model, "images": len(rep.codes), "seconds": seconds, "total": total},
    )


if __name__ == "__main__":
    main()
