"""Each optimizer against its paper's formula, in float64 and by hand."""

import copy
import gc
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch

from unbraid.optimizers import OPTIMIZERS
from unbraid.optimizers.fast_adam import Adam

STEPS = 7
Rule = Callable[[np.ndarray, np.ndarray, dict[str, np.ndarray], int, float], np.ndarray]


def adam(w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray], t: int, lr: float) -> np.ndarray:
    """beta 0.8 and 0.95, epsilon 1e-3."""
    s["m"] = 0.8 * s.get("m", 0) + 0.2 * g
    s["v"] = 0.95 * s.get("v", 0) + 0.05 * g**2
    return w - lr * (s["m"] / (1 - 0.8**t)) / (np.sqrt(s["v"] / (1 - 0.95**t)) + 1e-3)


def adamw(w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray], t: int, lr: float) -> np.ndarray:
    return adam(w, g, s, t, lr) - lr * 0.3 * w


def adagrad(w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray], t: int, lr: float) -> np.ndarray:
    s["sum"] = s.get("sum", 0.1) + g**2
    return w - lr * g / (np.sqrt(s["sum"]) + 1e-10)


def rmsprop(w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray], t: int, lr: float) -> np.ndarray:
    s["v"] = 0.7 * s.get("v", 0) + 0.3 * g**2
    s["b"] = 0.9 * s.get("b", 0) + g / (np.sqrt(s["v"]) + 1e-8)
    return w - lr * s["b"]


def muon(w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray], t: int, lr: float) -> np.ndarray:
    """Singular values go the way of the polynomial; singular vectors stay."""
    s["b"] = 0.9 * s.get("b", 0) + g
    u, values, v = np.linalg.svd((g + 0.9 * s["b"]).reshape(len(w), -1), full_matrices=False)
    values = values / np.sqrt(np.square(values).sum())
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return w - lr * 0.2 * np.sqrt(max(u.shape[0], v.shape[1])) * ((u * values) @ v).reshape(w.shape)


def sgd(w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray], t: int, lr: float) -> np.ndarray:
    s["b"] = 0.9 * s.get("b", 0) + g
    return w - lr * s["b"]


