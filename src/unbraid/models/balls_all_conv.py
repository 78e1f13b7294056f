"""The net without dense layers of the bouncing-balls experiments."""

from torch import nn

from unbraid.errors import UnbraidError
from unbraid.models.initialisation import balls_normal
from unbraid.models.vae import VAE, ImageShape, require_multiples


def balls_all_conv(image_shape: ImageShape, *, latent_dim: int = 16) -> VAE:
    """Convolutions 3x3 down to an eighth of each side, 8-8-16-8-8, and the mirror; ELU: "all_conv" of Hennigh's (2016).

    Its latents are the cells of a map, one channel of 4x4 at the published 32x32: so latent_dim is a multiple of
    (H / 8) (W / 8), each multiple one more channel. Sides are multiples of 8. Initialisation and padding as in
    `balls_conv`. Raises UnbraidError for any other latent_dim.
    """
    require_multiples("balls_all_conv", image_shape, 8)
    channels, height, width = image_shape
    cells = (height // 8) * (width // 8)
    if latent_dim % cells:
        raise UnbraidError(
            f"balls_all_conv has {cells} latents per channel of its code at {height}x{width}: latent_dim must be "
            f"{cells} or a multiple of it, not {latent_dim}"
        )
    depth = latent_dim // cells
    encoder = nn.Sequential(
        nn.Conv2d(channels, 8, 3, stride=2, padding=1),
        nn.ELU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ELU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ELU(),
        nn.Conv2d(16, 8, 3, padding=1),
        nn.ELU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ELU(),
        nn.Conv2d(8, 2 * depth, 3, stride=2, padding=1),
        nn.Flatten(),
    )
    decoder = nn.Sequential(
        nn.Unflatten(1, (depth, height // 8, width // 8)),
        nn.ConvTranspose2d(depth, 8, 3, stride=2, padding=1, output_padding=1),
        nn.ELU(),
        nn.ConvTranspose2d(8, 8, 3, padding=1),
        nn.ELU(),
        nn.ConvTranspose2d(8, 16, 3, padding=1),
        nn.ELU(),
        nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1, output_padding=1),
        nn.ELU(),
        nn.ConvTranspose2d(8, 8, 3, padding=1),
        nn.ELU(),
        nn.ConvTranspose2d(8, channels, 3, stride=2, padding=1, output_padding=1),
    )
    return VAE(encoder, decoder, image_shape=image_shape, latent_dim=latent_dim, initialiser=balls_normal)
