"""One step, one loop. A run is a function of its config: step s of a resumed run is step s of an unbroken one."""

import dataclasses
import math
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

import unbraid
from unbraid import config as configs
from unbraid import randomness, runs, schedules
from unbraid.config import GIVEN_DATA, Config
from unbraid.errors import UnbraidError
from unbraid.logs import TensorBoard
from unbraid.objectives import OBJECTIVES
from unbraid.optimizers import OPTIMIZERS
from unbraid.probability import LIKELIHOODS
from unbraid.processors import threads
from unbraid.progress import progress
from unbraid.surroundings import denormals_flushed, interrupts, locked
from unbraid.types import Batches, Dataset, Forward, Terms

if TYPE_CHECKING:
    from torch.optim import Optimizer


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM ended a run between two steps; its checkpoint is written and `--resume` goes on."""


class Trainer:
    """The state of one run in memory: networks, optimizers, and the sums that become the next row of the log."""

    def __init__(self, config: Config, dataset: Dataset, device: torch.device) -> None:
        self.config = config = configs.fitted(config, dataset)
        self.device, self.n_data = device, len(dataset)
        self.batches: Batches = dataset.batches(config.batch_size, seed=config.seed, device=device)
        self.model = runs.to_device(runs.build_model(config, dataset.image_shape), device)
        objective = OBJECTIVES[config.objective]
        self.objective: Callable[..., Terms] = objective.function
        self.aux: torch.nn.Module | None = None
        if objective.aux is not None:
            self.aux = objective.aux.build(config.latent_dim, randomness.fold(config.seed, "aux")).to(device)
        self.hyper = {name: schedules.resolve(value) for name, value in config.section("objective").items()}
        likelihood = LIKELIHOODS[config.likelihood]
        options = config.section("likelihood")
        self.likelihood = lambda logits, x: likelihood.nll(logits, x, **options)
        self.lr = schedules.resolve(config.lr)
        make = OPTIMIZERS[config.optimizer]
        self.optimizers: list[tuple[Optimizer, schedules.Schedule | float]] = [
            (make(self.model.parameters(), **config.section("optimizer")), self.lr)
        ]
        if self.aux is not None and objective.aux is not None:
            beta1, beta2 = objective.aux.betas
            aux_optimizer = OPTIMIZERS["adam"](self.aux.parameters(), adam_beta1=beta1, adam_beta2=beta2)
            self.optimizers.append((aux_optimizer, config.aux_lr or objective.aux.lr))
        if config.prune:
            self.model.closable_head()  # refuses before the training rather than after it
        self.generator = torch.Generator(device)
        self.sums: dict[str, Tensor] = {}
        self.summed = 0
        self.kl: list[float] = []  # [L] of the last row

    def hyper_at(self, step: int) -> dict[str, float]:
        return {name: _at(value, step) for name, value in self.hyper.items()}

    def forward(self, x: Tensor, step: int) -> Forward:
        """One batch [B, C, H, W] through the model with the noise that belongs to this step."""
        size = (len(x), self.config.latent_dim)
        self.generator.manual_seed(randomness.fold(self.config.seed, "noise", step))
        noise = torch.randn(size, generator=self.generator, device=self.device)
        logits, mean, logvar, z = self.model(x, noise)
        if self.aux is None:
            return Forward(x, logits, mean, logvar, z, self.likelihood, self.n_data)
        permutation = torch.rand(size, generator=self.generator, device=self.device).argsort(0)
        return Forward(
            x, logits, mean, logvar, z, self.likelihood, self.n_data, permutation, self.aux, _frozen(self.aux)
        )

    def step(self, step: int) -> None:
        terms = self.objective(self.forward(self.batches(step), step), **self.hyper_at(step))
        total = terms.loss if terms.aux_loss is None else terms.loss + terms.aux_loss
        total.backward()
        for optimizer, lr in self.optimizers:
            if self.config.clip:
                torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], self.config.clip)
            for group in optimizer.param_groups:
                group["lr"] = _at(lr, step)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self._sum({"loss": terms.loss, **terms.logs})

    def loss(self, step: int) -> float:
        """Of the weights as they are now on the batch of `step`, learning nothing from it."""
        with torch.no_grad():
            return float(self.objective(self.forward(self.batches(step), step), **self.hyper_at(step)).loss)

    def _sum(self, logs: Mapping[str, Tensor]) -> None:
        for name, value in logs.items():
            value = value.detach()
            if name in self.sums:
                self.sums[name] += value
            else:
                self.sums[name] = value.clone()
        self.summed += 1

    def row(self, step: int) -> dict[str, float]:
        """The means of the logged values since the last row, in nats per image; begins the next sums."""
        means = {name: (value / self.summed).tolist() for name, value in self.sums.items()}
        self.sums, self.summed = {}, 0
        kl = self.kl = means.pop("kl")
        row = {"elbo": -(means["recon"] + sum(kl)), "recon": means["recon"], "kl": sum(kl), **means}
        row |= {name: _at(value, step - 1) for name, value in self.hyper.items()}
        row["lr"] = _at(self.lr, step - 1)
        return row | {f"kl_{latent}": value for latent, value in enumerate(kl)}

    def prune(self) -> list[int]:
        """Closes the latents whose KL in the last row of the log is below `prune` nats; returns them.

        The mean of a latent that the KL has shut keeps a trace of the image, too faint for the decoder to see and plain
        to any score that looks at codes without their scale.
        """
        closed = [latent for latent, nats in enumerate(self.kl) if nats < self.config.prune]
        if closed:
            self.model.close(closed)
        return closed

    def is_finite(self) -> bool:
        """Of the optimizer's state too: an infinite second moment in Adam stops a weight for good, without a NaN."""
        return all(bool(tensor.isfinite().all()) for tensor in self.checkpoint().values())

    def _networks(self) -> dict[str, torch.nn.Module]:
        return {"model": self.model} | ({"aux": self.aux} if self.aux is not None else {})

    def parameter_counts(self) -> dict[str, int]:
        """Numbers of trained parameters of the encoder, the decoder and, where there is one, the second network."""
        networks = {"encoder": self.model.encoder, "decoder": self.model.decoder}
        if self.aux is not None:
            networks["aux"] = self.aux
        return {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}

    def weights(self) -> dict[str, Tensor]:
        return {f"{name}.{k}": p for name, net in self._networks().items() for k, p in net.named_parameters()}

    def checkpoint(self) -> dict[str, Tensor]:
        """Every tensor that the next step depends on."""
        tensors = self.weights() | {f"sums.{name}": value for name, value in self.sums.items()}
        for number, (optimizer, _) in enumerate(self.optimizers):
            for index, state in optimizer.state_dict()["state"].items():
                values = {name: value for name, value in state.items() if isinstance(value, Tensor)}
                tensors |= {f"optimizer{number}.{index}.{name}": value for name, value in values.items()}
        return tensors

    def restore(self, tensors: Mapping[str, Tensor], summed: int, source: Path) -> None:
        groups: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            group, _, rest = name.partition(".")
            groups.setdefault(group, {})[rest] = tensor
        for name, net in self._networks().items():
            runs.fill(net, groups.get(name, {}), source)
        self.sums = {name: tensor.to(self.device) for name, tensor in groups.get("sums", {}).items()}
        self.summed = summed
        for number, (optimizer, _) in enumerate(self.optimizers):
            parameters = optimizer.param_groups[0]["params"]
            for name, tensor in groups.get(f"optimizer{number}", {}).items():
                index, _, key = name.partition(".")
                like = parameters[int(index)]
                if key == "step":  # fused kernels count where the parameters are, the others on the CPU
                    tensor = tensor.to(like.device if optimizer.defaults.get("fused") else "cpu")
                elif tensor.shape == like.shape:
                    # fused kernels walk parameter and state in memory order, so the state takes the parameter's layout
                    tensor = torch.empty_like(like).copy_(tensor)
                else:
                    raise ValueError(f"{name} has shape {list(tensor.shape)}")
                optimizer.state[like][key] = tensor


