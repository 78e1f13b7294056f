import numpy as np
import pytest

from unbraid.errors import UnbraidError
from unbraid.figures import reconstruction_against
from unbraid.figures.style import LOOKS

RECORDS = [("conv", 1.0, 100), ("conv", 0.1, 60), ("conv", 0.5, 80), ("mlp", 0.1, 50, 3), ("mlp", 1.0, 70, 4)]


def lines(figure) -> dict[str, list[list[float]]]:
    """The points of each line, and of the marks that bear the name of a net."""
    (axes,) = figure.axes
    found = {}
    for container in axes.containers:
        found[container.get_label()] = container.lines[0].get_xydata().tolist()
    return found


def test_every_record_is_a_mark_of_its_net() -> None:
    figure = reconstruction_against(RECORDS)
    assert lines(figure) == {"conv": [[0.1, 60], [0.5, 80], [1, 100]], "mlp": [[0.1, 50], [1, 70]]}
    _, mlp = figure.axes[0].containers
    (bars,) = mlp.lines[2]
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [[47, 53], [66, 74]]


def test_the_line_goes_through_the_means_of_the_seeds() -> None:
    (axes,) = reconstruction_against([("a", 1, 10), ("a", 1, 20), ("a", 4, 40), ("a", 4, 44)]).axes
    assert [[1, 15], [4, 42]] in [line.get_xydata().tolist() for line in axes.lines]


@pytest.mark.parametrize("theme", LOOKS)
def test_nets_are_named_at_the_ends_of_their_lines(theme, words_of) -> None:
    figure = reconstruction_against(RECORDS, floor=40.0, theme=theme, title="Two balls")
    words = [word for word in words_of(figure) if word.text in ("conv", "mlp", "least possible", "Two balls")]
    assert [word.text for word in words] == ["Two balls", "conv", "mlp", "least possible"]
    assert [word.color for word in words[1:3]] == list(LOOKS[theme].colours[:2])


def test_the_parameter_has_its_name_and_its_values(words_of) -> None:
    words = [word.text for word in words_of(reconstruction_against(RECORDS, parameter="gamma"))]
    assert {"gamma", "0.1", "0.5", "1"} <= set(words)


@pytest.mark.parametrize(("values", "scale"), [((1, 10), "log"), ((1, 4, 9), "linear"), ((0, 1, 16), "linear")])
def test_values_that_span_a_decade_have_a_logarithmic_scale(values, scale) -> None:
    (axes,) = reconstruction_against([("a", value, 1.0) for value in values]).axes
    assert axes.get_xscale() == scale
    assert axes.get_xticks().tolist() == list(values)


@pytest.mark.parametrize(
    "record", [("a", 1), ("a", 1, 2, 3, 4), ("a", "x", 2), ("a", 1, np.nan), ("a", 1, 2, -1), 5, ("a", 1, None)]
)
def test_a_wrong_record_is_shown(record) -> None:
    with pytest.raises(UnbraidError, match=r"a record must be \(net, beta, loss\) or .*, not "):
        reconstruction_against([("a", 1, 2), record])


def test_no_records_are_refused() -> None:
    with pytest.raises(UnbraidError, match="at least one record"):
        reconstruction_against([])
