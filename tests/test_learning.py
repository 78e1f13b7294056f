"""Steps that are replayed: each as torch would have made it, to the last bit."""

import gc
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from kernel_cases import needs_kernels
from small_runs import COMMON, squares
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from unbraid.config import resolve
from unbraid.objectives import OBJECTIVES
from unbraid.training import Trainer, learning
from unbraid.training.learning import Differentiated, Inputs, Replayed, learns
from unbraid.types import Terms

STEPS = 6


@pytest.fixture(autouse=True)
def soon_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "_WORTH_COMPILING", 3)


def trainer(**values: Any) -> Trainer:
    config = resolve({**COMMON, "data": "given", "lr": 1e-3, "prune": 0.0, **values})
    return Trainer(config, squares(), torch.device("cpu"))


class Plain(Differentiated):
    """By torch each time, with the numbers of the objective as tensors of single precision, as on a tape."""

    def __call__(self, objective: Any, inputs: Inputs, hyper: Mapping[str, float]) -> dict[str, torch.Tensor]:
        return super().__call__(objective, inputs, {k: torch.tensor(v) for k, v in hyper.items()})  # type: ignore[misc]


def both(**values: Any) -> tuple[Trainer, Trainer]:
    ours, plain = trainer(**values), trainer(**values)
    plain.learn = Plain(plain.networks().values())
    return ours, plain


def assert_replayed(of: Trainer) -> None:
    """All but FactorVAE: its second network has layers of a million weights, which oneDNN cannot write anew."""
    assert isinstance(of.learn, Replayed)
    assert of.learn.is_replayed or of.config.objective == "factor_vae"


def assert_same(ours: Trainer, plain: Trainer) -> None:
    mine, torchs = ours.checkpoint(), plain.checkpoint()
    assert mine.keys() == torchs.keys()
    assert [name for name in mine if not torch.equal(mine[name], torchs[name])] == []


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("model", [{"model": "balls_conv"}, {"model": "mlp", "width": 64}], ids=lambda of: of["model"])
def test_a_replayed_run_is_the_plain_one_to_the_last_bit(objective: str, model: dict[str, Any]) -> None:
    schedules = {"opened": "linear(2, 3, steps=4)"} if objective == "unfold" else {}
    ours, plain = both(objective=objective, **model, **schedules)
    for step in range(STEPS):
        ours.step(step)
        plain.step(step)
    assert_replayed(ours)
    assert_same(ours, plain)