def _at(value: schedules.Schedule | float, step: int) -> float:
    return value(step) if callable(value) else value


def _frozen(network: torch.nn.Module) -> Callable[[Tensor], Tensor]:
    """`network` with detached parameters: gradients pass through it and stop at its weights."""
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
    return lambda z: torch.func.functional_call(network, parameters, (z,))


def train(
    config: Config | None = None,
    *,
    data: str | Dataset | None = None,
    out: str | Path | None = None,
    show_progress: bool = True,
    **values: Any,
) -> runs.Run:
    """Trains a model and returns its run: `train(data="dsprites", objective="beta_vae", beta=4, steps=1000)`.

    `data` is a name from the table or a Dataset (`unbraid.data.from_arrays(images)`); the other keywords are those of
    the command line. `out` is the run folder, which must not hold a run yet; by default a new folder under `runs/`.
    """
    given = None if data is None or isinstance(data, str) else data
    if given is not None and not hasattr(given, "batches"):
        raise UnbraidError(
            f"data must be a name or a data set, not {type(given).__name__}: wrap arrays in "
            "unbraid.data.from_arrays(images)"
        )
    named = {} if data is None else {"data": GIVEN_DATA if given is not None else data}
    if config is None:
        config = configs.resolve({**named, **values})
    elif values or named.get("data", config.data) != config.data:
        raise UnbraidError(
            f"give a config or keywords, not both (got a config of data={config.data} and "
            f"{', '.join(f'{name}={value}' for name, value in {**named, **values}.items())})"
        )
    folder = Path(out) if out is not None else _new_folder(config)
    _refuse_run(folder)
    return _train(folder, configs.resolve(config.flat()), given, show_progress, new=True)


