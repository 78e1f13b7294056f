from collections.abc import Callable
from typing import Any

import pytest
import torch

from unbraid.probability import LIKELIHOODS
from unbraid.types import Forward


@pytest.fixture
def make_forward() -> Callable[..., Forward]:
    """A batch of 6 images of 2x4 with 3 latents; any field can be given."""

    def make(**given: Any) -> Forward:
        generator = torch.Generator().manual_seed(7)

        def randn(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, dtype=torch.float64, generator=generator)

        mean = given.get("mean", randn(6, 3))
        logvar = given.get("logvar", 0.5 * randn(*mean.shape))
        fields = {
            "x": torch.sigmoid(randn(len(mean), 1, 2, 4)),
            "logits": randn(len(mean), 1, 2, 4),
            "mean": mean,
            "logvar": logvar,
            "z": mean + torch.exp(logvar / 2) * randn(*mean.shape),
            "likelihood": LIKELIHOODS["bernoulli"].nll,
            "n_data": 100,
        }
        return Forward(**(fields | given))

    return make
