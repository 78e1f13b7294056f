import numpy as np
import pytest
from matplotlib.colors import to_rgba

from unbraid.errors import UnbraidError
from unbraid.figures import posterior_deviation, posterior_variance
from unbraid.figures.style import LOOKS


def test_deviations_are_sorted_each_run_on_its_line() -> None:
    (axes,) = posterior_deviation({"β = 0.1": [0.9, 0.1, 0.5], "β = 1": [1.0, 1.01]}).axes
    lines = {line.get_label(): line for line in axes.lines}
    assert lines["β = 0.1"].get_xydata().tolist() == [[1, 0.1], [2, 0.5], [3, 0.9]]
    assert lines["β = 1"].get_xydata().tolist() == [[1, 1.0], [2, 1.01]]
    assert axes.get_ylim()[0] == 0


def test_marks_near_zero_are_whole() -> None:
    (axes,) = posterior_deviation({"a": [0.001, 0.5]}).axes
    assert not axes.lines[0].get_clip_on()


def test_the_legend_keeps_the_order_given(words_of) -> None:
    words = words_of(posterior_deviation({"b": [0.9], "a": [0.1], 0.5: [0.4]}, title="One ball"))
    names = [word for word in words if word.text in ("a", "b", "0.5") and word.box.x0 > 600]
    assert [word.text for word in names] == ["b", "a", "0.5"]
    assert "One ball" in [word.text for word in words]


@pytest.mark.parametrize("theme", LOOKS)
def test_a_run_by_the_numbers_of_its_latents(theme, words_of) -> None:
    variances = [1.0, 0.02, 0.5]
    figure = posterior_variance(variances, theme=theme)
    (axes,) = figure.axes
    (dots,) = [collection for collection in axes.collections if len(collection.get_offsets()) == 3]
    assert dots.get_offsets().tolist() == [[1.0, 0], [0.02, 1], [0.5, 2]]
    assert dots.get_facecolors().tolist() == [list(to_rgba(colour)) for colour in LOOKS[theme].colours[:3]]
    names = [word for word in words_of(figure) if word.text.startswith("z")]
    assert [word.text for word in names] == ["z0", "z1", "z2"]  # from the top


def test_a_run_in_order_of_use_with_its_own_names(words_of) -> None:
    figure = posterior_variance([1.0, 0.02, 1.3], ["a", "b", "c"], ordered=True)
    (axes,) = figure.axes
    assert [word.text for word in words_of(figure) if word.text in "abc"] == ["b", "a", "c"]
    (dots,) = [collection for collection in axes.collections if len(collection.get_offsets()) == 3]
    assert dots.get_offsets()[:, 0].tolist() == [0.02, 1.0, 1.3]
    assert dots.get_facecolors()[0].tolist() == list(to_rgba(LOOKS["light"].colours[1]))
    assert axes.get_xlim()[1] > 1.3


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: posterior_deviation({}), "at least one run"),
        (lambda: posterior_deviation({"a": [[1]]}), r"the deviations of a must have the shape \[L\]"),
        (lambda: posterior_deviation({"a": [np.nan]}), "must be finite"),
        (lambda: posterior_variance([]), "variances must"),
        (lambda: posterior_variance([1, 2], ["a"]), "labels must be 2 names"),
    ],
)
def test_refusals(draw, message) -> None:
    with pytest.raises(UnbraidError, match=message):
        draw()
