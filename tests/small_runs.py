"""Runs that take a second, data sets that act at a step, and ways to compare what came out.

As a program, `python small_runs.py FOLDER`, it trains all of RUNS, each in a process that kills itself on the way.
"""

import csv
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from unbraid import runs, training
from unbraid.data import from_arrays
from unbraid.types import Batches, Dataset

STEPS, CHECKPOINT_AFTER, KILLED_AT = 40, 18, 33
COMMON = {"model": "balls_conv", "latent_dim": 3, "batch_size": 8, "steps": STEPS, "log_every": 7, "device": "cpu"}
RUNS: dict[str, dict[str, Any]] = {
    "beta_vae": {"objective": "beta_vae", "beta": 2.0, "lr": 1e-3},
    "factor_vae": {"objective": "factor_vae", "gamma": 5.0, "lr": 1e-3, "steps": 36},
    "annealed_vae": {
        "objective": "annealed_vae",
        "gamma": "linear(1, 9, steps=20)",
        "capacity": "linear(0, 20, steps=30)",
        "lr": "cosine(2e-3, 0, steps=40)",
        "optimizer": "adamw",
        "log_every": 1,
    },
    "adagrad": {"objective": "beta_vae", "optimizer": "adagrad", "adagrad_start": 0.1, "lr": 1e-2},
    "rmsprop": {"objective": "beta_tcvae", "optimizer": "rmsprop", "momentum": 0.9, "lr": 1e-4},
    "muon": {"objective": "beta_vae", "optimizer": "muon", "lr": 1e-2, "clip": 20.0},
    "sgd": {"objective": "dip_vae_i", "optimizer": "sgd", "momentum": 0.9, "lr": 1e-4, "clip": 50.0},
}
TIMES = ("seconds", "images_per_s")


def squares() -> Dataset:
    """72 black-and-white images [1, 16, 16] of squares: size (2), x (6), y (6)."""
    factors = np.stack(np.unravel_index(np.arange(72), (2, 6, 6)), axis=1)
    images = np.zeros((72, 16, 16))
    for image, (size, x, y) in zip(images, factors, strict=True):
        image[2 * y : 2 * y + 3 + 2 * size, 2 * x : 2 * x + 3 + 2 * size] = 1
    return from_arrays(images, factors, ["size", "x", "y"])


class Eventful:
    """A data set that does something of its own before it first hands out the batch of a step."""

    def __init__(self, dataset: Dataset, events: Mapping[int, Callable[[], None]]) -> None:
        self.dataset, self.events = dataset, events

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.dataset)

    def batches(self, batch_size: int, *, seed: int, device: torch.device | str = "cpu") -> Batches:
        batches, events = self.dataset.batches(batch_size, seed=seed, device=device), dict(self.events)

        def batch(step: int) -> torch.Tensor:
            events.pop(step, lambda: None)()
            return batches(step)

        return batch


class Clock:
    """The trainer's clock, which the test moves: it decides when a checkpoint is due."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1e-3
        return self.now

    def half_an_hour_passes(self) -> None:
        self.now += 1800


def small_run(name: str, folder: Path, dataset: Dataset | None = None, **values: Any) -> runs.Run:
    settings = {**COMMON, **RUNS[name], **values}
    data = squares() if dataset is None else dataset
    return training.train(data=data, out=folder, show_progress=False, **settings)


def weights(folder: Path) -> bytes:
    return (folder / runs.WEIGHTS).read_bytes()


def log_rows(folder: Path) -> list[dict[str, str]]:
    """log.csv without the columns that tell the time."""
    with (folder / runs.LOG).open(newline="") as stream:
        return [{name: cell for name, cell in row.items() if name not in TIMES} for row in csv.DictReader(stream)]


def same_run(one: Path, other: Path) -> bool:
    return weights(one) == weights(other) and log_rows(one) == log_rows(other)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def train_and_die(name: str, folder: Path) -> None:
    clock = Clock()
    training.loop.time = clock
    events = {CHECKPOINT_AFTER: clock.half_an_hour_passes, KILLED_AT: kill}
    small_run(name, folder / name, Eventful(squares(), events))


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        small_run("beta_vae", Path(folder) / "run", steps=1)  # compiles the net's kernels for all of them
    children = []
    for name in RUNS:
        child = os.fork()  # importing PyTorch takes longer than all of the training
        if not child:
            train_and_die(name, Path(sys.argv[1]))
            os._exit(0)
        children.append(child)
    sys.stdout.write(" ".join(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])) for child in children))
