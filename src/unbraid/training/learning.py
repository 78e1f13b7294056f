"""The gradients of a step: its loss computed and differentiated, on the CPU once by torch and then from a tape."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from unbraid.kernels import has_kernels
from unbraid.kernels.tape import Tape
from unbraid.kernels.transformed import is_plainly_run
from unbraid.types import Terms


@dataclass(frozen=True, slots=True)
class Inputs:
    """Of one step of one model."""

    x: Tensor  # [B, C, H, W] in [0, 1]
    noise: Tensor  # [B, L]
    permutation: Tensor | None = None  # [B, L] int64, where there is a second network


_WORTH_COMPILING = 200  # steps: shorter trainings are over sooner

Logs = dict[str, Tensor]
Gradients = list[Tensor | None]  # of each weight
Objective = Callable[[Inputs, Mapping[str, Any]], Terms]  # (inputs, its numbers by name: floats, or tensors [])


class Differentiated:
    """Gives the weights of networks, in each step, the gradients of its loss; returns what it logs.

    Weights keep them until the next step.
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        self._weights = [weight for network in networks for weight in network.parameters()]

    def __call__(self, objective: Objective, inputs: Inputs, hyper: Mapping[str, float]) -> Logs:
        return self._given(*self._differentiated(partial(objective, inputs, hyper)))

    def _differentiated(self, objective: Callable[[], Terms]) -> tuple[Logs, Gradients]:
        for weight in self._weights:
            weight.grad = None  # that of the step before
        terms = objective()
        total = terms.loss if terms.aux_loss is None else terms.loss + terms.aux_loss
        learning = [weight for weight in self._weights if weight.requires_grad]
        found = torch.autograd.grad(total, learning, allow_unused=True)
        apart = dict(zip(learning, _apart(found, learning), strict=True))
        return terms.logged(), [apart.get(weight) for weight in self._weights]

    def _given(self, logs: Logs, gradients: Gradients) -> Logs:
        for weight, gradient in zip(self._weights, gradients, strict=True):
            if weight.grad is not gradient:  # to look takes less long
                weight.grad = gradient
        return logs


class Replayed(Differentiated):
    """The same to the last bit, but written down on a tape in the first step and replayed from then on.

    The objective is one and the same each time, and what hangs on no number does not change from step to step: stacks
    ask that of objectives too. A tape is tried before it is trusted, with other numbers, beside what torch makes of
    them; a step that it cannot replay goes torch's way each time. Hooks that are set on layers later are not called.
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        super().__init__(networks)
        self._place: list[Hashable] = []  # what the tape is of
        self._recorded: _Recording | None = None

    @property
    def is_replayed(self) -> bool:
        """Whether the next step will be, if it is like the last."""
        return self._recorded is not None

    def __call__(self, objective: Objective, inputs: Inputs, hyper: Mapping[str, float]) -> Logs:
        now = [inputs.x, inputs.noise, *([] if inputs.permutation is None else [inputs.permutation])]

        def made(numbers: Tensor, *given: Tensor) -> tuple[Logs, Gradients]:  # as floats they would stay what they are
            own = dict(zip(hyper, numbers.unbind(), strict=True))
            return self._differentiated(partial(objective, Inputs(*given), own))

        if is_plainly_run():
            place = [
                torch.get_num_threads(),
                *[(each.shape, each.stride(), each.dtype) for each in now],
                *[weight.data_ptr() for weight in self._weights],
                *[weight.requires_grad for weight in self._weights],
            ]
            if place != self._place:
                self._place, self._recorded = [], None
                self._recorded, self._place = _recorded(made, [_numbers(hyper), *now]), place
            if self._recorded is not None:
                return self._given(*self._recorded.replay(made, [*hyper.values()], now))
        return self._given(*made(_numbers(hyper), *now))


def _numbers(hyper: Mapping[str, float]) -> Tensor:
    return torch.tensor([*hyper.values()], dtype=torch.float32)


def learns(networks: Collection[nn.Module], device: torch.device) -> Differentiated:
    """What a trainer on this device learns by."""
    has_buffers = any(True for network in networks for _ in network.buffers())  # which a trial would change
    return Differentiated(networks) if device.type != "cpu" or has_buffers else Replayed(networks)


Made = Callable[..., tuple[Logs, Gradients]]  # (the objective's numbers [n], inputs) -> logs and gradients


def _recorded(made: Made, now: Sequence[Tensor]) -> "_Recording | None":
    """A tape of `made`; None where it has none."""
    read = [tensor.clone() for tensor in now]
    with Tape() as tape:
        results = made(*read)
    if tape.refused:
        return None
    logs, gradients = results
    tape.leave_constants([*logs.values(), *(gradient for gradient in gradients if gradient is not None)])
    found = _Recording(tape, read, results)
    return found if found.is_right(made) else None


@dataclass
class _Recording:
    tape: Tape
    read: list[Tensor]  # in place of what `made` is given
    results: tuple[Logs, Gradients]
    replays: int = 0

    def replay(self, made: Made, numbers: Sequence[float], now: Sequence[Tensor]) -> tuple[Logs, Gradients]:
        self.replays += 1
        if self.replays == _WORTH_COMPILING and has_kernels():
            from unbraid.kernels.fusing import fused

            before = self.tape.program
            self.tape.program = fused(self.tape)
            if not self.is_right(made):
                self.tape.program = before
        self.read[0].numpy()[:] = numbers
        for place, tensor in zip(self.read[1:], now, strict=True):
            place.copy_(tensor)
        self.tape.replay()
        return self.results

    def is_right(self, made: Made) -> bool:
        """Whether a replay makes of other numbers what torch makes of them, to the last bit."""
        for place in self.read:
            place.copy_(place.roll(1, 0) if place.dtype == torch.int64 else 0.75 * place + 0.125)
        try:
            self.tape.replay()
        except Exception:  # torch's, of an operator that cannot be called so
            return False
        logs, gradients = self.results
        torchs_logs, torchs_gradients = made(*self.read)
        pairs = [*((logs[name], torchs_logs[name]) for name in logs), *zip(gradients, torchs_gradients, strict=True)]
        return all(_is_same(*pair) for pair in pairs)


def _is_same(one: Tensor | None, other: Tensor | None) -> bool:
    return one is other if one is None or other is None else torch.equal(one, other)


def _apart(gradients: Sequence[Tensor | None], weights: Sequence[Tensor]) -> Gradients:
    """Each laid out as its weight, since optimizers go through both side by side, in memory of its own."""
    found: Gradients = []
    taken: set[int] = set()
    for gradient, weight in zip(gradients, weights, strict=True):
        if gradient is not None:
            if gradient.stride() != weight.stride() or gradient.untyped_storage().data_ptr() in taken:
                gradient = torch.empty_like(weight).copy_(gradient)
            taken.add(gradient.untyped_storage().data_ptr())
        found.append(gradient)
    return found
