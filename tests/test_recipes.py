"""The demo's recipe, short and long."""

import pytest

from unbraid import recipes
from unbraid.schedules import parse


@pytest.mark.parametrize("steps", [2, 10, 1000])
def test_latents_open_and_never_shut_and_independence_comes_last(steps: int) -> None:
    settings = recipes.demo(steps).flat()
    assert settings["steps"] == steps
    opened, hsic = (parse(str(settings[name])) for name in ("opened", "hsic"))
    course = [opened(step) for step in range(steps + 1)]
    assert course == sorted(course) and course[-1] == 10
    assert all(hsic(step) == 0 for step in range(steps + 1) if opened(step) < 10)
    assert hsic(steps) > 0


def test_a_setting_of_one_s_own_replaces_the_recipe_s() -> None:
    assert recipes.demo(10, kappa=7.0).flat()["kappa"] == 7.0
