"""Kernels of single convolutions against torch's own, in float64 where it matters which of the two is nearer."""

import copy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from kernel_cases import (
    Made,
    accelerated,
    assert_as_exact,
    down,
    images,
    layer,
    needs_kernels,
    results,
    rng,
    run_python,
    up,
)
from torch import nn

from unbraid.kernels.machine_code import lanes
from unbraid.models.acceleration import accelerate
from unbraid.models.fast_convolution import FastConv2d, FastConvTranspose2d

CONVOLUTIONS: list[tuple[Made, tuple[int, int]]] = [
    (lambda: down(1, 32, 4, 2, 1), (64, 64)),
    (lambda: down(3, 32, 4, 2, 1), (8, 16)),
    (lambda: down(32, 32, 4, 2, 1), (16, 16)),
    (lambda: down(8, 8, 3, 1, 1), (9, 7)),
    (lambda: down(8, 4, 1), (8, 8)),
    (lambda: down(1, 16, 8, 4, 2), (16, 32)),
    (lambda: down(5, 6, 3, 2, 1), (6, 10)),
    (lambda: down(2, 4, 3, 1, 1), (6, 5)),
    (lambda: down(40, 48, 2, 2), (4, 4)),
    (lambda: down(2, 3, 1, 2), (4, 6)),  # pixels that no window sees
    (lambda: down(3, 20, 5, 1), (7, 5)),
    (lambda: up(32, 32, 4, 2, 1), (8, 8)),
    (lambda: up(32, 1, 4, 2, 1), (32, 32)),
    (lambda: up(16, 3, 4, 2, 1), (5, 7)),
    (lambda: up(8, 8, 3, 2, 1, 1), (4, 4)),
    (lambda: up(8, 1, 3, 2, 1, 1), (8, 8)),
    (lambda: up(8, 3, 4, 2, 0), (6, 3)),
    (lambda: up(4, 8, 1), (8, 8)),
    (lambda: up(6, 2, 5, 3, 2, 2), (4, 5)),
    (lambda: up(3, 9, 3, 1, 1), (1, 4)),
    (lambda: up(2, 12, 2, 3, 0, 1), (3, 3)),  # pixels in no window
    (lambda: down(8, 24, 3, 1, 4), (3, 5)),  # windows that see no pixel
    (lambda: down(4, 4, 3, 1, 1), (13, 17)),  # sides that no tile divides
    (lambda: up(16, 8, 3, 1, 1), (13, 17)),
    (lambda: up(20, 2, 4, 2, 1), (2, 29)),
    (lambda: down(128, 2, 1), (4, 4)),
    (lambda: up(8, 8, 9, 2, 4, 1), (5, 6)),  # five taps in a row, and four
]


@needs_kernels
@pytest.mark.parametrize("activation", [None, nn.ReLU, nn.ELU])
@pytest.mark.parametrize("which", range(len(CONVOLUTIONS)))
def test_convolutions_are_as_exact_as_torch_s(threads: int, which: int, activation: type[nn.Module] | None) -> None:
    made, size = CONVOLUTIONS[which]
    plain = nn.Sequential(made(), *([] if activation is None else [activation()]))
    ours = accelerated(plain)
    assert isinstance(ours[0], FastConv2d | FastConvTranspose2d)
    x = images(5, plain[0].in_channels, *size)
    assert ours(x).grad_fn.name() == "_ChainBackward"  # and not torch's own
    assert_as_exact(ours, plain, x)


@needs_kernels
def test_one_image_for_two_threads() -> None:
    plain = nn.Sequential(down(3, 16, 4, 2, 1), nn.ReLU())
    ours = accelerated(plain)
    x = images(1, 3, 8, 8)
    for mine, theirs in zip(results(ours, x), results(plain, x), strict=True):
        torch.testing.assert_close(mine, theirs)


