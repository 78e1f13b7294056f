"""Adam on a CPU with little around its step, for small nets; Muon takes the step for its biases."""

import math
import operator
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from unbraid.kernels import has_kernels

if TYPE_CHECKING:
    from unbraid.kernels.adam_step import AdamRows


class Adam(Optimizer):
    """torch.optim.Adam or, with a weight decay, torch.optim.AdamW, `fused`, to rounding, and with the same `state`."""

    def __init__(
        self, params: Iterable[Tensor], *, betas: tuple[float, float], eps: float, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": 0.0, "betas": betas, "eps": eps, "weight_decay": weight_decay})
        self._steps = [AdamStep() for _ in self.param_groups]

    def __setstate__(self, state: dict[str, Any]) -> None:  # also of a state that is loaded
        super().__setstate__(state)
        self._steps = [AdamStep() for _ in self.param_groups]

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group, step in zip(self.param_groups, self._steps, strict=True):
            step(group["params"], self.state, group, group["weight_decay"])

    step.hooked = True  # type: ignore[attr-defined] # to torch, whose hooks would take longer than a small step


class AdamStep:
    """Steps the weights that have gradients, with the state and the group of an optimizer.

    torch wakes its threads for each weight anew, and adds one to the count of each by an operator of its own. Here the
    counts lie side by side, and a kernel goes through all weights at once. Where all lies is looked up when gradients
    are other tensors than in the step before.
    """

    def __init__(self) -> None:
        self._gradients: list[weakref.ref[Tensor] | None] = []  # nobody should keep them for this
        self._of: _Weights | None = None

    def __call__(
        self,
        weights: Sequence[Tensor],
        state: Mapping[Tensor, dict[str, Any]],
        group: Mapping[str, Any],
        weight_decay: float,
    ) -> None:
        gradients = [weight.grad for weight in weights]
        before = [ref and ref() for ref in self._gradients]
        if len(gradients) != len(before) or not all(map(operator.is_, gradients, before)):
            self._gradients = [None if gradient is None else weakref.ref(gradient) for gradient in gradients]
            found = [weight for weight in weights if weight.grad is not None]
            self._of = _Weights(found, state) if found else None
        if self._of is not None:
            self._of.step(group, weight_decay)


class _Weights:
    """Weights that have gradients, and the kernel where there is one for them."""

    def __init__(self, weights: Sequence[Tensor], state: Mapping[Tensor, dict[str, Any]]) -> None:
        self._weights, self._states = weights, [_begun(weight, state[weight]) for weight in weights]
        self._counts = _side_by_side(self._states)
        self._rows = _rows(weights, self._states)
        if self._rows is not None:
            self._seen = self._counts.numpy()  # the same numbers, quicker to count with
            self._are_even = (self._seen == self._seen[0]).all()

    def step(self, group: Mapping[str, Any], weight_decay: float) -> None:
        if self._rows is None:
            self._counts += 1
            self._step_by_torch(group, weight_decay)
            return
        self._seen += 1
        own = group["lr"], *group["betas"], group["eps"], weight_decay
        if self._are_even:
            self._rows.step(_numbers(self._seen.item(0), *own))
        else:
            self._rows.step([_numbers(count, *own) for count in self._seen.tolist()])

    def _step_by_torch(self, group: Mapping[str, Any], weight_decay: float) -> None:
        beta1, beta2 = group["betas"]
        torch._fused_adamw_(
            [*self._weights],
            [weight.grad for weight in self._weights if weight.grad is not None],
            [own["exp_avg"] for own in self._states],
            [own["exp_avg_sq"] for own in self._states],
            [],
            [own["step"] for own in self._states],
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=weight_decay,
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )


def _numbers(count: float, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float) -> Sequence[float]:
    """`adam_step.Numbers` of a weight in this step."""
    root, length = math.sqrt(1 - beta2**count), -lr / (1 - beta1**count)
    return 1 - lr * weight_decay, 1 - beta1, beta2, 1 - beta2, eps, root, length


def _begun(weight: Tensor, own: dict[str, Any]) -> dict[str, Any]:
    if not own:
        own["step"] = torch.zeros((), dtype=torch.float32, device=weight.device)
        own |= {"exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}
    return own


def _side_by_side(states: Sequence[dict[str, Any]]) -> Tensor:
    """The counts of steps of these states as one tensor, of which each is an element, and nothing else.

    A state that was made or loaded since, or that others went without, has another tensor as its count then.
    """
    steps = [state["step"] for state in states]
    together = steps[0]._base
    if together is None or not _are_elements(steps, together):
        together = torch.stack(steps)
        for state, step in zip(states, together, strict=True):
            state["step"] = step
    return together


def _are_elements(steps: Sequence[Tensor], together: Tensor) -> bool:
    places = range(together.storage_offset(), together.storage_offset() + len(steps))
    return together.shape == (len(steps),) and all(
        step._base is together and step.storage_offset() == place for step, place in zip(steps, places, strict=True)
    )


def _rows(weights: Sequence[Tensor], states: Sequence[Mapping[str, Any]]) -> "AdamRows | None":
    """For the kernel, where there is one for these."""
    tensors = [
        (weight, weight.grad, own["exp_avg"], own["exp_avg_sq"])
        for weight, own in zip(weights, states, strict=True)
        if weight.grad is not None
    ]
    if not has_kernels() or not all(map(_fits, tensors)):
        return None
    from unbraid.kernels.adam_step import AdamRows

    return AdamRows(tensors)


def _fits(tensors: tuple[Tensor, ...]) -> bool:
    """Floats on the CPU, side by side in memory alike and without gaps."""
    weight = tensors[0]
    is_dense = weight.is_contiguous() or (weight.dim() == 4 and weight.is_contiguous(memory_format=torch.channels_last))
    return is_dense and all(
        each.is_cpu and each.dtype is torch.float32 and each.stride() == weight.stride() for each in tensors
    )
