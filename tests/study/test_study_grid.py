"""Runs of a study: names to read, hashes to be found again by."""

import re

import pytest

from unbraid.config import resolve
from unbraid.errors import UnbraidError
from unbraid.study import file, grid

STUDY = """\
base: {data: balls, steps: 20}
parts:
  - base: {model: balls_conv, lr: 0.001}
    grid: {objective: [beta_vae]}
  - base: {model: balls_fc, lr: 5.0e-5}
    grid: {objective: [annealed_vae], capacity: ["linear(0, 9, steps=10)"]}
"""


def cells(text: str, **over: object) -> list[grid.Cell]:
    return grid.cells(file.parse(text, "study", "study.yaml"), "study.yaml", over)


class TestHash:
    def test_is_of_what_a_run_is_and_not_of_where_it_is_computed(self) -> None:
        same = [resolve({"data": "balls", **own}) for own in ({}, {"device": "cpu"}, {"checkpoint_minutes": 1})]
        assert len({grid.hash_of(config) for config in same}) == 1
        other = [{"seed": 1}, {"beta": 3}, {"steps": 5}, {"threads": 2}, {"n_balls": 2}, {"model": "balls_fc"}]
        assert len({grid.hash_of(resolve({"data": "balls", **own})) for own in [{}, *other]}) == 7

    def test_does_not_depend_on_how_a_value_is_written(self) -> None:
        written = [{"beta": 4, "steps": "1e4"}, {"beta": "4.0", "steps": 10_000}, {"steps": 1e4}]
        assert len({grid.hash_of(resolve(values)) for values in written}) == 1


class TestNames:
    def test_say_what_sets_a_run_apart(self) -> None:
        """Not the learning rate, which follows from the model."""
        names = [cell.name for cell in cells(STUDY + "seeds: 2")]
        assert [name.rpartition("-")[0] for name in names] == [
            "balls_conv-seed_0",
            "balls_conv-seed_1",
            "balls_fc-seed_0",
            "balls_fc-seed_1",
        ]
        assert all(name.endswith(cell.hash[:8]) for name, cell in zip(names, cells(STUDY + "seeds: 2"), strict=True))

    def test_are_fit_for_folders(self) -> None:
        text = "base: {data: balls, objective: annealed_vae}\ngrid:\n  capacity:\n"
        points = ", ".join(f"{n}, {n / 7}" for n in range(30))
        text += "".join(f'    - "piecewise({points}, 99, {k})"\n' for k in range(2))
        names = [cell.name for cell in cells(text)]
        assert len(set(names)) == 2 and all(len(name) < 120 for name in names)
        assert all(letter.isalnum() or letter in "_-." for name in names for letter in name)

    def test_numbers_as_one_writes_them(self) -> None:
        names = [cell.name for cell in cells("base: {data: balls}\ngrid: {beta: [0.5, 4], steps: [10, 20]}")]
        assert [name.rpartition("-")[0] for name in names][1:3] == ["beta_0.5-steps_20", "beta_4-steps_10"]


def test_what_is_asked_for_twice_is_one_run() -> None:
    assert len(cells("base: {data: balls}\ngrid: {beta: [4, 4.0, 2]}")) == 2


def test_settings_from_outside_replace_those_of_the_file() -> None:
    assert {cell.config.steps for cell in cells(STUDY, steps=7)} == {7}


@pytest.mark.parametrize("seeds", [1, 3])
def test_order_is_that_of_the_file(seeds: int) -> None:
    found = [(c.config.options["beta"], c.config.seed) for c in cells(f"grid: {{beta: [4, 1]}}\nseeds: {seeds}")]
    assert found == [(beta, seed) for beta in (4, 1) for seed in range(seeds)]


@pytest.mark.parametrize(
    ("score_data", "sentence"),
    [
        ("n_bals: 2", 'line 2: score_data: balls has no option "n_bals"; did you mean "n_balls"?'),
        ("beta: 2", 'line 2: score_data: balls has no option "beta"'),
        ("n_balls: two", "line 2: n_balls must be a whole number, not 'two'"),
    ],
)
def test_data_of_scores_that_cannot_be(score_data: str, sentence: str) -> None:
    with pytest.raises(UnbraidError, match=re.escape(f"study.yaml, {sentence}")):
        cells(f"base: {{data: balls}}\nscore_data: {{{score_data}}}\n")
