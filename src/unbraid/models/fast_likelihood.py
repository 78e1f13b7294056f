"""The likelihood of binary and grey images on the CPU, by a kernel that looks at each pixel once."""

from typing import Any

import torch
from torch import Tensor

from unbraid import probability
from unbraid.kernels.transformed import holds_floats, is_plainly_run


def bernoulli_nll(logits: Tensor, x: Tensor) -> Tensor:
    """`probability.bernoulli_nll`, equal to it but for rounding; to be differentiated once, and for the logits."""
    known = holds_floats(logits) and holds_floats(x) and not x.requires_grad and is_plainly_run()
    fits = known and logits.shape == x.shape and logits.dim() == 4 and logits.numel() > 0
    if not fits:
        return probability.bernoulli_nll(logits, x)
    layout = _layout(logits)
    logits, x = (images.contiguous(memory_format=layout) for images in (logits, x))
    if torch.is_grad_enabled() and logits.requires_grad:
        return _Bernoulli.apply(logits, x)
    return _nats(logits, x, None)


def _layout(images: Tensor) -> torch.memory_format:
    is_channels_last = images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
    return torch.channels_last if is_channels_last else torch.contiguous_format


class _Bernoulli(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, x: Tensor) -> Tensor:
        slopes = torch.empty_like(logits)
        ctx.save_for_backward(slopes)
        return _nats(logits, x, slopes)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (slopes,) = ctx.saved_tensors
        return slopes * grad[:, None, None, None], None


def _nats(logits: Tensor, x: Tensor, slopes: Tensor | None) -> Tensor:
    from unbraid.kernels.machine_code import shares_of
    from unbraid.models.likelihood_kernels import kernel

    nats = logits.new_empty(len(logits))
    run = kernel(logits[0].numel(), slopes is not None)
    run(len(logits), shares_of(len(logits)), [logits, x, nats, slopes])
    return nats
