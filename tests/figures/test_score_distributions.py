import numpy as np
import pytest

from unbraid.errors import UnbraidError
from unbraid.figures import score_distributions

SPREAD = {"one": {"beta 1": [0.1, 0.3, 0.2], "beta 4": [0.9]}, "two": {"gamma 5": [0.5, 0.7]}}


def test_a_dot_a_run_in_the_column_of_its_setting() -> None:
    axes = score_distributions(SPREAD).axes[0]
    columns = [points.get_offsets() for points in axes.collections[0:6:2]]
    assert [sorted(column[:, 1].tolist()) for column in columns] == [[0.1, 0.2, 0.3], [0.9], [0.5, 0.7]]
    places = axes.get_xticks()
    for column, place in zip(columns, places, strict=True):
        assert np.abs(column[:, 0] - place).max() < 0.3
    assert places[2] - places[1] > places[1] - places[0], "methods stand apart"


def test_a_bar_is_the_median() -> None:
    axes = score_distributions(SPREAD).axes[0]
    bars = [lines.get_segments()[0][0][1] for lines in axes.collections[1:6:2]]
    assert bars == pytest.approx([0.2, 0.9, 0.6])


def test_settings_and_methods_are_named(words_of) -> None:
    words = {word.text for word in words_of(score_distributions(SPREAD, score="mig", title="T"))}
    assert {"beta 1", "beta 4", "gamma 5", "one", "two", "mig", "T"} <= words


def test_refusals() -> None:
    with pytest.raises(UnbraidError, match="at least one run"):
        score_distributions({"one": {}})
    with pytest.raises(UnbraidError, match="the scores of one a must be finite"):
        score_distributions({"one": {"a": [np.nan]}})
