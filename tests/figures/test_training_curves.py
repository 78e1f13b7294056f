import numpy as np
import pytest

from unbraid.errors import UnbraidError
from unbraid.figures import training_curves
from unbraid.figures.style import LOOKS


def log(rows: int = 5, latents: int = 3) -> dict[str, np.ndarray]:
    steps = np.arange(1, rows + 1) * 100
    table = {"step": steps, "recon": 1000.0 / steps, "lr": np.ones(rows)}
    return table | {f"kl_{i}": np.linspace(0, i + 1.0, rows) for i in range(latents)}


def curves(figure) -> dict[str, dict[str, np.ndarray]]:
    """Title of a panel -> label of a line -> points [P, 2]."""
    return {
        axes.get_title(loc="left"): {str(line.get_label()): np.asarray(line.get_xydata()) for line in axes.lines}
        for axes in figure.axes
    }


def test_totals_are_made_from_the_parts() -> None:
    table = log()
    drawn = curves(training_curves(table))
    assert list(drawn) == ["Reconstruction and negative ELBO", "Total KL", "KL of each latent"]
    recon, kl, latents = drawn.values()
    assert list(recon) == ["recon", "−ELBO"]
    assert list(kl) == ["KL"]
    assert list(latents) == ["z0", "z1", "z2"]
    assert np.array_equal(recon["recon"], np.stack([table["step"], table["recon"]], axis=1))
    assert kl["KL"][:, 1] == pytest.approx([0, 1.5, 3, 4.5, 6])
    assert recon["−ELBO"][:, 1] == pytest.approx(table["recon"] + kl["KL"][:, 1])
    assert latents["z2"][:, 1] == pytest.approx(table["kl_2"])


def test_totals_in_the_table_are_taken_as_they_are() -> None:
    drawn = curves(
        training_curves(log() | {"kl": np.full(5, 7.0), "elbo": np.full(5, -50.0), "capacity": np.arange(5.0)})
    )
    assert drawn["Total KL"]["KL"][:, 1].tolist() == [7] * 5
    assert drawn["Total KL"]["C"][:, 1].tolist() == [0, 1, 2, 3, 4]
    assert drawn["Reconstruction and negative ELBO"]["−ELBO"][:, 1].tolist() == [50] * 5


def test_latents_are_in_the_order_of_their_numbers() -> None:
    table = {"step": [1, 2], **{f"kl_{i}": [0.0, float(i)] for i in (10, 2, 1)}}
    assert list(curves(training_curves(table))["KL of each latent"]) == ["z1", "z2", "z10"]


def test_only_what_there_is_has_a_panel() -> None:
    assert list(curves(training_curves({"step": [1, 2], "recon": [-3.0, -4.0]}))) == [
        "Reconstruction and negative ELBO"
    ]
    assert list(curves(training_curves({"step": [1], "kl": [3.0]}))) == ["Total KL"]


def test_gaps_are_passed_over() -> None:
    table = {"step": [1, 2, 3, 4], "recon": [4.0, np.nan, 2.0, np.nan], "kl": [np.nan] * 4}
    drawn = curves(training_curves(table))
    assert drawn["Reconstruction and negative ELBO"]["recon"].tolist() == [[1, 4], [3, 2]]
    assert drawn["Total KL"] == {}


def test_a_long_log_is_drawn_by_the_means_of_its_blocks() -> None:
    steps = np.arange(2000)
    recon = np.random.default_rng(0).normal(5, 1, 2000)
    points = curves(training_curves({"step": steps, "recon": recon}))["Reconstruction and negative ELBO"]["recon"]
    assert len(points) == 500
    assert points[:, 0] == pytest.approx([4 * i + 1.5 for i in range(500)])
    assert points[:, 1] == pytest.approx([recon[4 * i : 4 * i + 4].mean() for i in range(500)])


