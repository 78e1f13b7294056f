"""Channels that become pixels, on the CPU by a kernel that copies those of a row together."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from unbraid.kernels.transformed import holds_floats, is_plainly_run, with_floats


class FastPixelShuffle(nn.PixelShuffle):
    """nn.PixelShuffle of a batch of images whose channels lie last, as convolutions leave them; the same numbers."""

    def forward(self, input: Tensor) -> Tensor:
        if not is_plainly_run() or not holds_floats(input) or not _fits(input, self.upscale_factor):
            return super().forward(input)
        return _PixelShuffle.apply(input, self.upscale_factor)


def _fits(x: Tensor, factor: int) -> bool:
    channels_last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return channels_last and x.numel() > 0 and factor > 0 and x.shape[1] % factor**2 == 0


class _PixelShuffle(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: int) -> Tensor:
        count, channels, height, width = x.shape
        made = x.new_empty(count, channels // factor**2, factor * height, factor * width)
        _run(x, made, factor, back=False)
        ctx.factor = factor
        return made

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        count, channels, height, width = grad.shape
        size = count, channels * ctx.factor**2, height // ctx.factor, width // ctx.factor
        made = torch.empty(size, dtype=grad.dtype, memory_format=torch.channels_last)
        _run(made, with_floats(grad).contiguous(), ctx.factor, back=True)
        return made, None


def _run(cells: Tensor, pixels: Tensor, factor: int, back: bool) -> None:
    """From cells [N, C factor^2, H, W], channels last, to pixels [N, C, factor H, factor W], or back."""
    from unbraid.kernels.machine_code import shares_of

    _, channels, height, width = cells.shape
    kernel = _kernel(channels // factor**2, height, width, factor, back)
    kernel(len(cells), shares_of(len(cells)), [cells, pixels])


@lru_cache(32)
def _kernel(channels: int, height: int, width: int, factor: int, back: bool) -> Any:
    from unbraid.kernels.machine_code import Code, Span, compiled

    cell, line = channels * factor**2, factor * width

    def work(code: Code, images: Span, arrays: Sequence[Any]) -> None:
        with (
            code.loop(*images) as image,
            code.loop(height) as y,
            code.loop(channels) as channel,
            code.loop(factor) as row,
            code.loop(width) as x,
        ):
            corner = code.add(code.multiply(code.add(code.multiply(image, height), y), width), x)
            inner = code.add(code.multiply(channel, factor), row)
            down = code.add(code.multiply(code.add(code.multiply(image, channels), channel), height), y)
            at = code.add(code.multiply(corner, cell), code.multiply(inner, factor))
            to = code.add(code.multiply(code.add(code.multiply(down, factor), row), line), code.multiply(x, factor))
            source, target = code.at(arrays[0], at), code.at(arrays[1], to)
            if back:
                source, target = target, source
            code.copy(source, target, factor)

    return compiled(2, work)
