import numpy as np
import pytest

from unbraid.errors import UnbraidError
from unbraid.figures import score_against

RECORDS = [("a", 1, 0.1), ("a", 1, 0.5), ("a", 1, 0.2), ("a", 16, 0.4), ("b", 4, 0.3)]


def test_every_run_is_a_dot_and_the_line_goes_through_the_medians() -> None:
    axes = score_against({"": ("beta", RECORDS)}).axes[0]
    dots = [tuple(point) for collection in axes.collections[1::2] for point in collection.get_offsets().tolist()]
    assert sorted(dots) == sorted((value, score) for _, value, score in RECORDS)
    lines = [line.get_xydata().tolist() for line in axes.lines if len(line.get_xdata())]
    assert lines == [[[1, 0.2], [16, 0.4]], [[4, 0.3]]]


def test_the_band_reaches_from_the_least_to_the_best() -> None:
    axes = score_against({"": ("beta", RECORDS)}).axes[0]
    corners = axes.collections[0].get_paths()[0].vertices
    at_one = corners[corners[:, 0] == 1, 1]
    assert (at_one.min(), at_one.max()) == (0.1, 0.5)


def test_a_panel_a_method_with_its_own_parameter(words_of) -> None:
    figure = score_against({"one": ("beta", [("", 1, 0.5)]), "two": ("gamma", [("", 10, 0.7)])}, score="mig")
    words = [word.text for word in words_of(figure)]
    assert {"one", "two", "beta", "gamma", "mig", "1", "10"} <= set(words) and words.count("mig") == 1
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()


def test_lines_are_named_where_there_are_several(words_of) -> None:
    words = [word.text for word in words_of(score_against({"": ("beta", [("a", 1, 2), ("", 1, 3)])}))]
    assert "a" in words and "–" in words


@pytest.mark.parametrize(("values", "scale"), [((1, 10), "log"), ((1, 9), "linear"), ((0, 16), "linear")])
def test_values_that_span_a_decade_have_a_logarithmic_scale(values, scale) -> None:
    assert score_against({"": ("beta", [("", value, 1.0) for value in values])}).axes[0].get_xscale() == scale


@pytest.mark.parametrize("panels", [{}, {"a": ("beta", [])}])
def test_nothing_to_show(panels) -> None:
    with pytest.raises(UnbraidError, match="at least one record in each panel"):
        score_against(panels)


@pytest.mark.parametrize("record", [("a", np.nan, 1), ("a", 1, None), ("a", "x", 1)])
def test_a_wrong_record(record) -> None:
    with pytest.raises(UnbraidError, match="with finite numbers"):
        score_against({"": ("beta", [record])})
