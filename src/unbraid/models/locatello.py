"""The convolutional net of disentanglement_lib, and so of most published comparisons."""

from torch import nn

from unbraid.models.initialisation import glorot_uniform
from unbraid.models.vae import VAE, ImageShape, require_multiples


def locatello(image_shape: ImageShape, *, latent_dim: int = 10) -> VAE:
    """Convolutions 4x4 32-32, 2x2 64-64, each of stride 2, FC 256; transposed 4x4 64-32-32-C; ReLU (Locatello 2019).

    As in the code: the paper's table 1 says 4x4 for all four. Sides are multiples of 16. Weights start Glorot uniform
    and biases zero, TensorFlow's defaults, on which the published runs relied.
    """
    require_multiples("locatello", image_shape, 16)
    channels, height, width = image_shape
    code = (64, height // 16, width // 16)
    flat = code[0] * code[1] * code[2]
    encoder = nn.Sequential(
        nn.Conv2d(channels, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 2, stride=2),
        nn.ReLU(),
        nn.Conv2d(64, 64, 2, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(flat, 256),
        nn.ReLU(),
        nn.Linear(256, 2 * latent_dim),
    )
    decoder = nn.Sequential(
        nn.Linear(latent_dim, 256),
        nn.ReLU(),
        nn.Linear(256, flat),
        nn.ReLU(),
        nn.Unflatten(1, code),
        nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
    )
    return VAE(encoder, decoder, image_shape=image_shape, latent_dim=latent_dim, initialiser=glorot_uniform)