def resume(
    path: str | Path, *, data: Dataset | None = None, device: str | None = None, show_progress: bool = True
) -> runs.Run:
    """Goes on with the run in `path` from its last checkpoint; a finished run is returned as it is.

    `device` is where, by default where it was begun; on another kind of device the last bits differ.
    """
    folder = Path(path)
    config = runs.read_config(folder)
    if device is not None:
        config = dataclasses.replace(config, device=device)
    if runs.state(folder) == "finished":
        return runs.load(folder, config.device, data)
    if data is not None:
        _refuse_other_data(config, runs.read_facts(folder), data)
    return _train(folder, config, data, show_progress, new=False)


def _refuse_run(folder: Path) -> None:
    if runs.is_run(folder):
        raise UnbraidError(
            f"{folder} holds a run already ({runs.state(folder)}): choose another folder, or go on with "
            f"`unbraid train --resume {folder}`"
        )
    if folder.is_dir() and any(not file.name.startswith(".") for file in folder.iterdir()):
        raise UnbraidError(f"{folder} holds other files: a run wants a new or an empty folder")


def _refuse_other_data(config: Config, facts: Mapping[str, Any], data: Dataset) -> None:
    if config.data != GIVEN_DATA:
        raise UnbraidError(f"this run is trained on {config.data}, which is found by its name: leave data out")
    there = (facts.get("n_data"), facts.get("image_shape"))
    here = (len(data), list(data.image_shape))
    if facts and there != here:
        raise UnbraidError(
            f"this run is trained on {there[0]} images {there[1]}, and the data given holds {here[0]} images "
            f"{here[1]}: pass the same data set again"
        )


def _new_folder(config: Config) -> Path:
    name = f"{config.data}-{config.model}-{config.objective}"
    candidates = (Path("runs") / (f"{name}-{n}" if n > 1 else name) for n in range(1, 1_000_000))
    return next(path for path in candidates if not path.exists())


def _train(folder: Path, config: Config, given: Dataset | None, show_progress: bool, *, new: bool) -> runs.Run:
    device = runs.choose_device(config.device)
    dataset = given if given is not None else runs.load_data(config)
    trainer = Trainer(config, dataset, device)
    if show_progress and trainer.config.likelihood != config.likelihood:
        _say_likelihood(trainer.config, dataset)
    with locked(folder), denormals_flushed():
        if new:
            _refuse_run(folder)  # another process may have come first
        if runs.state(folder) != "finished":
            _begin_or_go_on(folder, trainer, dataset, show_progress)
    return runs.load(folder, str(device), given)


def _say_likelihood(config: Config, dataset: Dataset) -> None:
    """What a likelihood that was left to the images became."""
    kind = "black and white" if dataset.binary else "in shades or colours"
    options = "".join(f", {name} {value}" for name, value in config.section("likelihood").items())
    print(f"likelihood {config.likelihood}{options}, as the images are {kind}", file=sys.stderr)  # noqa: T201


def _begin_or_go_on(folder: Path, trainer: Trainer, dataset: Dataset, show_progress: bool) -> None:
    start, seconds = 0, 0.0
    if (folder / runs.CHECKPOINT).is_file():
        start, seconds = _restore(trainer, folder / runs.CHECKPOINT)
    else:
        runs.write_config(folder, trainer.config)
    with threads(trainer.config.threads):
        facts = {
            **_facts(trainer.device),
            "image_shape": list(dataset.image_shape),
            "n_data": len(dataset),
            "parameters": trainer.parameter_counts(),
            **_beta_norm(trainer.config, dataset.image_shape),
        }
        _Loop(folder, trainer, dataset, facts, start, seconds, show_progress).run()


def _restore(trainer: Trainer, checkpoint: Path) -> tuple[int, float]:
    """(steps done, seconds spent) of a checkpoint, whose tensors go into `trainer`."""
    tensors, metadata = runs.load_tensors(checkpoint)
    try:
        step, steps = int(metadata["step"]), trainer.config.steps
        if not 0 < step < steps:
            raise ValueError(f"step {step} of {steps}")
        trainer.restore(tensors, int(metadata["summed"]), checkpoint)
        return step, float(metadata["seconds"])
    except UnbraidError:
        raise
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise UnbraidError(
            f"{checkpoint} is damaged or of another run ({type(error).__name__}: {error}): put the right one back, or "
            "remove it to train from the beginning"
        ) from None


