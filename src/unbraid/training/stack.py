"""Many models, one program: members of a group that differ in seed and in numbers alone, stacked along a new axis."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from unbraid.config import Config
from unbraid.training.trainer import Trainer
from unbraid.types import Forward, Terms

# What the members of a stack may differ in, beside their objective's numbers.
_OWN = ("seed", "lr", "clip")

Weights = Mapping[str, Tensor]


def stackable(configs: Sequence[Config]) -> list[list[int]]:
    """Indices of the configs that can train as one program, groups in the order of their first members."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for index, config in enumerate(configs):
        free = {*_OWN, *config.section("objective")}
        key = tuple((name, value) for name, value in config.flat().items() if name not in free)
        found.setdefault(key, []).append(index)
    return list(found.values())


class Stack:
    """Trainers of one group stepped together: their losses in one vmapped program, their sum differentiated at once.

    The parameters of the members become views of stacked ones [M, ...]: what a member logs, checkpoints and restores
    is its own as before, and its optimizer, which costs little, steps its views. Summing the losses mixes nothing, for
    no member's loss depends on another's weights. Equal to training alone but for rounding.
    """

    def __init__(self, members: Sequence[Trainer]) -> None:
        self.members = members
        first = members[0]
        self.objective, self.likelihood, self.n_data = first.objective, first.likelihood, first.n_data
        self.posterior, self.linear = first.posterior, first.linear
        self.one_stream = len({member.config.seed for member in members}) == 1  # the same images for all
        self.networks = first.networks()
        self.stacked: dict[str, dict[str, Tensor]] = {}
        for name in self.networks:
            columns: dict[str, list[torch.nn.Parameter]] = {}
            for member in members:
                for key, parameter in member.networks()[name].named_parameters():
                    columns.setdefault(key, []).append(parameter)
            self.stacked[name] = {key: _views(column) for key, column in columns.items()}

    def step(self, step: int) -> None:
        inputs = [member.inputs(step) for member in self.members]
        for member, each in zip(self.members, inputs, strict=True):
            member.waken(each.x, step)
        values = [member.hyper_at(step) for member in self.members]
        device = self.members[0].device
        hyper = {
            name: torch.tensor([each[name] for each in values], dtype=torch.float32, device=device)
            for name in values[0]
        }
        x = inputs[0].x if self.one_stream else torch.stack([each.x for each in inputs])
        noise = torch.stack([each.noise for each in inputs])
        permutations = [each.permutation for each in inputs if each.permutation is not None]
        permutation = torch.stack(permutations) if permutations else None
        axes = (0, None if self.one_stream else 0, 0, 0 if permutations else None, 0)
        total, logs = vmap(self._terms, in_dims=axes)(self.stacked, x, noise, permutation, hyper)  # [M]
        total.sum().backward()
        for index, member in enumerate(self.members):
            for name, network in member.networks().items():
                for key, parameter in network.named_parameters():
                    gradients = self.stacked[name][key].grad
                    parameter.grad = None if gradients is None else gradients[index]
            member.update(step)
            member.sum({name: value[index] for name, value in logs.items()})
        for weights in self.stacked.values():
            for tensor in weights.values():
                tensor.grad = None

    def _terms(
        self,
        weights: Mapping[str, Weights],
        x: Tensor,
        noise: Tensor,
        permutation: Tensor | None,
        hyper: Mapping[str, Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(the loss that is differentiated, what is logged) of one member."""
        posterior = None if self.posterior is None else partial(self.posterior, **hyper)
        arguments = x, noise, posterior
        logits, mean, logvar, z = functional_call(self.networks["model"], dict(weights["model"]), arguments)
        aux = self._aux(weights.get("aux"))
        detached = {key: value.detach() for key, value in weights.get("aux", {}).items()}
        linear = None if self.linear is None else self.linear(x)
        frozen = self._aux(detached or None)
        forward = Forward(x, logits, mean, logvar, z, self.likelihood, self.n_data, permutation, linear, aux, frozen)
        terms: Terms = self.objective(forward, **hyper)
        total = terms.loss if terms.aux_loss is None else terms.loss + terms.aux_loss
        return total, {"loss": terms.loss.detach(), **terms.logs}

    def _aux(self, weights: Weights | None) -> Callable[[Tensor], Tensor] | None:
        if weights is None:
            return None
        return lambda z: functional_call(self.networks["aux"], dict(weights), (z,))


def _views(parameters: Sequence[torch.nn.Parameter]) -> Tensor:
    """The parameters stacked [M, ...], of which they are views from now on."""
    stacked = torch.stack([parameter.detach() for parameter in parameters]).requires_grad_()
    for parameter, view in zip(parameters, stacked.detach(), strict=True):
        parameter.data = view
    return stacked
