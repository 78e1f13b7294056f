"""What is compiled in memory for the CPU at hand, whatever it computes."""

from functools import cache
from importlib.util import find_spec


@cache
def has_kernels() -> bool:
    """Whether kernels are compiled here: llvmlite is there, a processor whose vectors we know, and torch's threads."""
    if find_spec("llvmlite") is None:  # it is installed where there are kernels for the processor
        return False
    from unbraid.kernels import machine_code

    return machine_code.lanes() > 0