RULES: dict[str, tuple[Rule, dict[str, float]]] = {
    "adam": (adam, {"adam_beta1": 0.8, "adam_beta2": 0.95, "adam_eps": 1e-3}),
    "adamw": (adamw, {"adam_beta1": 0.8, "adam_beta2": 0.95, "adam_eps": 1e-3, "weight_decay": 0.3}),
    "adagrad": (adagrad, {"adagrad_start": 0.1}),
    "rmsprop": (rmsprop, {"rmsprop_decay": 0.7, "momentum": 0.9}),
    "muon": (muon, {"muon_momentum": 0.9}),
    "sgd": (sgd, {"momentum": 0.9}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_follows_its_rule(name: str, layout: torch.memory_format) -> None:
    """With another learning rate at every step, and weights in either order in memory."""
    rule, options = RULES[name]
    rng = np.random.default_rng(0)
    weights, state = rng.normal(size=(4, 3, 5, 6)), dict[str, np.ndarray]()
    parameter = torch.from_numpy(weights.copy()).float().to(memory_format=layout).requires_grad_()
    optimizer = OPTIMIZERS[name]([parameter], **options)
    for step in range(1, STEPS + 1):
        gradient, lr = rng.normal(size=weights.shape), 0.1 / step
        parameter.grad = torch.from_numpy(gradient).float().to(memory_format=layout)
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
        weights = rule(weights, gradient, state, step, lr)
    np.testing.assert_allclose(parameter.detach().numpy(), weights, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(("name", "torchs"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_adam_is_that_of_torch(name: str, torchs: type[torch.optim.Optimizer]) -> None:
    """Also after a step in which a weight had no gradient, and after its state was loaded."""
    rng = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=rng) for shape in ((3, 4), (5,), (2, 3, 4, 4))]
    ours, theirs = ([tensor.clone().requires_grad_() for tensor in start] for _ in range(2))
    optimizers = [OPTIMIZERS[name](ours), torchs(theirs, lr=0.0, fused=True, weight_decay=0.01 * (name == "adamw"))]
    assert type(optimizers[0]) is Adam
    for step in range(STEPS):
        for place, pair in enumerate(zip(ours, theirs, strict=True)):
            gradient = torch.randn(pair[0].shape, generator=rng)
            for weight in pair:
                weight.grad = None if (step, place) == (2, 1) else gradient.clone()
        if step == 4:
            state = optimizers[0].state_dict()
            optimizers[0] = OPTIMIZERS[name](ours)
            optimizers[0].load_state_dict(state)
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
            optimizer.step()
    for mine, others in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, others, rtol=1e-6, atol=1e-7)
    assert [float(optimizers[0].state[weight]["step"]) for weight in ours] == [STEPS, STEPS - 1, STEPS]


@pytest.mark.parametrize("name", ["adam", "muon"])
def test_a_state_that_is_loaded_takes_the_place_of_the_other(name: str) -> None:
    """Also where the gradient is the same tensor as before."""
    weight = torch.zeros(5, requires_grad=True)
    optimizer = OPTIMIZERS[name]([weight])
    weight.grad, optimizer.param_groups[0]["lr"] = torch.ones(5), 0.1
    optimizer.step()
    state, before = copy.deepcopy(optimizer.state_dict()), weight.detach().clone()
    optimizer.step()
    after = weight.detach().clone()
    optimizer.load_state_dict(state)
    with torch.no_grad():
        weight.copy_(before)
    optimizer.step()
    assert torch.equal(weight, after) and optimizer.state[weight]["step"] == 2
    other = copy.deepcopy(optimizer)
    assert other.param_groups[0]["lr"] == 0.1


def stepped(change: Callable[[torch.optim.Optimizer, list[torch.Tensor]], None], ours: bool) -> list[torch.Tensor]:
    """Two weights after two steps of Adam, and a third after what changes something."""
    weights = [torch.linspace(-1, 1, 6).requires_grad_(), torch.ones(2, 3, requires_grad=True)]
    optimizer = OPTIMIZERS["adam"](weights) if ours else torch.optim.Adam(weights, lr=0.0, fused=True)
    optimizer.param_groups[0]["lr"] = 0.1
    for number, weight in enumerate(weights):
        weight.grad = torch.full_like(weight, number + 0.5)
    optimizer.step()
    optimizer.step()
    change(optimizer, weights)
    gc.collect()
    optimizer.step()
    return [weight.detach() for weight in weights]


def moved(optimizer: torch.optim.Optimizer, weights: list[torch.Tensor]) -> None:
    weights[0].data = weights[0].data.clone()


def precise(optimizer: torch.optim.Optimizer, weights: list[torch.Tensor]) -> None:
    weights[1].data, weights[1].grad = weights[1].data.double(), None


def turned(optimizer: torch.optim.Optimizer, weights: list[torch.Tensor]) -> None:
    weights[1].grad = torch.arange(6.0).view(3, 2).t()


def one_more(optimizer: torch.optim.Optimizer, weights: list[torch.Tensor]) -> None:
    weights.append(torch.ones(2, requires_grad=True))
    weights[-1].grad = torch.ones(2)
    optimizer.add_param_group({"params": weights[-1:], "lr": 0.2})


@pytest.mark.parametrize(
    "change",
    [
        lambda optimizer, weights: optimizer.zero_grad(),
        lambda optimizer, weights: setattr(weights[0], "grad", None),
        lambda optimizer, weights: optimizer.state.clear(),
        lambda optimizer, weights: optimizer.state[weights[1]].update(step=torch.tensor(9.0)),
        moved,
        precise,
        turned,
        one_more,
    ],
)
def test_adam_sees_what_changed_between_steps(change: Callable[..., None]) -> None:
    for mine, theirs in zip(stepped(change, ours=True), stepped(change, ours=False), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-7)


def test_gradients_are_not_kept() -> None:
    weight = torch.zeros(5, requires_grad=True)
    optimizer, gradient = OPTIMIZERS["adam"]([weight]), torch.ones(5)
    weight.grad, seen = gradient, weakref.ref(gradient)
    optimizer.step()
    weight.grad = None
    del gradient
    gc.collect()
    assert seen() is None


def test_counts_of_adam_lie_side_by_side() -> None:
    weights = [torch.zeros(size, requires_grad=True) for size in (3, 4)]
    optimizer, bases = OPTIMIZERS["adam"](weights), []
    for _ in range(2):
        for weight in weights:
            weight.grad = torch.ones_like(weight)
        optimizer.step()
        bases += [optimizer.state[weight]["step"]._base for weight in weights]
    assert bases[0] is not None and all(base is bases[0] for base in bases)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_adam_counts_on_from_counts_of_any_kind_alike_or_not(dtype: torch.dtype) -> None:
    pairs = []
    for make in (OPTIMIZERS["adam"], torch.optim.Adam):
        weights = [torch.full((size,), 0.5, requires_grad=True) for size in (3, 40)]
        optimizer = make(weights)
        for step in range(9):
            for weight in weights:
                weight.grad = torch.full_like(weight, 0.1 + step)
            if step == 3:
                for number, weight in enumerate(weights):
                    optimizer.state[weight]["step"] = torch.tensor(3 + 4 * number, dtype=dtype)
            if step == 6:
                for weight in weights:
                    optimizer.state[weight]["step"].fill_(6)
            for group in optimizer.param_groups:
                group["lr"] = 0.01
            optimizer.step()
        counts = [optimizer.state[weight]["step"] for weight in weights]
        pairs.append((weights, counts))
    (mine, my_counts), (theirs, their_counts) = pairs
    assert [int(count) for count in my_counts] == [int(count) for count in their_counts] == [9, 9]
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_adam_counts_as_ever_whatever_is_the_default(dtype: torch.dtype) -> None:
    weight = torch.zeros(3, requires_grad=True)
    optimizer = OPTIMIZERS["adam"]([weight])
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            for _ in range(300):
                weight.grad = torch.ones_like(weight)
                optimizer.step()
    finally:
        torch.set_default_dtype(torch.float32)
    count = optimizer.state[weight]["step"]
    assert count == 300 and count.dtype == torch.float32 and count.device == weight.device


def test_muon_steps_biases_as_adam_does() -> None:
    ours, theirs = (torch.linspace(-1, 1, 5).requires_grad_() for _ in range(2))
    optimizers = [
        (ours, OPTIMIZERS["muon"]([ours], adam_beta1=0.8, adam_beta2=0.95, adam_eps=1e-3)),
        (theirs, OPTIMIZERS["adam"]([theirs], adam_beta1=0.8, adam_beta2=0.95, adam_eps=1e-3)),
    ]
    for step in range(STEPS):
        for parameter, optimizer in optimizers:
            parameter.grad = torch.sin(torch.arange(5) + step)
            optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
            optimizer.step()
    assert torch.equal(ours, theirs)


def test_muon_makes_wide_and_tall_matrices_orthogonal() -> None:
    for shape in ((6, 40), (40, 6)):
        weight = torch.zeros(shape, requires_grad=True)
        optimizer = OPTIMIZERS["muon"]([weight])
        weight.grad = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        optimizer.param_groups[0]["lr"] = 1.0
        optimizer.step()
        singular = torch.linalg.svdvals(weight.detach()) / (0.2 * 40**0.5)
        assert singular.min() > 0.6 and singular.max() < 1.3
        assert float(weight.detach().square().mean().sqrt()) == pytest.approx(0.2, rel=0.2)


def test_every_optimizer_has_its_rule() -> None:
    assert RULES.keys() == OPTIMIZERS.keys()
