"""Adam on a CPU with little around its step, for small nets; Muon takes the step for its biases."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Adam(Optimizer):
    """torch.optim.Adam or, with a weight decay, torch.optim.AdamW, `fused`: the same bits and the same `state`.

    torch adds one to the count of each weight by an operator of its own and looks through all of them before: for a net
    of two dozen small weights that doubles the time of a step. Here the counts lie side by side.
    """

    def __init__(
        self, params: Iterable[Tensor], *, betas: tuple[float, float], eps: float, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": 0.0, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            step_adam(weights, self.state, group, group["weight_decay"])


def step_adam(
    weights: list[Tensor], state: Mapping[Tensor, dict[str, Any]], group: Mapping[str, Any], weight_decay: float
) -> None:
    """One step of these weights, all of which have gradients, with the state and the group of an optimizer."""
    if not weights:
        return
    states = [state[weight] for weight in weights]
    for weight, own in zip(weights, states, strict=True):
        if not own:
            own["step"] = torch.zeros((), dtype=torch.float32, device=weight.device)
            own |= {"exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}
    _side_by_side(states).add_(1)
    beta1, beta2 = group["betas"]
    torch._fused_adamw_(
        weights,
        [weight.grad for weight in weights if weight.grad is not None],
        [own["exp_avg"] for own in states],
        [own["exp_avg_sq"] for own in states],
        [],
        [own["step"] for own in states],
        lr=float(group["lr"]),
        beta1=beta1,
        beta2=beta2,
        weight_decay=weight_decay,
        eps=group["eps"],
        amsgrad=False,
        maximize=False,
    )


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
