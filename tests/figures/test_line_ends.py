import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from scipy.optimize import minimize

from unbraid.figures.line_ends import LineEnd, name_line_ends, spread
from unbraid.figures.style import LOOKS, look, page


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ([90, 50, 10], [90, 50, 10]),  # far enough apart
        ([50, 50], [55, 45]),
        ([50, 50, 50], [60, 50, 40]),
        ([100, 100], [100, 90]),  # at the top, and as low as it must
        ([0, 0, 0], [20, 10, 0]),
        ([56, 50, 20], [58, 48, 20]),
    ],
)
def test_spread(wanted, places) -> None:
    assert spread(np.array(wanted, float), 10, 100) == pytest.approx(places)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=8))
def test_spread_keeps_distance_order_and_room(heights) -> None:
    places = spread(np.array(sorted(heights, reverse=True)), 10, 100)
    assert (-np.diff(places) >= 10 - 1e-9).all()
    assert places.min() >= -1e-9
    assert places.max() <= 100 + 1e-9


@pytest.mark.parametrize("seed", range(10))
def test_no_places_are_nearer_to_those_wanted(seed) -> None:
    """Against a general solver for least squares under linear constraints."""
    wanted = np.sort(np.random.default_rng(seed).uniform(0, 60, 6))[::-1]
    solved = minimize(
        lambda p: ((p - wanted) ** 2).sum(),
        np.linspace(60, 0, 6),
        jac=lambda p: 2 * (p - wanted),
        bounds=[(0, 60)] * 6,
        constraints={
            "type": "ineq",
            "fun": lambda p: -np.diff(p) - 10,
            "jac": lambda p: np.eye(6)[:-1] - np.eye(6)[1:],
        },
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert solved.success
    assert spread(wanted, 10, 60) == pytest.approx(solved.x, abs=1e-3)


def named(ends: list[LineEnd], words_of, height: float = 2.0):
    with look("light") as chosen:
        figure = page(4, height)
        figure.set_layout_engine("constrained")
        axes = figure.subplots()
        axes.set_ylim(0, 10)
        axes.set_xlabel("step")
        name_line_ends(figure, axes, ends, chosen)
    words = [word for word in words_of(figure) if word.text in {end.text for end in ends} or "more" in word.text]
    return axes, words


def test_names_stand_at_the_ends_of_their_lines(words_of) -> None:
    ends = [LineEnd(1, "low", "red"), LineEnd(9, "high", "blue"), LineEnd(5, "middle", "green")]
    axes, words = named(ends, words_of)
    assert [(word.text, word.color) for word in words] == [("high", "blue"), ("middle", "green"), ("low", "red")]
    for word, y in zip(words, (9, 5, 1), strict=True):
        assert (word.box.y0 + word.box.y1) / 2 == pytest.approx(axes.transData.transform((0, y))[1], abs=3)
        assert word.box.x0 > axes.get_window_extent().x1
    assert not [text for text in axes.texts if text.arrow_patch]  # type: ignore[attr-defined]


def test_names_of_near_ends_are_led_to_them(words_of) -> None:
    axes, words = named([LineEnd(5, "a", "red"), LineEnd(5.1, "b", "blue"), LineEnd(5.2, "c", "green")], words_of)
    assert [word.text for word in words] == ["c", "b", "a"]
    assert words[0].box.y0 > words[1].box.y0 > words[2].box.y0
    leaders = [text for text in axes.texts if text.arrow_patch]  # type: ignore[attr-defined]
    assert len(leaders) == 2  # b is at its place
    for leader, word, y in zip(leaders, (words[0], words[2]), (5.2, 5), strict=True):
        tip = axes.transAxes.transform(leader.xy)[1]
        assert tip == pytest.approx(axes.transData.transform((0, y))[1], abs=3)
        middle = (word.box.y0 + word.box.y1) / 2
        assert tip + leader.xyann[1] * axes.figure.dpi / 72 == pytest.approx(middle, abs=3)


def test_lines_without_room_are_counted(words_of) -> None:
    _, words = named([LineEnd(y / 10, f"n{y}", "red") for y in range(100)], words_of)
    assert words[0].text == "n99"
    assert words[-1].text == f"{100 - len(words) + 1} more"
    assert 5 < len(words) < 30
    assert words[-1].color == LOOKS["light"].muted  # not of one of the lines


def test_a_name_of_several_lines_counts_as_many_among_those_without_room(words_of) -> None:
    ends = [LineEnd(1 + y / 10, f"n{y}", "red") for y in range(80)]
    _, words = named([*ends, LineEnd(0, "20 near 0", "grey", lines=20)], words_of)
    assert words[-1].text == f"{100 - len(words) + 1} more"


def samples(axes: Axes) -> list[tuple[str, object, float]]:
    """(colour, dashes, height on the page) of the pieces of line before the names"""
    lines = [artist for artist in axes.figure.artists if isinstance(artist, Line2D)]
    heights = [float(line.get_transform().transform(line.get_xydata())[0, 1]) for line in lines]
    return [(line.get_color(), line._unscaled_dash_pattern[1], y) for line, y in zip(lines, heights, strict=True)]


def test_names_of_dashed_lines_stand_behind_a_piece_of_them(words_of) -> None:
    dashes = (0, (5, 2))
    ends = [LineEnd(6, "a", "red"), LineEnd(4, "b", "red", dashes), LineEnd(0, "5 near 0", "grey", lines=5)]
    axes, words = named(ends, words_of)
    assert [word.text for word in words] == ["a", "b", "5 near 0"]
    found = samples(axes)
    assert [piece[:2] for piece in found] == [("red", None), ("red", (5, 2))]
    for (_, _, height), word in zip(found, words, strict=False):
        assert height == pytest.approx((word.box.y0 + word.box.y1) / 2, abs=3)
    assert words[0].box.x0 == pytest.approx(words[1].box.x0, abs=1)
    assert words[2].box.x0 < words[1].box.x0 - 10


def test_names_of_whole_lines_need_no_piece_of_them(words_of) -> None:
    axes, _ = named([LineEnd(6, "a", "red"), LineEnd(4, "b", "blue")], words_of)
    assert samples(axes) == []


def test_an_end_beyond_the_frame_is_named_at_its_edge(words_of) -> None:
    axes, words = named([LineEnd(-50, "below", "red"), LineEnd(50, "above", "red")], words_of)
    frame = axes.get_window_extent()
    assert [(word.box.y0 + word.box.y1) / 2 for word in words] == pytest.approx([frame.y1, frame.y0], abs=3)


def test_nothing_to_name(words_of) -> None:
    assert named([], words_of)[1] == []
