"""What a run ends too early for is said at its start, once."""

import signal
from pathlib import Path
from typing import Any

import pytest
from small_runs import COMMON, RUNS, Eventful, squares

from unbraid import recipes
from unbraid.cli import main
from unbraid.config import resolve
from unbraid.course import cut_short
from unbraid.study.file import read
from unbraid.study.grid import cells
from unbraid.study.presets import PRESETS
from unbraid.training import Interrupted, resume, train


def said(**values: Any) -> str | None:
    return cut_short(resolve({"data": "given", "likelihood": "bernoulli", "model": "mlp", **values}))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"objective": "annealed_vae"},
            "the 10,000 steps end before capacity=linear(0, 25, steps=100000), 2.5 by then: "
            "take more steps or shorter schedules",
        ),
        ({"objective": "annealed_vae", "steps": 100_000}, None),
        ({"objective": "annealed_vae", "capacity": 25}, None),
        ({"objective": "beta_vae", "beta": "constant(3)"}, None),
        ({"objective": "beta_vae", "beta": "linear(3, 3, steps=99999)"}, None),
        ({"objective": "beta_vae", "beta": "piecewise(0, 1, 50, 4, 90000, 4)", "steps": 50}, None),
        (
            {"objective": "beta_vae", "beta": "piecewise(0, 1, 50, 4)", "lr": "cosine(0.1, 0, steps=50)", "steps": 25},
            "the 25 steps end before beta=piecewise(0, 1, 50, 4), 2.5 by then; lr=cosine(0.1, 0, steps=50), "
            "0.05 by then: take more steps or shorter schedules",
        ),
        ({"objective": "beta_vae", "beta": "linear(3, 4, steps=10, after=90)", "steps": 100}, None),
        ({"objective": "unfold"}, None),
        (
            {"objective": "unfold", "steps": 4000, "latent_dim": 8},
            "the 4,000 steps end before opened=piecewise(0, 2, 1000, 2, 3000, 6, 6000, 10), 7.333 by then: "
            "take more steps or shorter schedules",
        ),
        ({"objective": "unfold", "steps": 4000, "latent_dim": 7}, None),
        (
            {"objective": "unfold", "steps": 2000, "latent_dim": 6},
            "the 2,000 steps end before opened=piecewise(0, 2, 1000, 2, 3000, 6, 6000, 10), 4 by then, and "
            "latents 4 to 5 never open: take more steps or shorter schedules",
        ),
        (
            {"objective": "unfold", "latent_dim": 11},
            "latent 10 never opens: let opened rise further, or take fewer latents",
        ),
    ],
)
def test_what_a_run_ends_too_early_for(values: dict[str, Any], sentence: str | None) -> None:
    assert said(**values) == sentence


@pytest.mark.parametrize("steps", [None, 1, 7, 100, 4321])
def test_the_demo_gets_to_its_end_in_any_number_of_steps(steps: int | None) -> None:
    assert cut_short(recipes.demo(steps)) is None


@pytest.mark.parametrize(("name", "recipe"), [*((name, "") for name in PRESETS), ("balls", "fast")])
def test_studies_that_come_with_the_package_get_to_theirs(name: str, recipe: str) -> None:
    study = read(PRESETS[name], recipe)
    assert {cut_short(cell.config) for cell in cells(study, name)} == {None}


def test_a_dry_run_says_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--data", "balls", "--model", "swift", "--objective", "annealed_vae", "--dry-run"]) == 0
    assert capsys.readouterr().err.startswith("the 10,000 steps end before capacity=")


def test_it_is_said_once_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {**COMMON, **RUNS["annealed_vae"], "likelihood": "bernoulli", "capacity": "linear(0, 20, steps=300)"}
    stop = {22: lambda: signal.raise_signal(signal.SIGINT)}
    with pytest.raises(Interrupted):
        train(data=Eventful(squares(), stop), out=tmp_path / "run", **settings)
    assert capsys.readouterr().err.count("the 40 steps end before capacity=linear(0, 20, steps=300)") == 1
    resume(tmp_path / "run", data=squares())
    assert "end before" not in capsys.readouterr().err
    train(data=squares(), out=tmp_path / "quiet", show_progress=False, **settings)
    assert capsys.readouterr() == ("", "")
