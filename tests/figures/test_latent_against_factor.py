import re
from importlib import import_module

import numpy as np
import pytest

from unbraid.errors import UnbraidError
from unbraid.figures import latent_against_factor
from unbraid.figures.style import LOOKS

module = import_module("unbraid.figures.latent_against_factor")  # the function has the name too
NAMES, SIZES = ["shape", "pos_x", "pos_y"], [3, 10, 12]


@pytest.fixture
def sample() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    factors = np.stack([rng.integers(0, size, 4000) for size in SIZES], axis=1)
    codes = rng.normal(0, 0.01, (4000, 4))  # z0 does nothing
    codes[:, 1] += (factors[:, 1] - 4.5) / 2.5
    codes[:, 2] += (factors[:, 2] - 5.5) / 5 + 0.1 * factors[:, 0]
    codes[:, 3] += factors[:, 0] - 1.0
    return codes, factors


def panels(figure, columns: int) -> np.ndarray:
    """Axes [rows, columns]; they were made column by column."""
    axes = [a for a in figure.axes if a.get_position().height > 0.1]
    return np.array(axes).reshape(columns, -1).T


def test_lines_are_means_and_bands_deviations(sample) -> None:
    codes, factors = sample
    grid = panels(latent_against_factor(codes, factors, NAMES, SIZES, latents=[2, 0]), 3)
    for row, latent in enumerate((2, 0)):
        for column, size in enumerate(SIZES):
            groups = [codes[factors[:, column] == value, latent] for value in range(size)]
            line = max(grid[row, column].lines, key=lambda line: len(line.get_xdata()))
            assert line.get_xdata().tolist() == list(range(size))
            assert line.get_ydata() == pytest.approx([group.mean() for group in groups])
            (band,) = grid[row, column].collections
            edges = band.get_paths()[0].vertices if size > 8 else np.concatenate(band.get_segments())
            for value, group in enumerate(groups):
                heights = edges[np.isclose(edges[:, 0], value), 1]
                assert heights.min() == pytest.approx(group.mean() - group.std())
                assert heights.max() == pytest.approx(group.mean() + group.std())


def test_one_range_of_codes_serves_all(sample) -> None:
    grid = panels(latent_against_factor(*sample, NAMES, SIZES), 3)
    assert len({axes.get_ylim() for axes in grid.flat}) == 1
    low, high = grid[0, 0].get_ylim()
    assert low == -high
    assert 1.8 < high < 2.1


@pytest.mark.parametrize("theme", LOOKS)
def test_rows_are_the_latents_that_vary_most_first(sample, theme, words_of) -> None:
    words = words_of(latent_against_factor(*sample, NAMES, SIZES, theme=theme, title="A run"))
    names = [word for word in words if re.fullmatch(r"z\d", word.text)]
    assert [word.text for word in names] == ["z1", "z3", "z2"]  # sd 1.15, 0.82, 0.7; z0 does nothing
    assert [word.color for word in names] == [LOOKS[theme].colours[i] for i in (1, 3, 2)]
    assert [word.text for word in words if word.text in NAMES] == NAMES
    assert words[0].text == "A run"


def test_rows_in_the_order_of_posterior_variances(sample, words_of) -> None:
    words = words_of(latent_against_factor(*sample, NAMES, SIZES, variances=[0.0, 0.3, 0.1, 0.2]))
    assert [word.text for word in words if re.fullmatch(r"z\d", word.text)] == ["z2", "z3", "z1"]


def test_it_says_how_many_latents_are_left_out(sample, words_of) -> None:
    def words(**options) -> list[str]:
        return [word.text for word in words_of(latent_against_factor(*sample, NAMES, SIZES, **options))]

    assert words(title="A run")[:2] == ["A run", "without 1 latent whose codes hardly vary"]
    assert not any("hardly" in word for word in words(latents=[1, 2]))  # those were chosen


