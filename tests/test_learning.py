"""Steps that are replayed: each as torch would have made it, to the last bit."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from small_runs import COMMON, squares
from torch.utils.flop_counter import FlopCounterMode

from unbraid.config import resolve
from unbraid.objectives import OBJECTIVES
from unbraid.training import Trainer
from unbraid.training.learning import Differentiated, Inputs, Replayed
from unbraid.types import Terms

STEPS = 6


def trainer(**values: Any) -> Trainer:
    config = resolve({**COMMON, "data": "given", "lr": 1e-3, "prune": 0.0, **values})
    return Trainer(config, squares(), torch.device("cpu"))


class Plain(Differentiated):
    """By torch each time, with the numbers of the objective as tensors of single precision, as on a tape."""

    def __call__(self, objective: Any, inputs: Inputs, hyper: Mapping[str, float]) -> dict[str, torch.Tensor]:
        return super().__call__(objective, inputs, {k: torch.tensor(v) for k, v in hyper.items()})  # type: ignore[misc]


def both(**values: Any) -> tuple[Trainer, Trainer]:
    ours, plain = trainer(**values), trainer(**values)
    plain.learn = Plain(list(plain.weights().values()))
    return ours, plain


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
    if objective != "factor_vae":  # its second network has layers of a million weights, which oneDNN cannot write anew
        assert isinstance(ours.learn, Replayed) and ours.learn.is_replayed
    assert_same(ours, plain)


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
    assert isinstance(ours.learn, Replayed) and ours.learn.is_replayed
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
    first = ours.learn._tape
    try:
        torch.set_num_threads(1 + threads % 2)
        ours.step(1)
    finally:
        torch.set_num_threads(threads)
    assert ours.learn.is_replayed and ours.learn._tape is not first


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

    entry = OBJECTIVES["beta_vae"]
    monkeypatch.setitem(OBJECTIVES, "beta_vae", type(entry)(looking, entry.description))
    ours = trainer(objective="beta_vae")
    for step in range(STEPS):
        ours.step(step)
    assert len(asked) == STEPS
    assert asked[-1] != asked[0]
    assert isinstance(ours.learn, Replayed) and not ours.learn.is_replayed
