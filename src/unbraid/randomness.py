"""Counter-based randomness: a stream of numbers is named by its seed and keys, never by what was drawn before.

So the noise of step 70,000 is the same whether a run came there without a pause or was resumed at 69,999.
"""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def fold(seed: int, *keys: int | str) -> int:
    """A 63-bit seed that is a function of `seed` and the keys alone, on every machine and Python version."""
    plain = [key if isinstance(key, str) else int(key) for key in keys]  # NumPy's integers have a repr of their own
    digest = hashlib.blake2b(repr((int(seed), *plain)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def numpy_generator(seed: int, *keys: int | str) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(fold(seed, *keys)))


def torch_generator(seed: int, *keys: int | str, device: "torch.device | str" = "cpu") -> "torch.Generator":
    import torch

    return torch.Generator(device=device).manual_seed(fold(seed, *keys))
