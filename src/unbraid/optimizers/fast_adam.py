"""Adam on a CPU with little around its step, for small nets; Muon takes the step for its biases."""

import operator
import weakref
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from struct import pack_into
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from unbraid.kernels import has_kernels
from unbraid.kernels.transformed import holds_floats, is_dense

if TYPE_CHECKING:
    from unbraid.kernels.adam_step import AdamRows


class WithAdam(Optimizer):
    """An optimizer that has Adam step all its weights or some of them, each group of them by `_adam`."""

    def __init__(self, params: Iterable[Tensor], **options: Any) -> None:
        super().__init__(params, {"lr": 0.0, **options})
        self._adam: dict[int, AdamStep] = defaultdict(AdamStep)  # by number of the group

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """torch's own, without loading torch's compiler first, which is asked to stay away and takes a second."""
        torchs: Any = Optimizer.add_param_group
        getattr(torchs, "__wrapped__", torchs)(self, param_group)

    def __setstate__(self, state: dict[str, Any]) -> None:  # of a copy; also of a state that is loaded
        super().__setstate__(state)
        self._adam = defaultdict(AdamStep)


class Adam(WithAdam):
    """torch.optim.Adam or, with a weight decay, torch.optim.AdamW, `fused`, to rounding, and with the same `state`.

    It calls none of torch's hooks of optimizers, nor their profiler: those take longer than a small net's step.
    """

    def __init__(
        self, params: Iterable[Tensor], *, betas: tuple[float, float], eps: float, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, betas=betas, eps=eps, weight_decay=weight_decay)

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for number, group in enumerate(self.param_groups):
            self._adam[number](group["params"], self.state, group, group["weight_decay"])

    step.hooked = True  # type: ignore[attr-defined] # to torch


class AdamStep:
    """Steps the weights that have gradients, with the state and the group of an optimizer.

    torch wakes its threads for each weight anew, and adds one to the count of each by an operator of its own. Here the
    counts lie side by side, and a kernel goes through all weights at once. Where all lies is kept for the next step.
    """

    def __init__(self) -> None:
        self._of: _Weights | None = None

    def __call__(
        self,
        weights: Iterable[Tensor],
        state: Mapping[Tensor, dict[str, Any]],
        group: Mapping[str, Any],
        weight_decay: float,
    ) -> None:
        pairs = [(weight, gradient) for weight in weights if (gradient := weight.grad) is not None]
        if not pairs:
            return
        learning, gradients = zip(*pairs, strict=True)
        if self._of is None or not self._of.are(learning, state):
            self._of = _Weights(learning, state)
        self._of.step(gradients, group, weight_decay)


class _Weights:
    """Weights that learn together, their states, and the kernel where there is one for them."""

    def __init__(self, weights: Sequence[Tensor], state: Mapping[Tensor, dict[str, Any]]) -> None:
        self._weights, self._states = weights, [_begun(weight, state[weight]) for weight in weights]
        self._counts = _side_by_side(self._states)
        self._place, self._steps = self._where(), [own["step"] for own in self._states]
        self._gradients: list[weakref.ref[Tensor]] = []  # nobody should keep them for this
        self._rows = _rows(weights, self._states)
        if self._rows is not None:
            self._seen = self._counts.numpy().data  # the same numbers, quicker to count with

    def are(self, weights: Sequence[Tensor], state: Mapping[Tensor, dict[str, Any]]) -> bool:
        """Whether these are the same, where they were, with the states that they had."""
        alike = len(weights) == len(self._weights) and all(map(operator.is_, weights, self._weights))
        known = alike and state.get(weights[0]) is self._states[0] and self._where() == self._place
        return known and all(map(operator.is_, [own["step"] for own in self._states], self._steps))

    def step(self, gradients: Sequence[Tensor], group: Mapping[str, Any], weight_decay: float) -> None:
        if self._rows is None or not self._turned_to(gradients, self._rows):
            self._counts += 1
            self._step_by_torch(gradients, group, weight_decay)
            return
        counts = [count + 1 for count in self._seen.tolist()]
        pack_into(f"{len(counts)}f", self._seen, 0, *counts)
        self._rows.step(counts, group["lr"], *group["betas"], group["eps"], weight_decay)

    def _where(self) -> list[int]:
        return [torch.get_num_threads(), *[weight.data_ptr() for weight in self._weights]]

    def _turned_to(self, gradients: Sequence[Tensor], rows: "AdamRows") -> bool:
        """False where the kernel cannot step along these."""
        before = [ref() for ref in self._gradients]
        if len(before) != len(gradients) or not all(map(operator.is_, gradients, before)):
            self._gradients = []
            if not all(map(_lie_alike, gradients, self._weights)):
                return False
            rows.turn_to([gradient.data_ptr() for gradient in gradients])
            self._gradients = [*map(weakref.ref, gradients)]
        return True

    @torch.no_grad()
    def _step_by_torch(self, gradients: Sequence[Tensor], group: Mapping[str, Any], weight_decay: float) -> None:
        beta1, beta2 = group["betas"]
        means, squares, counts = ([own[name] for own in self._states] for name in ("exp_avg", "exp_avg_sq", "step"))
        torch._fused_adamw_(
            [*self._weights],
            [*gradients],
            means,
            squares,
            [],
            counts,
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=weight_decay,
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )


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
    tensors = [(weight, own["exp_avg"], own["exp_avg_sq"]) for weight, own in zip(weights, states, strict=True)]
    if not has_kernels() or not all(map(is_dense, weights)) or states[0]["step"].dtype is not torch.float32:
        return None
    if not all(_lie_alike(tensor, weight) for weight, *others in tensors for tensor in (weight, *others)):
        return None
    from unbraid.kernels.adam_step import AdamRows

    return AdamRows(tensors)


def _lie_alike(tensor: Tensor, weight: Tensor) -> bool:
    return holds_floats(tensor) and tensor.stride() == weight.stride()
