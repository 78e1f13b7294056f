"""What a linear code finds in images: principal components, turned until they are independent."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from unbraid.randomness import numpy_generator
from unbraid.types import Dataset

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_IMAGES = 4096  # from which the directions are taken
_SIDE = 16  # pixels; what is finer has no share in the first components
_LEAST = 1e-9  # variance of a component, in squared shades, below which there is nothing to follow


def linear_coordinates(
    dataset: Dataset, count: int, device: "torch.device | str" = "cpu"
) -> "Callable[[Tensor], Tensor]":
    """x [B, C, H, W] in [0, 1] -> [B, count], of mean 0 and variance 1 over the data set: FastICA of the images.

    The first `count` principal components of 4,096 images at 16x16 pixels, turned until their kurtosis is extreme
    (Hyvarinen & Oja 1997). The same for every seed: a property of the data. A component without variance, as of a
    single image, stays 0.
    """
    import torch

    rng = numpy_generator(0, "linear coordinates")
    indices = np.sort(rng.choice(len(dataset), min(_IMAGES, len(dataset)), replace=False))
    with torch.no_grad():
        pixels = _small(torch.from_numpy(dataset.images(indices)) / 255).double()
        centre = pixels.mean(0)
        variances, directions = torch.linalg.eigh((pixels - centre).T @ (pixels - centre) / len(pixels))
        variances, directions = variances[-count:].flip(0), directions[:, -count:].flip(1)  # the largest first
        scale = torch.where(variances > _LEAST, variances, torch.inf).rsqrt()
        white = directions * scale  # [pixels, count]
        components = ((pixels - centre) @ white).numpy()
        weight = white @ torch.from_numpy(_independent(components).T)
        spread = _spread(weight, dataset.image_shape).float().to(device)
        shift = (-centre @ weight).float().to(device)
    return lambda x: torch.nn.functional.linear(x.flatten(1), spread, shift)


def _independent(components: np.ndarray) -> np.ndarray:
    """The rotation [n, n] of white components [N, n] after which their kurtosis is extreme."""
    from sklearn.decomposition import fastica
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    start = np.eye(components.shape[1])
    if not components.any(axis=0).all():
        return start
    with threadpool_limits(1), warnings.catch_warnings():  # one thread: their number decides the last bits
        warnings.simplefilter("ignore", ConvergenceWarning)  # of Gaussian components, which any rotation suits
        return fastica(components, whiten=False, fun="cube", w_init=start, max_iter=1000, tol=1e-6)[1]


def _spread(weight: "Tensor", image_shape: tuple[int, int, int]) -> "Tensor":
    """[count, pixels]: `x @ _spread.T` is `_small(x) @ weight`, without making x small, which takes longer."""
    import torch

    blank = torch.zeros(weight.shape[1], *image_shape, dtype=weight.dtype, requires_grad=True)
    with torch.enable_grad():
        total = (_small(blank) * weight.T).sum()
    return torch.autograd.grad(total, blank)[0].flatten(1)  # `torch.func` would load torch's compiler


def _small(x: "Tensor") -> "Tensor":
    from torch.nn.functional import adaptive_avg_pool2d

    return adaptive_avg_pool2d(x, (min(_SIDE, x.shape[-2]), min(_SIDE, x.shape[-1]))).flatten(1)
