"""The fully connected net of the first beta-VAE paper."""

from math import prod

from torch import nn

from unbraid.models.initialisation import glorot_uniform
from unbraid.models.vae import VAE, ImageShape


def mlp(image_shape: ImageShape, *, latent_dim: int = 10, width: int = 1200) -> VAE:
    """Encoder FC 1200-1200 ReLU, decoder FC 1200-1200-1200 tanh (Higgins 2016, appendix; 2017, table 1).

    Takes every image size. The papers name no initialisation; weights start Glorot uniform, biases zero, as in the
    TensorFlow copies of it. `width` stands for their 1200.
    """
    pixels = prod(image_shape)
    encoder = nn.Sequential(
        nn.Flatten(),
        nn.Linear(pixels, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, 2 * latent_dim),
    )
    decoder = nn.Sequential(
        nn.Linear(latent_dim, width),
        nn.Tanh(),
        nn.Linear(width, width),
        nn.Tanh(),
        nn.Linear(width, width),
        nn.Tanh(),
        nn.Linear(width, pixels),
        nn.Unflatten(1, image_shape),
    )
    return VAE(encoder, decoder, image_shape=image_shape, latent_dim=latent_dim, initialiser=glorot_uniform)
