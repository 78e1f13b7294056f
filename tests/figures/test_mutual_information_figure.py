import re

import numpy as np
import pytest

from unbraid.errors import UnbraidError
from unbraid.figures import mutual_information
from unbraid.figures.style import LOOKS

MATRIX = [
    [0.0, 0.01, 0.0],  # z0 knows nothing
    [0.1, 0.2, 1.5],  # z1: pos_x
    [0.9, 0.3, 0.0],  # z2: shape
    [0.0, 0.02, 0.0],  # z3 knows nothing, but more than z0
    [1.1, 0.0, 0.0],  # z4: shape, and better than z2
]
FACTORS = ["shape", "scale", "pos_x"]


def rows(words) -> list[str]:
    return [word.text for word in words if re.fullmatch(r"z\d", word.text)]


def test_latents_are_grouped_by_the_factor_they_know_most_of(words_of) -> None:
    words = words_of(mutual_information(MATRIX, FACTORS))
    assert rows(words) == ["z4", "z2", "z1", "z3", "z0"]
    assert [word.text for word in words if word.text in FACTORS] == FACTORS
    line = [word.text for word in words if abs(word.box.y0 - next(w for w in words if w.text == "z1").box.y0) < 10]
    assert line == ["z1", "0.10", "0.20", "1.50"]
    assert "nats" in [word.text for word in words]


def test_a_permuted_code_changes_the_names_only(words_of) -> None:
    order = [3, 0, 4, 2, 1]
    words = words_of(mutual_information(np.array(MATRIX)[order], FACTORS))
    assert rows(words) == [f"z{order.index(latent)}" for latent in (4, 2, 1, 3, 0)]


@pytest.mark.parametrize("theme", LOOKS)
def test_a_latent_keeps_its_colour(theme, words_of) -> None:
    words = words_of(mutual_information(MATRIX, FACTORS, theme=theme))
    assert {w.text: w.color for w in words if re.fullmatch(r"z\d", w.text)} == {
        f"z{i}": LOOKS[theme].colours[i] for i in range(5)
    }


def test_latents_can_stand_as_they_are_numbered(words_of) -> None:
    assert rows(words_of(mutual_information(MATRIX, FACTORS, ordered=False))) == ["z0", "z1", "z2", "z3", "z4"]


def test_a_normalised_matrix_has_a_scale_to_1(words_of) -> None:
    words = words_of(mutual_information(np.array(MATRIX) / 2, FACTORS, normalised=True))
    assert [word.text for word in words if word.text in ("1.00", "share of entropy")] == ["share of entropy", "1.00"]


@pytest.mark.parametrize(
    ("matrix", "options", "message"),
    [
        ([[0.1, -0.2, 0]], {}, "at least 0, not from -0.2 to 0.1"),
        ([[0.1, 1.2, 0]], {"normalised": True}, r"in \[0, 1\] when normalised, not from 0 to 1.2"),
        ([[0.1, 0.2]], {}, "factor_names must be 2 names"),
        ([0.1, 0.2, 0.3], {}, r"matrix must have the shape \[L, F\]"),
    ],
)
def test_refusals(matrix, options, message) -> None:
    with pytest.raises(UnbraidError, match=message):
        mutual_information(matrix, FACTORS, **options)
