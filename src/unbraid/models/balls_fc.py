"""The fully connected net of the bouncing-balls experiments."""

from functools import partial
from math import prod

from torch import nn

from unbraid.models.initialisation import truncated_normal
from unbraid.models.vae import VAE, ImageShape

_WIDTH = 1200


def balls_fc(image_shape: ImageShape, *, latent_dim: int = 10) -> VAE:
    """Encoder FC 1200-1200, decoder FC 1200-1200-1200, ELU: "fully_connected" of Hennigh's experiments (2016).

    Takes every image size. Weights start normal with deviation 0.01, cut at two deviations; biases at 0.01.
    """
    pixels = prod(image_shape)
    encoder = nn.Sequential(
        nn.Flatten(),
        nn.Linear(pixels, _WIDTH),
        nn.ELU(),
        nn.Linear(_WIDTH, _WIDTH),
        nn.ELU(),
        nn.Linear(_WIDTH, 2 * latent_dim),
    )
    decoder = nn.Sequential(
        nn.Linear(latent_dim, _WIDTH),
        nn.ELU(),
        nn.Linear(_WIDTH, _WIDTH),
        nn.ELU(),
        nn.Linear(_WIDTH, _WIDTH),
        nn.ELU(),
        nn.Linear(_WIDTH, pixels),
        nn.Unflatten(1, image_shape),
    )
    initialiser = partial(truncated_normal, sd=0.01)
    return VAE(encoder, decoder, image_shape=image_shape, latent_dim=latent_dim, initialiser=initialiser)
