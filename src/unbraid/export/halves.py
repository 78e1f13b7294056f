"""The two halves of a trained model as modules of their own, with what a stranger must know to use them."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unbraid import __version__
from unbraid.probability import LIKELIHOODS
from unbraid.runs import Run

INPUT = {"encoder": "x", "decoder": "z"}
OUTPUTS = {"encoder": ("mean", "logvar"), "decoder": ("logits", "x_hat")}


class Encoder(nn.Module):
    """x [B, C, H, W] in [0, 1] -> mean and logvar of q(z|x), [B, L] each."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, logvar = self.net(x).chunk(2, dim=-1)
        return mean, logvar


class Decoder(nn.Module):
    """z [B, L] -> logits, and x_hat in [0, 1], the mean image of the likelihood, both [B, C, H, W]."""

    def __init__(self, net: nn.Module, likelihood: str) -> None:
        super().__init__()
        self.net, self.likelihood = net, likelihood

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.net(z)
        return logits, LIKELIHOODS[self.likelihood].mean(logits)


@dataclass(frozen=True)
class Halves:
    """Copies on the CPU, in the plain memory layout."""

    encoder: Encoder
    decoder: Decoder
    image_shape: tuple[int, int, int]
    latent_dim: int

    def shape(self, half: str) -> tuple[int, ...]:
        """Of one input, without the batch."""
        return self.image_shape if half == "encoder" else (self.latent_dim,)


def halves(run: Run) -> Halves:
    model = copy.deepcopy(run.model).to("cpu", memory_format=torch.contiguous_format).eval().requires_grad_(False)  # type: ignore[call-overload]
    decoder = Decoder(model.decoder, run.config.likelihood)
    return Halves(Encoder(model.encoder), decoder, model.image_shape, model.latent_dim)


def metadata(run: Run, half: str) -> dict[str, Any]:
    """What the exported file says of itself."""
    channels, height, width = run.model.image_shape
    image, code = f"[batch, {channels}, {height}, {width}]", f"[batch, {run.model.latent_dim}]"
    shapes = {"x": image, "logits": image, "x_hat": image, "z": code, "mean": code, "logvar": code}
    names = (INPUT[half], *OUTPUTS[half])
    return {
        "unbraid": __version__,
        "run": run.path.name,
        "half": half,
        "image_shape": list(run.model.image_shape),
        "latent_dim": run.model.latent_dim,
        "likelihood": run.config.likelihood,
        "shapes": {name: shapes[name] for name in names},
        "normalisation": "float32; images are bytes / 255, from 0 (black) to 1, channels first; nothing is subtracted",
        "config": run.config.flat(),
    }
