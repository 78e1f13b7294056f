import numpy as np
import pytest

from unbraid.errors import UnbraidError
from unbraid.figures.checks import numbers, words


def test_numbers_are_float64_of_the_shape() -> None:
    found = numbers([[1, 2], [3, 4]], "m", "L F", L=2)
    assert found.dtype == np.float64
    assert found.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2], r"kl must have the shape \[L\] with L = 3, not \[2\]"),
        ([[1, 2, 3]], r"\[L\] with L = 3, not \[1, 3\]"),
        ([1, np.nan, np.inf], "finite, and 2 of its numbers are not"),
        (["a", "b", "c"], r"numbers of the shape \[L\]"),
        ([[1], [2, 3], [4]], r"numbers of the shape \[L\]"),
        (None, "kl must"),
    ],
)
def test_numbers_refuses(values: object, message: str) -> None:
    with pytest.raises(UnbraidError, match=message):
        numbers(values, "kl", "L", L=3)


def test_words() -> None:
    assert words(("a", 2), "labels", 2) == ["a", "2"]  # type: ignore[arg-type]
    with pytest.raises(UnbraidError, match="labels must be 3 names, one for each, not 2"):
        words(("a", "b"), "labels", 3)
