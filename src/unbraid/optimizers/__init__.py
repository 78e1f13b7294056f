"""Optimizers as a table of functions: parameters -> torch optimizer. The trainer sets the learning rate each step."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    Parameters = Iterable[Tensor]


def adam(
    params: "Parameters", *, adam_beta1: float = 0.9, adam_beta2: float = 0.999, adam_eps: float = 1e-8
) -> "Optimizer":
    """Kingma & Ba 2015."""
    return _fused_adam(params, betas=(adam_beta1, adam_beta2), eps=adam_eps)


def adamw(
    params: "Parameters",
    *,
    adam_beta1: float = 0.9,
    adam_beta2: float = 0.999,
    adam_eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> "Optimizer":
    """Loshchilov & Hutter 2019."""
    return _fused_adam(params, betas=(adam_beta1, adam_beta2), eps=adam_eps, weight_decay=weight_decay)


def adagrad(params: "Parameters", *, adagrad_start: float = 0.0) -> "Optimizer":
    """Duchi et al. 2011; `adagrad_start` is the accumulator's first value (TensorFlow's habit is 0.1)."""
    from torch.optim import Adagrad

    return Adagrad(params, lr=0.0, initial_accumulator_value=adagrad_start)


def rmsprop(params: "Parameters", *, rmsprop_decay: float = 0.99, momentum: float = 0.0) -> "Optimizer":
    """Tieleman & Hinton 2012."""
    from torch.optim import RMSprop

    return RMSprop(params, lr=0.0, alpha=rmsprop_decay, momentum=momentum)


def muon(
    params: "Parameters",
    *,
    muon_momentum: float = 0.95,
    adam_beta1: float = 0.9,
    adam_beta2: float = 0.999,
    adam_eps: float = 1e-8,
) -> "Optimizer":
    """Jordan 2024: orthogonal steps for matrices and kernels, of the length that Adam's have; Adam for biases."""
    from unbraid.optimizers.orthogonal import Muon

    return Muon(params, momentum=muon_momentum, betas=(adam_beta1, adam_beta2), eps=adam_eps)


def sgd(params: "Parameters", *, momentum: float = 0.0) -> "Optimizer":
    from torch.optim import SGD

    return SGD(params, lr=0.0, momentum=momentum)


def _fused_adam(params: "Parameters", **options: Any) -> "Optimizer":
    from torch.optim import Adam, AdamW

    from unbraid.optimizers.fast_adam import Adam as OnCPU

    params = list(params)
    if all(weight.device.type == "cpu" for weight in params):
        return OnCPU(params, **options)
    return (AdamW if "weight_decay" in options else Adam)(params, lr=0.0, fused=True, **options)


OPTIMIZERS: dict[str, "Callable[..., Optimizer]"] = {
    "adam": adam,
    "adamw": adamw,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "muon": muon,
    "sgd": sgd,
}
