"""Study files: what they say, and the line of what does not fit."""

from pathlib import Path

import pytest

from unbraid.errors import UnbraidError
from unbraid.study import file, grid
from unbraid.study.presets import PRESETS

GOOD = """\
description: two methods
base:
  data: balls
  steps: 20
grid:
  batch_size: [8, 16]
parts:
  - base: {objective: beta_vae}
    grid:
      beta: [1, 2, 4]
  - base: {objective: annealed_vae}
    zip:
      gamma: [10, 20]
      capacity: [5, "linear(0, 9, steps=10)"]
seeds: [3, 1]
scores: [mig, reconstruction]
points: 3000
score_data: {n_balls: 2}
"""


def parsed(text: str) -> file.Study:
    return file.parse(text, "name", "study.yaml")


def refusal(text: str) -> str:
    with pytest.raises(UnbraidError) as error:
        grid.cells(parsed(text), "study.yaml")
    return str(error.value)


class TestWhatItSays:
    def test_everything(self) -> None:
        study = parsed(GOOD)
        assert study.description == "two methods" and study.seeds == (3, 1)
        assert study.scores == ("mig", "reconstruction") and study.points == 3000
        assert study.score_data == {"n_balls": file.Setting(2, 18)} and study.figures == () and study.run_figures == ""
        assert len(study) == (2 * 3 + 2 * 2) * 2

    def test_every_combination_of_the_grid_with_each_step_of_the_zip(self) -> None:
        flat = [cell.config.flat() for cell in grid.cells(parsed(GOOD), "")]
        first = [(c["batch_size"], c["beta"], c["seed"]) for c in flat if c["objective"] == "beta_vae"]
        assert first == [(size, beta, seed) for size in (8, 16) for beta in (1, 2, 4) for seed in (3, 1)]
        second = [(c["batch_size"], c["gamma"], c["capacity"]) for c in flat if c["objective"] == "annealed_vae"][::2]
        schedule = "linear(0, 9, steps=10)"
        assert [(s, g, str(c)) for s, g, c in second] == [
            (size, gamma, capacity) for size in (8, 16) for gamma, capacity in ((10, "5.0"), (20, schedule))
        ]
        assert all(c["data"] == "balls" and c["steps"] == 20 for c in flat)

    def test_seeds_on_demand(self) -> None:
        study = parsed(GOOD)
        assert file.with_seeds(study).seeds == (3, 1)
        assert file.with_seeds(study, 3).seeds == (3, 4, 5)
        assert file.with_seeds(study, first=7).seeds == (7, 8)
        assert file.with_seeds(study, 1, 0).seeds == (0,)
        for number, first in ((0, None), (-1, None), (None, -1)):
            with pytest.raises(UnbraidError, match=r"seeds? must be"):
                file.with_seeds(study, number, first)

    def test_seeds_on_demand_are_not_too_many(self) -> None:
        study = parsed("grid: {beta: [1, 2]}")
        assert len(file.with_seeds(study, 50_000)) == 100_000
        with pytest.raises(UnbraidError, match="these are 100,002 runs, and a study holds at most 100,000"):
            file.with_seeds(study, 50_001)

    def test_a_recipe_goes_over_the_base_of_the_whole_and_of_each_part(self) -> None:
        text = """\
base: {data: balls, steps: 100}
recipes: {fast: {steps: 10, lr: 2.0e-3}, slow: {steps: 1000}}
grid: {beta: [1, 2]}
parts:
  - base: {model: balls_fc, lr: 5.0e-5}
    recipes: {fast: {steps: 5}}
  - base: {model: balls_conv, lr: 1.0e-3}
"""
        found = {}
        for recipe in ("", "fast", "slow"):
            study = file.parse(text, "name", "study.yaml", recipe)
            assert study.name == ("name" if not recipe else f"name-{recipe}")
            flat = [cell.config.flat() for cell in grid.cells(study, "")]
            assert [c["beta"] for c in flat] == [1.0, 2.0] * 2
            found[recipe] = [(c["model"], c["steps"], c["lr"]) for c in flat[::2]]
        assert found[""] == [("balls_fc", 100, 5e-5), ("balls_conv", 100, 1e-3)]
        assert found["fast"] == [("balls_fc", 5, 2e-3), ("balls_conv", 10, 2e-3)]
        assert found["slow"] == [("balls_fc", 1000, 5e-5), ("balls_conv", 1000, 1e-3)]

    def test_an_unknown_recipe(self) -> None:
        text = "recipes: {fast: {steps: 1}, faster: {steps: 2}}"
        with pytest.raises(UnbraidError, match=r'no recipe called "fst"; did you mean "fast"\? \(allowed: fast, fast'):
            file.parse(text, "name", "study.yaml", "fst")
        with pytest.raises(UnbraidError, match=r"study.yaml has no recipe called .*it has none: leave it out"):
            file.parse("seeds: 1", "name", "study.yaml", "fast")
        with pytest.raises(UnbraidError, match=r"study.yaml, line 4: beta is an axis, and a recipe cannot set it"):
            file.parse("grid: {beta: [1, 2]}\nrecipes:\n  fast:\n    beta: 3\n", "name", "study.yaml", "fast")

    def test_a_minimal_one(self) -> None:
        (cell,) = grid.cells(parsed("base: {data: balls}"), "")
        assert cell.config.seed == 0 and cell.name.startswith("name-")


