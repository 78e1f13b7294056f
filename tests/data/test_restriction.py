"""Training on a part of a grid: what is kept, and that nothing else is ever seen."""

import itertools

import numpy as np
import pytest

from unbraid.data import from_arrays, load
from unbraid.data.labels import Grid, Listed
from unbraid.data.pixels import Pixels
from unbraid.data.restriction import kept
from unbraid.data.stored import Stored
from unbraid.errors import UnbraidError

NAMES, SIZES = ("shape", "x", "y"), (3, 5, 4)


def slow(every: dict[str, int], without: dict[str, range]) -> list[int]:
    """The same by asking every combination in turn."""
    found = []
    for place, values in enumerate(itertools.product(*map(range, SIZES))):
        named = dict(zip(NAMES, values, strict=True))
        dense = all(named[name] % step == 0 for name, step in every.items())
        held = bool(without) and all(named[name] in values for name, values in without.items())
        if dense and not held:
            found.append(place)
    return found


@pytest.mark.parametrize(
    ("every", "without", "steps", "region"),
    [
        ("x:2", "", {"x": 2}, {}),
        (" x:2 , y:4", "", {"x": 2, "y": 4}, {}),
        ("", "shape:0,x:2-4", {}, {"shape": range(1), "x": range(2, 5)}),
        ("", "shape : 1", {}, {"shape": range(1, 2)}),
        ("x:3", "y:0-2, shape:2", {"x": 3}, {"y": range(3), "shape": range(2, 3)}),
        ("x:1", "", {}, {}),
    ],
)
def test_keeps(every: str, without: str, steps: dict[str, int], region: dict[str, range]) -> None:
    rows = kept(NAMES, SIZES, every=every, without=without)
    assert rows is not None and rows.tolist() == slow(steps, region)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"every": "z:2"}, 'there is no factor called "z"'),
        ({"every": "x"}, 'every must be factors with values, such as "pos_x:2,pos_y:2", not "x"'),
        ({"every": "x:0"}, 'every: x takes whole numbers from 1 to 5, not "0"'),
        ({"every": "x:2,x:3"}, "every names a factor twice"),
        ({"without": "x:5"}, 'without: x takes whole numbers from 0 to 4, not "5"'),
        ({"without": "x:3-2"}, 'without: x takes whole numbers from 3 to 4, not "2"'),
        ({"without": "x:-2"}, 'without: x takes whole numbers from 0 to 4, not ""'),
        ({"without": "shape:0-2"}, "leaves no image of 60"),
        ({"without": "x;3"}, "without must be factors with values"),
    ],
)
def test_refuses(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(UnbraidError) as error:
        kept(NAMES, SIZES, **options)
    assert sentence in str(error.value)


def test_nothing_left_out_is_the_grid_itself() -> None:
    assert kept(NAMES, SIZES) is None and kept(NAMES, SIZES, every=" ", without="") is None


def test_batches_come_from_the_kept_images_alone() -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(60, 1)  # each image is its own place in the grid
    rows = kept(NAMES, SIZES, every="x:2", without="shape:0,y:0-1")
    assert rows is not None
    labels = Listed(NAMES, SIZES, Grid(NAMES, SIZES).factors(rows))
    data = Stored(Pixels(pixels, (1, 1, 1)), labels, binary=False, kept=rows)
    assert len(data) == len(rows) == 3 * 3 * 4 - 3 * 2
    assert data.images(np.arange(len(data))).ravel().tolist() == rows.tolist()
    batches = data.batches(6, seed=0)
    seen = [(255 * batches(step)).round().int().ravel().tolist() for step in range(2 * len(rows) // 6)]
    for epoch in (seen[: len(rows) // 6], seen[len(rows) // 6 :]):
        assert sorted(itertools.chain.from_iterable(epoch)) == rows.tolist()
    assert data.indices(data.factors(np.arange(len(data)))).tolist() == list(range(len(data)))
    with pytest.raises(UnbraidError, match="no images have shape 0, x 0, y 0"):
        data.indices(np.array([[0, 0, 0]]))


@pytest.mark.usefixtures("dsprites_cache")
def test_dsprites_in_part_is_that_part_of_dsprites() -> None:
    whole, part = load("dsprites"), load("dsprites", every="pos_x:8,orientation:10", without="shape:1,scale:2-5")
    assert len(part) == (3 * 6 - 4) * 4 * 4 * 32
    assert part.factor_sizes == whole.factor_sizes and part.factor_names == whole.factor_names
    chosen = np.array([0, 1, 700, len(part) - 1])
    factors = part.factors(chosen)
    assert np.array_equal(part.images(chosen), whole.images(whole.indices(factors)))


def test_arrays_know_nothing_of_it() -> None:
    assert from_arrays(np.zeros((2, 4, 4))).kept is None
