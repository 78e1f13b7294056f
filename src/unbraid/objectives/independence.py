"""How far latents hang together, by kernels: the Hilbert-Schmidt independence criterion."""

import torch
from torch import Tensor

from unbraid.errors import UnbraidError

LEAST_BATCH = 4
_WIDTH = 0.5  # of the kernel, in units of the prior's deviation


def hsic(codes: Tensor) -> Tensor:
    """[B, L] -> [L, L]: HSIC of each two latents over the batch.

    sum_{i!=j} A^l_ij A^m_ij / (B (B - 3)), where A^l is exp(-(c_il - c_jl)^2 / (2 width^2)) centred over rows and
    columns without the diagonal: the unbiased estimate of Song 2012. Its mean is 0 for independent latents and for no
    others, whatever the form of the dependence (Gretton 2005); one estimate can be below 0. Of a standard normal latent
    with itself it is 0.106; less where a latent tells little and spreads less, and again where it spreads further.

    The images are to be drawn independently of one another: consecutive frames of one path are not, and of two
    coordinates of a ball it is 0.02 then. Raises UnbraidError for fewer than four images.
    """
    count = len(codes)
    if count < LEAST_BATCH:
        raise UnbraidError(f"HSIC takes batches of {LEAST_BATCH} images or more, not {count}: give more images")
    apart = codes.T.unsqueeze(2) - codes.T.unsqueeze(1)  # [L, B, B]
    others = 1 - torch.eye(count, device=codes.device)
    kernel = torch.exp(-apart.square() / (2 * _WIDTH**2)) * others
    rows = kernel.sum(2) / (count - 2)
    whole = rows.sum(1) / (count - 1)
    centred = (kernel - rows.unsqueeze(2) - rows.unsqueeze(1) + whole[:, None, None]) * others
    flat = centred.flatten(1)
    return flat @ flat.T / (count * (count - 3))
