"""Muon: momentum whose matrices are made orthogonal before they are a step, so that no direction is left behind."""

from collections.abc import Iterable

import torch
from torch import Tensor

from unbraid.optimizers.fast_adam import WithAdam

_ITERATIONS, _COEFFICIENTS = 5, (3.4445, -4.7750, 2.0315)  # Jordan's, which leave singular values within .7 and 1.2
_AS_ADAM = 0.2  # the root mean square of a step of Adam's, in its learning rate (Liu 2025)


class Muon(WithAdam):
    """Jordan 2024, with Nesterov's momentum, for weights of two axes and more; Adam for the others, as biases are.

    A kernel of a convolution counts as a matrix with a row for each entry of its first axis. A step is as long as one
    of Adam's would be at the same learning rate (Liu 2025). torch.optim.Muon takes matrices alone, and rounds to
    bfloat16.
    """

    def __init__(self, params: Iterable[Tensor], *, momentum: float, betas: tuple[float, float], eps: float) -> None:
        super().__init__(params, momentum=momentum, betas=betas, eps=eps)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for number, group in enumerate(self.param_groups):
            for weight in group["params"]:
                if weight.dim() > 1 and weight.grad is not None:
                    self._step_matrix(weight, group["lr"], group["momentum"])
            biases = (weight for weight in group["params"] if weight.dim() < 2)
            self._adam[number](biases, self.state, group, weight_decay=0.0)

    def _step_matrix(self, weight: Tensor, lr: float, momentum: float) -> None:
        state, gradient = self.state[weight], weight.grad
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        average = state["momentum"].mul_(momentum).add_(gradient)
        matrix = gradient.add(average, alpha=momentum).reshape(len(weight), -1)
        length = _AS_ADAM * max(matrix.shape) ** 0.5
        weight.sub_(_orthogonal(matrix).reshape(weight.shape), alpha=lr * length)


def _orthogonal(matrix: Tensor) -> Tensor:
    """The matrix with singular values of about 1, by Newton and Schulz's iteration along its shorter side."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix) / (matrix.norm() + 1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