LINES = [
    ("base:\n  beta: 4\nsteps: 3\n", 3, 'there is no "steps" here; did you mean "seeds"?'),
    ("base:\n  beta: 4\n  bta: 3\n", 3, 'there is no setting called "bta"; did you mean "beta"?'),
    ("base:\n  beta: 4\n  seed: 3\n", 3, "seeds are given by `seeds:`"),
    ("base:\n  beta: [1, 2]\n", 2, "beta must be a number, text, true or false"),
    ("base:\n  beta: 4\nrecipes:\n  fast:\n    seed: 3\n", 5, "seeds are given by `seeds:`"),
    ("base:\n  beta: 4\nrecipes:\n  fast: 3\n", 4, "fast must hold lines of the form"),
    ("base:\n  beta: 4\nrecipes: [fast]\n", 3, "recipes must hold lines of the form"),
    ("base: 3\n", 1, "base must hold lines of the form"),
    ("grid:\n  beta:\n    - 1\n    - 2\n    - x\n", 5, "beta must be a number or a schedule, not 'x'"),
    ("grid:\n  beta:\n    - 1\n    - [2]\n", 4, "beta must be a number"),
    ("\ngrid:\n  beta: 4\n", 3, "beta must be a list of values, such as [1, 2, 4]"),
    ("grid:\n  beta: []\n", 2, "beta must be a list of values"),
    ("grid: [1]\n", 1, "grid must hold lines of the form"),
    ("zip:\n  beta: [1, 2]\n  steps: [1]\n", 1, "differ in length: beta has 2, steps has 1"),
    ("grid:\n  beta: [1]\nzip:\n  beta: [1]\n", 4, "beta is an axis of the grid already"),
    ("zip:\n  beta: [1]\nparts:\n  - zip:\n      beta: [1]\n", 5, "beta is an axis of the whole study already"),
    ("zip:\n  beta: [1]\nparts:\n  - zip: {lr: [1]}\n", 4, "a part can have none beside them"),
    ("parts: {a: 1}\n", 1, "parts must be a list"),
    ("parts: []\n", 1, "parts must be a list"),
    ("parts:\n  - base: {beta: 3}\n    seeds: 4\n", 3, 'there is no "seeds" here'),
    ("parts:\n  - base: {beta: 3}\n  - base:\n      objective: vae\n      beta: 3\n", 5, '"beta" is an option of'),
    ("base: {beta: 1}\n\nseeds: 0\n", 3, "seeds must be how many there are"),
    ("base: {beta: 1}\nseeds: [1, 1]\n", 2, "a seed occurs more than once"),
    ("base: {beta: 1}\nseeds: [1, -1]\n", 2, "seeds must be how many"),
    ("base: {beta: 1}\nseeds: 99999999999\n", 2, "seeds must be how many"),
    ("base: {beta: 1}\nscores: mig\n", 2, "scores must be a list of names"),
    ("base: {beta: 1}\nscores:\n  - mig\n  - migg\n", 4, 'there is no metric called "migg"; did you mean "mig"?'),
    ("base: {beta: 1}\nfigures: [best, pie]\n", 2, 'there is no figure of a study called "pie"'),
    ("base: {beta: 1}\nrun_figures: pie\n", 2, 'there is no set of figures of a run called "pie"'),
    ("base: {beta: 1}\npoints: -1\n", 2, "points must be at least 0, not -1"),
    ("base: {beta: 1}\npoints: many\n", 2, "points must be a whole number"),
    ("base: {beta: 1}\ndescription: [a]\n", 2, "description must be text"),
    ("base:\n  data: given\n", 2, "a study needs data by name"),
    ("base:\n  data: images\n", 2, "a study names the likelihood of own images"),
    ("base:\n  beta: 1\n  beta: 2\n", 1, "beta occurs more than once"),
    ("base: &a {beta: 1}\ngrid: *a\n", 1, "aliases"),
    ("base: !!python/object:os.system {}\n", 1, "tags"),
    ("base: {beta: 1\nseeds: 3\n", 2, "not a study in YAML"),
    ("- 1\n", 1, "a study must hold lines of the form"),
    ("", 1, "a study must hold lines of the form"),
    (f"grid:\n  beta: [{', '.join(map(str, range(2000)))}]\nseeds: 1000\n", 1, "these are 2,000,000 runs"),
]


