"""Runs kernels on arrays that end, or begin, at a page that may not be touched; whatever is not set stays NaN.

A process of its own, since an access beyond them ends it (tests/models/test_fast_convolution.py).
"""

import ctypes
import mmap
from functools import partial
from math import nan, prod

import torch
from torch import Tensor

from unbraid.models import column_kernels, likelihood_kernels
from unbraid.models.chain_kernels import Chain, backward_kernel, forward_kernel, has_gradient, is_asked_for
from unbraid.models.convolution_sizes import Convolution
from unbraid.models.dense_kernels import Dense

IMAGES, SHARES = 3, 2
SIZES = [  # large, small, kernel, stride, padding
    ((8, 8, 1), (4, 4, 32), 4, 2, 1),
    ((9, 7, 8), (9, 7, 8), 3, 1, 1),
    ((6, 34, 20), (3, 17, 3), 4, 2, 1),
    ((4, 6, 2), (2, 3, 4), 1, 2, 0),
    ((4, 58, 2), (2, 29, 20), 4, 2, 1),
    ((3, 5, 16), (9, 11, 24), 3, 1, 4),
    ((6, 6, 4), (3, 3, 4), 3, 2, 1),
]

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def guarded(values: Tensor, at_the_end: bool) -> Tensor:
    """A copy between two pages without access; it is never freed."""
    page = mmap.PAGESIZE
    size = -(-4 * len(values) // page) * page
    base = libc.mmap(
        None, size + 2 * page, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0
    )
    assert not libc.mprotect(base, page, 0) and not libc.mprotect(base + page + size, page, 0)
    address = base + page + (size - 4 * len(values) if at_the_end else 0)
    array = torch.frombuffer((ctypes.c_float * len(values)).from_address(address), dtype=torch.float32)
    return array.copy_(values)


def random(count: int, at_the_end: bool) -> Tensor:
    return guarded(torch.randn(count), at_the_end)


def unset(count: int, at_the_end: bool) -> Tensor:
    return guarded(torch.full((count,), nan), at_the_end)


def check(chain: Chain, at_the_end: bool) -> None:
    numbers, empty = partial(random, at_the_end=at_the_end), partial(unset, at_the_end=at_the_end)

    def empty_like(arrays: list[Tensor]) -> list[Tensor]:
        return [empty(len(array)) for array in arrays]

    weights = [numbers(each.weights) for each in chain]
    biases = [numbers(each.made[-1]) for each in chain]
    x, gradient = numbers(IMAGES * prod(chain[0].given)), numbers(IMAGES * prod(chain[-1].made))
    run, space = forward_kernel(chain)
    found = []
    for kept in (False, True):
        made = [
            empty(IMAGES * prod(each.made)) if kept or is_asked_for(chain, number) else None
            for number, each in enumerate(chain)
        ]
        arrays = [tensor for each in zip(weights, biases, made, strict=True) for tensor in each]
        run(IMAGES, SHARES, [x, empty(SHARES * space), *arrays])
        assert all(array is None or array.isfinite().all() for array in made), chain
        found.append(made[-1])
    assert torch.equal(*found), chain
    for wanted in ((True, True), (True, False), (False, True)):
        of_x, of_weights, of_biases = (empty_like(each) for each in ([x], weights, biases))
        run, space = backward_kernel(chain, *wanted)
        made_too = empty_like(made)  # gradients
        each_layer = zip(weights, made, made_too, of_weights, of_biases, strict=True)
        run(IMAGES, SHARES, [x, gradient, *of_x, empty(SHARES * space), *(one for each in each_layer for one in each)])
        for number, array in enumerate(made_too):
            assert array.isnan().any() != has_gradient(chain, number), chain
        found = [*(of_x if wanted[0] else []), *((*of_weights, *of_biases) if wanted[1] else ())]
        assert all(array.isfinite().all() for array in found), chain


def check_likelihood(pixels: int, at_the_end: bool) -> None:
    logits, x = (random(IMAGES * pixels, at_the_end) for _ in range(2))
    for of_slopes in (False, True):
        nats, slopes = (unset(count, at_the_end) for count in (IMAGES, IMAGES * pixels))
        likelihood_kernels.kernel(pixels, of_slopes)(IMAGES, SHARES, [logits, x, nats, slopes])
        assert nats.isfinite().all() and slopes.isnan().any() != of_slopes, pixels


def check_columns(outputs: int, images: int, inputs: int, at_the_end: bool) -> None:
    numbers, empty = partial(random, at_the_end=at_the_end), partial(unset, at_the_end=at_the_end)

    columns, gradient = numbers(outputs * images), numbers(outputs * images)
    column_kernels._finish(True, "elu")(outputs, SHARES, [columns, numbers(outputs), images])
    for by_images in (False, True):
        before, sums = empty(outputs * images), empty(outputs)
        run = column_kernels._gradient_before(by_images, "elu")
        run(outputs, SHARES, [gradient, columns, before, sums, outputs, images])
        assert before.isfinite().all() and sums.isfinite().all()
    rows = empty(outputs * images)
    column_kernels._in_rows()(outputs, SHARES, [columns, rows, outputs, images])
    assert torch.equal(rows.view(images, outputs), columns.view(outputs, images).t())
    for by_inputs in (False, True):
        found = empty(outputs * inputs)
        run, space = column_kernels._gradient_of_weight(64, inputs, by_inputs)
        run(outputs, SHARES, [gradient, numbers(images * inputs), found, empty(SHARES * space), images])
        assert found.isfinite().all()


for transposed in (False, True):
    for size in SIZES:
        for at_the_end in (True, False):
            check((Convolution(transposed, *size, "elu"),), at_the_end)

in_a_row = (
    Convolution(False, (8, 12, 3), (4, 6, 8), 4, 2, 1, "elu"),
    Convolution(False, (4, 6, 8), (4, 6, 20), 3, 1, 1, ""),
    Convolution(True, (8, 12, 1), (4, 6, 20), 3, 2, 1, "relu"),
)
again = Convolution(False, (5, 6, 8), (5, 6, 8), 3, 1, 1, "elu")
to_a_code = (
    Convolution(False, (4, 6, 3), (2, 3, 8), 4, 2, 1, "elu"),
    Dense(48, 37, "relu"),
    Dense(37, 10, ""),
)
from_a_code = (
    Dense(5, 7, "relu"),
    Dense(7, 32, "elu"),
    Convolution(True, (4, 8, 4), (2, 4, 4), 4, 2, 1, ""),
    Dense(128, 3, "elu"),
)
for at_the_end in (True, False):
    for start in range(3):
        check(to_a_code[start:], at_the_end)
    for start in range(4):
        check(from_a_code[start:], at_the_end)
    for start in range(len(in_a_row)):
        check(in_a_row[start:], at_the_end)
    check((again, again, again), at_the_end)
    for sizes in ((1, 1, 1), (3, 5, 7), (13, 17, 33), (40, 64, 96), (37, 9, 100)):
        check_columns(*sizes, at_the_end)
    for pixels in (1, 5, 63, 1024):
        check_likelihood(pixels, at_the_end)
