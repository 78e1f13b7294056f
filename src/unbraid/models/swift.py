"""A small convolutional net for quick training on a CPU."""

from torch import nn

from unbraid.models.initialisation import fan_in_uniform
from unbraid.models.vae import VAE, ImageShape, require_multiples


def swift(image_shape: ImageShape, *, latent_dim: int = 10) -> VAE:
    """Convolutions 8x8 stride 4 -> 16, 4x4 stride 2 -> 32 and -> 64, FC 256, and the mirror of it; ReLU.

    Ours, not published: one layer does what the two early halvings of `burgess` do, where most of the time goes. At
    64x64x1 with 10 latents 7.0 MFLOPs per image forward against 25 there. Sides are multiples of 16. Weights and biases
    start uniform in +-1/sqrt(fan_in).
    """
    require_multiples("swift", image_shape, 16)
    channels, height, width = image_shape
    code = (64, height // 16, width // 16)
    flat = code[0] * code[1] * code[2]
    encoder = nn.Sequential(
        nn.Conv2d(channels, 16, 8, stride=4, padding=2),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, stride=2, padding=1),
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
        nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
        nn.ReLU(),
        # Mirrors the first layer: each cell becomes 4x4 pixels, without a transposed convolution to one channel.
        nn.Conv2d(16, 16 * channels, 3, padding=1),
        nn.PixelShuffle(4),
    )
    return VAE(encoder, decoder, image_shape=image_shape, latent_dim=latent_dim, initialiser=fan_in_uniform)
