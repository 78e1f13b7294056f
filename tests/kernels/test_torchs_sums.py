"""Sums in torch's order: its bits, whatever the shape, the axes and the layout."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from kernel_cases import needs_kernels, rng
from torch import Tensor

torchs_sums = pytest.importorskip("unbraid.kernels.torchs_sums")
pytestmark = needs_kernels

SHAPES = (7,), (64,), (1027,), (5000,), (16, 7), (64, 32), (300, 91), (7, 300), (5000, 5), (4, 5, 6), (64, 20, 10)


def summed(x: Tensor, axes: tuple[int, ...], keepdim: bool = False) -> Tensor | None:
    """By a kernel of ours; None where torch is to do it."""
    from unbraid.kernels.machine_code import Span, compiled

    made = torch.full_like(x.sum(axes, keepdim), torch.nan)
    of = torchs_sums.sum_of(x, axes, made)
    if of is None:
        return None

    def work(code: Any, images: Span, arrays: Sequence[Any]) -> None:
        of.write(code, Span(code.index(of.pieces), code.index(0)), *arrays)

    kernel = compiled(2, work)
    kernel(1, 1, [x, made])
    return made


def cases() -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [
        (shape, axes)
        for shape in SHAPES
        for count in range(1, min(len(shape), 2) + 1)
        for axes in itertools.combinations(range(len(shape)), count)
    ]


@pytest.mark.parametrize(("shape", "axes"), cases(), ids=str)
def test_it_has_the_bits_of_torch(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    found = 0
    for order in itertools.permutations(range(len(shape))):  # in memory
        x = torch.randn([shape[axis] for axis in order], generator=rng(0))
        x = x.permute([order.index(axis) for axis in range(len(shape))])
        made = summed(x, axes)
        if made is not None:
            found += 1
            assert torch.equal(made, x.sum(axes)), order
    assert found or len(axes) > 1


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (1, 2)], ids=str)
def test_so_have_sums_that_threads_share(threads: int, axes: tuple[int, ...]) -> None:
    x = torch.randn(10, 64, 64, generator=rng(0))
    for turned in (x, x.permute(2, 0, 1)):
        made = summed(turned, axes, keepdim=True)
        assert made is None or torch.equal(made, turned.sum(axes, keepdim=True))
    assert summed(x, axes) is not None


def test_columns_that_torchs_threads_may_part_are_torchs() -> None:
    x = torch.randn(2, 4000, 7, 2)[..., 0]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        made = summed(x, (1,))
        assert made is not None and torch.equal(made, x.sum(1))
        torch.set_num_threads(3)
        assert summed(x, (1,)) is None
    finally:
        torch.set_num_threads(before)


def test_many_are_sums_of_ours() -> None:
    """Those of the objectives; others are torch's."""
    for shape, axes in (
        ((64,), (0,)),
        ((64, 10), (0,)),
        ((64, 10), (1,)),
        ((64, 64, 10), (1,)),
        ((64, 64, 10), (0, 1)),
    ):
        assert summed(torch.randn(shape), axes) is not None, (shape, axes)
    assert summed(torch.randn(3, 4, 5), (0, 2)) is None
    assert summed(torch.randn(1, 5).expand(4, 5), (0,)) is None
    assert summed(torch.randn(40_000), (0,)) is None
    x = torch.empty(2, 600_000)
    assert torchs_sums.sum_of(x.T, (0,), torch.empty(2)) is None  # torch adds up more than sixteen at a time


def test_infinities_and_what_is_no_number() -> None:
    x = torch.randn(40, 20, generator=rng(1))
    x[3, 4], x[5, 4], x[6, 7], x[8, 9] = torch.inf, -torch.inf, torch.nan, torch.inf
    for axes in ((0,), (1,), (0, 1)):
        torch.testing.assert_close(summed(x, axes), x.sum(axes), rtol=0, atol=0, equal_nan=True)
    zeros = torch.full((17, 5), -0.0)
    assert not summed(zeros, (0,)).signbit().logical_xor(zeros.sum(0).signbit()).any()


@pytest.mark.parametrize(("name", "value"), [("_TOGETHER", 32), ("_LEVELS", 3), ("_BESIDE", 2), ("_LANES", 16)])
def test_another_order_is_not_trusted(name: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torchs_sums.are_torchs.cache_clear()
    monkeypatch.setattr(torchs_sums, name, value)
    assert not torchs_sums.are_torchs()
    torchs_sums.are_torchs.cache_clear()
