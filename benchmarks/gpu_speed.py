"""A CUDA device's turn: a study trained as recorded programs against one model after another, and a full balls study.

    python benchmarks/gpu_speed.py [--seconds 3] [--study 0] [--n-balls 2] [--out benchmarks/results]

For 12 members of burgess on dSprites and the 18 runs of the bouncing balls: milliseconds of a step of all members
together, as `train_many` makes it, beside the sum of their steps alone, launched kernel by kernel; images per second;
the share of the device's matrix product in TF32 and of its memory's speed, both measured here. The bytes are the least
that a step can move with float32 activations: each is written once going forward and read by the next layer, its
gradient written, read by two products and masked by the activation, which is read again; Adam reads four numbers a
weight and writes three. `--study N` trains the 18 runs for N steps through `train_many`, logs, pictures and checkpoints
included, and scores their ELBO on 10,000 images each.
"""

import argparse
import datetime
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import study_speed
import torch
import train_speed
from balls_elbo import elbos

from unbraid import runs, training
from unbraid.config import Config, resolve
from unbraid.files import write_json
from unbraid.surroundings import tensor_cores
from unbraid.training.trainer import Trainer

_TOUCHES = 7  # of each activation in a step, see above
_ADAM = 7  # numbers moved a weight


def seconds_of(step: Callable[[int], object], seconds: float) -> float:
    """Of one call, on average over at least this long, after a warm-up that includes the recording."""
    for number in range(100):
        step(number)
    torch.cuda.synchronize()
    began, number = time.perf_counter(), 100
    while time.perf_counter() - began < seconds:
        for _ in range(50):
            step(number)
            number += 1
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / (number - 100)


def peaks() -> dict[str, float]:
    def rate(act: Callable[[], object], amount: float) -> float:
        act()
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(10):
            act()
        torch.cuda.synchronize()
        return 10 * amount / (time.perf_counter() - began)

    a, b = torch.randn(2, 8192, 8192, device="cuda").unbind()
    source = torch.randn(2**28, device="cuda")
    target = torch.empty_like(source)
    return {
        "tf32_flop_per_s": rate(lambda: a @ b, 2 * 8192**3),
        "bytes_per_s": rate(lambda: target.copy_(source), 2 * source.nbytes),
    }


def trainers(configs: Sequence[Config]) -> list[Trainer]:
    data = {(config.data, *config.section("data").items()): config for config in configs}
    loaded = {key: runs.load_data(config) for key, config in data.items()}
    device = torch.device("cuda", 0)
    return [Trainer(each, loaded[each.data, *each.section("data").items()], device) for each in configs]


def least_bytes(trainer: Trainer) -> float:
    """That a step of this model moves through the memory."""
    activations = 0

    def count(module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> None:
        nonlocal activations
        activations += output.numel()

    kinds = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.ConvTranspose2d)
    hooks = [layer.register_forward_hook(count) for layer in trainer.model.modules() if isinstance(layer, kinds)]
    with torch.no_grad():
        trainer.terms(trainer.inputs(0), trainer.hyper_at(0))
    for hook in hooks:
        hook.remove()
    weights = sum(parameter.numel() for parameter in trainer.model.parameters())
    return 4.0 * (_TOUCHES * activations + _ADAM * weights)


def compare(configs: Sequence[Config], seconds: float, peak: dict[str, float]) -> dict[str, Any]:
    kinds = {(config.model, config.batch_size): config for config in configs}
    alone = {key: seconds_of(trainers([config])[0].step, seconds / len(kinds)) for key, config in kinds.items()}
    members = trainers(configs)
    work = {
        key: (train_speed.operations(config, runs.load_data(config)), least_bytes(trainers([config])[0]))
        for key, config in kinds.items()
    }
    together = seconds_of(training.program(members), seconds)
    keys = [(config.model, config.batch_size) for config in configs]
    images = sum(config.batch_size for config in configs)
    by_products = sum(work[key][0] for key in keys) / peak["tf32_flop_per_s"]
    by_memory = sum(work[key][1] for key in keys) / peak["bytes_per_s"]
    return {
        "members": len(configs),
        "step_ms_together": 1e3 * together,
        "step_ms_one_after_another": 1e3 * sum(alone[key] for key in keys),
        "images_per_s_together": images / together,
        "images_per_s_one_after_another": images / sum(alone[key] for key in keys),
        "step_ms_at_the_peak_of_products": 1e3 * by_products,
        "step_ms_at_the_peak_of_memory": 1e3 * by_memory,
    }


def study(cells: Sequence[Config], steps: int) -> dict[str, Any]:
    configs = [resolve({**cell.flat(), "steps": steps, "log_every": 1000, "lr": _rate(cell)}) for cell in cells]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        folders = [Path(folder) / str(number) for number in range(len(configs))]
        found = training.train_many(configs, folders)
        seconds = time.perf_counter() - began
        return {"steps": steps, "seconds": seconds, "elbo": elbos([run for run in found if isinstance(run, runs.Run)])}


def balls() -> list[Config]:
    return [config for part in study_speed.balls().values() for config in part]


def _rate(config: Config) -> float:
    return 5e-5 if config.model == "balls_fc" else 1e-3  # of the original


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--study", type=int, default=0, help="steps of the 18 runs of the balls study; 0 leaves it out")
    parser.add_argument("--n-balls", type=int, help="in the study, only the runs with so many")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    chosen = parser.parse_args()
    found: dict[str, Any] = {"torch": torch.__version__, "device": torch.cuda.get_device_name()}
    path = chosen.out / f"{datetime.date.today().isoformat()}-gpu_speed.json"
    with tensor_cores(torch.device("cuda")):
        found["peaks"] = peaks()
        for name, configs in (("burgess", study_speed.burgess()["burgess"]), ("balls", balls())):
            found[name] = compare(configs, chosen.seconds, found["peaks"])
            print(name, found[name], flush=True)
            write_json(path, found)
    if chosen.study:
        cells = [cell for cell in balls() if chosen.n_balls in (None, cell.options["n_balls"])]
        found["study"] = study(cells, chosen.study)
        write_json(path, found)
        print(found["study"])


if __name__ == "__main__":
    main()
