"""Pixels that a kernel moves against those that torch moves."""

import pytest
import torch
from kernel_cases import accelerated, images, needs_kernels, rng
from torch import nn

from unbraid.models.fast_pixel_shuffle import FastPixelShuffle


@needs_kernels
@pytest.mark.parametrize(
    ("shape", "factor"), [((5, 16, 4, 4), 4), ((3, 12, 5, 3), 2), ((2, 27, 2, 7), 3), ((1, 2, 3, 1), 1)]
)
def test_pixels_and_gradients_are_torch_s(threads: int, shape: tuple[int, ...], factor: int) -> None:
    plain, given = nn.PixelShuffle(factor), images(*shape)
    ours = accelerated(plain)
    assert type(ours) is FastPixelShuffle
    found = []
    for net in (ours, plain):
        x = given.clone(memory_format=torch.preserve_format).requires_grad_()
        made = net(x)
        made.backward(torch.randn(made.shape, generator=rng(3)))
        found.append((made, x.grad))
    assert found[0][0].grad_fn.name() == "_PixelShuffleBackward"
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


@needs_kernels
def test_what_it_does_not_know_goes_torch_s_way() -> None:
    ours = accelerated(nn.PixelShuffle(2))
    planes, x = torch.randn(2, 8, 3, 4, generator=rng(0)), images(2, 8, 3, 4)
    for given in (planes, x[0], x.double(), x[:0]):
        assert torch.equal(ours(given), nn.functional.pixel_shuffle(given, 2))
    torch.testing.assert_close(torch.vmap(ours)(x[:, None]), nn.functional.pixel_shuffle(x[:, None], 2))
    with pytest.raises(RuntimeError, match="divisible"):
        ours(images(2, 6, 3, 4))
