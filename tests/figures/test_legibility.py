"""Every figure, small and large, on both pages: nothing is cut off, no words meet, no settings or colours stray."""

import itertools
from collections.abc import Callable

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from unbraid import figures
from unbraid.figures.style import LOOKS

RNG = np.random.default_rng(0)
FACTORS = ["shape", "scale", "orientation", "pos_x", "pos_y"]
METHODS = ["beta_vae", "annealed_vae", "factor_vae", "dip_vae_i", "dip_vae_ii", "beta_tcvae"]
SIZES = [3, 6, 40, 32, 32]
CODED = RNG.integers(0, SIZES, (5000, 5))


def images(*shape: int) -> np.ndarray:
    return RNG.random(shape, dtype=np.float32)


def log(latents: int, rows: int, *, low: float = 0.0) -> dict[str, np.ndarray]:
    steps = np.linspace(1, 300_000, rows).astype(int)
    table = {"step": steps, "recon": 2000 * np.exp(-steps / 9000) + 30, "capacity": steps / 12_000}
    return table | {f"kl_{i}": np.full(rows, low + (i % 7) * 0.6) for i in range(latents)}


def names(count: int) -> list[str]:
    return [f"z{i}" for i in range(count)]


GALLERY: dict[str, Callable[[str], Figure]] = {
    "traversals, one of everything": lambda theme: figures.traversals(images(1, 1, 1, 8, 8), [0], theme=theme),
    "traversals, 10 latents": lambda theme: figures.traversals(
        images(10, 10, 1, 64, 64),
        np.linspace(-3, 3, 10),
        variances=np.linspace(0, 1, 10),
        kl=np.linspace(12, 0, 10),
        follows=(FACTORS * 2)[:10],
        original=images(1, 64, 64),
        title="A rather long title of a run: beta_vae on dsprites with beta 4, seed 0",
        theme=theme,
    ),
    "traversals, 20 latents, 20 values": lambda theme: figures.traversals(
        images(20, 20, 3, 64, 64), np.linspace(-3, 3, 20), variances=np.ones(20), kl=np.zeros(20), theme=theme
    ),
    "traversals, long title": lambda theme: figures.traversals(
        images(3, 2, 1, 28, 28), [-3, 3], title="A title that is a good deal wider than the pictures", theme=theme
    ),
    "traversals, heat": lambda theme: figures.traversals(
        images(10, 5, 1, 32, 32),
        np.linspace(-3, 3, 5),
        latents=range(5, 15),
        deviations=np.linspace(0, 1, 10),
        original=images(1, 32, 32),
        heat=True,
        theme=theme,
    ),
    "traversals, heat, one row": lambda theme: figures.traversals(
        images(1, 5, 1, 32, 32), range(5), heat=True, theme=theme
    ),
    "strip": lambda theme: figures.traversal_strip(
        images(10, 1, 32, 32), np.linspace(-3, 3, 10), label="z3", theme=theme
    ),
    "strip of percentiles": lambda theme: figures.traversal_strip(
        images(10, 1, 32, 32),
        np.linspace(1, 99, 10).round(),
        label="z3",
        heading="percentile",
        variance=0.03,
        kl=2.5,
        follows="scale",
        theme=theme,
    ),
    "reconstructions, 1": lambda theme: figures.reconstructions(images(1, 1, 8, 8), images(1, 1, 8, 8), theme=theme),
    "reconstructions, 25": lambda theme: figures.reconstructions(
        images(25, 3, 64, 64), images(25, 3, 64, 64), title="Reconstructions", theme=theme
    ),
    "contact sheet": lambda theme: figures.contact_sheet(
        images(33, 1, 64, 64), [" ".join("12345") + f"\n{i}" for i in range(33)], title="  ".join(FACTORS), theme=theme
    ),
    "contact sheet, long labels": lambda theme: figures.contact_sheet(
        images(5, 3, 28, 28), ["orientation=0.785 scale=0.5"] * 5, theme=theme
    ),
    "deviations": lambda theme: figures.posterior_deviation(
        {f"β = {beta}": RNG.random(10) for beta in (0.1, 0.5, 1.0)}, title="One ball, fully connected", theme=theme
    ),
    "deviations of 12 runs": lambda theme: figures.posterior_deviation(
        {f"a longer name, {run}": RNG.random(32) for run in range(12)}, theme=theme
    ),
    "variance": lambda theme: figures.posterior_variance(RNG.random(10), theme=theme),
    "variance of 1": lambda theme: figures.posterior_variance([0.5], title="One", theme=theme),
    "variance of 64": lambda theme: figures.posterior_variance(
        RNG.random(64), [f"z{i} → orientation" for i in range(64)], ordered=True, theme=theme
    ),
    "reconstruction against beta": lambda theme: figures.reconstruction_against(
        [
            (net, beta, 50 + 20 * beta, 3.0)
            for net in ("fully_connected", "conv", "all_conv")
            for beta in (0.1, 0.5, 1.0)
        ],
        floor=45,
        title="Two balls",
        theme=theme,
    ),
    "reconstruction against many": lambda theme: figures.reconstruction_against(
        [(f"net {n}", beta, 50 + n / 10) for n in range(8) for beta in (1, 2, 4, 6, 8, 16)], theme=theme
    ),
    "reconstructions, named rows": lambda theme: figures.reconstructions(
        images(20, 1, 16, 16), images(20, 1, 16, 16), rows=["seen in training", "never seen"], title="T", theme=theme
    ),
    "score distributions": lambda theme: figures.score_distributions(
        {method: {f"beta {n}": RNG.random(5) for n in (1, 2, 4)} for method in METHODS},
        score="mig",
        title="Scores",
        theme=theme,
    ),
    "score distribution of one run": lambda theme: figures.score_distributions({"a": {"": [0.5]}}, theme=theme),
    "score against, six methods": lambda theme: figures.score_against(
        {method: ("lambda_od", [("", n, RNG.random()) for n in (1, 2, 5, 10, 20, 50)]) for method in METHODS},
        score="mig",
        title="Scores",
        theme=theme,
    ),
    "score against, lines of long names": lambda theme: figures.score_against(
        {"": ("share of the images", [(f"a line of a longer name {n}", n, n) for n in range(4)])}, theme=theme
    ),
    "curves": lambda theme: figures.training_curves(log(10, 3000), title="burgess on dsprites, seed 0", theme=theme),
    "curves of 40 latents": lambda theme: figures.training_curves(log(40, 30, low=1.0), theme=theme),
    "curves of one row": lambda theme: figures.training_curves(log(3, 1), theme=theme),
    "information": lambda theme: figures.mutual_information(RNG.random((10, 5)), FACTORS, theme=theme),
    "information, long names": lambda theme: figures.mutual_information(
        RNG.random((20, 7)),
        [f"a long name of a factor {i}" for i in range(7)],
        normalised=True,
        title="Short",
        theme=theme,
    ),
    "correlations": lambda theme: figures.heat_map(
        RNG.random((10, 10)) - 0.5, names(10), names(10), unit="correlation", theme=theme
    ),
    "large matrix": lambda theme: figures.heat_map(
        RNG.random((64, 64)), names(64), names(64), unit="a unit of several words", title="Large", theme=theme
    ),
    "one entry": lambda theme: figures.heat_map([[5]], ["a"], ["b"], unit="votes", theme=theme),
    "latents against factors": lambda theme: figures.latent_against_factor(
        RNG.normal(size=(5000, 10)), CODED, FACTORS, SIZES, title="Codes", theme=theme
    ),
    "latents against factors and positions": lambda theme: figures.latent_against_factor(
        30 * RNG.normal(size=(5000, 3)), CODED, FACTORS, SIZES, position=("pos_x", "pos_y"), theme=theme
    ),
    "latents against factors of words": lambda theme: figures.latent_against_factor(
        RNG.normal(size=(5000, 3)),
        CODED[:, [0, 0, 0, 1]],
        ["shape", "colour", "made of", "scale"],
        [3, 3, 3, 6],
        levels={
            "shape": ["square", "ellipse", "heart"],
            "colour": ["blue", "red", "yellow"],
            "made of": ["a long word for wood", "iron", "a long word for rubber"],
            "scale": [f"{scale:g}" for scale in np.linspace(0.5, 1, 6)],
        },
        theme=theme,
    ),
    "latents against one factor, long title": lambda theme: figures.latent_against_factor(
        RNG.normal(size=(100, 4)) * [1, 1, 0, 0],
        RNG.normal(size=(100, 1)),
        ["x"],
        [None],
        title="a title that is wider than one panel",
        theme=theme,
    ),
    "latents against continuous factors": lambda theme: figures.latent_against_factor(
        0.01 + 0.06 * RNG.normal(size=(100, 2)), RNG.normal(size=(100, 3)), ["x", "y", "z"], [None] * 3, theme=theme
    ),
}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((name, look), id=f"{name}, {look}", marks=[] if look == "light" else pytest.mark.slow)
        for name, look in itertools.product(GALLERY, LOOKS)  # the others have other colours, and all in the same place
    ],
)
def figure(request: pytest.FixtureRequest) -> Figure:
    name, theme = request.param
    before = dict(matplotlib.rcParams)
    drawn = GALLERY[name](theme)
    assert dict(matplotlib.rcParams) == before
    return drawn


def meet(one: Bbox, other: Bbox) -> bool:
    return min(one.x1, other.x1) - max(one.x0, other.x0) > 1 and min(one.y1, other.y1) - max(one.y0, other.y0) > 3


def test_words_are_whole_and_apart(figure, words_of) -> None:
    words = words_of(figure)
    width, height = figure.get_size_inches() * figure.dpi
    for word in words:
        assert word.box.x0 > 0 and word.box.y0 > 0 and word.box.x1 < width and word.box.y1 < height, word.text
    clashes = [(a.text, b.text) for a, b in itertools.combinations(words, 2) if meet(a.box, b.box)]
    assert clashes == []


def test_the_margin_is_the_page(figure, pixels_of) -> None:
    """A line of pixels around the whole is of the page's colour: nothing runs out of it."""
    picture = pixels_of(figure)
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert len(np.unique(edge, axis=0)) == 1
