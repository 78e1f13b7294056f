"""The loops of dense layers over some images, in code for the processor: products of matrices, and one turned round."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from unbraid.kernels.machine_code import Code, Index, Span, lanes, registers, widths

_BLOCK = 256  # products that are summed by themselves, so that no sum is long

Finish = Callable[[Any, Any, Any], None]  # (vector of sums, row, first column)
Panel = Callable[[Any, int], "Matrix"]  # (first column, how many) of some columns side by side
PANEL = 2  # vectors of its columns at most


class Matrix(NamedTuple):
    """Where it lies, and floats from one number to the next: down and right."""

    start: Any
    down: Index
    right: int = 1


def of_matrix(code: Code, b: Matrix) -> Panel:
    return lambda column, count: b._replace(start=code.at(b.start, column))


def into(code: Code, array: Any, columns: int) -> Finish:
    """Puts the sums where they belong in an array of so many columns, row by row."""

    def finish(sums: Any, row: Any, column: Any) -> None:
        code.store(sums, code.at(array, code.add(code.multiply(row, columns), column)))

    return finish


def multiply(code: Code, rows: Span, columns: int, depth: Index, a: Matrix, b: Panel, finish: Finish) -> None:
    """`finish` is given sum over k of a[m, k] b[k, n] for these rows m and all columns n, some of them
    more than once.

    The sums of a tile of rows stay in registers, beside a row of a panel of b, whose numbers lie side by side.
    """
    builder, (last, first), height = code.builder, rows, registers() // PANEL
    count, none = builder.sub(last, first), code.index(0)
    are_enough = builder.icmp_signed(">=", count, code.index(height))
    tiles = builder.select(are_enough, code.divide(code.add(count, height - 1), height), none)
    singles = builder.select(are_enough, none, count)
    for column, vectors in _panels(code, columns):
        panel = b(column, sum(width for _, width in vectors))
        with code.loop(tiles) as part:  # the last one overlaps the one before it
            row = code.smaller(code.add(first, code.multiply(part, height)), code.add(last, -height))
            _tile(code, row, height, column, vectors, depth, a, panel, finish)
        with code.loop(singles) as part:
            _tile(code, code.add(first, part), 1, column, vectors, depth, a, panel, finish)


def _panels(code: Code, columns: int) -> Iterator[tuple[Any, Sequence[tuple[int, int]]]]:
    """(first column, vectors from there on) of each panel; what is written in this loop is run for each."""
    most = PANEL * lanes()
    whole = columns // most
    if whole:
        with code.loop(whole) as panel:
            yield code.multiply(panel, most), widths(most)
    rest = widths(columns % most)
    while rest:
        first = rest[0][0]
        yield code.index(whole * most + first), [(start - first, width) for start, width in rest[:PANEL]]
        rest = rest[PANEL:]


def _tile(
    code: Code,
    row: Any,
    height: int,
    column: Any,
    vectors: Sequence[tuple[int, int]],
    depth: Index,
    a: Matrix,
    panel: Matrix,
    finish: Finish,
) -> None:
    source = code.at(a.start, code.multiply(row, a.down))
    places = [(number, start, width) for number in range(height) for start, width in vectors]

    def zeros() -> dict[tuple[int, int], Any]:
        return {(number, start): code.variable(code.constant(0.0, width)) for number, start, width in places}

    def add(sums: dict[tuple[int, int], Any], stop: Any, start: Any) -> None:
        with code.loop(stop, start, unrolled=True) as k:
            line = code.at(panel.start, code.multiply(k, panel.down))
            loaded = {at: code.load(code.at(line, at), width) for at, width in vectors}
            numbers = code.at(source, code.multiply(k, a.right))
            for number in range(height):
                scalar = code.scalar(code.at(numbers, code.multiply(number, a.down)))
                for at, width in vectors:
                    value = code.multiply_add(code.spread(scalar, width), loaded[at], code.get(sums[number, at]))
                    code.set(sums[number, at], value)

    totals = zeros()
    if isinstance(depth, int) and depth <= _BLOCK:
        add(totals, depth, 0)
    else:
        depth = code.index(depth)
        with code.loop(code.divide(code.add(depth, _BLOCK - 1), _BLOCK)) as block:
            sums, start = zeros(), code.multiply(block, _BLOCK)
            add(sums, code.smaller(code.add(start, _BLOCK), depth), start)
            for place, total in totals.items():
                code.set(total, code.total(code.get(total), code.get(sums[place])))
    for number, start, _ in places:
        finish(code.get(totals[number, start]), code.add(row, number), code.add(column, start))


def turned(code: Code, source: Matrix, height: Index, width: Index, target: Matrix) -> None:
    """target[x, y] = source[y, x], of rows whose numbers lie side by side, in squares of vectors; the rest number by
    number."""
    side = lanes()
    whole_height, whole_width = (code.multiply(code.divide(count, side), side) for count in (height, width))
    with code.loop(whole_height, step=side) as y, code.loop(whole_width, step=side) as x:
        rows = [
            code.load(code.at(_place(code, source, y, x), code.multiply(number, source.down)), side)
            for number in range(side)
        ]
        for number, row in enumerate(_turned_square(code, rows)):
            code.store(row, code.at(_place(code, target, x, y), code.multiply(number, target.down)))

    def singly(first_row: Index, stop_row: Index, first_column: Index, stop_column: Index) -> None:
        with code.loop(stop_row, first_row) as y, code.loop(stop_column, first_column) as x:
            code.store(code.scalar(_place(code, source, y, x)), _place(code, target, x, y))

    singly(0, whole_height, whole_width, width)
    singly(whole_height, height, 0, width)


def _place(code: Code, of: Matrix, row: Index, column: Index) -> Any:
    return code.at(of.start, code.add(code.multiply(row, of.down), column))


def _turned_square(code: Code, rows: Sequence[Any]) -> Sequence[Any]:
    """As many vectors as each holds numbers, columns in place of rows: blocks of 1, then 2, 4 ... change places."""
    side = len(rows)
    size = 1
    while size < side:
        rows = [
            code.joined(
                rows[number & ~size],
                rows[number | size],
                [(side if at & size else 0) + (at & ~size) + (number & size) for at in range(side)],
            )
            for number in range(side)
        ]
        size *= 2
    return rows
