"""Training speed of one model against the way every peer trains it, and against what the processor can do.

    python benchmarks/train_speed.py [--nets burgess ...] [--batches 64 128] [--rounds 9] [--out DIR]

Each way runs in a process of its own, with one thread and with one a core, on the same images. They take turns of half
a second, since such machines change their speed from one minute to the next: a ratio is the median over the rounds.

- ours: the trainer's own step, batches and noise included, and its parts apart;
- plain: the same without our kernels (models/acceleration.py), but for Adam and balls, without a tape
  (kernels/tape.py), and with memory given back to the system;
- eager: modules as they are in their plain layout, a DataLoader over single images, torch's default Adam;
- eager_kept: the same with memory kept, as ours. Without, much of it goes back to the system and is got again in each
  step, or little: that hangs on where a process's heap happens to lie;
- pythae: its trainer (0.1.2, where it is installed) with the same layers.

On a processor with AVX-512, ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 in the environment keeps all of them to
the vectors that most laptops have.

The operations are counted by torch's FlopCounterMode on the plain net, forward and backward. The peak is the matrix
product of the size that is best here, in the process and with the thread count of ours, by torch.mm and by the oneDNN
product of our dense layers: measured after each turn, for the same reason that turns are taken. Beside the best of all
turns a step of the middle turn would look slower than it is; that fraction is in the results too.
"""

import argparse
import atexit
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from operator import itemgetter
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
from unbraid.surroundings import memory_kept
from unbraid.training import Trainer
from unbraid.training.learning import Differentiated
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
_IMAGES = 20_000  # of the peers' data set in memory
_TURN = 0.5  # seconds
Step = Callable[[], Any]


def config(net: str, batch: int) -> Config:
    return resolve({"model": net, "objective": "beta_vae", "batch_size": batch, "device": "cpu", **NETS[net]})


def seconds_of(step: Callable[[], Any], seconds: float) -> float:
    """Of one call: the best of five stretches, since other work on the machine only ever adds."""
    step()
    best, end = float("inf"), time.perf_counter() + seconds
    for stretch in range(5):
        began, calls = time.perf_counter(), 0
        while calls < 2 or time.perf_counter() < end - (4 - stretch) * seconds / 5:
            step()
            calls += 1
        best = min(best, (time.perf_counter() - began) / calls)
    return best


Product = Callable[[], Any]


def products(seconds: float) -> dict[str, tuple[float, Product]]:
    """(operations, product) of the best size of each kind of matrix product."""
    found: dict[str, tuple[float, float, Product]] = {}
    for size in (512, 1024, 2048):
        a, b = torch.randn(size, size), torch.randn(size, size)
        kinds: dict[str, Product] = {"mm": partial(torch.mm, a, b)}
        if fast_linear.has_onednn():
            kinds["onednn"] = partial(fast_linear.product, a, b)
        for name, product in kinds.items():
            speed = 2 * size**3 / seconds_of(product, seconds / 6)
            found[name] = max(found.get(name, (0.0, 0.0, product)), (speed, 2.0 * size**3, product), key=itemgetter(0))
    return {name: (operations, product) for name, (_, operations, product) in found.items()}


def speeds(of: Mapping[str, tuple[float, Product]], seconds: float) -> dict[str, float]:
    """GFLOP/s of each product, over so many seconds."""
    found = {}
    for name, (operations, product) in of.items():
        began, calls = time.perf_counter(), 0
        while time.perf_counter() < began + seconds or not calls:
            product()
            calls += 1
        found[name] = calls * operations / (time.perf_counter() - began) / 1e9
    return found


def operations(of: Config, dataset: Dataset) -> float:
    """Floating-point operations of one step of the plain net, forward and backward."""
    from torch.utils.flop_counter import FlopCounterMode

    net, x = runs.build_model(of, dataset.image_shape), dataset.batches(of.batch_size, seed=0)(0)
    with FlopCounterMode(display=False) as counter:
        net(x, torch.randn(len(x), of.latent_dim))[0].sum().backward()
    return float(counter.get_total_flops())


def ours(of: Config, dataset: Dataset) -> Step:
    memory_kept()
    return _steps(_trainer(of, dataset))


def plain(of: Config, dataset: Dataset) -> Step:
    acceleration.accelerate = lambda network: None
    acceleration.likelihood = lambda nll: nll
    trainer = _trainer(of, dataset)
    trainer.learn = Differentiated(trainer.networks().values())
    return _steps(trainer)


