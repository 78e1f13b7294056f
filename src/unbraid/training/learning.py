"""The gradients of a step: its loss computed and differentiated, on the CPU once by torch and then from a tape."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unbraid.models.tape import Tape
from unbraid.models.transformed import is_plainly_run
from unbraid.types import Terms


@dataclass(frozen=True, slots=True)
class Inputs:
    """Of one step of one model."""

    x: Tensor  # [B, C, H, W] in [0, 1]
    noise: Tensor  # [B, L]
    permutation: Tensor | None = None  # [B, L] int64, where there is a second network


Logs = dict[str, Tensor]
Objective = Callable[[Inputs, Mapping[str, Any]], Terms]  # (inputs, its numbers by name: floats, or tensors [])


class Differentiated:
    """Gives weights, in each step, the gradients of its loss, which it logs."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        self._weights = weights

    def __call__(self, objective: Objective, inputs: Inputs, hyper: Mapping[str, float]) -> Logs:
        return self._given(*self._differentiated(objective(inputs, hyper)))

    def _differentiated(self, terms: Terms) -> tuple[Logs, list[Tensor | None]]:
        total = terms.loss if terms.aux_loss is None else terms.loss + terms.aux_loss
        found = torch.autograd.grad(total, self._weights, allow_unused=True)
        gradients: list[Tensor | None] = [
            None if gradient is None else _laid_out_as(weight, gradient)
            for weight, gradient in zip(self._weights, found, strict=True)
        ]
        return {"loss": terms.loss.detach(), **terms.logs}, gradients

    def _given(self, logs: Logs, gradients: Sequence[Tensor | None]) -> Logs:
        for weight, gradient in zip(self._weights, gradients, strict=True):
            weight.grad = gradient
        return logs


class Replayed(Differentiated):
    """The same on the CPU, to the last bit, but written down on a tape in the first step and replayed in the others.

    So what hangs on no number may not change from step to step, as a stack asks of objectives too. A step that cannot
    be replayed goes torch's way each time.
    """

    _place: Hashable = None  # what the tape is of
    _tape: Tape | None = None
    _seen: Sequence[Tensor] = ()  # what it reads, beside the weights
    _made: tuple[Logs, list[Tensor | None]] = {}, []

    @property
    def is_replayed(self) -> bool:
        """Whether the next step will be, if it is like the last."""
        return self._tape is not None

    def __call__(self, objective: Objective, inputs: Inputs, hyper: Mapping[str, float]) -> Logs:
        numbers = torch.tensor([*hyper.values()], dtype=torch.float32)  # as floats they would stay what they are now
        now = [numbers, inputs.x, inputs.noise, *([] if inputs.permutation is None else [inputs.permutation])]

        def made(given: Sequence[Tensor]) -> tuple[Logs, list[Tensor | None]]:
            numbers, *tensors = given
            return self._differentiated(objective(Inputs(*tensors), dict(zip(hyper, numbers.unbind(), strict=True))))

        place = (torch.get_num_threads(), *map(_place, now), *(weight.data_ptr() for weight in self._weights))
        if not is_plainly_run() or (place == self._place and self._tape is None):
            return self._given(*made(now))
        if place == self._place and self._tape is not None:
            for seen, tensor in zip(self._seen, now, strict=True):
                seen.copy_(tensor)
            self._tape.replay()
        else:
            self._seen = [tensor.clone() for tensor in now]
            with Tape() as tape:
                self._made = made(self._seen)
            self._tape, self._place = None if tape.refused else tape, place
        return self._given(*self._made)


def learns(weights: Sequence[Tensor], device: torch.device) -> Differentiated:
    return Replayed(weights) if device.type == "cpu" else Differentiated(weights)


def _laid_out_as(weight: Tensor, gradient: Tensor) -> Tensor:
    """Optimizers go through both side by side."""
    return gradient if gradient.stride() == weight.stride() else torch.empty_like(weight).copy_(gradient)


def _place(tensor: Tensor) -> Hashable:
    return tensor.shape, tensor.stride()
