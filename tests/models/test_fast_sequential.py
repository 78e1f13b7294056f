"""Layers in a row, run as one kernel where they can be and one by one where somebody looks."""

import pytest
import torch
from kernel_cases import Made, accelerated, assert_as_exact, down, filled, images, needs_kernels, results, up
from torch import nn

from unbraid.models.acceleration import accelerate
from unbraid.models.fast_convolution import FastConv2d
from unbraid.models.fast_sequential import FastSequential

IN_A_ROW: list[tuple[Made, tuple[int, int, int]]] = [
    (lambda: nn.Sequential(down(1, 8, 4, 2, 1), nn.ELU(), down(8, 8, 3, 1, 1), nn.ReLU(), up(8, 3, 2, 2)), (1, 8, 12)),
    (lambda: nn.Sequential(down(3, 4, 1), down(4, 16, 3, 1, 1), nn.ReLU(), nn.ReLU(), down(16, 2, 1)), (3, 5, 7)),
    (lambda: nn.Sequential(nn.Sequential(up(4, 8, 1), nn.ELU()), nn.Sequential(up(8, 2, 2, 2))), (4, 3, 3)),
    (lambda: nn.Sequential(nn.ELU(), down(4, 8, 3), nn.ELU(0.5), down(8, 4, 1), nn.Tanh(), down(4, 4, 1)), (4, 6, 6)),
    (lambda: nn.Sequential(*twice(down(4, 4, 3, 1, 1), nn.ReLU())), (4, 6, 6)),
    (lambda: nn.Sequential(dense(20, 40), nn.ELU(), dense(40, 7)), (20,)),
    (
        lambda: nn.Sequential(dense(256, 131), nn.ReLU(), nn.Sequential(dense(131, 300), nn.ELU()), dense(300, 1)),
        (256,),
    ),
    (lambda: nn.Sequential(down(2, 4, 3, 1, 1), nn.Flatten(), dense(96, 16), nn.ELU(), dense(16, 6)), (2, 4, 6)),
    (lambda: nn.Sequential(dense(5, 96), nn.ELU(), nn.Unflatten(1, (4, 4, 6)), up(4, 8, 1), up(8, 3, 4, 2, 1)), (5,)),
    (lambda: nn.Sequential(dense(5, 36), *seen((4, 3, 3)), up(4, 8, 1), nn.ReLU(), nn.Flatten(), dense(72, 3)), (5,)),
    (lambda: nn.Sequential(dense(5, 36), *seen((4, 3, 3)), nn.Flatten(), dense(36, 3), nn.ELU(), nn.Flatten()), (5,)),
    (lambda: nn.Sequential(down(2, 4, 3, 1, 1), nn.Flatten(), nn.Unflatten(1, (8, 4, 4)), down(8, 4, 1)), (2, 4, 8)),
    (lambda: nn.Sequential(dense(5, 36), nn.ELU(), nn.Unflatten(1, (4, 3, 3)), nn.ReLU(True), up(4, 8, 1)), (5,)),
    (
        lambda: nn.Sequential(down(2, 4, 2, 2), nn.ELU(), nn.Flatten(), nn.ReLU(True), dense(4, 3)),
        (2, 2, 2),
    ),
    (lambda: nn.Sequential(nn.Flatten(), dense(8, 600), nn.ELU(), dense(600, 500), nn.ELU(), dense(500, 3)), (2, 2, 2)),
]


def dense(inputs: int, outputs: int) -> nn.Module:
    return filled(nn.Linear(inputs, outputs))


def seen(size: tuple[int, int, int]) -> list[nn.Module]:
    return [nn.Unflatten(1, size), nn.ELU(), nn.Flatten(2), nn.Unflatten(2, size[1:])]


def twice(*layers: nn.Module) -> list[nn.Module]:
    return [*layers, *layers]


@needs_kernels
@pytest.mark.parametrize("count", [5, 70])
@pytest.mark.parametrize("which", range(len(IN_A_ROW)))
def test_rows_of_layers_give_what_they_give_one_by_one(threads: int, which: int, count: int) -> None:
    made, size = IN_A_ROW[which]
    plain = made()
    ours, x = accelerated(plain), images(count, *size)
    assert_as_exact(ours, plain, x)
    trained = ours(x)
    with torch.no_grad():
        assert torch.equal(ours(x), trained)


