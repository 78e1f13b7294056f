"""Steps recorded as CUDA graphs, on a machine that has CUDA: as each model alone, and the same bits every time."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_runs import COMMON, Eventful, log_rows, same_run, squares

from unbraid import runs
from unbraid.config import Config, resolve
from unbraid.objectives import OBJECTIVES
from unbraid.training import Interrupted, Trainer, groups, program, train_many

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
STEPS = 80  # past the steps that are made ahead


def config(**values: Any) -> Config:
    return resolve({**COMMON, "data": "given", "steps": STEPS, "log_every": 9, "lr": 1e-3, "device": "cuda", **values})


def trainers(configs: list[Config]) -> list[Trainer]:
    return [Trainer(each, squares(), torch.device("cuda", 0)) for each in configs]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_steps_as_alone(monkeypatch: pytest.MonkeyPatch, objective: str) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    configs = [
        config(objective=objective, seed=seed, lr=lr) for seed, lr in ((0, 1e-3), (1, "cosine(2e-3, 0, steps=9)"))
    ]
    together = trainers(configs)
    step = program(together)
    for number in range(8):
        step(number)
    for member, own in zip(together, configs, strict=True):
        (alone,) = trainers([own])
        for number in range(8):
            alone.step(number)
        ours, theirs = member.row(8), alone.row(8)
        assert ours == pytest.approx(theirs, rel=2e-3, abs=1e-4)


def test_kinds_that_keep_step_train_in_one_loop_and_give_the_same_bits(tmp_path: Path) -> None:
    configs = [
        config(),
        config(seed=1, beta=2.0),
        config(model="mlp"),
        config(objective="factor_vae", clip=5.0),
        config(optimizer="adamw"),
    ]
    assert groups(configs) == [[0, 1, 2, 3, 4]]
    for name in ("first", "second"):
        folders = [tmp_path / name / str(number) for number in range(len(configs))]
        results = train_many(configs, folders, data=squares(), show_progress=False)
        assert all(isinstance(result, runs.Run) for result in results)
    for number in range(len(configs)):
        assert same_run(tmp_path / "first" / str(number), tmp_path / "second" / str(number))


def test_one_that_diverges_leaves_the_others(tmp_path: Path) -> None:
    configs = [config(), config(seed=1, lr=1e30), config(seed=2)]
    folders = [tmp_path / str(number) for number in range(3)]
    train_many(configs, folders, data=squares(), show_progress=False)
    assert [runs.state(folder) for folder in folders] == ["finished", "failed", "finished"]
    for number in (0, 2):
        train_many([configs[number]], [tmp_path / f"alone-{number}"], data=squares(), show_progress=False)
        ours, theirs = log_rows(folders[number])[-1], log_rows(tmp_path / f"alone-{number}")[-1]
        assert float(ours["recon"]) == pytest.approx(float(theirs["recon"]), rel=1e-2)


def test_stopped_and_gone_on_with(tmp_path: Path) -> None:
    configs = [config(), config(seed=1)]
    unbroken, stopped = ([tmp_path / name / str(n) for n in range(2)] for name in ("unbroken", "stopped"))
    train_many(configs, unbroken, data=squares(), show_progress=False)
    with pytest.raises(Interrupted):
        data = Eventful(squares(), {70: lambda: signal.raise_signal(signal.SIGINT)})
        train_many(configs, stopped, data=data, show_progress=False)
    train_many(configs, stopped, data=squares(), show_progress=False)
    for ours, theirs in zip(stopped, unbroken, strict=True):
        found, expected = load_file(ours / runs.WEIGHTS), load_file(theirs / runs.WEIGHTS)
        assert found.keys() == expected.keys()
        for row, other in zip(log_rows(ours), log_rows(theirs), strict=True):
            assert float(row["recon"]) == pytest.approx(float(other["recon"]), rel=1e-3)
