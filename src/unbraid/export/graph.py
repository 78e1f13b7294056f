"""A chain of PyTorch layers as an ONNX graph, written node by node: milliseconds, where tracing takes seconds."""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from unbraid.errors import UnbraidError
from unbraid.models.fast_convolution import FastConv2d, FastConvTranspose2d
from unbraid.models.fast_linear import FastLinear
from unbraid.models.fast_pixel_shuffle import FastPixelShuffle
from unbraid.models.fast_sequential import FastSequential

OPSET = 18
BATCH = "batch"  # the name of the first dimension, which may have any size


class UnknownLayerError(Exception):
    """There is no line in LAYERS for this layer, or not for this way of using it."""


@dataclass
class Graph:
    """Nodes and weights as they are collected; `value` names the output of the last node."""

    value: str
    nodes: list[Any] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)

    def add(self, operator: str, *inputs: str, to: str | None = None, **attributes: Any) -> str:
        """Appends a node; the name of its output."""
        from onnx import helper

        output = to or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def weight(self, name: str, values: Any) -> str:
        """Keeps an array in the graph; its name."""
        from onnx import numpy_helper

        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def parameters(self, name: str, layer: nn.Module) -> list[str]:
        """The weight and, if there is one, the bias of a layer, under the names that PyTorch gives them."""
        return [self.weight(f"{name}.{key}", value.detach().numpy()) for key, value in layer.named_parameters()]


def _linear(graph: Graph, name: str, layer: nn.Linear) -> str:
    return graph.add("Gemm", graph.value, *graph.parameters(name, layer), transB=1)


def _convolution(operator: str) -> Callable[[Graph, str, Any], str]:
    def add(graph: Graph, name: str, layer: Any) -> str:
        if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
            raise UnknownLayerError
        attributes = {
            "kernel_shape": layer.kernel_size,
            "strides": layer.stride,
            "pads": layer.padding * 2,  # PyTorch pads both sides alike
            "dilations": layer.dilation,
            "group": layer.groups,
        }
        if any(layer.output_padding):
            attributes["output_padding"] = layer.output_padding
        return graph.add(operator, graph.value, *graph.parameters(name, layer), **attributes)

    return add


def _flatten(graph: Graph, name: str, layer: nn.Flatten) -> str:
    if (layer.start_dim, layer.end_dim) != (1, -1):
        raise UnknownLayerError
    return graph.add("Flatten", graph.value, axis=1)


def _unflatten(graph: Graph, name: str, layer: nn.Unflatten) -> str:
    if layer.dim != 1:
        raise UnknownLayerError
    shape = graph.weight(f"{name}.shape", np.array([-1, *layer.unflattened_size], np.int64))
    return graph.add("Reshape", graph.value, shape)


def _pixel_shuffle(graph: Graph, name: str, layer: nn.PixelShuffle) -> str:
    return graph.add("DepthToSpace", graph.value, blocksize=layer.upscale_factor, mode="CRD")


def _relu(graph: Graph, name: str, layer: nn.ReLU) -> str:
    return graph.add("Relu", graph.value)


def _elu(graph: Graph, name: str, layer: nn.ELU) -> str:
    return graph.add("Elu", graph.value, alpha=layer.alpha)


# The layers of our architectures. A net with others takes the way through torch.onnx.
LAYERS: dict[type[nn.Module], Callable[[Graph, str, Any], str]] = {
    nn.Linear: _linear,
    FastLinear: _linear,
    nn.Conv2d: _convolution("Conv"),
    nn.ConvTranspose2d: _convolution("ConvTranspose"),
    FastConv2d: _convolution("Conv"),
    FastConvTranspose2d: _convolution("ConvTranspose"),
    nn.Flatten: _flatten,
    nn.Unflatten: _unflatten,
    nn.PixelShuffle: _pixel_shuffle,
    FastPixelShuffle: _pixel_shuffle,
    nn.ReLU: _relu,
    nn.ELU: _elu,
    nn.Tanh: lambda graph, name, layer: graph.add("Tanh", graph.value),
}


def of_net(net: nn.Module, entry: str, shape: Sequence[int]) -> Graph:
    """The graph of a net on the CPU from its input called `entry`, [B, *shape]: `torch.onnx`'s where LAYERS ends.

    Raises UnbraidError where that is needed and its packages are not there.
    """
    graph = Graph(entry)
    try:
        _follow(graph, "", net)
    except UnknownLayerError:
        return _traced(net, entry, shape)
    return graph


def _follow(graph: Graph, name: str, layer: nn.Module) -> None:
    if type(layer) in (nn.Sequential, FastSequential):
        for key, part in layer.named_children():
            _follow(graph, f"{name}.{key}".lstrip("."), part)
    elif type(layer) in LAYERS:
        graph.value = LAYERS[type(layer)](graph, name, layer)
    else:
        raise UnknownLayerError


def _traced(net: nn.Module, entry: str, shape: Sequence[int]) -> Graph:
    """The same by PyTorch's own exporter, which knows nearly every layer and takes seconds."""
    try:
        import onnxscript  # noqa: F401 - torch.onnx wants it
    except ImportError:
        raise UnbraidError(
            "this net has layers that only torch.onnx can export, which needs onnxscript: "
            'install it (`pip install "unbraid[onnx]"`)'
        ) from None
    with warnings.catch_warnings(), _muted("torch.onnx"):
        warnings.simplefilter("ignore")  # of the exporter, about itself and about packages that are not there
        program = torch.onnx.export(
            net,
            (torch.zeros(2, *shape),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[entry],
            output_names=["traced"],
            dynamic_shapes=({0: torch.export.Dim(BATCH)},),
            verbose=False,
        )
    if program is None or program.model_proto.functions:
        raise UnbraidError("torch.onnx did not make a plain graph of this net: it cannot be exported")
    graph = program.model_proto.graph
    return Graph("traced", list(graph.node), list(graph.initializer))


@contextmanager
def _muted(name: str) -> Iterator[None]:
    """Without what a logger, or those below it, would say short of an error."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
