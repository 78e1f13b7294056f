"""A study's training, one model after another against all the ways of training many, in images per second.

    python benchmarks/study_speed.py [--balls 60] [--burgess 40] [--out benchmarks/results]

The studies are the 18 runs of the bouncing balls (3 nets x 2 data sets x 3 betas) and 12 seeds and betas of burgess on
dSprites, cut to so many steps. The ways: one after another as each peer trains them (eager modules, a DataLoader), one
after another by our own trainer with one thread and with one a core, stacked as one program, in processes of one thread
each side by side, and stacked in such processes, three runs to a stack. Only steps are timed, after a warm-up, so that
start-up costs of a short study do not count; a study of real length is made of steps.
"""

import argparse
import datetime
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import train_speed

from unbraid import runs
from unbraid.config import Config, resolve
from unbraid.files import write_json
from unbraid.processors import cores, threads
from unbraid.surroundings import denormals_flushed, memory_kept
from unbraid.training import learning, program
from unbraid.training.stack import Stack, stackable
from unbraid.training.trainer import Trainer

_WARM_UP = 3
learning._WORTH_COMPILING = _WARM_UP - 1  # steps: the rest of a study of real length goes as after its first 200


def balls() -> dict[str, list[Config]]:
    return {
        net: [
            resolve({"model": net, "objective": "beta_vae", "batch_size": 128, "n_balls": n, "beta": beta, **own})
            for n in (1, 2)
            for beta in (0.1, 0.5, 1.0)
        ]
        for net, own in train_speed.NETS.items()
        if net.startswith("balls")
    }


def burgess() -> dict[str, list[Config]]:
    return {"burgess": [resolve({"seed": seed, "beta": beta}) for seed in range(4) for beta in (1.0, 4.0, 8.0)]}


def timed(step: Callable[[int], None], steps: int) -> float:
    """Seconds of `steps` calls after the warm-up."""
    for number in range(_WARM_UP):
        step(number)
    began = time.perf_counter()
    for number in range(steps):
        step(_WARM_UP + number)
    return time.perf_counter() - began


def trainer(config: Config) -> Trainer:
    return Trainer(config, runs.load_data(config), torch.device("cpu"))


def alone(config: Config, steps: int, count: int = 1) -> float:
    memory_kept()
    with threads(count), denormals_flushed():
        return timed(trainer(config).step, steps)


def peer(config: Config, steps: int) -> float:
    """Per step as a peer would train it, with one thread a core: torch's own default."""
    with threads(cores()):
        dataset = runs.load_data(config)
        step = train_speed.eager(config, dataset)
        return timed(lambda number: step(), steps)


def one_after_another(configs: Sequence[Config], steps: int) -> float:
    return sum(alone(config, steps) for config in configs)


def with_all_cores(configs: Sequence[Config], steps: int) -> float:
    return sum(alone(config, steps, cores()) for config in configs)


def by_peers(configs: Sequence[Config], steps: int) -> float:
    return sum(peer(config, steps) for config in configs)


def stacked(configs: Sequence[Config], steps: int) -> float:
    memory_kept()
    total = 0.0
    with threads(cores()), denormals_flushed():
        for group in stackable(configs):
            total += timed(Stack([trainer(configs[index]) for index in group]).step, steps)
    return total


def _share(waiting: Any, started: Any, finished: Any, steps: int, groups: Sequence[Sequence[dict[str, Any]]]) -> None:
    """A process of `in_processes`: it warms up, waits for the others, and trains what comes."""
    memory_kept()
    with threads(1), denormals_flushed():
        programs = [program([trainer(resolve(each)) for each in group]) for group in groups]
        for step in programs:
            for number in range(_WARM_UP):
                step(number)
        started.wait()
        while (index := waiting.get()) is not None:
            for number in range(steps):
                programs[index](_WARM_UP + number)
        finished.wait()


def in_processes(configs: Sequence[Config], steps: int, most: int = 1) -> float:
    """With stacks of `most` runs at most."""
    context = multiprocessing.get_context("spawn")
    waiting, started, finished = context.Queue(), context.Barrier(cores() + 1), context.Barrier(cores() + 1)
    groups = [
        [configs[index].flat() for index in group[start : start + most]]
        for group in stackable(configs)
        for start in range(0, len(group), most)
    ]
    for index in [*range(len(groups)), *[None] * cores()]:
        waiting.put(index)
    workers = [context.Process(target=_share, args=(waiting, started, finished, steps, groups)) for _ in range(cores())]
    for worker in workers:
        worker.start()
    started.wait()
    began = time.perf_counter()
    finished.wait()
    seconds = time.perf_counter() - began  # without the end of the processes, a second that a study has once
    for worker in workers:
        worker.join()
    return seconds


def _in_its_own_process(way: str, configs: Sequence[Config], steps: int) -> float:
    """What one way does to the process (memory, denormals) must not help the next."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_resolved, (way, [config.flat() for config in configs], steps))


def _resolved(way: str, settings: Sequence[dict[str, Any]], steps: int) -> float:
    return WAYS[way]([resolve(each) for each in settings], steps)


WAYS: dict[str, Callable[[Sequence[Config], int], float]] = {
    "peers, one after another": by_peers,
    "one after another": one_after_another,
    "one after another, all cores": with_all_cores,
    "stacked": stacked,
}
_PROCESSES = {"processes": 1, "stacked in processes": 3}  # runs to a stack


def study(parts: dict[str, list[Config]], steps: int) -> dict[str, Any]:
    seconds: dict[str, dict[str, float]] = {}
    for name, configs in parts.items():
        seconds[name] = {way: _in_its_own_process(way, configs, steps) for way in WAYS}
        seconds[name] |= {way: in_processes(configs, steps, most) for way, most in _PROCESSES.items()}
        images = sum(config.batch_size for config in configs) * steps
        rates = ", ".join(f"{way} {images / spent:,.0f}/s" for way, spent in seconds[name].items())
        print(f"{name} ({len(configs)} runs, {steps} steps): {rates}", flush=True)
    whole = {way: sum(part[way] for part in seconds.values()) for way in [*WAYS, *_PROCESSES]}
    base = "one after another"
    gains = {
        name: {way: round(part[base] / spent, 2) for way, spent in part.items()}
        for name, part in {**seconds, "all": whole}.items()
    }
    print(json.dumps(gains["all"]))
    return {
        "steps": steps,
        "seconds": {name: {way: round(s, 2) for way, s in part.items()} for name, part in seconds.items()},
        "times_as_fast_as_one_after_another": gains,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--balls", type=int, default=60, help="steps of each run")
    parser.add_argument("--burgess", type=int, default=40, help="steps of each run")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    chosen = parser.parse_args()
    found = {"balls": study(balls(), chosen.balls), "burgess": study(burgess(), chosen.burgess)}
    name = f"{datetime.date.today().isoformat()}-{os.cpu_count()}-cores-study_speed.json"
    write_json(chosen.out / name, {"torch": torch.__version__, "cores": cores(), **found})


if __name__ == "__main__":
    main()