def test_a_loss_that_falls_by_decades_has_a_logarithmic_scale() -> None:
    def scale(recon: list[float]) -> str:
        return training_curves({"step": [1, 2], "recon": recon}).axes[0].get_yscale()

    assert scale([1000, 20]) == "log"
    assert scale([30, 20]) == "linear"
    assert scale([30, -20]) == "linear"


@pytest.mark.parametrize("theme", LOOKS)
def test_lines_are_named_at_their_ends_in_their_colours(theme, words_of) -> None:
    table = log(latents=8)
    for unused in (1, 4, 6):
        table[f"kl_{unused}"] = np.full(5, 0.001)
    figure = training_curves(table, theme=theme, title="Run 7")
    words = words_of(figure)
    axes = figure.axes[-1]
    names = {word.text: word for word in words if word.box.x0 > axes.get_window_extent().x1 and word.text[0] in "z3"}
    assert list(names) == ["z7", "z5", "z3", "z2", "z0", "3 near 0"]
    for latent in (0, 2, 3, 5, 7):
        word = names[f"z{latent}"]
        assert word.color == LOOKS[theme].colours[latent]
        end = axes.transData.transform((0, latent + 1))[1]
        assert (word.box.y0 + word.box.y1) / 2 == pytest.approx(end, abs=4)
    assert words[0].text == "Run 7"
    assert {"recon", "−ELBO", "KL"} <= {word.text for word in words}


def test_forty_latents_are_forty_lines() -> None:
    lines = training_curves(log(latents=41)).axes[-1].lines
    looks = [(line.get_color(), str(line.get_linestyle()), str(line._unscaled_dash_pattern)) for line in lines]  # type: ignore[attr-defined]
    assert len(set(looks)) == 40 and looks[40] == looks[0]


def test_latents_without_room_are_counted_one_by_one(words_of) -> None:
    table = log(latents=60)
    for unused in range(30, 60):
        table[f"kl_{unused}"] = np.zeros(5)
    words = [word.text for word in words_of(training_curves(table))]
    named = [word for word in words if word.startswith("z")]
    assert f"{60 - len(named)} more" in words


def test_marks_and_lines_on_the_frame_are_whole() -> None:
    for axes in training_curves(log(rows=1)).axes:
        assert axes.lines and not any(line.get_clip_on() for line in axes.lines)


def test_a_single_step_stands_in_the_middle_with_its_names_beside_it(words_of) -> None:
    table = log(rows=1) | {"kl_1": np.array([0.5]), "kl_2": np.array([3.0])}
    figure = training_curves(table)
    words = words_of(figure)
    assert [word.text for word in words].count("100") == 3 and not any(word.text == "101" for word in words)
    axes = figure.axes[-1]
    (x, y) = axes.transData.transform((100, 3.0))
    assert x == pytest.approx((axes.bbox.x0 + axes.bbox.x1) / 2)
    (name,) = (word for word in words if word.text == "z2")
    assert x < name.box.x0 < x + 40 and (name.box.y0 + name.box.y1) / 2 == pytest.approx(y, abs=4)
    assert {line.get_marker() for line in axes.lines} == {"o"}
    assert not figure.artists and not figure.lines, "no pieces of lines: there are none"


def test_steps_are_counted_in_thousands(words_of) -> None:
    table = {"step": np.linspace(0, 100_000, 50), "kl": np.ones(50)}
    assert {"0", "20k", "100k"} <= {word.text for word in words_of(training_curves(table))}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"recon": [1.0]}, 'need the column "step", which is not among recon'),
        ({}, "not among none"),
        ({"step": [1, 2], "loss": [1, 2]}, "recon, kl, kl_0, ... are not among step, loss"),
        ({"step": [1, 2], "recon": [1.0]}, r"column recon must be as long as step, 2, not \[1\]"),
        ({"step": [], "recon": []}, "at least one row"),
    ],
)
def test_refusals(table, message) -> None:
    with pytest.raises(UnbraidError, match=message):
        training_curves(table)