@needs_kernels
def test_images_may_lie_in_any_way() -> None:
    plain = nn.Sequential(down(4, 16, 3, 1, 1), nn.ELU(), up(16, 4, 4, 2, 1))
    ours = accelerated(plain)
    rows = torch.randn(6, 2 * 4 * 8 * 8, generator=rng(4))
    for x in (rows[:, ::2].unflatten(1, (4, 8, 8)), rows[:, :8].view(6, 2, 2, 2).repeat(1, 2, 4, 4).mT):
        torch.testing.assert_close(ours(x), plain(x))
    x = images(2, 4, 8, 8)
    for gradient in (torch.tensor(0.3).expand(2, 4, 16, 16), images(2, 16, 16, 4, seed=5).permute(0, 3, 2, 1)):
        found = [torch.autograd.grad(net(x), [*net.parameters()], gradient) for net in (ours, plain)]
        for mine, theirs in zip(*found, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@needs_kernels
@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ELU()])
def test_what_is_not_a_number_stays_so(activation: nn.Module) -> None:
    net = nn.Sequential(down(1, 8, 1), activation)
    accelerate(net)
    x = images(2, 1, 4, 4)
    x[0, 0, 1, 2] = float("nan")
    out = net(x)
    assert out[0, :, 1, 2].isnan().all() and out.isnan().sum() == 8


@needs_kernels
def test_elu_from_the_least_to_the_greatest() -> None:
    net = nn.Sequential(nn.Conv2d(1, 8, 1), nn.ELU())
    nn.init.ones_(net[0].weight)
    nn.init.zeros_(net[0].bias)
    accelerate(net)
    at = torch.cat([-torch.logspace(-30, 38, 1001), torch.zeros(1), torch.logspace(-30, 38, 998)])
    x = torch.cat([at, torch.linspace(-20, 20, 2000)]).view(1, 1, 50, 80)
    x[0, 0, 0, :2] = torch.tensor([torch.inf, -torch.inf])
    torch.testing.assert_close(net(x)[:, :1].double(), nn.ELU()(x.double()), rtol=3e-7, atol=0)


@needs_kernels
@pytest.mark.parametrize("wanted", ["weight", "bias", "x"])
@pytest.mark.parametrize("made", [lambda: down(4, 16, 4, 2, 1), lambda: up(4, 2, 4, 2, 1)])
def test_only_the_gradient_that_is_asked_for(made: Made, wanted: str) -> None:
    plain, ours = made(), made()
    accelerate(ours)
    found = []
    for net in (plain, ours):
        x = images(3, 4, 8, 8)
        leaves = {"weight": net.weight, "bias": net.bias, "x": x}
        for name, leaf in leaves.items():
            leaf.requires_grad_(name == wanted)
        net(x).square().sum().backward()
        assert [name for name, leaf in leaves.items() if leaf.grad is not None] == [wanted]
        found.append(leaves[wanted].grad)
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-4)


