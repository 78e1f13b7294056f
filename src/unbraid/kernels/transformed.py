"""Whether torch is looking into a network rather than running it, and what a kernel of ours may touch."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from unbraid.kernels import tape

_PLAIN = (nn.Parameter, Tensor)


def transformed() -> bool:
    """Inside vmap and the like, or while the model is exported: those know torch's own operators only."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined] # asked first, in a graph
        return True
    return torch._C._functorch.peek_interpreter_stack() is not None


def is_plainly_run() -> bool:
    """Nor under autocast, forward-mode derivatives, or a mode that counts operators or makes others of them. A tape may
    write: it is told of kernels."""
    if transformed():  # asked first, as in a graph no more can be
        return False
    modes = torch._C._len_torch_dispatch_stack()
    seen = modes > 1 or (modes and not tape.running()) or torch.is_autocast_enabled("cpu")
    return not (seen or forward_ad._current_level >= 0)


def holds_floats(x: Any) -> bool:
    """A tensor or a parameter of float32 in the memory of the CPU, in whatever order."""
    there = type(x) in _PLAIN and x.is_cpu and x.layout is torch.strided and x.dtype is torch.float32
    return there and not (x.is_neg() or x._is_zerotensor() or torch._C._functorch.is_legacy_batchedtensor(x))


def is_turned(x: Tensor) -> bool:
    """A matrix that lies column by column, without gaps."""
    return x.dim() == 2 and not x.is_contiguous() and x.t().is_contiguous()


def is_dense(x: Tensor) -> bool:
    """Without gaps, in whatever order; no number stands for two."""
    count = 1
    for stride, size in sorted((stride, size) for stride, size in zip(x.stride(), x.shape, strict=True) if size > 1):
        if stride != count:
            return False
        count *= size
    return True


def with_floats(gradient: Tensor) -> Tensor:
    """A gradient as a tensor that holds its floats, whatever way autograd has of saying what they are."""
    return gradient.clone() if gradient.is_neg() or gradient._is_zerotensor() else gradient
