"""Whole networks with what is faster on this machine, and without."""

import pytest
import torch
from kernel_cases import Made, down, layer, needs_kernels, rng, run_python, up
from torch import nn

from unbraid.models import ARCHITECTURES, build
from unbraid.models.acceleration import accelerate


@needs_kernels
def test_names_of_weights_stay() -> None:
    plain = build("burgess", (1, 64, 64), seed=0)
    names = list(plain.state_dict())
    accelerate(plain)
    assert list(plain.state_dict()) == names


@pytest.mark.parametrize(
    ("made", "shape", "operators"),
    [
        (lambda: layer(200, 100), (3, 5, 200), ["linear"]),
        pytest.param(lambda: down(4, 16, 3, 1, 1), (3, 5, 4, 6, 6), ["conv2d", "relu"], marks=needs_kernels),
        pytest.param(lambda: up(4, 2, 4, 2, 1), (3, 5, 4, 6, 6), ["conv_transpose2d", "relu"], marks=needs_kernels),
    ],
)
def test_vmap_and_export_see_torch_s_own_operators(made: Made, shape: tuple[int, ...], operators: list[str]) -> None:
    net, x = nn.Sequential(made(), nn.ReLU()), torch.randn(shape, generator=rng(4))
    kind, plain = type(net[0]), torch.stack([net(each) for each in x])
    accelerate(net)
    assert type(net[0]) is not kind
    torch.testing.assert_close(torch.vmap(net)(x), plain)
    graph = str(torch.export.export(net, (x[0],)).graph)
    assert "mkldnn" not in graph and all(operator in graph for operator in operators)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_gives_the_same_with_it(name: str) -> None:
    shape = (1, 32, 32) if "balls" in name else (1, 64, 64)
    plain, ours = build(name, shape, seed=0), build(name, shape, seed=0)
    accelerate(ours)
    x = torch.rand(4, *shape, generator=rng(5))
    noise = torch.randn(4, plain.latent_dim, generator=rng(6))
    found = []
    for net in (ours, plain):
        outputs = net(x, noise)
        outputs[0].square().mean().backward()
        found.append([*outputs, *(parameter.grad for parameter in net.parameters())])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_export_takes_batches_of_every_size_with_it() -> None:
    net = build("burgess", (1, 64, 64), seed=0)
    accelerate(net)
    sizes = ({0: torch.export.Dim("batch")},)
    exported = torch.export.export(net.encoder, (torch.zeros(2, 1, 64, 64),), dynamic_shapes=sizes).module()
    x = torch.rand(20, 1, 64, 64, generator=rng(12))
    torch.testing.assert_close(exported(x), net.encoder(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("missing", ["processor", "llvmlite"])
def test_where_there_are_no_kernels_layers_stay_as_they_are(missing: str) -> None:
    without = 'import sys; sys.modules["llvmlite"] = None' if missing == "llvmlite" else ""
    script = f"""
{without}
from unbraid import kernels
from unbraid.models import acceleration, build
net = build("balls_all_conv", (3, 32, 32), seed=0)
kinds = [type(layer) for layer in net.modules()]
acceleration.accelerate(net)
assert not kernels.has_kernels() and kinds == [type(layer) for layer in net.modules()]
import unbraid.export.graph
"""
    run_python("-c", script, **({"ATEN_CPU_CAPABILITY": "default"} if missing == "processor" else {}))
