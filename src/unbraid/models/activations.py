"""What kernels can take: which layers, and which activations along with them."""

from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

_MOST_CHANNELS = 128  # of a kernel of ours


def with_activations(layers: Iterable[nn.Module], takers: tuple[type[nn.Module], ...]) -> list[tuple[nn.Module, str]]:
    """Each of these layers in a row, and the name of the activation that it is to do too, "" for none.

    Those of `takers` do the one after them, which then is not in the list, unless somebody watches either.
    """
    found: list[tuple[nn.Module, str]] = []
    before = None  # what takes an activation
    layers = [*layers]
    for number, layer in enumerate(layers):
        name = _name(layer) if before is not None else ""
        if name == "elu" and _is_written_over(layers[number + 1 :], takers):
            name = ""  # ELU by itself does not need what it makes for its slope
        if name and before is not None and not (is_watched(before) or is_watched(layer)):
            found[-1] = before, name
            before = None
        else:
            found.append((layer, ""))
            before = layer if isinstance(layer, takers) else None
    return found


def _is_written_over(following: Iterable[nn.Module], takers: tuple[type[nn.Module], ...]) -> bool:
    """Whether the first of these layers that takes numbers, rather than sees them another way, writes over them."""
    for layer in following:
        if type(layer) not in (nn.Flatten, nn.Unflatten):
            return not isinstance(layer, takers) and getattr(layer, "inplace", False)  # the latter takes long
    return False


def _name(layer: nn.Module) -> str:
    """Of the activation that this layer is; "" where kernels know none such."""
    kind = type(layer)
    if kind is nn.ELU:
        return "elu" if layer.alpha == 1.0 else ""
    return "relu" if kind is nn.ReLU else ""


def is_watched(layer: nn.Module) -> bool:
    """Whether a hook of its own sees what goes into it or comes out, or another `forward` stands in for its own."""
    hooked = layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks
    return bool(hooked) or "forward" in layer.__dict__


def are_all_watched() -> bool:
    """Whether a hook sees what goes through any module there is."""
    return _has_any_global_hook()


def followed(x: Tensor, activation: str) -> Tensor:
    """`x` after the activation of that name; "" is none."""
    return getattr(F, activation)(x) if activation else x


def is_plain(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether it is what our kernels know: zeros around, both directions alike, a bias, channels that fit a tile."""
    alike = isinstance(layer.padding, tuple) and len({*layer.padding}) == len({*layer.stride}) == 1
    plain = layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    return alike and plain and layer.bias is not None and max(layer.in_channels, layer.out_channels) <= _MOST_CHANNELS
