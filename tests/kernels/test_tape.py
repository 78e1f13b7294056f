"""Steps written down and done again: the same bits, or refused."""

from collections.abc import Callable

import pytest
import torch
from kernel_cases import accelerated, down, filled, images, needs_kernels, rng
from torch import Tensor, nn

from unbraid.kernels import tape
from unbraid.kernels.tape import Tape


def added_to_a_constant(x: Tensor) -> Tensor:
    total = torch.tensor(0.5)
    total += x.sum()
    return total


def filled_in_place(x: Tensor) -> Tensor:
    made = torch.zeros(4, 6)
    made[1:3] += x[:2]
    made.mul_(2)
    return made.t() @ x.softmax(1)


REPLAYED: dict[str, Callable[[Tensor], Tensor]] = {
    "numbers beside tensors": lambda x: 2 * x + 1 - x**2 / 3 + x**3 - (1 - x),
    "views": lambda x: x[1:].t().reshape(-1).view(2, -1).chunk(3, 1)[1].expand(2, -1).flatten(),
    "sums": lambda x: x.mean() + x.sum(0).square().sum() + x.std(1).sum() + torch.logsumexp(x, 1).mean(),
    "choices": lambda x: torch.where(x > 0, x, 0.1 * x).clamp(max=1).gather(1, x.argsort(1)).triu(1),
    "lists of tensors": lambda x: torch.cat([*x.unbind(1), x[:, 0]]) + torch.stack([x, x]).sum(),
    "makers": lambda x: x * torch.eye(6)[:4] + torch.arange(2, 8) + x.new_zeros(6) + torch.full((6,), 2.0),
    "a constant": lambda x: x * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    "a constant that is added to": added_to_a_constant,
    "in place": filled_in_place,
    "losses that reduce": lambda x: nn.functional.mse_loss(x, x.roll(1, 0)) + nn.functional.huber_loss(x, 2 * x),
    "cross-entropy": lambda x: nn.functional.binary_cross_entropy(x.sigmoid(), x.sigmoid().roll(1, 0), reduction="sum"),
    "an operator with two results": lambda x: x.max(1).values.sum() + x.cummax(0).values.square().sum(),
    "a gradient that is not asked for": lambda x: nn.functional.conv2d(x.detach()[None, None], x[None, None, :2, :2]),
    "pixels that move": lambda x: nn.functional.pixel_shuffle(x.reshape(1, 4, 2, 3), 2),
}


@pytest.mark.parametrize("name", REPLAYED)
def test_a_replay_makes_of_other_numbers_what_torch_makes_of_them(name: str) -> None:
    act, x = REPLAYED[name], torch.randn(4, 6, generator=rng(0)).requires_grad_()
    with Tape() as written:
        made = act(x)
        (slope,) = torch.autograd.grad(made.square().sum(), x)
    assert not written.refused
    written.leave_constants([made, slope])
    for seed in (1, 2):
        anew = torch.randn(4, 6, generator=rng(seed)).requires_grad_()
        with torch.no_grad():
            x.copy_(anew)
        written.replay()
        expected = act(anew)
        assert torch.equal(made, expected)
        assert torch.equal(slope, torch.autograd.grad(expected.square().sum(), anew)[0])


@pytest.mark.parametrize(
    "act",
    [
        lambda x: x * torch.rand(6),
        lambda x: nn.functional.dropout(x),
        lambda x: x * float(x.sum()),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x * 2 if torch.equal(x, x) else x,
        lambda x: torch.ops.aten._native_batch_norm_legit(x, None, None, x.new_ones(6), x.new_ones(6), True, 0.1, 1e-5)[
            0
        ],
        lambda x: x.to_sparse() @ x.t(),
        lambda x: torch.empty(2**27) + x[0, 0],
        lambda x: torch.nn.functional.conv2d(
            x.reshape(1, 1, 4, 6).expand(1, 1, 4, 6).repeat(64, 1, 16, 16), x.new_ones(16, 1, 3, 3)
        ),
    ],
)
def test_what_python_has_seen_or_chance_has_drawn_is_refused(act: Callable[[Tensor], Tensor]) -> None:
    with Tape() as written:
        act(torch.randn(4, 6, generator=rng(0)))
    assert written.refused


def test_only_the_innermost_mode_is_a_tape_that_runs() -> None:
    assert tape.running() is None
    with Tape() as written:
        assert tape.running() is written
    assert tape.running() is None


def constants_and_numbers(x: Tensor) -> Tensor:
    scale = torch.arange(1, 7).float() / torch.full((6,), 4.0)
    return x * scale + torch.ones_like(x)


def added_by_a_list(x: Tensor) -> Tensor:
    total = torch.zeros(4, 6)
    torch._foreach_add_([total], [x])  # says of no result that it is written
    return total


@pytest.mark.parametrize(
    ("act", "entries"),
    [
        (constants_and_numbers, 2),  # a product and a sum
        (lambda x: x.new_zeros(6).add_(1), 2),  # written twice: as it was after the first it must be again
        (lambda x: torch.full((6,), 2.0) * x.new_ones(6), 1),  # handed out
        (lambda x: torch.zeros_like(x) + x.sum(), 2),
        (added_by_a_list, 2),
    ],
)
def test_constants_are_left_where_they_stand(act: Callable[[Tensor], Tensor], entries: int) -> None:
    x = torch.randn(4, 6, generator=rng(0))
    with Tape() as written:
        made = act(x)
    written.leave_constants([made])
    assert len(written.program) == entries
    x.add_(1)
    made.fill_(7)
    written.replay()
    assert torch.equal(made, act(x))


@needs_kernels
def test_kernels_are_on_the_tape() -> None:
    net = accelerated(nn.Sequential(down(1, 8, 3, 2, 1), nn.ReLU(), nn.Flatten(), filled(nn.Linear(8 * 64, 12))))
    weights = list(net.parameters())
    x = images(5, 1, 16, 16)
    with Tape() as written:
        made = net(x)
        slopes = torch.autograd.grad(made.square().sum(), weights)
    assert not written.refused
    anew = images(5, 1, 16, 16, seed=7)
    x.copy_(anew)
    with torch.no_grad():
        weights[0].mul_(1.5)
    written.replay()
    expected = net(anew)
    assert torch.equal(made, expected)
    for slope, other in zip(slopes, torch.autograd.grad(expected.square().sum(), weights), strict=True):
        assert torch.equal(slope, other)
