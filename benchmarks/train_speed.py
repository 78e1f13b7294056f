"""Training speed of one model against the way every peer trains it, and against what the processor can do.

    python benchmarks/train_speed.py [--nets burgess ...] [--batches 64 128] [--rounds 2] [--seconds 3] [--out DIR]

Each way runs in a process of its own, with one thread and with one a core, on the same images, in rounds of all ways,
so that none has the machine's better minutes to itself; the fastest counts:

- ours: the trainer's own step, batches and noise included, and its parts apart;
- plain: the same without our kernels (models/acceleration.py) and with memory given back to the system;
- eager: modules as they are in their plain layout, a DataLoader over single images, torch's default Adam;
- pythae: its trainer (0.1.2, where it is installed) with the same layers.

The operations are counted by torch's FlopCounterMode on the plain net, forward and backward; the peak is the best
matrix product of the same process and thread count, by torch.mm and by the oneDNN product of our dense layers.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from unbraid import runs
from unbraid.config import Config, resolve
from unbraid.files import write_json
from unbraid.models import acceleration, fast_linear
from unbraid.processors import cores, threads
from unbraid.surroundings import denormals_flushed, memory_kept
from unbraid.training import Trainer
from unbraid.types import Dataset

NETS: dict[str, dict[str, Any]] = {
    "burgess": {"data": "dsprites"},
    "locatello": {"data": "dsprites"},
    "mlp": {"data": "dsprites"},
    "swift": {"data": "dsprites"},
    "balls_fc": {"data": "balls", "latent_dim": 10},
    "balls_conv": {"data": "balls", "latent_dim": 32},
    "balls_all_conv": {"data": "balls", "latent_dim": 16},
}
WAYS = ("ours", "plain", "eager", "pythae")
_IMAGES = 20_000  # of the peers' data set in memory


def config(net: str, batch: int) -> Config:
    return resolve({"model": net, "objective": "beta_vae", "batch_size": batch, "device": "cpu", **NETS[net]})


def seconds_of(step: Callable[[], Any], seconds: float) -> float:
    """Of one call: the best of five stretches, since other work on the machine only ever adds."""
    for _ in range(3):
        step()
    best, end = float("inf"), time.perf_counter() + seconds
    for stretch in range(5):
        began, calls = time.perf_counter(), 0
        while calls < 2 or time.perf_counter() < end - (4 - stretch) * seconds / 5:
            step()
            calls += 1
        best = min(best, (time.perf_counter() - began) / calls)
    return best


def peaks(seconds: float) -> dict[str, float]:
    """GFLOP/s of the best matrix product."""
    found: dict[str, float] = {}
    for size in (512, 1024, 2048):
        a, b = torch.randn(size, size), torch.randn(size, size)
        products: dict[str, Callable[[], Any]] = {"mm": partial(torch.mm, a, b)}
        if acceleration.is_faster():
            products["onednn"] = partial(fast_linear.product, a, b)
        for name, product in products.items():
            found[name] = max(found.get(name, 0.0), 2 * size**3 / seconds_of(product, seconds / 6) / 1e9)
    return found


def operations(of: Config, dataset: Dataset) -> float:
    """Floating-point operations of one step of the plain net, forward and backward."""
    from torch.utils.flop_counter import FlopCounterMode

    net, x = runs.build_model(of, dataset.image_shape), dataset.batches(of.batch_size, seed=0)(0)
    with FlopCounterMode(display=False) as counter:
        net(x, torch.randn(len(x), of.latent_dim))[0].sum().backward()
    return float(counter.get_total_flops())


def ours(of: Config, dataset: Dataset, seconds: float) -> dict[str, float]:
    memory_kept()
    with denormals_flushed():
        trainer = Trainer(of, dataset, torch.device("cpu"))
        number = iter(range(10**9))
        found = {"step": seconds_of(lambda: trainer.step(next(number)), seconds)}
        parts: dict[str, list[float]] = {"data": [], "forward": [], "backward": [], "optimizer": []}
        for step in range(20):
            marks = [time.perf_counter()]
            inputs = trainer.inputs(step)
            marks.append(time.perf_counter())
            loss = trainer.terms(inputs, step).loss
            marks.append(time.perf_counter())
            loss.backward()
            marks.append(time.perf_counter())
            trainer.update(trainer.rates(step))
            marks.append(time.perf_counter())
            for name, part in zip(parts, np.diff(marks), strict=True):
                parts[name].append(float(part))
        return found | {name: float(np.median(times)) for name, times in parts.items()} | peaks(seconds / 3)


def plain(of: Config, dataset: Dataset, seconds: float) -> dict[str, float]:
    acceleration.is_faster = lambda: False
    with denormals_flushed():
        trainer, number = Trainer(of, dataset, torch.device("cpu")), iter(range(10**9))
        return {"step": seconds_of(lambda: trainer.step(next(number)), seconds)}


class Images(torch.utils.data.Dataset):
    """Images in memory, one at a time."""

    def __init__(self, dataset: Dataset) -> None:
        rng = np.random.default_rng(0)
        self.images = dataset.images(np.sort(rng.choice(len(dataset), min(_IMAGES, len(dataset)), replace=False)))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        return torch.from_numpy(self.images[index]).float().div(255)


def eager(of: Config, dataset: Dataset, seconds: float) -> dict[str, float]:
    net = runs.build_model(of, dataset.image_shape)
    loader = torch.utils.data.DataLoader(Images(dataset), batch_size=of.batch_size, shuffle=True, drop_last=True)
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-4)

    def batches() -> Iterator[torch.Tensor]:
        while True:
            yield from loader

    stream = batches()

    def step() -> None:
        x = next(stream)
        logits, mean, logvar, _ = net(x, torch.randn(len(x), of.latent_dim))
        recon = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
        kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum(1).mean()
        loss = recon + 4 * kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return {"step": seconds_of(step, seconds)}


def pythae(of: Config, dataset: Dataset, seconds: float) -> dict[str, float]:
    from pythae.models import BetaVAE, BetaVAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    net = runs.build_model(of, dataset.image_shape)

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.latent_dim, self.layers = of.latent_dim, net.encoder

        def forward(self, x: torch.Tensor) -> Any:
            mean, logvar = self.layers(x).chunk(2, dim=-1)
            return ModelOutput(embedding=mean, log_covariance=logvar)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = net.decoder

        def forward(self, z: torch.Tensor) -> Any:
            return ModelOutput(reconstruction=torch.sigmoid(self.layers(z)))

    settings = BetaVAEConfig(
        input_dim=dataset.image_shape, latent_dim=of.latent_dim, reconstruction_loss="bce", beta=4.0
    )
    model = BetaVAE(settings, encoder=Encoder(), decoder=Decoder())
    images = torch.from_numpy(Images(dataset).images).float() / 255
    labels = torch.zeros(len(images))

    class Labelled(torch.utils.data.Dataset):
        def __init__(self, size: int) -> None:
            self.size = size

        def __len__(self) -> int:
            return self.size

        def __getitem__(self, index: int) -> Any:
            from pythae.data.datasets import DatasetOutput

            return DatasetOutput(data=images[index], labels=labels[index])

    def trainer(steps: int, folder: str) -> Any:
        training = BaseTrainerConfig(
            output_dir=folder, per_device_train_batch_size=of.batch_size, num_epochs=1, learning_rate=5e-4, no_cuda=True
        )
        made = BaseTrainer(model=model, train_dataset=Labelled(steps * of.batch_size), training_config=training)
        made.prepare_training()
        made.callback_handler.callbacks = []  # no progress bars
        return made

    with tempfile.TemporaryDirectory() as folder:
        epoch = trainer(5, folder)
        began = time.perf_counter()
        epoch.train_step(epoch=1)
        steps = max(5, min(len(images) // of.batch_size, int(seconds / 3 / ((time.perf_counter() - began) / 5))))
        epoch, best = trainer(steps, folder), float("inf")
        for number in range(3):
            began = time.perf_counter()
            epoch.train_step(epoch=number + 1)
            best = min(best, (time.perf_counter() - began) / steps)
    return {"step": best}


def measure(way: str, net: str, batch: int, count: int, seconds: float) -> dict[str, float]:
    of = config(net, batch)
    with threads(count):
        ways = {"ours": ours, "plain": plain, "eager": eager, "pythae": pythae}
        return ways[way](of, runs.load_data(of), seconds)


def in_a_process(way: str, net: str, batch: int, count: int, seconds: float) -> dict[str, float] | None:
    """None where this way is not to be had here."""
    command = [sys.executable, __file__, "--one", json.dumps([way, net, batch, count, seconds])]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        print(f"{way}: {ended.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    return json.loads(ended.stdout.splitlines()[-1])


def compare(net: str, batch: int, rounds: int, seconds: float) -> dict[str, Any]:
    counts = sorted({1, cores()})
    best: dict[str, dict[str, float]] = {}
    ways = [(way, count) for way in WAYS for count in counts]
    for number in range(rounds):
        for way, count in reversed(ways) if number % 2 else ways:
            found = in_a_process(way, net, batch, count, seconds)
            if found and found["step"] < best.get(way, {"step": float("inf")})["step"]:
                best[way] = {**found, "threads": count}
    of = config(net, batch)
    flops = operations(of, runs.load_data(of))
    mine = best["ours"]
    record: dict[str, Any] = {
        "net": net,
        "batch": batch,
        "images_per_s": {way: round(batch / found["step"]) for way, found in best.items()},
        "ms_per_step": {way: round(1e3 * found["step"], 2) for way, found in best.items()},
        "threads": {way: found["threads"] for way, found in best.items()},
        "ours_over": {way: round(found["step"] / mine["step"], 2) for way, found in best.items() if way != "ours"},
        "ours_ms": {part: round(1e3 * mine[part], 2) for part in ("data", "forward", "backward", "optimizer")},
        "gflop_per_step": round(flops / 1e9, 3),
        "peak_gflop_per_s": {name: round(mine[name]) for name in ("mm", "onednn") if name in mine},
        "fraction_of_peak": {
            name: round(flops / mine["step"] / 1e9 / mine[name], 2) for name in ("mm", "onednn") if name in mine
        },
    }
    ratios = ", ".join(f"{ratio:.2f} x {way}" for way, ratio in record["ours_over"].items())
    shares = ", ".join(f"{share:.0%} of {name}" for name, share in record["fraction_of_peak"].items())
    print(f"{net:15} batch {batch:4}: {record['images_per_s']['ours']:7,} images/s, {ratios}; {shares}", flush=True)
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="+", default=list(NETS), choices=list(NETS))
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 128])
    parser.add_argument("--rounds", type=int, default=2, help="of all ways, at least 1; every other backwards")
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement (default: 3)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(*chosen.one)))
        return
    records = [compare(net, batch, chosen.rounds, chosen.seconds) for net in chosen.nets for batch in chosen.batches]
    name = f"{datetime.date.today().isoformat()}-{os.cpu_count()}-cores-train_speed.json"
    settings = {"rounds": chosen.rounds, "seconds": chosen.seconds}
    write_json(chosen.out / name, {"torch": torch.__version__, "cores": cores(), **settings, "records": records})


if __name__ == "__main__":
    main()
