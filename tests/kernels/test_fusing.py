"""Operators in a row by one kernel: the bits of torch's, in fewer entries of a tape."""

from collections.abc import Callable

import pytest
import torch
from kernel_cases import needs_kernels, rng
from torch import Tensor

from unbraid.kernels.tape import Tape

fusing = pytest.importorskip("unbraid.kernels.fusing")
pointwise = pytest.importorskip("unbraid.kernels.pointwise")
pytestmark = needs_kernels


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=rng(seed))


def written_over(x: Tensor, y: Tensor) -> Tensor:
    """Reads what is written before at another place than its own number's."""
    made = x * 2 + 5
    return made.t() * 3 + made[0, 0] - made.sum(0)[:, None]


FUSED: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], tuple[int, ...], tuple[int, ...], int]] = {
    "all operators": (
        lambda x, y: ((2 * x + y - 3) * x / (y * y + 1.5) - (4 - x)) ** 2 / 7 + (-(x**3)) * torch.reciprocal(y),
        (5, 7),
        (5, 7),
        1,
    ),
    "one operator": (lambda x, y: x + y, (5, 7), (5, 7), 1),
    "no axis": (lambda x, y: x * y + x, (), (), 1),
    "a number for all": (lambda x, y: (x - y) * y, (3, 50), (), 1),
    "rows and columns": (lambda x, y: (x - y) * x + y, (6, 1, 10), (6, 10), 1),
    "other shapes": (lambda x, y: (x * 2 + 3) * (y * 3 - 4), (4, 6), (6,), 1),
    "what lies turned": (lambda x, y: x.t() * y + x.t(), (9, 4), (4, 9), 1),
    "parts of another": (lambda x, y: x[:, :3] * x[:, 3:] + y[:, ::2], (8, 6), (8, 6), 1),
    "many numbers in a row": (lambda x, y: (x + y) * x, (64, 1024), (64, 1024), 1),
    "many that are no multiple": (lambda x, y: (x + y) * x, (17, 1031), (17, 1031), 1),
    "many with many": (lambda x, y: (x[:, None] - y[None]) ** 2 * 0.5, (64, 10), (64, 10), 1),
    "channels last": (
        lambda x, y: (x.contiguous(memory_format=torch.channels_last) * y + y) * 2,
        (16, 8, 16, 16),
        (16, 1, 16, 16),
        2,  # the first is a copy
    ),
    "a unit added, and the first power": (lambda x, y: ((1 - x) * y + 1) ** 1 - 1, (4, 6), (4, 6), 1),
    "an exponential of many numbers": (lambda x, y: (x + y).exp() - y, (64, 1024), (64, 1024), 3),
    "of many that are no multiple": (lambda x, y: (x + y).exp() - y, (33, 1031), (33, 1031), 3),
    "an exponential between": (lambda x, y: (x * y + 5).exp() * y + 2, (4, 6), (4, 6), 1),
    "of what lies turned": (lambda x, y: (x.t() * 2).exp() + y.square().log(), (4, 6), (6, 4), 1),
    "functions by vectors": (lambda x, y: torch.expm1(x * 2) * torch.log1p(y * y), (5, 7), (5, 7), 1),
    "a hyperbola": (lambda x, y: torch.tanh(x * y), (3, 50), (3, 50), 1),
    "an exponential with gaps": (lambda x, y: torch.exp(x[:, ::2]) * y, (4, 12), (4, 6), 2),
    "sums and means": (lambda x, y: (x.sum(0) * y.mean(1) - x.mean()) / y.sum(), (9, 5), (5, 7), 1),
    "a mean for each": (lambda x, y: (x - x.mean(0, keepdim=True)) * y, (64, 10), (64, 10), 1),
    "no numbers": (lambda x, y: x.exp().sum(0) * torch.cat([x, y]).sum(1)[:3] * 2, (0, 3), (5, 3), 3),
    "a logarithm of one": (lambda x, y: (x * y).logsumexp(0) * 2, (), (), 3),
    "logarithms of sums": (lambda x, y: (x * 9).logsumexp(1) + y.logsumexp(0, keepdim=True), (7, 7), (50, 7), 1),
    "many logarithms of sums": (lambda x, y: (x + y).logsumexp([1]) * 2, (64, 64, 10), (64, 1, 10), 6),
    "of what is not finite": (lambda x, y: (x / y.floor()).logsumexp(0), (40, 30), (40, 30), 2),
    "sums over axes apart": (lambda x, y: (x + 2) * y.sum([0, 2]), (64, 10), (2, 10, 3), 3),
    "sums of double precision": (lambda x, y: (x + 2) * y.sum(0, dtype=torch.float64).float(), (4, 6), (3, 6), 4),
    "many sums of many": (lambda x, y: (x + y).sum(2) * 2, (64, 64, 10), (64, 1, 10), 3),
    "tensors side by side": (lambda x, y: torch.cat([x * 2, y, x + y], 1) * 3, (6, 4), (6, 4), 1),
    "on top of each other": (lambda x, y: torch.cat([x, y]).exp(), (6, 4), (3, 4), 1),
    "numbers beside others": (lambda x, y: torch.cat([x, y.double()], 1) * 3.0, (6, 4), (6, 4), 3),
    "roots, which MKL rounds": (lambda x, y: ((x * x + 0.5) * y.square()).sqrt() + y * 2, (4, 6), (4, 6), 3),
    "zeros and ones, which LLVM leaves out": (lambda x, y: (x * y * 3) * 1.0 + y * 2, (4, 6), (4, 6), 3),
    "powers that torch rounds": (lambda x, y: (x * y) ** 4 + x * y + 5, (4, 6), (4, 6), 3),
    "weights of a sum": (lambda x, y: torch.add(x * 2, y, alpha=0.3) * 2 + 5, (4, 6), (4, 6), 3),
    "what was written before": (written_over, (6, 6), (1,), 1),
    "numbers of other kinds": (lambda x, y: (x * y + 5).double() * 2 + 5, (4, 6), (4, 6), 4),
    "numbers no float can be": (lambda x, y: x * 1e300 * 7 + y, (4, 6), (4, 6), 2),
}


