"""Schedules: values worked out by hand, and a text that reads back as itself."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unbraid.errors import UnbraidError
from unbraid.schedules import Schedule, constant, cosine, exponential, linear, parse, piecewise, resolve


def test_constant() -> None:
    assert [constant(3)(step) for step in (0, 7, 10**9)] == [3.0, 3.0, 3.0]


def test_linear_runs_straight_and_stays_at_its_end() -> None:
    rising = linear(0, 20, steps=100)
    assert [rising(step) for step in (0, 25, 50, 100, 1_000_000)] == [0, 5, 10, 20, 20]
    assert [linear(4, -4, steps=8)(step) for step in (0, 2, 8, 9)] == [4, 2, -4, -4]


def test_cosine_is_half_a_wave() -> None:
    falling = cosine(1.0, 0.0, steps=60)
    assert [falling(step) for step in (0, 20, 30, 40, 60, 61)] == pytest.approx([1, 0.75, 0.5, 0.25, 0, 0])


def test_exponential_goes_by_equal_factors() -> None:
    falling = exponential(1.0, 1e-4, steps=4)
    assert [falling(step) for step in (0, 1, 2, 3, 4, 5)] == pytest.approx([1, 0.1, 0.01, 1e-3, 1e-4, 1e-4])


@pytest.mark.parametrize("make", [linear, cosine, exponential])
def test_after_delays_the_whole_course(make: Callable[..., Schedule]) -> None:
    plain, delayed = make(2.0, 9.0, steps=10), make(2.0, 9.0, steps=10, after=30)
    assert [delayed(step) for step in (0, 29, 30)] == [2.0, 2.0, 2.0]
    assert [delayed(step + 30) for step in range(15)] == [plain(step) for step in range(15)]


def test_piecewise_goes_through_its_points() -> None:
    warm = piecewise(10, 0, 20, 1, 60, -1)
    assert [warm(step) for step in (0, 10, 15, 20, 40, 60, 99)] == [0, 0, 0.5, 1, 0, -1, -1]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("constant(0.5)", "constant(0.5)"),
        ("linear(0, 25, steps=100000)", "linear(0, 25, steps=100000)"),
        (" linear( 0 , 25.0 , 100_000 ) ", "linear(0, 25, steps=100000)"),
        ("linear(end=1, start=-2.5, steps=10, after=5)", "linear(-2.5, 1, steps=10, after=5)"),
        ("cosine(1e-3, 0, steps=1234567, after=0)", "cosine(0.001, 0, steps=1234567)"),
        ("exponential(0.1234567, 1, 7)", "exponential(0.1234567, 1, steps=7)"),
        ("piecewise(0, 0, 1234567, 1e-3)", "piecewise(0, 0, 1234567, 0.001)"),
    ],
)
def test_text_becomes_the_schedule_in_its_own_words(text: str, same: str) -> None:
    schedule = parse(text)
    assert str(schedule) == same
    assert str(parse(same)) == same
    assert [parse(same)(step) for step in range(0, 40, 3)] == [schedule(step) for step in range(0, 40, 3)]


finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(finite, finite, st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 2 * 10**9))
def test_what_a_schedule_writes_is_what_it_was(start: float, end: float, steps: int, after: int, at: int) -> None:
    for make in (linear, cosine):
        schedule = make(start, end, steps=steps, after=after)
        assert parse(str(schedule))(at) == schedule(at)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "linear",
        "linear(",
        "linear(0, 1, steps=10) + 1",
        "linear(0, 1, steps=n)",
        "linear('0', 1, steps=10)",
        "linear(True, 1, steps=10)",
        "linear(0, 1e999, steps=10)",
        "linear(0, 1j, steps=10)",
        "linear(0, 1, steps=1" + "0" * 400 + ")",
        "linear(0, 1, steps=1" + "0" * 5000 + ")",
        "linear(*[0, 1, 10])",
        "linear(**{'start': 0})",
        "linear(0, 1, steps=5, steps=6)",
        "linear(0, 1if 1else 2, steps=3)",
        "__import__('os').system('true')",
        "os.system(1)",
        "(lambda: 0)()",
        "linear(0, 1, steps=10)\0",
        "(" * 900,
        "-" * 900 + "1",
        "linear(" + "-" * 600 + "1)",
    ],
)
def test_what_is_no_schedule_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(UnbraidError, match=r"is neither a number nor a schedule: write a number, or a call") as refusal:
        parse(text)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("linar(0, 1, steps=9)", 'there is no schedule called "linar"; did you mean "linear"?'),
        ("linear(0, 1)", "does not fit linear(start, end, steps, after)"),
        ("linear(0, 1, 10, 0, 3)", "does not fit"),
        ("linear(0, 1, stops=10)", "does not fit"),
        ("linear(0, 1, steps=0)", "steps must be a whole number of at least 1"),
        ("linear(0, 1, steps=2.5)", "steps must be a whole number of at least 1"),
        ("cosine(0, 1, steps=5, after=-1)", "after a whole number of at least 0"),
        ("cosine(0, 1, steps=5, after=0.5)", "after a whole number of at least 0"),
        ("exponential(0, 1, steps=5)", "must be positive"),
        ("exponential(1, -1, steps=5)", "must be positive"),
        ("piecewise(0, 1)", "step, value, step, value"),
        ("piecewise(0, 1, 5)", "step, value, step, value"),
        ("piecewise(0, 1, 0, 2)", "rising steps"),
        ("piecewise()", "step, value, step, value"),
    ],
)
def test_a_schedule_of_wrong_numbers_says_which(text: str, sentence: str) -> None:
    with pytest.raises(UnbraidError) as refusal:
        parse(text)
    assert sentence in str(refusal.value)


def test_resolve_leaves_numbers_and_schedules_alone() -> None:
    schedule = linear(0, 1, steps=2)
    assert resolve(3.5) == 3.5 and resolve(schedule) is schedule
    read = resolve("linear(0, 1, steps=2)")
    assert callable(read) and read(1) == 0.5