@needs_kernels
@pytest.mark.parametrize("is_wrong", [False, True])
def test_kernels_that_are_wrong_are_not_used(is_wrong: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from unbraid.kernels import fusing, pointwise

    fusing._kernel.cache_clear()
    if is_wrong:
        monkeypatch.setitem(pointwise._EMITTED, "mul", pointwise._EMITTED["add"])
    ours, plain = both(objective="beta_vae", beta=3.25)
    lengths = []
    for step in range(STEPS):
        ours.step(step)
        plain.step(step)
        assert isinstance(ours.learn, Replayed) and ours.learn._recorded is not None
        lengths.append(len(ours.learn._recorded.tape.program))
    assert_same(ours, plain)
    assert (lengths[-1] < lengths[0]) is not is_wrong
    fusing._kernel.cache_clear()


@pytest.mark.parametrize(
    "values",
    [
        {"likelihood": "gaussian", "sigma": 0.3},
        {"likelihood": "continuous_bernoulli"},
        {"optimizer": "muon", "clip": 5.0},
        {"optimizer": "adagrad"},
        {"model": "swift", "objective": "beta_tcvae", "clip": 5.0},
        {"lr": "cosine(1e-3, 0, steps=6)", "beta": "linear(1, 9, steps=5)"},
    ],
)
def test_whatever_stands_around_it(values: dict[str, Any]) -> None:
    ours, plain = both(objective=values.pop("objective", "beta_vae"), **values)
    for step in range(STEPS):
        ours.step(step)
        plain.step(step)
    assert_replayed(ours)
    assert_same(ours, plain)


def interrupted(ours: Trainer, event: Callable[[], Any]) -> None:
    """Six steps, with something in the middle that a tape must not miss."""
    for step in range(STEPS):
        if step == 3:
            event()
        ours.step(step)


def weights_elsewhere(of: Trainer) -> None:
    for weight in of.weights().values():
        weight.data = weight.data.clone() * 1.25


def weights_changed(of: Trainer) -> None:
    with torch.no_grad():
        for weight in of.weights().values():
            weight *= 1.25


@pytest.mark.parametrize("event", [weights_elsewhere, weights_changed, lambda of: of.loss(0), Trainer.checkpoint])
def test_weights_may_change_between_steps(event: Callable[[Trainer], Any]) -> None:
    ours, plain = both(objective="beta_vae")
    for one in (ours, plain):
        interrupted(one, lambda one=one: event(one))
    assert_same(ours, plain)


def test_other_threads_make_another_tape() -> None:
    ours, threads = trainer(objective="beta_vae"), torch.get_num_threads()
    ours.step(0)
    assert isinstance(ours.learn, Replayed)
    first = ours.learn._recorded
    try:
        torch.set_num_threads(1 + threads % 2)
        ours.step(1)
    finally:
        torch.set_num_threads(threads)
    assert ours.learn.is_replayed and ours.learn._recorded is not first


def test_a_batch_of_another_size_makes_another_tape() -> None:
    ours, plain = both(objective="beta_vae")
    for one in (ours, plain):
        for step, count in enumerate((8, 8, 5, 5, 8)):
            inputs = one.inputs(step)
            one.learn(one.terms, Inputs(inputs.x[:count], inputs.noise[:count]), one.hyper_at(step))
            one.update(one.rates(step))
    assert_same(ours, plain)


def test_who_looks_on_sees_every_step() -> None:
    ours = trainer(objective="beta_vae")
    ours.step(0)
    with FlopCounterMode(display=False) as counter:
        ours.step(1)
    assert counter.get_total_flops() > 0


def test_an_objective_that_looks_at_numbers_is_asked_in_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def looking(out: Any, *, beta: float = 1.0) -> Terms:
        terms: Terms = OBJECTIVES["vae"].function(out)
        asked.append(float(terms.loss.detach()))
        return Terms(terms.loss * beta, logs=terms.logs)

    ours, plain = both_of(looking, monkeypatch)
    for step in range(STEPS):
        ours.step(step)
    assert isinstance(ours.learn, Replayed) and not ours.learn.is_replayed
    mine = asked[-STEPS:]
    for step in range(STEPS):
        plain.step(step)
    assert asked[-STEPS:] == mine and len({*mine}) == STEPS
    assert_same(ours, plain)


def unseen_list(out: Any, *, beta: float = 1.0) -> Terms:
    terms: Terms = OBJECTIVES["vae"].function(out)
    return Terms(terms.loss * out.x.new_tensor([beta]).sum(), logs=terms.logs)


def unseen_array(out: Any, *, beta: float = 1.0) -> Terms:
    terms: Terms = OBJECTIVES["vae"].function(out)
    return Terms(terms.loss * float(np.sqrt(out.z.detach().numpy().std())), logs=terms.logs)


@pytest.mark.parametrize("objective", [unseen_list, unseen_array])
def test_a_number_that_python_saw_in_secret_is_found_by_trying(
    objective: Callable[..., Terms], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, plain = both_of(objective, monkeypatch, beta="linear(0, 40, steps=5)")
    for step in range(STEPS):
        ours.step(step)
        plain.step(step)
    assert isinstance(ours.learn, Replayed) and not ours.learn.is_replayed
    assert_same(ours, plain)


def both_of(objective: Callable[..., Terms], monkeypatch: pytest.MonkeyPatch, **values: Any) -> tuple[Trainer, Trainer]:
    entry = OBJECTIVES["beta_vae"]
    monkeypatch.setitem(OBJECTIVES, "beta_vae", type(entry)(objective, entry.description))
    return both(objective="beta_vae", **values)


class TestWeights:
    """Of two numbers and their losses, rather than of nets."""

    @staticmethod
    def learnt(act: Callable[..., torch.Tensor], *weights: nn.Parameter, steps: int = 3) -> nn.ParameterList:
        held = nn.ParameterList(weights)
        learn = Replayed([held])
        for step in range(steps):
            x = torch.full((1,), 1.0 + step)
            learn(lambda inputs, hyper: Terms(act(inputs.x, *held)), Inputs(x, x), {})
        assert learn.is_replayed
        return held

    def test_gradients_have_memory_of_their_own(self) -> None:
        """Clipped in place, one that two weights shared would be clipped twice."""
        a, b = self.learnt(lambda x, a, b: (x * (a + b)).sum(), *(nn.Parameter(torch.ones(3)) for _ in range(2)))
        assert a.grad is not None and b.grad is not None and a.grad.data_ptr() != b.grad.data_ptr()
        assert a.grad.tolist() == b.grad.tolist() == [3.0] * 3

    def test_a_weight_that_does_not_learn_or_is_not_used_has_none(self) -> None:
        still = nn.Parameter(torch.ones(1), requires_grad=False)
        one, two, three = self.learnt(
            lambda x, a, b, c: (x * a * b).sum(), nn.Parameter(torch.ones(1)), still, nn.Parameter(torch.ones(1))
        )
        assert one.grad is not None and one.grad.tolist() == [3.0] and two.grad is None and three.grad is None

    def test_an_error_while_writing_leaves_no_tape_behind(self) -> None:
        weight, fails = nn.ParameterList([nn.Parameter(torch.ones(1))]), [False]
        learn = Replayed([weight])

        def act(inputs: Inputs, hyper: Any) -> Terms:
            if fails[0]:
                raise KeyboardInterrupt
            return Terms((inputs.x * weight[0]).sum())

        x = torch.ones(1)
        learn(act, Inputs(x, x), {})
        fails[0] = True
        with pytest.raises(KeyboardInterrupt):
            learn(act, Inputs(torch.ones(2), x), {})
        fails[0] = False
        learn(act, Inputs(7 * x, x), {})
        assert weight[0].grad is not None and weight[0].grad.tolist() == [7.0]

    def test_nets_with_buffers_go_torch_s_way(self) -> None:
        assert type(learns([nn.BatchNorm1d(3)], torch.device("cpu"))) is Differentiated
        assert type(learns([nn.Linear(3, 3)], torch.device("cpu"))) is Replayed

    def test_the_graph_of_autograd_is_let_go(self) -> None:
        weight = nn.ParameterList([nn.Parameter(torch.ones(1))])
        seen: list[weakref.ref[Any]] = []

        class Doubled(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
                ctx.held = held = nn.Identity()
                seen.append(weakref.ref(held))
                return 2 * x

            @staticmethod
            def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
                return 2 * gradient

        x = torch.ones(1)
        learn = Replayed([weight])
        learn(lambda inputs, hyper: Terms((inputs.x * Doubled.apply(weight[0])).sum()), Inputs(x, x), {})
        gc.collect()
        assert learn.is_replayed and seen and all(each() is None for each in seen)
