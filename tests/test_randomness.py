"""A stream is a function of its seed and keys alone."""

import random
import subprocess
import sys

import numpy as np
import torch

from unbraid.randomness import fold, numpy_generator, torch_generator


def test_fold_is_the_same_in_another_process() -> None:
    """The one thing that must not depend on hash randomisation, and never change: it names every published run."""
    program = "from unbraid.randomness import fold; print(fold(0, 'noise', 7), fold(3), fold(0, 'a', 'b'))"
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert [int(each) for each in there] == [fold(0, "noise", 7), fold(3), fold(0, "a", "b")]


def test_fold_tells_seeds_and_keys_apart() -> None:
    named = [(0,), (1,), (0, 0), (0, "0"), (0, "a"), (0, "a", "b"), (0, "ab"), (0, "a, 'b'"), (0, 1, 2), (0, 12), (-1,)]
    assert len({fold(*keys) for keys in named}) == len(named)
    assert len({fold(0, "noise", step) for step in range(10_000)}) == 10_000


def test_fold_fits_the_generators() -> None:
    assert all(0 <= fold(seed, "x") < 2**63 for seed in (*range(200), 10**40))


def test_fold_takes_numpy_numbers_for_what_they_are() -> None:
    assert fold(np.int64(5), "noise", np.int32(7)) == fold(5, "noise", 7)


def test_streams_depend_on_nothing_drawn_before() -> None:
    first = numpy_generator(1, "noise", 4).standard_normal(5), torch.rand(5, generator=torch_generator(1, "noise", 4))
    numpy_generator(1, "noise", 3).standard_normal(100)
    torch.rand(100)
    again = numpy_generator(1, "noise", 4).standard_normal(5), torch.rand(5, generator=torch_generator(1, "noise", 4))
    assert np.array_equal(first[0], again[0]) and torch.equal(first[1], again[1])


def test_streams_of_neighbouring_steps_are_unrelated() -> None:
    a, b = (numpy_generator(0, "noise", step).standard_normal(20_000) for step in (1, 2))
    assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(20_000)


def test_global_state_is_left_alone() -> None:
    before = random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state()  # noqa: NPY002
    numpy_generator(0, "x").standard_normal(3)
    torch.rand(3, generator=torch_generator(0, "x"))
    after = random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state()  # noqa: NPY002
    assert before[:2] == after[:2] and torch.equal(before[2], after[2])
