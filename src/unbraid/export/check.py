"""How far the answers of an exported model are from PyTorch's."""

from collections.abc import Callable, Mapping

import numpy as np
import torch

from unbraid import randomness
from unbraid.export.halves import OUTPUTS, halves
from unbraid.runs import Run

_IMAGES, _CODES = 16, 64


def differences(
    run: Run,
    files: Mapping[str, bytes],
    answers: Callable[[bytes, str, np.ndarray], list[np.ndarray]],
    images: np.ndarray | None = None,
) -> dict[str, dict[str, float]]:
    """Half -> output -> largest difference from PyTorch on the CPU, over PyTorch's largest value or 1, if that is more.

    The encoder is asked about `images` (uint8 [N, C, H, W]; random pixels where there are none), the decoder about 64
    codes from the prior. inf where an answer is not finite.
    """
    parts = halves(run)
    rng = randomness.numpy_generator(0, "export")
    pixels = rng.integers(0, 256, (_IMAGES, *parts.image_shape), np.uint8) if images is None else images
    codes = rng.standard_normal((_CODES, parts.latent_dim))
    given: dict[str, np.ndarray] = {"encoder": pixels.astype(np.float32) / 255, "decoder": codes.astype(np.float32)}
    found: dict[str, dict[str, float]] = {}
    for half, batch in given.items():
        with torch.inference_mode():
            expected = [output.numpy() for output in getattr(parts, half)(torch.from_numpy(batch))]
        found[half] = {
            name: _difference(theirs, ours)
            for name, theirs, ours in zip(OUTPUTS[half], answers(files[half], half, batch), expected, strict=True)
        }
    return found


def _difference(theirs: np.ndarray, ours: np.ndarray) -> float:
    error = float(np.abs(theirs - ours).max() / max(1.0, float(np.abs(ours).max())))
    return error if np.isfinite(error) else float("inf")
