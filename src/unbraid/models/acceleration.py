"""What is faster on a CPU than torch's choice: which, when, and put into a network or in place of a likelihood."""

from collections.abc import Callable

from torch import Tensor, nn

from unbraid import probability
from unbraid.kernels import has_kernels
from unbraid.models import fast_likelihood
from unbraid.models.fast_convolution import FastConv2d, FastConvTranspose2d, fits
from unbraid.models.fast_linear import FastLinear, has_onednn
from unbraid.models.fast_pixel_shuffle import FastPixelShuffle
from unbraid.models.fast_sequential import FastSequential

_LIKELIHOODS: dict[Callable[..., Tensor], Callable[..., Tensor]] = {
    probability.bernoulli_nll: fast_likelihood.bernoulli_nll
}


def likelihood(nll: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`nll`, or what gives the same on a CPU by a kernel."""
    return _LIKELIHOODS.get(nll, nll) if has_kernels() else nll


def accelerate(network: nn.Module) -> None:
    """Gives the layers of `network` that have one their faster kernel; the weights stay as they are."""
    kernels = has_kernels()
    for layer in network.modules():
        if type(layer) is nn.Linear and (kernels or has_onednn()):
            layer.__class__ = FastLinear
        elif type(layer) is nn.Conv2d and kernels and fits(layer):
            layer.__class__ = FastConv2d
        elif type(layer) is nn.ConvTranspose2d and kernels and fits(layer):
            layer.__class__ = FastConvTranspose2d
        elif type(layer) is nn.PixelShuffle and kernels:
            layer.__class__ = FastPixelShuffle
        elif type(layer) is nn.Sequential and kernels:
            layer.__class__ = FastSequential
