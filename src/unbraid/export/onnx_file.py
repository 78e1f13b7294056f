"""The halves of a model in ONNX."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from unbraid.export import graph as graphs
from unbraid.export.graph import BATCH, OPSET, Graph
from unbraid.export.halves import INPUT, OUTPUTS, Halves, halves, metadata
from unbraid.runs import Run

if TYPE_CHECKING:
    import onnx

_SMALLEST_HALVED = 256  # numbers in a weight that is worth storing in 16 bits


def onnx_models(run: Run, *, half_precision: bool = False) -> dict[str, bytes]:
    """{"encoder": x -> mean, logvar, "decoder": z -> logits, x_hat}, each a whole ONNX file for any batch size.

    With `half_precision` large weights are stored in 16 bits, and still reckoned with in 32.
    """
    parts = halves(run)
    return {half: _model(run, parts, half, half_precision).SerializeToString() for half in INPUT}


def _model(run: Run, parts: Halves, half: str, half_precision: bool) -> "onnx.ModelProto":
    from onnx import TensorProto, checker, helper

    net = getattr(parts, half).net
    graph = graphs.of_net(net, INPUT[half], parts.shape(half))
    if half == "encoder":
        graph.nodes.append(helper.make_node("Split", [graph.value], ["mean", "logvar"], axis=-1, num_outputs=2))
    else:
        graph.add("Identity", graph.value, to="logits")
        _MEANS[run.config.likelihood](graph)
    if half_precision:
        _halve(graph)
    shape: dict[str, list[str | int]] = {name: [BATCH, *parts.shape("decoder")] for name in ("z", "mean", "logvar")}
    shape |= {name: [BATCH, *parts.shape("encoder")] for name in ("x", "logits", "x_hat")}

    def described(name: str) -> "onnx.ValueInfoProto":
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape[name])

    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            half,
            [described(INPUT[half])],
            [described(name) for name in OUTPUTS[half]],
            initializer=graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=10,
        producer_name="unbraid",
    )
    facts = metadata(run, half)
    helper.set_model_props(
        model, {name: value if isinstance(value, str) else json.dumps(value) for name, value in facts.items()}
    )
    checker.check_model(model, full_check=True)
    return model


def _sigmoid(graph: Graph) -> None:
    graph.add("Sigmoid", "logits", to="x_hat")


def _continuous_bernoulli(graph: Graph) -> None:
    """0.5 / tanh(l / 2) - 1 / l, and its series around l = 0: see `probability.continuous_bernoulli_mean`."""

    def number(name: str, value: float) -> str:
        return graph.weight(name, np.float32(value))

    half, one, bound = number("half", 0.5), number("one", 1.0), number("bound", 0.5)
    small = graph.add("Less", graph.add("Abs", "logits"), bound)
    large = graph.add("Where", small, bound, "logits")
    closed = graph.add(
        "Sub",
        graph.add("Div", half, graph.add("Tanh", graph.add("Mul", large, half))),
        graph.add("Div", one, large),
    )
    square = graph.add("Mul", "logits", "logits")
    series = number("c5", 1 / 30240)
    for name, coefficient in (("c3", -1 / 720), ("c1", 1 / 12)):
        series = graph.add("Add", graph.add("Mul", series, square), number(name, coefficient))
    graph.add("Add", half, graph.add("Where", small, graph.add("Mul", series, "logits"), closed), to="x_hat")


def _halve(graph: Graph) -> None:
    """Large float32 weights in 16 bits, each with a node that makes 32 of them again."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for index, weight in enumerate(graph.weights):
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.size >= _SMALLEST_HALVED:
            stored = f"{weight.name}.float16"
            with np.errstate(over="ignore"):  # an infinity is found by whoever compares the answers
                graph.weights[index] = numpy_helper.from_array(values.astype(np.float16), stored)
            casts.append(helper.make_node("Cast", [stored], [weight.name], to=TensorProto.FLOAT))
    graph.nodes[:0] = casts


def answers(model: bytes, half: str, given: np.ndarray) -> list[np.ndarray]:
    """What onnxruntime makes of a batch, one array for each of OUTPUTS."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # errors alone
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    found: Any = session.run(list(OUTPUTS[half]), {INPUT[half]: given})
    return found


_MEANS = {"bernoulli": _sigmoid, "gaussian": _sigmoid, "continuous_bernoulli": _continuous_bernoulli}
