"""The variational autoencoder that every architecture fills with its layers."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from unbraid.errors import UnbraidError

ImageShape = tuple[int, int, int]  # (C, H, W)
Layer = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
Posterior = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # (mean, logvar) of a batch, changed together
_LIVELY, _SURE = 0.7, -3.0  # deviation of the mean and log-variance of a latent that wakes
Initialiser = Callable[[Layer, torch.Generator], None]


class VAE(nn.Module):
    """q(z|x) = N(mean, exp(logvar)) from the encoder, p(x|z) from the decoder's logits (Kingma & Welling 2014).

    The encoder maps x [B, C, H, W] to [B, 2 L], its two heads side by side; the decoder maps z [B, L] to logits
    [B, C, H, W]. No buffers, so that `torch.func.functional_call` on stacked parameters is the whole model.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        image_shape: ImageShape,
        latent_dim: int,
        initialiser: Initialiser,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.image_shape, self.latent_dim = image_shape, latent_dim
        self._initialiser = initialiser

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, logvar = self.encoder(x).chunk(2, dim=-1)
        return mean, logvar

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, noise: Tensor, posterior: Posterior | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(logits, mean, logvar, z) with z = mean + exp(logvar / 2) * noise [B, L], after `posterior` where given."""
        mean, logvar = self.encode(x)
        if posterior is not None:
            mean, logvar = posterior(mean, logvar)
        z = mean + torch.exp(0.5 * logvar) * noise
        return self.decode(z), mean, logvar, z

    def close(self, latents: Sequence[int]) -> None:
        """Takes these latents out of use: their posterior becomes the prior, mean 0 and variance 1, whatever the image.

        A first linear layer of the decoder forgets them too, so that a latent that was never open draws nothing. Raises
        UnbraidError for a net whose heads are not one linear layer.
        """
        head = self.head("closed", "prune=0")
        rows = [row for latent in latents for row in (latent, self.latent_dim + latent)]
        with torch.no_grad():
            head.weight[rows] = 0
            head.bias[rows] = 0
            first = next(layer for layer in self.decoder.modules() if isinstance(layer, Layer))
            if isinstance(first, nn.Linear):
                first.weight[:, list(latents)] = 0

    def absorb(self, posterior: Posterior) -> None:
        """Takes into the weights a posterior that stretches and shifts each mean and each log-variance by itself.

        From then on `encode` gives what `forward` gave with it. Raises UnbraidError for a net whose heads are not one
        linear layer.
        """
        head = self.head("opened", "another objective")
        with torch.no_grad():
            shift = torch.cat(posterior(*head.bias.new_zeros(2, self.latent_dim)))  # [2 L]
            stretch = torch.cat(posterior(*head.bias.new_ones(2, self.latent_dim))) - shift
            head.weight.mul_(stretch[:, None])
            head.bias.mul_(stretch).add_(shift)

    def waken(self, latents: Sequence[int], x: Tensor) -> None:
        """Centres and stretches the means of these latents, so that over the batch x their deviation is 0.7; sets their
        log-variance to -3.

        A latent that begins as usual, with a mean near 0 and a variance near 1, is noise to the decoder, which learns
        to ignore it before it tells anything. Raises UnbraidError for a net whose heads are not one linear layer.
        """
        head = self.head("opened", "another objective")
        with torch.no_grad():
            means, _ = self.encode(x)
            for latent in latents:
                deviation, centre = torch.std_mean(means[:, latent])
                stretch = _LIVELY / deviation.clamp(min=1e-6)
                head.bias[latent] = (head.bias[latent] - centre) * stretch
                head.weight[latent] *= stretch
                head.weight[self.latent_dim + latent] = 0
                head.bias[self.latent_dim + latent] = _SURE

    def head(self, done: str, instead: str) -> nn.Linear:
        """The layer that gives means and log-variances; the words are for the error where latents share its weights."""
        head = list(self.encoder.modules())[-1]
        if not isinstance(head, nn.Linear) or head.out_features != 2 * self.latent_dim:
            raise UnbraidError(
                f"latents of this net cannot be {done} one by one, since its last layer shares weights: "
                f"choose {instead} or another model"
            )
        return head

    def initialise(self, generator: torch.Generator) -> None:
        """Fills all parameters by the architecture's rule, layer by layer in their order."""
        for layer in self.modules():
            if isinstance(layer, Layer):
                self._initialiser(layer, generator)


def refuse_size(architecture: str, image_shape: ImageShape, rule: str) -> UnbraidError:
    _, height, width = image_shape
    return UnbraidError(
        f"{architecture} cannot take {height}x{width} images: {rule}; resize the images or choose another architecture"
    )


def require_multiples(architecture: str, image_shape: ImageShape, multiple: int) -> None:
    """Raises UnbraidError where a side is not a multiple: strides would leave pixels over."""
    _, height, width = image_shape
    if height % multiple or width % multiple:
        larger = "x".join(str(-(-side // multiple) * multiple) for side in (height, width))
        raise refuse_size(architecture, image_shape, f"each side must be a multiple of {multiple}, such as {larger}")
