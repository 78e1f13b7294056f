import numpy as np
import pytest
from matplotlib.colors import to_rgb

from unbraid.errors import UnbraidError
from unbraid.figures import heat_map
from unbraid.figures.images import contrast, rgb
from unbraid.figures.style import LOOKS


def grid_of(words, rows, columns) -> list[list[str]]:
    """The words in line with each row's name and each column's."""
    by_text = {word.text: word.box for word in words}

    def at(row: str, column: str) -> list[str]:
        y = (by_text[row].y0 + by_text[row].y1) / 2
        x = (by_text[column].x0 + by_text[column].x1) / 2
        return [w.text for w in words if w.box.x0 < x < w.box.x1 and w.box.y0 < y < w.box.y1]

    return [[text for column in columns for text in at(row, column)] for row in rows]


@pytest.mark.parametrize("theme", LOOKS)
def test_numbers_stand_where_their_row_meets_their_column(theme, words_of) -> None:
    rows, columns = ["z0", "z1", "z2"], ["shape", "scale"]
    words = words_of(heat_map([[0.1, 0.234], [1.5, 0], [0, -0.0]], rows, columns, unit="nats", title="MI", theme=theme))
    assert grid_of(words, rows, columns) == [["0.10", "0.23"], ["1.50", "0.00"], ["0.00", "0.00"]]
    texts = [word.text for word in words]
    assert texts[0] == "MI"
    assert "nats" in texts
    assert texts.count("1.50") == 2  # its cell, and the top of the scale


def test_whole_numbers_are_written_as_such(words_of) -> None:
    words = words_of(heat_map([[3, 120]], ["votes"], ["a", "b"]))
    assert grid_of(words, ["votes"], ["a", "b"]) == [["3", "120"]]


@pytest.mark.parametrize("theme", LOOKS)
def test_colours_go_from_the_page_to_the_end_of_the_scale(theme, pixels_of) -> None:
    picture = pixels_of(heat_map([[0, 1, 2]], ["r"], ["a", "b", "c"], theme=theme))
    ends = LOOKS[theme].sequential[0], LOOKS[theme].sequential[-1]
    counts = [int((picture == rgb(end)).all(-1).sum()) for end in ends]
    assert counts[0] > 2000
    assert counts[1] > 2000
    lower = pixels_of(heat_map([[0, 1, 2]], ["r"], ["a", "b", "c"], high=4, theme=theme))
    assert (lower == rgb(ends[1])).all(-1).sum() < 100  # in the scale only


def test_negative_entries_have_colours_of_their_own(pixels_of, words_of) -> None:
    figure = heat_map([[-2.0, 0, 1.0]], ["r"], ["a", "b", "c"])
    low, high = (rgb(LOOKS["light"].diverging[end]) for end in (0, -1))
    picture = pixels_of(figure)
    assert (picture == low).all(-1).sum() > 2000
    assert (picture == high).all(-1).sum() < 100
    assert [word.text for word in words_of(figure)].count("2") == 1  # the scale reaches as far up as down


@pytest.mark.parametrize("theme", LOOKS)
def test_numbers_are_legible_on_their_cells(theme, words_of, pixels_of) -> None:
    figure = heat_map(np.linspace(-1, 1, 21)[None], ["r"], [f"c{i}" for i in range(21)], theme=theme)
    picture = pixels_of(figure)
    for word in words_of(figure):
        if word.text.lstrip("−").startswith(("0.", "1.")) and word.box.x1 < picture.shape[1] - 100:
            cell = picture[picture.shape[0] - int(word.box.y1) - 6, int(word.box.x0)]
            assert contrast(np.array(to_rgb(word.color)) * 255, cell) > 4


def test_long_names_of_columns_are_turned(words_of) -> None:
    words = {
        w.text: w.box for w in words_of(heat_map(np.ones((2, 2)), ["r", "s"], ["short", "a name that is rather long"]))
    }
    assert words["a name that is rather long"].height > words["a name that is rather long"].width
    assert words["short"].height > words["short"].width


def test_large_matrices_go_without_numbers(words_of) -> None:
    names = [f"z{i}" for i in range(30)]
    texts = [word.text for word in words_of(heat_map(np.full((30, 30), 0.5), names, names))]
    assert len(texts) == 62  # two times the names, and the ends of the scale
    assert "0.50" in texts


def test_nothing_at_all_is_drawn_as_such(words_of) -> None:
    assert "0" in [word.text for word in words_of(heat_map(np.zeros((2, 2)), ["a", "b"], ["c", "d"]))]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([1, 2], ["a"], ["b"]), {}, r"matrix must have the shape \[R, K\], not \[2\]"),
        (([[1, 2]], ["a", "b"], ["c", "d"]), {}, "rows must be 1 names"),
        (([[1, 2]], ["a"], ["c"]), {}, "columns must be 2 names"),
        (([[1, np.nan]], ["a"], ["c", "d"]), {}, "finite"),
        (([[1]], ["a"], ["c"]), {"row_latents": [1, 2]}, r"row_latents must be 1 numbers, .* not \[1, 2\]"),
        (([[1]], ["a"], ["c"]), {"high": 0}, "high must be a positive number, not 0"),
    ],
)
def test_refusals(arguments, options, message) -> None:
    with pytest.raises(UnbraidError, match=message):
        heat_map(*arguments, **options)
