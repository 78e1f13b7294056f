"""The convolutional net of the bouncing-balls experiments."""

from torch import nn

from unbraid.models.initialisation import balls_normal
from unbraid.models.vae import VAE, ImageShape, require_multiples


def balls_conv(image_shape: ImageShape, *, latent_dim: int = 32) -> VAE:
    """8-channel convolutions 3x3 to a quarter of each side, 1x1 -> 4, FC 128; ELU: "conv" of Hennigh's (2016).

    Its published runs have 32 latents. Sides are multiples of 4. Weights start truncated normal with deviation 0.01
    and biases at 0.01 in convolutions, 0.1 and 0.1 in dense layers. Strided layers pad on the sides opposite to
    TensorFlow's, which is the same net on images turned by 180 degrees.
    """
    require_multiples("balls_conv", image_shape, 4)
    channels, height, width = image_shape
    code = (4, height // 4, width // 4)
    flat = code[0] * code[1] * code[2]
    encoder = nn.Sequential(
        nn.Conv2d(channels, 8, 3, stride=2, padding=1),
        nn.ELU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ELU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1),
        nn.ELU(),
        nn.Conv2d(8, 4, 1),
        nn.ELU(),
        nn.Flatten(),
        nn.Linear(flat, 128),
        nn.ELU(),
        nn.Linear(128, 2 * latent_dim),
    )
    decoder = nn.Sequential(
        nn.Linear(latent_dim, 128),
        nn.ELU(),
        nn.Linear(128, flat),
        nn.ELU(),
        nn.Unflatten(1, code),
        nn.ConvTranspose2d(4, 8, 1),
        nn.ELU(),
        nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1, output_padding=1),
        nn.ELU(),
        nn.ConvTranspose2d(8, 8, 3, padding=1),
        nn.ELU(),
        nn.ConvTranspose2d(8, channels, 3, stride=2, padding=1, output_padding=1),
    )
    return VAE(encoder, decoder, image_shape=image_shape, latent_dim=latent_dim, initialiser=balls_normal)
