import io
import itertools
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from unbraid.errors import UnbraidError
from unbraid.figures import encoded, posterior_deviation, save
from unbraid.figures.style import DPI, LOOKS, Look, decimal, look

# How a linear RGB colour looks to people without one kind of cone: Machado, Oliveira & Fernandes 2009, severity 1.
VISION = {
    "full": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def linear(colour: str) -> np.ndarray:
    value = np.array(to_rgb(colour))
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Ottosson's space, where distances are about as large as differences look; white and black are 1 apart."""
    cones = np.array([[0.41222147, 0.53633254, 0.05144599], [0.21190350, 0.68069955, 0.10739696], [0.08830246, 0.28171884, 0.62997870]])  # fmt: skip # noqa: E501
    lab = np.array([[0.21045426, 0.79361779, -0.00407205], [1.97799850, -2.42859221, 0.45059371], [0.02590404, 0.78277177, -0.80867577]])  # fmt: skip # noqa: E501
    return lab @ np.cbrt(cones @ np.clip(rgb, 0, 1))


def contrast(one: str, other: str) -> float:
    light, dark = sorted((float(linear(c) @ (0.2126, 0.7152, 0.0722)) for c in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def chart(theme: str = "light", title: str = "Title") -> Figure:
    return posterior_deviation({"a": [0.1, 0.9, 1.0], "b": [0.5, 0.2, 0.7]}, theme=theme, title=title)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("theme", LOOKS)
def test_colours_differ_for_every_kind_of_colour_vision(theme: str, vision: str) -> None:
    seen = [oklab(VISION[vision] @ linear(colour)) for colour in LOOKS[theme].colours]
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)) > 0.08


@pytest.mark.parametrize("chosen", LOOKS.values(), ids=LOOKS)
def test_marks_and_words_stand_out_against_the_page(chosen: Look) -> None:
    assert len(chosen.colours) == 10
    assert all(contrast(colour, chosen.background) >= 3 for colour in chosen.colours)  # as WCAG 2 asks for graphics
    assert contrast(chosen.ink, chosen.background) >= 7
    assert contrast(chosen.muted, chosen.background) >= 4.5


@pytest.mark.parametrize("chosen", LOOKS.values(), ids=LOOKS)
def test_scales_of_colours_begin_at_the_page_and_move_away_from_it_evenly(chosen: Look) -> None:
    lightness = [oklab(linear(tuple(c)))[0] for c in chosen.map("sequential")(np.linspace(0, 1, 64))[:, :3]]  # type: ignore[arg-type]
    steps = np.diff(lightness)
    assert np.allclose(chosen.map("sequential")(0.0)[:3], to_rgb(chosen.background))
    assert np.allclose(chosen.map("diverging")(0.5)[:3], to_rgb(chosen.background), atol=0.02)
    assert (steps > 0).all() or (steps < 0).all()
    assert abs(steps).max() < 5 * abs(steps).min()


def test_the_21st_line_differs_from_the_first_by_its_dashes() -> None:
    chosen = LOOKS["light"]
    styles = {(line["color"], str(line["linestyle"])) for line in map(chosen.line, range(30))}
    assert len(styles) == 30
    assert chosen.colour(13) == chosen.colour(3)


@pytest.mark.parametrize("theme", LOOKS)
def test_the_page_is_the_themes_and_opaque(theme: str, pixels_of) -> None:
    picture = pixels_of(chart(theme))
    assert picture.shape[1] == round(4.2 * DPI)
    for corner in (picture[0, 0], picture[-1, 0], picture[0, -1], picture[-1, -1]):
        assert np.array_equal(corner / 255, to_rgb(LOOKS[theme].background))


@pytest.mark.parametrize("theme", LOOKS)
def test_ticks_made_while_drawing_follow_the_theme(theme: str, words_of) -> None:
    numbers = {word.color for word in words_of(chart(theme)) if word.text in ("0.0", "0.5", "1.0", "1", "2", "3")}
    assert numbers == {LOOKS[theme].muted}


def test_a_dollar_is_a_dollar(words_of) -> None:
    widths = {
        title: next(w.box.width for w in words_of(chart(title=title)) if w.text == title) for title in ("b$x$", "bx")
    }
    assert widths["b$x$"] > 1.5 * widths["bx"]


@pytest.mark.parametrize("file_format", ["png", "pdf", "svg"])
def test_equal_figures_are_equal_files(file_format: str) -> None:
    first = encoded(chart(), file_format=file_format)
    assert first == encoded(chart(), file_format=file_format)
    assert first != encoded(chart("dark"), file_format=file_format)
    for word in (b"CreationDate", b"<dc:date", b"Matplotlib v", b"matplotlib.org"):
        assert word not in first


def test_a_figure_is_drawn_twice_alike() -> None:
    figure = chart()
    assert encoded(figure) == encoded(figure)


def test_the_users_settings_change_nothing_and_are_not_changed() -> None:
    plain = encoded(chart())
    theirs = {
        "font.size": 20.0,
        "axes.grid": True,
        "axes.facecolor": "red",
        "savefig.bbox": "tight",
        "lines.marker": "x",
    }
    with matplotlib.rc_context(theirs):
        assert encoded(chart()) == plain
        assert all(matplotlib.rcParams[name] == value for name, value in theirs.items())


def test_pyplot_is_never_imported() -> None:
    program = (
        "import sys, unbraid.figures as f\n"
        "f.encoded(f.posterior_deviation({'a': [0.5]}))\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


@pytest.mark.parametrize(("name", "start"), [("f.png", b"\x89PNG"), ("f.PDF", b"%PDF"), ("deep/er/f.svg", b"<?xml")])
def test_save_writes_what_the_suffix_says(tmp_path: Path, name: str, start: bytes) -> None:
    save(chart(), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    assert list((tmp_path / name).parent.iterdir()) == [tmp_path / name]


def test_save_takes_text_and_the_resolution(tmp_path: Path) -> None:
    save(chart(), str(tmp_path / "f.png"), dpi=50)
    with Image.open(tmp_path / "f.png") as image:
        assert image.size == (210, 140)
        assert set(image.info) <= {"dpi"}


@pytest.mark.parametrize("name", ["f.gif", "f", "f.png.tmp"])
def test_save_refuses_other_formats(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnbraidError, match=r"\.png, \.pdf or \.svg"):
        save(chart(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f.png"
    path.write_bytes(b"old")

    def fail(self: Figure, stream: io.BytesIO, **options: object) -> None:
        stream.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        save(chart(), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_unknown_theme_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnbraidError, match=r'no theme called "drak"; did you mean "dark"\?.*dark, light'):
        chart("drak")


def test_settings_are_put_back_after_an_error() -> None:
    before = dict(matplotlib.rcParams)
    with pytest.raises(RuntimeError), look("dark"):
        raise RuntimeError
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(-1.5, 1, "−1.5"), (-0.004, 2, "0.00"), (0.0, 0, "0"), (2.346, 2, "2.35"), (-10, 0, "−10")],
)
def test_decimal(value: float, decimals: int, text: str) -> None:
    assert decimal(value, decimals) == text
