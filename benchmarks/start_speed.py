"""From the start of a program to its first steps of training: what importing, compiling and the first steps take.

    python benchmarks/start_speed.py [--nets burgess ...] [--rounds 5] [--also CHECKOUT] [--out DIR]

Each is a process of its own, and they take turns: one that imports torch and does nothing, one that trains three steps
without kernels, one with, and one of another checkout with its kernels. The figures are medians over rounds.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
import train_speed

from unbraid.files import write_json
from unbraid.processors import cores

SOURCE = Path(__file__).parents[1] / "src"
TRAINING = "import json, sys, unbraid; unbraid.train(**json.loads(sys.argv[1]), show_progress=False)"


def seconds(program: str, *arguments: str, source: Path = SOURCE, **environment: str) -> float:
    env = {**os.environ, "PYTHONPATH": str(source), **environment}
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", program, *arguments], env=env, check=True)
    return time.perf_counter() - began


def starts(net: str, rounds: int, other: Path | None) -> dict[str, float]:
    """Seconds of each way, and how many times as long as ours the other checkout's takes."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds + 1):
        with tempfile.TemporaryDirectory() as folder:

            def training(name: str, folder: str = folder) -> str:
                given = {"model": net, "steps": 3, "batch_size": 64, "device": "cpu", **train_speed.NETS[net]}
                return json.dumps({**given, "out": str(Path(folder) / name)})

            turns = {
                "torch": seconds("import torch"),
                "without_kernels": seconds(TRAINING, training("without"), ATEN_CPU_CAPABILITY="default"),
                "ours": seconds(TRAINING, training("ours")),
            }
            if other is not None:
                turns["other"] = seconds(TRAINING, training("other"), source=other / "src")
        for name, value in turns.items():
            found.setdefault(name, []).append(value)
    record = {name: round(median(values[1:]), 2) for name, values in found.items()}  # files come to memory in the first
    if other is not None:
        record["other_over_ours"] = round(median(map(float.__truediv__, found["other"][1:], found["ours"][1:])), 2)
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="+", default=[*train_speed.NETS], choices=train_speed.NETS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--also", type=Path, metavar="CHECKOUT", help="another one to compare with")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    chosen = parser.parse_args()
    records = {}
    for net in chosen.nets:
        records[net] = starts(net, chosen.rounds, chosen.also)
        print(net, *(f"{name} {value:.2f}" for name, value in records[net].items()), flush=True)
    name = f"{datetime.date.today().isoformat()}-{cores()}-cores-start_speed.json"
    write_json(chosen.out / name, {"torch": torch.__version__, "seconds": records})


if __name__ == "__main__":
    main()