def test_the_mark_of_the_largest_code_is_whole() -> None:
    figure = latent_against_factor(np.array([[1.0], [-1.0]]), np.array([[0], [1]]), ["f"], [2])
    (axes,) = figure.axes
    figure.draw_without_rendering()
    radius = 2 * figure.dpi / 72  # pixels: half of a mark of 3 points, and its edge
    for place in axes.transData.transform([(0, 1), (1, -1)]):
        assert axes.bbox.y0 + radius < place[1] < axes.bbox.y1 - radius


def under(axes) -> list[str]:
    return [label.get_text() for label in axes.get_xticklabels()]


def test_values_stand_by_what_they_stand_for(sample) -> None:
    levels = {"shape": ["blau", "gelb", "rot"], "pos_x": [f"{n}" for n in range(30, 40)]}
    bottom = panels(latent_against_factor(*sample, NAMES, SIZES, levels=levels), 3)[-1]
    assert [under(axes) for axes in bottom] == [["blau", "gelb", "rot"], ["30", "39"], ["0", "11"]]
    some = latent_against_factor(np.eye(3), np.array([[0], [2], [2]]), ["f"], [3], levels={"f": "abc"})
    assert under(some.axes[-1]) == ["a", "c"], "b does not occur"


def test_of_values_without_room_the_ends_are_named_as_far_as_they_fit(sample) -> None:
    codes, factors = sample
    for words in (
        ["first material of all", "b", "the last of them"],
        ["ab", "a word of some length", "c"],
        ["a word of some length"] * 2 + ["c"],
        ["a\nb", "$c$", "i" * 10_000],
    ):
        figure = latent_against_factor(codes, factors[:, :1], ["shape"], [3], levels={"shape": words})
        figure.draw_without_rendering()
        axes = figure.axes[-1]
        labels = axes.get_xticklabels()
        assert len(labels) == 2
        first, last = (label.get_window_extent() for label in labels)
        assert axes.bbox.x0 - 2 < first.x0 and first.x1 + 6 < last.x0 and last.x1 < axes.bbox.x1 + 2
        for label, word in zip(labels, (words[0], words[-1]), strict=True):
            shown = label.get_text()
            assert "\n" not in shown and (shown == word or shown.endswith("…") or word == "a\nb")
    assert under(axes)[0] == "a\\nb"


