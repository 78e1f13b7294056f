"""Layers in a row on the CPU, run as one kernel where there is one and one by one where somebody looks."""

from itertools import takewhile
from typing import Any

from torch import nn

from unbraid.models import chain
from unbraid.models.activations import are_all_watched, followed, is_watched, with_activations
from unbraid.models.fast_convolution import FastConv2d, FastConvTranspose2d
from unbraid.models.fast_linear import FastLinear, in_rows

_TAKERS = (FastConv2d, FastConvTranspose2d, FastLinear)
_TAKE_COLUMNS = {nn.Tanh, nn.Sigmoid, nn.ELU, nn.ReLU, nn.LeakyReLU, nn.SiLU, nn.GELU, nn.Softplus}


class FastSequential(nn.Sequential):
    """nn.Sequential that runs layers in a row, each with the activation after it, as one kernel.

    To be differentiated once, backwards. What an ELU at its end gives is not to be written over before that.
    """

    def forward(self, input: Any) -> Any:
        if are_all_watched():
            return super().forward(input)
        x, layers = input, with_activations(self, _TAKERS)
        while layers:
            row = [*takewhile(lambda each: _is_ours(each[0]), layers)]
            found = chain.run(x, row)
            if found is None:
                (layer, activation), *layers = layers
                if type(layer) is FastLinear and not is_watched(layer):
                    x = layer.in_columns(x, activation)
                else:
                    x = followed(layer(x if type(layer) in _TAKE_COLUMNS else in_rows(x)), activation)
            else:
                x, count = found
                layers = layers[count:]
        return in_rows(x)


def _is_ours(layer: nn.Module) -> bool:
    """A layer that does what those of its kind do and nothing else."""
    return (type(layer) in _TAKERS or chain.is_known(layer)) and not is_watched(layer)