def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where the number of layers of each run of a kernel forward will stand."""
    from unbraid.models import chain_kernels

    kernel, found = chain_kernels.forward_kernel, list[int]()
    monkeypatch.setattr(chain_kernels, "forward_kernel", lambda chain: found.append(len(chain)) or kernel(chain))
    return found


@needs_kernels
def test_convolutions_in_a_row_are_run_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    net, found = nn.Sequential(down(1, 8, 4, 2, 1), nn.ReLU(), down(8, 8, 3, 1, 1), nn.ELU()), calls(monkeypatch)
    accelerate(net)
    x = images(2, 1, 8, 8)
    for part in (net, net[:3], net[2:], net[:2]):
        part(x if part[0] is net[0] else net[:2](x))
    assert found == [2, 2, 1, 1, 1]
    found.clear()
    large = nn.Sequential(*(down(16, 16, 3, 1, 1) for _ in range(5)))
    accelerate(large)
    large(images(1, 16, 64, 64))
    assert len(found) > 1 and sum(found) == 5  # more images than the cache would hold
    found.clear()
    part_way = nn.Sequential(down(2, 4, 1), down(4, 4, 2, 2), down(4, 4, 1))
    accelerate(part_way)
    part_way(images(1, 2, 5, 5))
    assert found == [1, 1]  # between them torch's own, whose stride leaves pixels over


HOOKS = [
    "register_forward_hook",
    "register_forward_pre_hook",
    "register_full_backward_hook",
    "register_full_backward_pre_hook",
]


@needs_kernels
def test_frozen_layers_before_others_keep_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = nn.Sequential(down(3, 8, 3, 1, 1), nn.ReLU(), down(8, 8, 3, 1, 1), nn.ReLU(), down(8, 4, 1))
    plain[0].requires_grad_(False)
    ours, x, found = accelerated(plain), images(2, 3, 6, 6), calls(monkeypatch)
    for net in (ours, plain):
        net(x).square().sum().backward()
    assert found == [1, 2] and ours[0].weight.grad is None
    for layer in (2, 4):
        torch.testing.assert_close(ours[layer].weight.grad, plain[layer].weight.grad, rtol=1e-4, atol=1e-4)


@needs_kernels
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("watched", range(6))
def test_hooks_see_what_they_would_see(watched: int, hook: str) -> None:
    layers = down(1, 8, 4, 2, 1), nn.ReLU(), down(8, 8, 3, 1, 1), nn.Flatten(), dense(128, 4), nn.ELU(), dense(4, 4)
    plain, x = nn.Sequential(*layers), images(2, 1, 8, 8)
    seen: list[torch.Tensor] = []

    def see(layer: nn.Module, *tensors: torch.Tensor | tuple[torch.Tensor | None, ...]) -> None:
        for each in tensors:
            seen.extend(tensor for tensor in (each if isinstance(each, tuple) else [each]) if tensor is not None)

    for net in (plain, accelerated(plain)):
        getattr(net[watched], hook)(see)
        net(x.requires_grad_()).square().sum().backward()
    count = len(seen) // 2
    assert count
    for mine, theirs in zip(seen[count:], seen[:count], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@needs_kernels
def test_dense_layers_learn_the_same_bits_on_any_number_of_threads() -> None:
    net, x = accelerated(nn.Sequential(dense(40, 33), nn.ELU(), dense(33, 5))), images(70, 40)
    before, found = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append([result.clone() for result in results(net, x)])
    torch.set_num_threads(before)
    assert all(torch.equal(*both) for both in zip(*found, strict=True))


@needs_kernels
def test_dense_layers_with_many_weights_stand_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    found = calls(monkeypatch)
    accelerated(nn.Sequential(dense(8, 600), nn.ELU(), dense(600, 500), nn.ELU(), dense(500, 3)))(images(2, 8))
    assert found == [1, 1]


@needs_kernels
def test_what_torch_refuses_is_refused() -> None:
    net = accelerated(nn.Sequential(dense(4, 4), nn.ELU(), dense(4, 3)))
    for given in (torch.tensor(1.0), torch.ones(2, 5)):
        with pytest.raises(RuntimeError, match=r"linear|mat"):
            net(given)
    with pytest.raises(RuntimeError, match=r"shape|size"):
        accelerated(nn.Sequential(dense(4, 36), *twice(nn.Unflatten(1, (4, 3, 3))), up(4, 8, 1)))(images(2, 4))
    with pytest.raises(RuntimeError, match=r"shape|size"):
        accelerated(nn.Sequential(down(2, 4, 1), nn.Unflatten(1, (4, 4, 4)), down(4, 8, 1)))(images(2, 2, 4, 4))


@needs_kernels
def test_hooks_on_all_modules_see_every_layer() -> None:
    net, seen = nn.Sequential(down(1, 8, 4, 2, 1), nn.ReLU(), down(8, 8, 3, 1, 1)), list[type[nn.Module]]()
    accelerate(net)
    handle = nn.modules.module.register_module_forward_hook(lambda layer, given, made: seen.append(type(layer)))
    net(images(2, 1, 8, 8))
    handle.remove()
    assert seen == [FastConv2d, nn.ReLU, FastConv2d, FastSequential]


@needs_kernels
def test_layers_of_anyone_stand_between_convolutions() -> None:
    class Snake(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.alpha = nn.Parameter(torch.ones(8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.sin(self.alpha[:, None, None] * x) ** 2

    plain, x = nn.Sequential(down(1, 8, 4, 2, 1), Snake(), down(8, 8, 3, 1, 1)), images(2, 1, 8, 8)
    ours = accelerated(plain)
    for mine, theirs in zip(results(ours, x), results(plain, x), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    plain[0].forward = ours[0].forward = lambda given: given.expand(-1, 8, -1, -1)
    torch.testing.assert_close(ours(x), plain(x), rtol=1e-4, atol=1e-5)

    class Louder(FastConv2d):
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(given)

    single = accelerated(nn.Sequential(plain[2], nn.ReLU()))
    code = images(2, 8, 4, 4)
    before = single(code)
    single[0].__class__ = Louder
    torch.testing.assert_close(single(code), 2 * before)


@needs_kernels
@pytest.mark.filterwarnings("ignore:.*jit.script:DeprecationWarning")  # torch's own, where it makes ready for them
def test_derivatives_forward_are_torch_s() -> None:
    from torch.autograd import forward_ad

    net, x = nn.Sequential(down(1, 8, 4, 2, 1), nn.ReLU()).requires_grad_(False), images(2, 1, 8, 8)
    accelerate(net)
    with forward_ad.dual_level():
        assert forward_ad.unpack_dual(net(forward_ad.make_dual(x, torch.ones_like(x)))).tangent is not None


@needs_kernels
def test_what_comes_out_may_be_written_over_where_no_activation_ends_it() -> None:
    plain, x = nn.Sequential(down(1, 8, 4, 2, 1), nn.ReLU(), down(8, 8, 3, 1, 1)), images(2, 1, 8, 8)
    found = []
    for net in (plain, accelerated(plain)):
        net(x).mul_(2).square().sum().backward()
        found.append([parameter.grad for parameter in net.parameters()])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@needs_kernels
@pytest.mark.parametrize("after", [nn.ReLU(inplace=True), nn.Dropout(0.0, inplace=True), nn.Hardtanh(inplace=True)])
def test_layers_after_elu_may_write_over_it(after: nn.Module) -> None:
    plain, x = nn.Sequential(down(1, 8, 4, 2, 1), nn.ELU(), after, down(8, 8, 3, 1, 1)), images(2, 1, 8, 8)
    for mine, theirs in zip(results(accelerated(plain), x), results(plain, x), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@needs_kernels
def test_sequences_of_another_kind_stay_as_they_are() -> None:
    class Keeping(nn.Sequential):
        pass

    net = Keeping(nn.Sequential(down(3, 3, 3)), nn.Tanh())
    accelerate(net)
    assert [type(each) for each in net] == [FastSequential, nn.Tanh] and type(net) is Keeping
