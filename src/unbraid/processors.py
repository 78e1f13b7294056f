"""What computes: the cores that this process may use, how many of them torch takes, and where tensors lie."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

Net = TypeVar("Net", bound="torch.nn.Module")


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def threads(count: int) -> Iterator[None]:
    """torch works with `count` threads within the block, and with as many as before after it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def with_memory(described: "Net") -> "Net":
    """A module of the meta device, now on the CPU with weights of any value: `to_empty` without loading sympy first,
    which takes half a second."""
    import torch

    return described._apply(lambda weight: torch.empty(weight.shape, dtype=weight.dtype, device="cpu"))


def sent(tensor: "torch.Tensor", device: "torch.device") -> "torch.Tensor":
    """The tensor on `device`; to CUDA from pinned memory, so that Python waits for nothing."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
