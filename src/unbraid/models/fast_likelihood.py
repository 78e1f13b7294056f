"""The likelihood of binary and grey images on the CPU, by kernels that look at each pixel once."""

from typing import Any

import torch
from torch import Tensor

from unbraid import probability
from unbraid.models.transformed import holds_floats, is_plainly_run, with_floats


def bernoulli_nll(logits: Tensor, x: Tensor) -> Tensor:
    """`probability.bernoulli_nll`, equal to it but for rounding; to be differentiated once, and for the logits."""
    known = holds_floats(logits) and holds_floats(x) and not x.requires_grad and is_plainly_run()
    fits = known and logits.shape == x.shape and logits.dim() == 4 and logits.numel() > 0
    layout = _layout(logits) if fits else None
    if layout is None:
        return probability.bernoulli_nll(logits, x)
    return _Bernoulli.apply(logits, x.contiguous(memory_format=layout), layout)


def _layout(images: Tensor) -> torch.memory_format | None:
    layouts = torch.contiguous_format, torch.channels_last
    return next((layout for layout in layouts if images.is_contiguous(memory_format=layout)), None)


class _Bernoulli(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, x: Tensor, layout: torch.memory_format) -> Tensor:
        from unbraid.models.likelihood_kernels import forward_kernel
        from unbraid.models.machine_code import shares_of

        nats = logits.new_empty(len(logits))
        forward_kernel(logits[0].numel())(len(logits), shares_of(len(logits)), [logits, x, nats])
        ctx.layout = layout
        ctx.save_for_backward(logits, x)
        return nats

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        from unbraid.models.likelihood_kernels import backward_kernel
        from unbraid.models.machine_code import shares_of

        logits, x = (saved.contiguous(memory_format=ctx.layout) for saved in ctx.saved_tensors)
        for_logits = torch.empty_like(logits)
        arrays = [logits, x, with_floats(grad).contiguous(), for_logits]
        backward_kernel(logits[0].numel())(len(logits), shares_of(len(logits)), arrays)
        return for_logits, None, None