def _trainer(of: Config, dataset: Dataset) -> Trainer:
    torch.set_flush_denormal(True)
    return Trainer(of, dataset, torch.device("cpu"))


def _steps(trainer: Trainer) -> Step:
    number = iter(range(10**9))
    return lambda: trainer.step(next(number))


def parts(of: Config, dataset: Dataset) -> dict[str, float]:
    """Milliseconds of a step of ours, the median over 20; `gradients` are forward and backward as ours has them."""
    trainer, found = _trainer(of, dataset), []
    for step in range(25):
        marks = [time.perf_counter()]
        inputs, hyper = trainer.inputs(step), trainer.hyper_at(step)
        marks.append(time.perf_counter())
        loss = trainer.terms(inputs, hyper).loss
        marks.append(time.perf_counter())
        loss.backward()
        marks.append(time.perf_counter())
        trainer.learn(trainer.terms, inputs, hyper)
        marks.append(time.perf_counter())
        trainer.update(trainer.rates(step))
        marks.append(time.perf_counter())
        found.append(np.diff(marks))
    medians = 1e3 * np.median(found[5:], axis=0)
    names = "data", "forward", "backward", "gradients", "optimizer"
    return dict(zip(names, medians.round(2).tolist(), strict=True))


class Images(torch.utils.data.Dataset):
    """Images in memory, one at a time."""

    def __init__(self, dataset: Dataset) -> None:
        rng = np.random.default_rng(0)
        self.images = dataset.images(np.sort(rng.choice(len(dataset), min(_IMAGES, len(dataset)), replace=False)))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        return torch.from_numpy(self.images[index]).float().div(255)


def eager(of: Config, dataset: Dataset) -> Step:
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

    return step


def eager_kept(of: Config, dataset: Dataset) -> Step:
    memory_kept()
    return eager(of, dataset)


def pythae(of: Config, dataset: Dataset) -> Step:
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
        def __len__(self) -> int:
            return _EPOCH * of.batch_size

        def __getitem__(self, index: int) -> Any:
            from pythae.data.datasets import DatasetOutput

            return DatasetOutput(data=images[index], labels=labels[index])

    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    training = BaseTrainerConfig(
        output_dir=folder.name,
        per_device_train_batch_size=of.batch_size,
        num_epochs=1,
        learning_rate=5e-4,
        no_cuda=True,
    )
    made = BaseTrainer(model=model, train_dataset=Labelled(), training_config=training)
    made.prepare_training()
    made.callback_handler.callbacks = []  # no progress bars
    return partial(made.train_step, epoch=1)


WAYS: dict[str, Callable[[Config, Dataset], Step]] = {
    "ours": ours,
    "plain": plain,
    "eager": eager,
    "eager_kept": eager_kept,
    "pythae": pythae,
}
_EPOCH = 10  # steps of one call of pythae's trainer
_STEPS = {"pythae": _EPOCH}


def serve(way: str, net: str, batch: int, count: int) -> None:
    """A process of one way: trains for the seconds that a line of its input says, and answers with those of a step.

    At the end of the input it says what else is asked of ours.
    """
    of = config(net, batch)
    dataset = runs.load_data(of)
    with threads(count):
        step, steps = WAYS[way](of, dataset), _STEPS.get(way, 1)
        for _ in range(3):
            step()
        peaks = products(2.0) if way == "ours" else {}
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            began, calls = time.perf_counter(), 0
            while time.perf_counter() < began + float(line) or not calls:
                step()
                calls += 1
            seconds = (time.perf_counter() - began) / calls / steps
            print(json.dumps([seconds, speeds(peaks, _TURN / 5)]), flush=True)
        if way == "ours":
            print(json.dumps(parts(of, dataset)), flush=True)


class Process:
    """`serve` in a process of its own."""

    def __init__(self, way: str, net: str, batch: int, count: int) -> None:
        self.way, self.errors = way, tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process
        command = [sys.executable, __file__, "--serve", json.dumps([way, net, batch, count])]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True
        )
        assert self.process.stdin and self.process.stdout
        self.asked, self.answers = self.process.stdin, self.process.stdout

    def is_here(self) -> bool:
        """Waits until it can take turns; False where this way is not to be had."""
        if self.answers.readline():
            return True
        self.errors.seek(0)
        print(f"{self.way}: {self.errors.read().strip().splitlines()[-1]}", file=sys.stderr)
        return False

    def turn(self) -> tuple[float, dict[str, float]]:
        """Seconds of a step, and the GFLOP/s of matrix products right after."""
        self.asked.write(f"{_TURN}\n")
        self.asked.flush()
        seconds, peaks = json.loads(self.answers.readline())
        return seconds, peaks

    def end(self) -> Any:
        """The last word of ours."""
        self.asked.close()
        last = self.answers.read()
        self.process.wait()
        return json.loads(last) if last else None


