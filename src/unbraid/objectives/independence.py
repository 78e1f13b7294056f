"""How far latents hang together, by kernels: the Hilbert-Schmidt independence criterion."""

import torch
from torch import Tensor

from unbraid.errors import UnbraidError

_WIDTH = 0.5  # of the kernel, in units of the prior's deviation


def hsic(codes: Tensor) -> Tensor:
    """[B, L] -> [L, L]: HSIC of each two latents, unbiased, 0 in the mean where they are independent.

    With a Gaussian kernel it is 0 for independent latents alone, whatever the form of the dependence (Gretton 2005);
    estimated without bias from a batch of 4 or more (Song 2012). Of a latent with itself 0.11 where it is
    standard normal, and less where it spreads less: a latent that tells little counts little. Unlike log q(z) from a
    batch, which all but the nearest codes leave as it is, two latents at a time are within a batch's reach.
    Raises UnbraidError for fewer than four images.
    """
    count = len(codes)
    if count < 4:
        raise UnbraidError(f"HSIC takes batches of 4 images or more, not {count}: change batch_size")
    apart = codes.T.unsqueeze(2) - codes.T.unsqueeze(1)  # [L, B, B]
    others = 1 - torch.eye(count, device=codes.device)
    kernel = torch.exp(-apart.square() / (2 * _WIDTH**2)) * others
    rows = kernel.sum(2) / (count - 2)
    whole = rows.sum(1) / (count - 1)
    centred = (kernel - rows.unsqueeze(2) - rows.unsqueeze(1) + whole[:, None, None]) * others
    flat = centred.flatten(1)
    return flat @ flat.T / (count * (count - 3))
