"""Small layers with known weights, and what their kernels are held beside."""

import copy
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn

from unbraid.kernels import has_kernels
from unbraid.models.acceleration import accelerate

needs_kernels = pytest.mark.skipif(not has_kernels(), reason="no kernels for this processor")


def layer(inputs: int, outputs: int) -> nn.Linear:
    linear = nn.utils.skip_init(nn.Linear, inputs, outputs)
    linear.weight.data = torch.randn(outputs, inputs, generator=rng(0))
    linear.bias.data = torch.randn(outputs, generator=rng(1))
    return linear


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


Made = Callable[[], nn.Module]


def accelerated(plain: nn.Module) -> nn.Module:
    """A copy with its faster kernels, to be held beside the plain one."""
    ours = copy.deepcopy(plain)
    accelerate(ours)
    return ours


def filled(module: nn.Module) -> nn.Module:
    """With numbers of a size at which neither sums nor gradients explode."""
    for place, parameter in enumerate(module.parameters()):
        scale = parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.1
        parameter.data = scale * torch.randn(parameter.shape, generator=rng(place))
    return module


def images(*shape: int, seed: int = 2) -> torch.Tensor:
    made = torch.randn(shape, generator=rng(seed))
    return made.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else made


def down(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Module:
    return filled(nn.Conv2d(inputs, outputs, kernel, stride, padding))


def up(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0, more: int = 0) -> nn.Module:
    return filled(nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, more))


def results(net: nn.Module, x: torch.Tensor, seed: int = 3) -> list[torch.Tensor]:
    """What comes out, and the gradients of the images and of every parameter."""
    net.zero_grad()
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    out = net(x)
    out.backward(torch.randn(out.shape, generator=rng(seed)).to(out.dtype))
    gradients = [x.grad, *(parameter.grad for parameter in net.parameters())]
    assert all(gradient is not None for gradient in gradients)
    return [out.detach(), *(gradient for gradient in gradients if gradient is not None)]


def assert_as_exact(ours: nn.Module, plain: nn.Module, x: torch.Tensor) -> None:
    """Both beside the same in float64."""
    exact = copy.deepcopy(plain).double()
    # not channels_last: of a strided 1x1 and few channels, oneDNN's AVX2 writes beyond its memory (its issue 6035)
    by_torch = results(plain, x.contiguous())
    for mine, torchs, true in zip(results(ours, x), by_torch, results(exact, x.double()), strict=True):
        assert mine.shape == true.shape
        error, allowed = (mine - true).norm(), (torchs - true).norm()
        assert error <= 3 * allowed + 3e-6 * true.norm()


def run_python(*arguments: str, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