@pytest.mark.parametrize("name", FUSED)
def test_a_kernel_has_the_bits_of_torch(threads: int, name: str) -> None:
    act, *shapes, entries = FUSED[name]
    x, y = (normal(*shape, seed=seed) for seed, shape in enumerate(shapes))
    with Tape() as written:
        made = act(x, y)
    assert not written.refused
    written.program = fusing.fused(written)
    assert len(written.program) == entries
    for seed in (5, 6):
        x.copy_(normal(*x.shape, seed=seed))
        y.copy_(normal(*y.shape, seed=seed + 10))
        written.replay()
        torch.testing.assert_close(made, act(x, y), rtol=0, atol=0, equal_nan=True)


def test_a_constant_is_not_the_operand_of_that_number() -> None:
    """Which would have the same kernel: the product of the first line is operand 2."""
    x, y = normal(3, 5), normal(3, 5, seed=1)
    for act in (lambda product: y * product, lambda product: y * 2.0):
        with Tape() as written:
            made = act(x * y)
        expected = made.clone()
        written.program = fusing.fused(written)
        made.zero_()
        written.replay()
        assert torch.equal(made, expected)


@pytest.mark.parametrize("value", [1 + 1e-9, -1 - 1e-9])
def test_what_is_one_as_a_float_is_known_as_one(value: float) -> None:
    assert not pointwise._is_known("mul", value) and not pointwise._is_known("div", value)
    assert not pointwise._is_known("sub", 1e-46) and pointwise._is_known("sub", value)


@pytest.mark.parametrize(
    ("act", "numbers", "is_ours"),
    [
        (torch.exp, 2**18, True),
        (torch.exp, 262_147, False),  # a prime: no pieces of one size
        (lambda x: x.view(64, -1).sum(0), 64 * 1031, True),
        (lambda x: x.view(256, -1).sum(0), 256 * 1031, False),
    ],
)
def test_what_one_thread_would_do_for_long_is_torchs(
    act: Callable[[Tensor], Tensor], numbers: int, is_ours: bool
) -> None:
    x = normal(numbers)
    with Tape() as written:
        act(x)
    (entry,) = fusing.fused(written)[-1:]
    assert (entry.of is None) is is_ours


def test_what_is_alike_is_compiled_once() -> None:
    def record() -> None:
        x = normal(3, 11)
        with Tape() as written:
            x * 0.123456 + x
        written.program = fusing.fused(written)

    record()
    before = fusing._kernel.cache_info()
    record()
    after = fusing._kernel.cache_info()
    assert (after.hits, after.misses) == (before.hits + 1, before.misses)
