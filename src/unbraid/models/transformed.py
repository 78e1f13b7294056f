"""Whether torch is looking into a network rather than running it, and what a kernel of ours may touch."""

from typing import Any

import torch
from torch import Tensor, nn


def transformed() -> bool:
    """Inside vmap and the like, or while the model is exported: those know torch's own operators only."""
    inside = torch._C._functorch.peek_interpreter_stack() is not None
    return inside or torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]


def is_run() -> bool:
    """Whether operators do what they say and nobody is to see which they are."""
    return not (transformed() or torch._C._len_torch_dispatch_stack() or torch.is_autocast_enabled("cpu"))


def is_array(x: Any) -> bool:
    """Whether its address is that of floats in the memory of the CPU."""
    there = type(x) in (Tensor, nn.Parameter) and x.device.type == "cpu" and x.layout == torch.strided
    return there and x.dtype == torch.float32 and not x.is_neg()
