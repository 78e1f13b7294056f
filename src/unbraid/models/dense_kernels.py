"""What a dense layer does within a kernel, for all images of a share together, and its gradients."""

from dataclasses import dataclass
from typing import Any

from unbraid.kernels.machine_code import Code, Room, Share, Span, lanes
from unbraid.models.activation_loops import activated, through
from unbraid.models.dense_loops import PANEL, Matrix, into, multiply, of_matrix, turned


@dataclass(frozen=True)
class Dense:
    """Sizes of one, and the activation after it; its weight is [outputs, inputs]."""

    inputs: int
    outputs: int
    activation: str

    @property
    def given(self) -> tuple[int]:
        return (self.inputs,)

    @property
    def weights(self) -> int:
        return self.inputs * self.outputs

    @property
    def made(self) -> tuple[int]:
        return (self.outputs,)


class DenseForward:
    """One dense layer of a chain, and where some rows of its weight lie turned round, as columns."""

    def __init__(self, room: Room, of: Dense) -> None:
        self.of, self.working = of, room.take(of.inputs * min(of.outputs, PANEL * lanes()))

    def images(self, code: Code, last: Any, first: Any, x: Any, weight: Any, bias: Any, y: Any, space: Any) -> None:
        inputs, outputs = self.of.inputs, self.of.outputs

        def finish(sums: Any, image: Any, output: Any) -> None:
            value = code.total(sums, code.load(code.at(bias, output), sums.type.count))
            place = code.add(code.multiply(image, outputs), output)
            code.store(activated(code, value, self.of.activation), code.at(y, place))

        def panel(output: Any, count: int) -> Matrix:
            rows = Matrix(code.at(weight, code.multiply(output, inputs)), inputs)
            columns = Matrix(code.at(space, self.working), count)
            turned(code, rows, count, inputs, columns)
            return columns

        multiply(code, Span(last, first), outputs, inputs, Matrix(x, inputs), panel, finish)


class DenseBackward:
    """The gradients of one dense layer of a chain."""

    def __init__(self, room: Room, of: Dense, of_images: bool) -> None:
        self.of, self.of_images, self.one = of, of_images, room.take(1)

    def begin(self, code: Code, weight: Any, space: Any) -> None:
        code.store(code.constant(1.0, 1), code.at(space, self.one))

    def images(
        self, code: Code, last: Any, first: Any, y: Any, gradient: Any, slope: Any, weight: Any, before: Any
    ) -> None:
        """`slope` is where the gradient before the activation shall be, `before` that of what was given."""
        inputs, outputs = self.of.inputs, self.of.outputs
        if self.of.activation:
            with code.loop(last, first) as image:
                for start, width in code.along(outputs):
                    place = code.add(code.multiply(image, outputs), start)
                    value, after = (code.load(code.at(array, place), width) for array in (gradient, y))
                    code.store(through(code, value, after, self.of.activation), code.at(slope, place))
        if self.of_images:
            factors = of_matrix(code, Matrix(weight, inputs))
            finish = into(code, before, inputs)
            multiply(code, Span(last, first), inputs, outputs, Matrix(slope, outputs), factors, finish)

    def end(self, code: Code, share: Share, space: Any, x: Any, slope: Any, for_weight: Any, for_bias: Any) -> None:
        """Each share sums some rows over all images, so that it hangs on nothing how many there are."""
        inputs, outputs = self.of.inputs, self.of.outputs
        rows = code.portion(outputs, share.number, share.count)
        slopes, given = Matrix(slope, 1, outputs), of_matrix(code, Matrix(x, inputs))
        multiply(code, rows, inputs, share.images, slopes, given, into(code, for_weight, inputs))
        first, ones = code.portion(1, share.number, share.count), Matrix(code.at(space, self.one), 0, 0)
        each = of_matrix(code, Matrix(slope, outputs))
        multiply(code, first, outputs, share.images, ones, each, into(code, for_bias, outputs))