@pytest.mark.parametrize(("text", "line", "sentence"), LINES)
def test_an_error_names_its_line(text: str, line: int, sentence: str) -> None:
    said = refusal(text)
    assert sentence in said and "\n" not in said
    if "aliases" not in sentence and "tags" not in sentence and "more than once" not in sentence:
        assert said.startswith(f"study.yaml, line {line}: ")


class TestFiles:
    def test_what_cannot_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(UnbraidError, match=r"cannot read the study .*: No such file"):
            file.read(tmp_path / "none.yaml")
        (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(UnbraidError, match="not text in UTF-8"):
            file.read(tmp_path / "bytes.yaml")
        (tmp_path / "long.yaml").write_text("#" * 1_000_001)
        with pytest.raises(UnbraidError, match="larger than a study can be"):
            file.read(tmp_path / "long.yaml")

    def test_by_path_or_by_name(self, tmp_path: Path) -> None:
        assert file.find("balls") == PRESETS["balls"]
        assert file.find("somewhere/own.yaml") == Path("somewhere/own.yaml")
        (tmp_path / "own").write_text(GOOD)
        assert file.find(str(tmp_path / "own")) == tmp_path / "own"
        with pytest.raises(UnbraidError, match='no study called "bals"; did you mean "balls"'):
            file.find("bals")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_study_of_runs_that_can_be(name: str) -> None:
    study = file.read(PRESETS[name])
    cells = grid.cells(study, name)
    assert study.name == name and study.description and len(cells) == len(study)


def test_the_methods_are_those_of_the_published_study() -> None:
    cells = grid.cells(file.with_seeds(file.read(PRESETS["dsprites-methods"]), 1), "")
    found: dict[str, list[object]] = {}
    for cell in cells:
        flat = cell.config.flat()
        assert (flat["model"], flat["lr"], flat["batch_size"], flat["steps"]) == ("locatello", 1e-4, 64, 300_000)
        varied = {
            "annealed_vae": "capacity",
            "factor_vae": "gamma",
            "dip_vae_i": "lambda_od",
            "dip_vae_ii": "lambda_od",
        }
        found.setdefault(cell.config.objective, []).append(flat[varied.get(cell.config.objective, "beta")])
        if cell.config.objective.startswith("dip"):
            assert flat["lambda_d_factor"] == {"dip_vae_i": 10, "dip_vae_ii": 1}[cell.config.objective]
    assert found == {
        "beta_vae": [1, 2, 4, 6, 8, 16],
        "annealed_vae": [f"linear(0, {c}, steps=100000)" for c in (5, 10, 25, 50, 75, 100)],
        "factor_vae": [10, 20, 30, 40, 50, 100],
        "dip_vae_i": [1, 2, 5, 10, 20, 50],
        "dip_vae_ii": [1, 2, 5, 10, 20, 50],
        "beta_tcvae": [1, 2, 4, 6, 8, 10],
    }