@needs_kernels
def test_a_gradient_may_be_asked_for_twice_and_has_the_same_bits() -> None:
    net = nn.Sequential(down(3, 16, 4, 2, 1), nn.ReLU(), down(16, 8, 3, 1, 1))
    accelerate(net)
    loss = net(images(6, 3, 8, 8)).square().sum()
    first, second = (torch.autograd.grad(loss, net[0].weight, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second) and first.any()


@needs_kernels
def test_what_no_kernel_takes_goes_torch_s_way_with_its_activation() -> None:
    plain = nn.Sequential(down(3, 8, 4, 2, 1), nn.ELU(), up(8, 3, 4, 2, 1), nn.ReLU())
    ours = accelerated(plain)
    x = images(2, 3, 8, 8)
    assert torch.equal(ours(x[0]), plain(x[0]))  # without a batch
    assert torch.equal(ours(x[:0]), plain(x[:0]))
    code = plain[:2](x)
    assert torch.equal(ours[2](code, output_size=(8, 8)), plain[2](code))
    assert torch.equal(ours.double()(x.double()), plain.double()(x.double()))


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_default_dtype_and_device_change_nothing(dtype: torch.dtype) -> None:
    net = nn.Sequential(down(3, 8, 3, 1, 1), nn.ReLU())
    accelerate(net)
    x = images(2, 3, 8, 8)
    before = results(net, x)
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            out = net(x)
            gradients = torch.autograd.grad(out, [*net.parameters()], before[0])
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(out, before[0])
    assert all(gradient.isfinite().all() for gradient in gradients)


@needs_kernels
def test_saved_images_may_come_back_in_another_layout() -> None:
    net, found = nn.Sequential(down(3, 16, 3, 1, 1), nn.ELU()), []
    accelerate(net)
    for saved in (lambda t: t, lambda t: t.clone(memory_format=torch.contiguous_format)):
        with torch.autograd.graph.saved_tensors_hooks(saved, lambda t: t):
            out = net(images(4, 3, 8, 8))
        found.append(torch.autograd.grad(out.square().sum(), [*net.parameters()]))
    assert all(torch.equal(first, second) for first, second in zip(*found, strict=True))


@needs_kernels
def test_weights_that_were_replaced_are_used_as_they_are() -> None:
    plain = nn.Sequential(down(3, 8, 3, 1, 1), nn.ReLU())
    ours, x = accelerated(plain), images(2, 3, 8, 8)
    for net in (plain, ours):
        net[0].weight = nn.Parameter(net[0].weight[:4].detach())
        net[0].bias = nn.Parameter(net[0].bias[:4].detach())
    torch.testing.assert_close(ours(x), plain(x))
    assert ours(x).shape[1] == 4
    for net in (plain, ours):
        net[0].weight = nn.Parameter(net[0].weight[..., :1].detach())
    torch.testing.assert_close(ours(x), plain(x))
    for net in (plain, ours):
        net[0].bias.data = net[0].bias.data.expand(2, 4)
        with pytest.raises(RuntimeError):
            net(x)
    for net in (plain, ours):
        net[0].bias = None
    assert torch.equal(ours(x), plain(x))
    for net in (plain, ours):
        net[0].weight = nn.Parameter(net[0].weight.to("meta"))
    assert ours(x).device == plain(x).device  # and no address is taken of what has none


@needs_kernels
def test_modes_of_torch_see_its_own_operators() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    plain = nn.Sequential(down(3, 8, 3, 1, 1), nn.ReLU())
    ours, x = accelerated(plain), images(2, 3, 8, 8)
    counted = []
    for net in (plain, ours):
        with FlopCounterMode(display=False) as counter:
            net(x)
        counted.append(counter.get_total_flops())
    assert counted[0] == counted[1] > 0
    with torch.autocast("cpu", torch.bfloat16):
        assert ours(x).dtype == plain(x).dtype == torch.bfloat16
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert ours(mode.from_tensor(x)).shape == (2, 8, 8, 8)
    assert torch.equal(ours(torch._neg_view(x)), plain(torch._neg_view(x)))
    torch.testing.assert_close(torch.fx.symbolic_trace(ours)(x), plain(x))


@needs_kernels
@pytest.mark.parametrize("last", [[], [nn.Flatten(), layer(512, 3)]], ids=["convolution", "dense"])
def test_differentiating_twice_is_refused(last: list[nn.Module]) -> None:
    net = nn.Sequential(down(3, 8, 3, 1, 1), *last)
    accelerate(net)
    x = images(2, 3, 8, 8).requires_grad_()
    (first,) = torch.autograd.grad(net(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


@needs_kernels
def test_copies_and_several_python_threads_give_the_same() -> None:
    net, x = nn.Sequential(down(3, 24, 4, 2, 1), nn.ELU(), up(24, 3, 4, 2, 1)), images(8, 3, 16, 24)
    accelerate(net)
    before = results(copy.deepcopy(net), x)
    from unbraid.models.chain_kernels import backward_kernel, forward_kernel

    for kernels in (forward_kernel, backward_kernel):
        kernels.cache_clear()  # so that the threads make them, all at once
    nets = [copy.deepcopy(net) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        for found in pool.map(lambda each: results(each, x), nets):
            for mine, theirs in zip(found, before, strict=True):
                torch.testing.assert_close(mine, theirs)


@needs_kernels
def test_a_wrong_number_of_channels_is_refused_as_torch_does() -> None:
    net = nn.Sequential(down(3, 8, 4, 2, 1))
    accelerate(net)
    with pytest.raises(RuntimeError, match="channels"):
        net(images(2, 4, 8, 8))


@needs_kernels
def test_sides_that_strides_do_not_divide_go_torch_s_way() -> None:
    plain = nn.Sequential(down(3, 8, 4, 2, 1), nn.ReLU())
    ours = accelerated(plain)
    x = images(2, 3, 9, 8)
    assert torch.equal(ours(x), plain(x))


def test_other_convolutions_stay_as_they_are() -> None:
    class Derived(nn.Conv2d):
        pass

    made = [
        nn.Conv2d(8, 16, (3, 4), 2, 1, device="meta"),
        nn.Conv2d(8, 16, 3, (2, 1), 1, device="meta"),
        nn.Conv2d(8, 16, 3, 2, (1, 0), device="meta"),
        nn.Conv2d(8, 16, 3, padding="same", device="meta"),
        nn.Conv2d(8, 16, 3, padding=1, padding_mode="reflect", device="meta"),
        nn.Conv2d(8, 16, 4, 2, 1, dilation=2, device="meta"),
        nn.Conv2d(8, 8, 4, 2, 1, groups=2, device="meta"),
        nn.Conv2d(8, 8, 4, 2, 1, bias=False, device="meta"),
        nn.Conv2d(8, 129, 4, 2, 1, device="meta"),
        nn.Conv2d(8, 31, 4, 2, 1, device="meta"),  # in vectors, 16 + 8 + 4 + 2 + 1
        nn.Conv2d(128, 128, 5, 1, 1, device="meta"),  # too many weights
        nn.Conv2d(4, 4, 17, 1, 8, device="meta"),  # too large
        nn.Conv2d(8, 8, 3, 1, -1, device="meta"),
        nn.ConvTranspose2d(8, 8, 1, 1, 0, 1, device="meta"),  # which torch refuses
        nn.ConvTranspose2d(8, 8, 4, 2, 1, output_padding=(1, 0), device="meta"),
        Derived(8, 8, 4, 2, 1, device="meta"),
    ]
    kinds = [type(layer) for layer in made]
    accelerate(nn.Sequential(*made))
    assert [type(layer) for layer in made] == kinds


GUARDED = str(Path(__file__).with_name("guarded_arrays.py"))
has_wide = pytest.mark.skipif(lanes() <= 8, reason="this processor has none but narrow vectors")
NARROW = pytest.param({"ATEN_CPU_CAPABILITY": "avx2"}, marks=has_wide, id="narrower vectors")


@needs_kernels
@pytest.mark.parametrize("environment", [pytest.param({}, id="as it is"), NARROW])
def test_nothing_is_read_or_written_beyond_the_arrays(environment: dict[str, str]) -> None:
    run_python(GUARDED, **environment)


# Of processors with wider vectors than this one's: LLVM makes two narrow ones of each.
WIDE = "import pytest, runpy, sys, torch; torch.backends.cpu.get_cpu_capability = lambda: 'AVX512'; "
has_narrow = pytest.mark.skipif(lanes() != 8, reason="the vectors of this processor are as wide, or unknown")


@needs_kernels
@has_narrow
@pytest.mark.parametrize(
    "program",
    [
        f"sys.exit(pytest.main(['-p', 'no:cacheprovider', {__file__!r}, '-k', 'exact_as_torch_s and 1- and ELU']))",
        pytest.param(f"runpy.run_path({GUARDED!r}, run_name='__main__')", marks=pytest.mark.slow),
    ],
    ids=["exact", "beyond the arrays"],
)
def test_wider_vectors(program: str) -> None:
    run_python("-c", WIDE + program)


@needs_kernels
@has_wide
def test_narrower_vectors_are_as_exact() -> None:
    chosen = "exact_as_torch_s and 2- and ELU"
    run_python("-m", "pytest", "-p", "no:cacheprovider", "-q", __file__, "-k", chosen, ATEN_CPU_CAPABILITY="avx2")