def parameter_counts(config: Config, dataset: Dataset) -> dict[str, int]:
    """What `Trainer.parameter_counts` says of a run that is not trained yet."""
    return Trainer(config, dataset, torch.device("cpu")).parameter_counts()


def _beta_norm(config: Config, image_shape: Sequence[int]) -> dict[str, float]:
    """beta L / (C H W), which compares betas across image sizes (Higgins 2017); {} without one beta."""
    beta = config.options.get("beta")
    return {"beta_norm": beta * config.latent_dim / math.prod(image_shape)} if isinstance(beta, float) else {}


def _facts(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "unbraid": unbraid.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.system(),
        "device": str(device),
        "device_name": name,
        "threads": torch.get_num_threads(),
    }


class _Loop:
    """step, log, checkpoint, until the end or an interrupt."""

    def __init__(
        self,
        folder: Path,
        trainer: Trainer,
        dataset: Dataset,
        facts: dict[str, Any],
        start: int,
        seconds: float,
        show_progress: bool,
    ) -> None:
        self.folder, self.trainer, self.dataset, self.facts = folder, trainer, dataset, facts
        self.start, self.seconds_before, self.show_progress = start, seconds, show_progress
        self.good = start  # the step of the last checkpoint

    def run(self) -> None:
        config, trainer = self.trainer.config, self.trainer
        self._write_state("running", self.start)
        self.began = time.monotonic()
        next_checkpoint = self.began + 60 * config.checkpoint_minutes
        log = runs.Log(self.folder, self.start)
        self.board = TensorBoard(self.folder / runs.TENSORBOARD, self.start)
        row_start, row_began = self.start, self.began
        pictures = {config.steps * part // 10 for part in range(1, 11)}
        with (
            self.board,
            interrupts() as interrupted,
            progress("train", config.steps, initial=self.start, show=self.show_progress) as bar,
        ):
            for step in range(self.start, config.steps):
                trainer.step(step)
                done, status = step + 1, None
                if done % config.log_every == 0 or done == config.steps:
                    now, images = time.monotonic(), (done - row_start) * config.batch_size
                    row = {"step": done, "seconds": self._seconds(), "images_per_s": images / (now - row_began)}
                    row |= trainer.row(done)
                    row_start, row_began = done, now
                    self._check(row["loss"], done)
                    log.append(row)
                    self.board.scalars(row)
                    status = f"recon {row['recon']:.1f}  kl {row['kl']:.1f}"
                if done in pictures:
                    self._check(trainer.loss(step), done)
                    mean = LIKELIHOODS[config.likelihood].mean
                    self.board.images(trainer.model, self.dataset, mean, done, config.seed)
                bar.advance(status=status)
                if done == config.steps:
                    break
                if interrupted.is_set():
                    self._checkpoint(done)
                    self._write_state("stopped", done)
                    raise Interrupted(
                        f"stopped at step {done:,} of {config.steps:,}, everything is kept: "
                        f"`unbraid train --resume {self.folder}` goes on"
                    )
                if time.monotonic() >= next_checkpoint:
                    self._checkpoint(done)
                    next_checkpoint = time.monotonic() + 60 * config.checkpoint_minutes
        self._check(trainer.loss(config.steps - 1), config.steps)
        self.facts["pruned_latents"] = trainer.prune()
        runs.save_tensors(self.folder / runs.WEIGHTS, trainer.weights(), {"step": config.steps})
        self._write_state("finished", config.steps)
        (self.folder / runs.CHECKPOINT).unlink(missing_ok=True)

    def _seconds(self) -> float:
        return round(self.seconds_before + time.monotonic() - self.began, 3)

    def _write_state(self, state: str, step: int) -> None:
        seconds = self._seconds() if state != "running" else self.seconds_before
        runs.write_facts(self.folder, {"state": state, "step": step, "seconds": seconds, **self.facts})

    def _checkpoint(self, step: int) -> None:
        self._check(self.trainer.loss(step - 1), step)
        self.board.flush()
        metadata = {"step": step, "seconds": self._seconds(), "summed": self.trainer.summed}
        runs.save_tensors(self.folder / runs.CHECKPOINT, self.trainer.checkpoint(), metadata)
        self.good = step

    def _check(self, loss: float, step: int) -> None:
        if math.isfinite(loss) and self.trainer.is_finite():
            return
        self._write_state("failed", self.good)
        kept = f"the checkpoint of step {self.good:,} is kept" if self.good else "no checkpoint had been written before"
        raise UnbraidError(
            f"the loss stopped being a number at or before step {step:,}, so training stopped; {kept} in "
            f"{self.folder}: try a smaller lr, or clip=1000"
        )