def compare(net: str, batch: int, rounds: int) -> dict[str, Any]:
    processes = {(way, count): Process(way, net, batch, count) for way in WAYS for count in sorted({1, cores()})}
    here = {key: process for key, process in processes.items() if process.is_here()}
    turns = _turns(here, rounds)
    seconds = {key: np.array([seconds for seconds, _ in own]) for key, own in turns.items()}
    ends = {key: process.end() for key, process in here.items()}
    best: dict[str, tuple[str, int]] = {}  # of each way, with the thread count that suits it
    for key in sorted(seconds, key=lambda key: float(np.median(seconds[key]))):
        best.setdefault(key[0], key)
    mine = np.median(seconds[best["ours"]])
    of = config(net, batch)
    flops = operations(of, runs.load_data(of))
    peaks = {name: np.array([own[name] for _, own in turns[best["ours"]]]) for name in turns[best["ours"]][0][1]}
    ratios = {way: seconds[key] / seconds[best["ours"]] for way, key in best.items() if way != "ours"}
    record: dict[str, Any] = {
        "net": net,
        "batch": batch,
        "images_per_s": {way: round(batch / np.median(seconds[key])) for way, key in best.items()},
        "ms_per_step": {way: round(1e3 * np.median(seconds[key]), 2) for way, key in best.items()},
        "threads": dict(best.values()),
        "ours_over": {way: round(float(np.median(ratio)), 2) for way, ratio in ratios.items()},
        "ours_over_quartiles": {
            way: np.quantile(ratio, [0.25, 0.75]).round(2).tolist() for way, ratio in ratios.items()
        },
        "ours_ms": ends[best["ours"]],
        "gflop_per_step": round(flops / 1e9, 3),
        "peak_gflop_per_s": {name: round(float(np.median(own))) for name, own in peaks.items()},
        "fraction_of_peak": {
            name: round(float(np.median(flops / seconds[best["ours"]] / 1e9 / own)), 2) for name, own in peaks.items()
        },
        "best_peak_gflop_per_s": {name: round(own.max()) for name, own in peaks.items()},
        "fraction_of_best_peak": {name: round(flops / mine / 1e9 / own.max(), 2) for name, own in peaks.items()},
    }
    over = ", ".join(f"{ratio:.2f} x {way}" for way, ratio in record["ours_over"].items())
    shares = ", ".join(f"{share:.0%} of {name}" for name, share in record["fraction_of_peak"].items())
    print(f"{net:15} batch {batch:4}: {record['images_per_s']['ours']:7,} images/s, {over}; {shares}", flush=True)
    return record


def _turns(
    processes: Mapping[tuple[str, int], Process], rounds: int
) -> dict[tuple[str, int], list[tuple[float, dict[str, float]]]]:
    found: dict[tuple[str, int], list[tuple[float, dict[str, float]]]] = {key: [] for key in processes}
    for number in range(rounds):
        for key in reversed(list(processes)) if number % 2 else processes:
            found[key].append(processes[key].turn())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="+", default=list(NETS), choices=list(NETS))
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 128])
    parser.add_argument("--rounds", type=int, default=9, help="turns of each way")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--serve", type=json.loads, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(*chosen.serve)
        return
    records = [compare(net, batch, chosen.rounds) for net in chosen.nets for batch in chosen.batches]
    vectors = torch.backends.cpu.get_cpu_capability()
    kind = f"{vectors.lower()}-" if "ATEN_CPU_CAPABILITY" in os.environ else ""  # narrower than the processor's
    name = f"{datetime.date.today().isoformat()}-{os.cpu_count()}-cores-{kind}train_speed.json"
    about = {"torch": torch.__version__, "cores": cores(), "vectors": vectors, "rounds": chosen.rounds}
    found = {**about, "records": records}
    write_json(chosen.out / name, found)


if __name__ == "__main__":
    main()
