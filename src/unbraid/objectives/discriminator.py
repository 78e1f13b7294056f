"""The second network of FactorVAE."""

import torch
from torch import nn

from unbraid.processors import with_memory
from unbraid.randomness import torch_generator

_WIDTH, _LAYERS = 1000, 6


def discriminator(latent_dim: int, seed: int) -> nn.Sequential:
    """z [B, L] -> two logits [B, 2]: six layers of 1000, leaky ReLU 0.2 (Kim & Mnih 2018, appendix A).

    Weights start Glorot uniform and biases zero, TensorFlow's defaults.
    """
    layers: list[nn.Module] = []
    with torch.device("meta"):  # shapes only: PyTorch's own initialisation would draw from the global generator
        for i in range(_LAYERS):
            layers += [nn.Linear(_WIDTH if i else latent_dim, _WIDTH), nn.LeakyReLU(0.2)]
        described = nn.Sequential(*layers, nn.Linear(_WIDTH, 2))
    net = with_memory(described)
    generator = torch_generator(seed, "discriminator")
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)
    return net
