"""The convolutional net of the controlled-capacity experiments."""

from torch import nn

from unbraid.models.initialisation import fan_in_uniform
from unbraid.models.vae import VAE, ImageShape, refuse_size

_CHANNELS = 32


def burgess(image_shape: ImageShape, *, latent_dim: int = 10) -> VAE:
    """32-channel convolutions 4x4 of stride 2, two FC 256, and the mirror of it; ReLU (Burgess 2018, appendix).

    Images are halved until their shorter side is below 8, so 64x64 takes the published four convolutions, 32x32 three
    and 128x128 five. At 64x64x1 with 10 latents: 252,052 + 184,161 parameters and 25 MFLOPs per image forward.
    Weights and biases start uniform in +-1/sqrt(fan_in). Raises UnbraidError where a halving leaves an odd side over.
    """
    channels, height, width = image_shape
    halvings = 0
    while min(height, width) >> halvings >= 8:
        halvings += 1
    if halvings == 0 or height % 2**halvings or width % 2**halvings:
        raise refuse_size(
            "burgess",
            image_shape,
            "it halves them until the shorter side is 4 to 7 pixels, which must come out even each time "
            "(a square has side 8, 16, 32, 64 or 128, or 5, 6 or 7 times a power of two)",
        )
    code = (_CHANNELS, height >> halvings, width >> halvings)
    flat = code[0] * code[1] * code[2]

    encoder: list[nn.Module] = []
    for i in range(halvings):
        encoder += [nn.Conv2d(_CHANNELS if i else channels, _CHANNELS, 4, stride=2, padding=1), nn.ReLU()]
    encoder += [nn.Flatten(), nn.Linear(flat, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()]
    encoder += [nn.Linear(256, 2 * latent_dim)]

    decoder: list[nn.Module] = [nn.Linear(latent_dim, 256), nn.ReLU(), nn.Linear(256, flat), nn.ReLU()]
    decoder += [nn.Unflatten(1, code)]
    for _ in range(halvings - 1):
        decoder += [nn.ConvTranspose2d(_CHANNELS, _CHANNELS, 4, stride=2, padding=1), nn.ReLU()]
    decoder += [nn.ConvTranspose2d(_CHANNELS, channels, 4, stride=2, padding=1)]
    return VAE(
        nn.Sequential(*encoder),
        nn.Sequential(*decoder),
        image_shape=image_shape,
        latent_dim=latent_dim,
        initialiser=fan_in_uniform,
    )
