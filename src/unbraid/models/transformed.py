"""Whether torch is looking into a network rather than running it."""

import torch


def transformed() -> bool:
    """Inside vmap and the like, or while the model is exported: those know torch's own operators only."""
    inside = torch._C._functorch.peek_interpreter_stack() is not None
    return inside or torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]