def test_long_words_are_measured_once_a_factor_not_once_a_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A width takes milliseconds: with every latent and every beginning of a word this took minutes."""
    measured = []
    real = module.text_width
    monkeypatch.setattr(module, "text_width", lambda text, **how: measured.append(text) or real(text, **how))
    module._width.cache_clear()
    rng = np.random.default_rng(0)
    codes, factors = rng.normal(size=(60, 6)), rng.integers(3, size=(60, 2))
    words = {name: [f"{name}{place} " + "word" * 9 for place in range(3)] for name in "ab"}
    latent_against_factor(codes, factors, ["a", "b"], [3, 3], levels=words)
    assert len(measured) < 50


def test_large_numbers_are_written_out() -> None:
    factors = np.stack([np.arange(300), np.linspace(-250, 1000, 300)], axis=1)
    figure = latent_against_factor(np.ones((300, 1)), factors, ["index", "mm"], [300, None])
    assert [under(axes) for axes in figure.axes] == [["0", "299"], ["−219", "969"]]


def test_positions_are_maps_of_mean_codes(sample, words_of) -> None:
    codes, factors = sample
    codes, factors = (
        codes[(factors[:, 1] != 4) | (factors[:, 2] != 7)],
        factors[(factors[:, 1] != 4) | (factors[:, 2] != 7)],
    )
    figure = latent_against_factor(codes, factors, NAMES, SIZES, position=("pos_x", "pos_y"))
    assert [word.text for word in words_of(figure) if word.text in ("position", *NAMES)] == ["position", "shape"]
    maps = [axes.images[0] for axes in figure.axes if axes.images and axes.get_position().height > 0.1]
    for picture, latent in zip(maps, (1, 3, 2), strict=True):
        shown = picture.get_array()
        assert shown.shape == (12, 10)  # y down, x to the right
        for x in range(10):
            for y in range(12):
                here = (factors[:, 1] == x) & (factors[:, 2] == y)
                if here.any():
                    assert shown[y, x] == pytest.approx(codes[here, latent].mean())
        assert np.ma.is_masked(shown[7, 4]) or np.isnan(shown[7, 4])  # no image there
        low, high = picture.get_clim()
        assert low == -high
        assert high >= abs(shown).max()
        assert picture.origin == "upper"


def test_continuous_factors_are_cut_into_twenty_bins(sample) -> None:
    codes, _factors = sample
    values = np.random.default_rng(1).uniform(-2, 3, 4000)
    values[:2] = -2, 3
    codes[:, 0] = np.sin(values)
    (axes,) = panels(latent_against_factor(codes, values[:, None], ["angle"], [None], latents=[0]), 1).flat
    line = max(axes.lines, key=lambda line: len(line.get_xdata()))
    assert line.get_xdata() == pytest.approx(np.arange(-1.875, 3, 0.25))
    inside = [(values >= low) & (values < low + 0.25) for low in np.arange(-2, 3, 0.25)]
    inside[-1] |= values == 3
    assert line.get_ydata() == pytest.approx([codes[where, 0].mean() for where in inside])


@pytest.mark.parametrize("value", [0.0, 7.5])
def test_a_factor_that_never_changes_is_drawn_all_the_same(value) -> None:
    codes = np.random.default_rng(0).normal(size=(50, 1))
    latent_against_factor(codes, np.full((50, 1), value), ["f"], [None])
    latent_against_factor(codes, np.zeros((50, 1)), ["f"], [1])


def test_values_that_do_not_occur_leave_no_gap() -> None:
    """Of 0 to 12, 8 and 12 alone: a line between the two, and nothing of the others."""
    figure = latent_against_factor(np.array([[1.0], [1.0], [-1.0]]), np.array([[8], [8], [12]]), ["radius"], [13])
    points = [line.get_xydata().tolist() for line in figure.axes[0].get_lines() if line.get_marker() == "o"]
    assert points == [[[8, 1], [12, -1]]]
    low, high = figure.axes[0].get_xlim()
    assert 7 < low < 8 and 12 < high < 13


def test_where_no_code_varies_all_latents_are_drawn(words_of) -> None:
    figure = latent_against_factor(np.zeros((6, 2)), np.arange(6)[:, None] % 3, ["f"], [3])
    assert [word.text for word in words_of(figure) if word.text in ("z0", "z1")] == ["z0", "z1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": np.zeros(5)}, r"codes must have the shape \[N, L\]"),
        ({"factors": np.zeros((4, 1))}, r"factors must have the shape \[N, F\] with N = 5"),
        ({"factors": np.full((5, 1), 0.5)}, "factor f must be value indices from 0 to 2"),
        ({"factors": np.full((5, 1), 3)}, "from 0 to 2"),
        ({"factor_names": ["f", "g"]}, "factor_names must be 1 names"),
        ({"factor_sizes": []}, "factor_sizes must be 1 sizes"),
        ({"levels": {"f": ["a", "b"]}}, "levels of f must be 3 words, one for each value, not 2"),
        ({"latents": [2]}, r"latents must be numbers from 0 to 1, not \[2\]"),
        ({"latents": []}, r"not \[\]"),
        ({"variances": [1]}, r"variances must have the shape \[L\] with L = 2"),
        ({"position": ("f", "pos")}, 'no factor called "pos"'),
    ],
)
def test_refusals(change, message) -> None:
    given = {
        "codes": np.random.default_rng(0).normal(size=(5, 2)),
        "factors": np.array([[0], [1], [2], [0], [1]]),
        "factor_names": ["f"],
        "factor_sizes": [3],
    }
    with pytest.raises(UnbraidError, match=message):
        latent_against_factor(**given | change)
