"""One model and what trains it: a step is a function of the config, the seed and the step's number."""

import copy
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from unbraid import course, randomness, runs, schedules
from unbraid.config import Config, fitted
from unbraid.data.linear_coordinates import linear_coordinates
from unbraid.data.pairs import pairs
from unbraid.models import acceleration
from unbraid.objectives import OBJECTIVES
from unbraid.optimizers import OPTIMIZERS
from unbraid.probability import LIKELIHOODS
from unbraid.training.learning import Inputs, learns
from unbraid.types import Batches, Dataset, Forward, Terms

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from unbraid.models.vae import VAE


_BESIDE_TENSORS = 2**21  # bytes of a checkpoint at most: its header, and the sums of the next row of the log


class Trainer:
    """The state of one run in memory: networks, optimizers, and the sums that become the next row of the log."""

    def __init__(self, config: Config, dataset: Dataset, device: torch.device) -> None:
        self.config = config = fitted(config, dataset)
        self.device, self.n_data = device, len(dataset)
        self.batches = _batches(config, dataset, device)
        self.source = _source(config)
        self.model = runs.to_device(runs.build_model(config, dataset.image_shape), device)
        objective = OBJECTIVES[config.objective]
        self.objective: Callable[..., Terms] = objective.function
        self.posterior = objective.posterior
        self.linear = linear_coordinates(dataset, objective.linear, device) if objective.linear else None
        self.aux: torch.nn.Module | None = None
        if objective.aux is not None:
            self.aux = runs.to_device(
                objective.aux.build(config.latent_dim, randomness.fold(config.seed, "aux")), device
            )
        self.hyper = course.hyper(config)
        nll = LIKELIHOODS[config.likelihood].nll
        if device.type == "cpu":
            nll = acceleration.likelihood(nll)
        self.likelihood = partial(nll, **config.section("likelihood"))
        self.lr = schedules.resolve(config.lr)
        self.makers = [partial(OPTIMIZERS[config.optimizer], **config.section("optimizer"))]
        self.optimizers: list[tuple[Optimizer, schedules.Schedule | float]] = [
            (self.makers[0](self.model.parameters()), self.lr)
        ]
        if self.aux is not None and objective.aux is not None:
            beta1, beta2 = objective.aux.betas
            self.makers.append(partial(OPTIMIZERS["adam"], adam_beta1=beta1, adam_beta2=beta2))
            self.optimizers.append((self.makers[1](self.aux.parameters()), config.aux_lr or objective.aux.lr))
        if config.prune:
            self.model.head("closed", "prune=0")  # refuses before the training rather than after it
        self.woken, self.closed = objective.woken, objective.closed
        if self.woken is not None:
            self.model.head("opened", "another objective")
        self.learn = learns(self.networks().values(), device)
        self.generator = torch.Generator(device)
        self.sums: dict[str, Tensor] = {}
        self.summed = 0
        self.kl: list[float] = []  # [L] of the last row

    def hyper_at(self, step: int) -> dict[str, float]:
        return {name: schedules.at(value, step) for name, value in self.hyper.items()}

    def inputs(self, step: int) -> Inputs:
        """All that the step takes in beside the weights; the noise and the permutations are named by seed and step."""
        x = self.batches(step)
        size = (len(x), self.config.latent_dim)
        self.generator.manual_seed(randomness.fold(self.config.seed, "noise", step))
        noise = torch.randn(size, generator=self.generator, device=self.device)
        if self.aux is None:
            return Inputs(x, noise)
        return Inputs(x, noise, torch.rand(size, generator=self.generator, device=self.device).argsort(0))

    def terms(self, inputs: Inputs, hyper: Mapping[str, Any]) -> Terms:
        x, noise, permutation = inputs.x, inputs.noise, inputs.permutation
        posterior = None if self.posterior is None else partial(self.posterior, **hyper)
        logits, mean, logvar, z = self.model(x, noise, posterior)
        frozen = None if self.aux is None else _frozen(self.aux)
        linear = None if self.linear is None else self.linear(x)
        forward = Forward(
            x, logits, mean, logvar, z, self.likelihood, self.n_data, permutation, linear, self.aux, frozen
        )
        return self.objective(forward, **hyper)

    def step(self, step: int) -> None:
        inputs = self.inputs(step)
        self.waken(inputs.x, step)
        logs = self.learn(self.terms, inputs, self.hyper_at(step))
        self.update(self.rates(step))
        self.sum(logs)

    def waken(self, x: Tensor, step: int) -> None:
        """Of the objective that opens latents in turn: those whose turn has come."""
        if self.woken is not None and step > 0:
            latents = self.woken(self.hyper_at(step - 1), self.hyper_at(step), self.config.latent_dim)
            if latents:
                self.model.waken(latents, x)

    def rates(self, step: int) -> list[float]:
        """The learning rate of each optimizer."""
        return [schedules.at(lr, step) for _, lr in self.optimizers]

    def update(self, rates: Sequence[float | Tensor]) -> None:
        """One step of every optimizer along the gradients that the parameters hold."""
        for (optimizer, _), rate in zip(self.optimizers, rates, strict=True):
            if self.config.clip:
                torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], self.config.clip)
            step_along(optimizer, rate)

    def loss(self, step: int) -> float:
        """Of the weights as they are now on the batch of `step`, learning nothing from it."""
        with torch.no_grad():
            return float(self.terms(self.inputs(step), self.hyper_at(step)).loss)

    def sum(self, logs: Mapping[str, Tensor]) -> None:
        for name, value in logs.items():
            if name in self.sums:
                self.sums[name] += value
            else:
                self.sums[name] = value.clone()
        self.summed += 1

    def row(self, step: int) -> dict[str, float]:
        """The means of the logged values since the last row, in nats per image; begins the next sums."""
        together = torch.cat([value.reshape(-1) for value in self.sums.values()])  # so that one wait serves all
        found = iter((together / self.summed).tolist())
        means = {
            name: [next(found) for _ in value] if value.dim() else next(found) for name, value in self.sums.items()
        }
        self.sums, self.summed = {}, 0
        kl = self.kl = means.pop("kl")
        row = {"elbo": -(means["recon"] + sum(kl)), "recon": means["recon"], "kl": sum(kl), **means}
        row |= self.hyper_at(step - 1)
        row["lr"] = schedules.at(self.lr, step - 1)
        return row | {f"kl_{latent}": value for latent, value in enumerate(kl)}

    def prune(self) -> list[int]:
        """Closes latents at the end: those never opened, and those below `prune` nats of KL in the last row of the log.

        Returns them. The mean of a latent that the KL has shut keeps a trace of the image, too faint for the decoder to
        see and plain to any score that looks at codes without their scale.
        """
        never = runs.settle(self.model, self.config, self.config.steps - 1)
        unused = [latent for latent, nats in enumerate(self.kl) if nats < self.config.prune]
        if unused:
            self.model.close(unused)
        return sorted({*never, *unused})

    def settled(self, step: int) -> "VAE":
        """The model as it would be handed out after `step` steps, to look at."""
        if self.closed is None:
            return self.model
        model = copy.deepcopy(self.model)
        runs.settle(model, self.config, step - 1)
        return model

    def is_finite(self) -> bool:
        """Of the optimizer's state too: an infinite second moment in Adam stops a weight for good, without a NaN."""
        ends = [end.to(self.device) for tensor in self.checkpoint().values() for end in torch.aminmax(tensor)]
        return bool(torch.stack(ends).isfinite().all())  # NaN is both ends of what has one

    def networks(self) -> dict[str, torch.nn.Module]:
        return {"model": self.model} | ({"aux": self.aux} if self.aux is not None else {})

    def parameter_counts(self) -> dict[str, int]:
        """Numbers of trained parameters of the encoder, the decoder and, where there is one, the second network."""
        networks = {"encoder": self.model.encoder, "decoder": self.model.decoder}
        if self.aux is not None:
            networks["aux"] = self.aux
        return {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}

    def weights(self) -> dict[str, Tensor]:
        return {f"{name}.{k}": p for name, net in self.networks().items() for k, p in net.named_parameters()}

    def checkpoint(self) -> dict[str, Tensor]:
        """Every tensor that the next step depends on."""
        sums = {f"sums.{name}": value for name, value in self.sums.items()}
        return self.weights() | sums | self._optimizer_state()

    def largest_checkpoint(self) -> int:
        """Bytes that the file of a checkpoint may have."""
        self._begin_optimizers()
        return sum(tensor.nbytes for tensor in self.checkpoint().values()) + _BESIDE_TENSORS

    def restore(self, tensors: Mapping[str, Tensor], summed: int, source: Path) -> None:
        """Takes up a checkpoint; raises UnbraidError or ValueError where it is not one of such a trainer."""
        self._begin_optimizers()
        groups: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            group, _, rest = name.partition(".")
            groups.setdefault(group, {})[rest] = tensor
        for name, net in self.networks().items():
            runs.fill(net, groups.pop(name, {}), source)
        sums = groups.pop("sums", {})
        if any(list(tensor.shape) not in ([], [self.config.latent_dim]) for tensor in sums.values()):
            raise ValueError("sums of another shape")
        if summed < (1 if sums else 0):
            raise ValueError(f"sums of {summed} steps")
        self.sums = {name: tensor.to(self.device) for name, tensor in sums.items()}
        self.summed = summed
        found = {f"{group}.{name}": tensor for group, inner in groups.items() for name, tensor in inner.items()}
        own = self._optimizer_state()
        for name in own.keys() | found.keys():
            if name not in own or name not in found or own[name].shape != found[name].shape:
                raise ValueError(f"{name} does not fit")
            own[name].copy_(found[name])

    def _begin_optimizers(self) -> None:
        """A step of length 0 along no gradient: it leaves the state of every parameter, in its layout, where it was."""
        for optimizer, _ in self.optimizers:
            for parameter in _stepped(optimizer):
                parameter.grad = torch.zeros_like(parameter)
            step_along(optimizer, 0.0)
            for parameter in _stepped(optimizer):
                parameter.grad = None

    def _optimizer_state(self) -> dict[str, Tensor]:
        return {
            f"optimizer{number}.{index}.{name}": value
            for number, (optimizer, _) in enumerate(self.optimizers)
            for index, parameter in enumerate(_stepped(optimizer))
            for name, value in optimizer.state.get(parameter, {}).items()
            if isinstance(value, Tensor)
        }


def _stepped(optimizer: "Optimizer") -> list[Tensor]:
    """The parameters of an optimizer, in torch's numbering. `state_dict` and `zero_grad` are not asked: they would load
    torch's compiler, which takes a second."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def step_along(optimizer: "Optimizer", rate: float | Tensor) -> None:
    """One step of this length along the gradients that the parameters hold."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()


def _source(config: Config) -> Hashable:
    """Names the stream of images that `_batches` makes: trainers of one source and one loop may share it."""
    paired = (config.pair_changes,) if OBJECTIVES[config.objective].pairs else ()
    return (config.seed, config.data, *config.section("data").items(), config.batch_size, paired)


def _batches(config: Config, dataset: Dataset, device: torch.device) -> Batches:
    if not OBJECTIVES[config.objective].pairs:
        return dataset.batches(config.batch_size, seed=config.seed, device=device)
    return pairs(dataset, config.batch_size, seed=config.seed, device=device, changed=config.pair_changes)


def _frozen(network: torch.nn.Module) -> Callable[[Tensor], Tensor]:
    """`network` with detached parameters: gradients pass through it and stop at its weights."""
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
    return lambda z: torch.func.functional_call(network, parameters, (z,))
