"""Cross-entropy of images with a decoder's logits, and its slope, in one pass over the pixels."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from unbraid.kernels.exponential import exp
from unbraid.kernels.machine_code import AT_ONCE, Code, Kernel, Span, compiled, widths_along

_TERMS = 8  # of the series of log(1 + e); the next is below the error of a float
_BLOCK = 1024  # pixels that are summed by themselves, so that no sum is long
_KERNELS = 32  # that are kept


@lru_cache(_KERNELS)
def kernel(pixels: int, of_slopes: bool) -> Kernel:
    """Over logits l, images x and nats, of each image the sum over pixels of log(1 + exp(l)) - x l, and the slopes of
    that, sigmoid(l) - x, where they are asked for."""

    def one_image(code: Code, image: Any, arrays: Sequence[Any]) -> None:
        logits, x, slopes = (code.at(arrays[number], code.multiply(image, pixels)) for number in (0, 1, 3))
        whole = code.variable(code.constant(0.0, 1))

        def add(first: Any, count: int) -> None:
            """Of so many pixels from the first on."""
            totals = {width: code.variable(code.constant(0.0, width)) for width in widths_along(count, AT_ONCE)}
            for at, width in code.along(count, at_once=AT_ONCE):
                place = code.add(first, at)
                logit, given = (code.load(code.at(array, place), width) for array in (logits, x))
                e = exp(code, _falling(code, logit))
                positive = code.select(logit, ">", 0.0, logit, code.constant(0.0, width))
                softplus = code.total(positive, _log1p(code, e))
                nats = code.builder.fsub(softplus, code.builder.fmul(given, logit))
                code.set(totals[width], code.total(code.get(totals[width]), nats))
                if of_slopes:
                    slope = code.builder.fsub(_sigmoid(code, logit, e), given)
                    code.store(slope, code.at(slopes, place))
            code.set(whole, code.total(code.get(whole), *(code.sum(code.get(total)) for total in totals.values())))

        blocks = pixels // _BLOCK
        if blocks:
            with code.loop(blocks) as block:
                add(code.multiply(block, _BLOCK), _BLOCK)
        if pixels % _BLOCK:
            add(blocks * _BLOCK, pixels % _BLOCK)
        code.store(code.get(whole), code.at(arrays[2], image))

    def work(code: Code, images: Span, arrays: Sequence[Any]) -> None:
        with code.loop(*images) as image:
            one_image(code, image, arrays)

    return compiled(4, work)


def _sigmoid(code: Code, logit: Any, e: Any) -> Any:
    """From e = exp(-|logit|)."""
    one = code.constant(1.0, logit.type.count)
    return code.builder.fdiv(code.select(logit, "<", 0.0, e, one), code.total(one, e))


def _falling(code: Code, x: Any) -> Any:
    """-|x|"""
    return code.select(x, ">", 0.0, code.builder.fneg(x), x)


def _log1p(code: Code, e: Any) -> Any:
    """log(1 + e) of 0 <= e <= 1, exact near 0 too: 2 (s + s^3 / 3 + s^5 / 5 + ...) with s = e / (2 + e)."""
    builder, width = code.builder, e.type.count
    s = builder.fdiv(e, code.total(e, code.constant(2.0, width)))
    square = builder.fmul(s, s)
    series = code.constant(2 / (2 * _TERMS - 1), width)
    for term in reversed(range(_TERMS - 1)):
        series = code.multiply_add(series, square, code.constant(2 / (2 * term + 1), width))
    return builder.fmul(series, s)
