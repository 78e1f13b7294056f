"""Adam on a CPU with little around its step, for small nets."""

from collections.abc import Iterable, Sequence
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
            if weights:
                states = [self._state_of(weight) for weight in weights]
                _side_by_side(states).add_(1)
                beta1, beta2 = group["betas"]
                torch._fused_adamw_(
                    weights,
                    [weight.grad for weight in weights],
                    [state["exp_avg"] for state in states],
                    [state["exp_avg_sq"] for state in states],
                    [],
                    [state["step"] for state in states],
                    lr=float(group["lr"]),
                    beta1=beta1,
                    beta2=beta2,
                    weight_decay=group["weight_decay"],
                    eps=group["eps"],
                    amsgrad=False,
                    maximize=False,
                )

    def _state_of(self, weight: Tensor) -> dict[str, Any]:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=weight.device)
            state |= {"exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}
        return state


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
