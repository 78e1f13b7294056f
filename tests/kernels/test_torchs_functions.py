"""torch's own exponentials and logarithms in a kernel."""

import pytest
import torch
from kernel_cases import needs_kernels, rng

functions = pytest.importorskip("unbraid.kernels.torchs_functions")
pytestmark = needs_kernels


def test_torchs_are_found() -> None:
    """Of the build of torch that is tested with; another may have others."""
    assert all(map(functions.goes_through_arrays, ("exp", "log", "tanh")))
    assert all(map(functions.takes_vectors, ("expm1", "log1p")))


def test_others_are_not() -> None:
    assert not functions.goes_through_arrays("expm1") and not functions.takes_vectors("exp")


@pytest.mark.parametrize("wrong", ["vmsLn", "vmsTanh", "vmsNothing"])
def test_another_is_not_taken_for_it(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    functions.goes_through_arrays.cache_clear()
    monkeypatch.setitem(functions._OF_ARRAYS, "exp", wrong)
    assert not functions.goes_through_arrays("exp")
    functions.goes_through_arrays.cache_clear()


@pytest.mark.parametrize("are_flushed", [False, True])
@pytest.mark.parametrize("name", ["exp", "log", "expm1", "log1p", "tanh"])
def test_small_and_large_numbers_have_torchs_bits(name: str, are_flushed: bool) -> None:
    from unbraid.kernels.machine_code import compiled

    numbers = torch.randint(-(2**31), 2**31, (5003,), generator=rng(0)).to(torch.int32).view(torch.float32)
    small = torch.tensor([0.0, -0.0, 1e-40, -1e-40, 1e-45, 1e-38, 88.72, 88.73, -87.4, -103.97, -104.0, torch.inf])
    x = torch.cat([numbers, small, -small])

    def work(code, images, arrays):
        given, made = arrays
        if functions.goes_through_arrays(name):
            functions.through_array(code, name, given, made, len(x))
            return
        for at, width in code.along(len(x)):
            code.store(functions.of_vector(code, code.load(code.at(given, at), width), name), code.at(made, at))

    made = torch.empty_like(x)
    torch.set_flush_denormal(are_flushed)
    try:
        compiled(2, work)(1, 1, [x, made])
        expected = getattr(torch, name)(x)
    finally:
        torch.set_flush_denormal(False)
    torch.testing.assert_close(made, expected, rtol=0, atol=0, equal_nan=True)
