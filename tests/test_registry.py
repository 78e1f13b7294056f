"""Look-up and schema."""

import pytest

from unbraid.errors import UnbraidError
from unbraid.registry import Parameter, lookup, parameters, suggest

TABLE = {"beta_vae": 1, "vae": 2, "factor_vae": 3}


def test_lookup_finds() -> None:
    assert lookup(TABLE, "vae", "objective") == 2


def test_lookup_names_the_nearest_and_all() -> None:
    with pytest.raises(UnbraidError) as refusal:
        lookup(TABLE, "beta_va", "objective")
    assert str(refusal.value) == (
        'there is no objective called "beta_va"; did you mean "beta_vae"? (allowed: beta_vae, factor_vae, vae)'
    )


def test_lookup_suggests_nothing_where_nothing_is_near() -> None:
    with pytest.raises(UnbraidError) as refusal:
        lookup(TABLE, "xyz", "objective")
    assert str(refusal.value) == 'there is no objective called "xyz" (allowed: beta_vae, factor_vae, vae)'


def test_suggest() -> None:
    assert suggest("capcity", ["capacity", "gamma"]) == '; did you mean "capacity"?'
    assert suggest("zzz", ["capacity", "gamma"]) == suggest("zzz", []) == ""


def test_keyword_only_parameters_are_the_schema() -> None:
    def function(out: object, scale: float = 2.0, *, beta: float = 4.0, bins: int = 20, name: str = "x") -> None: ...

    assert parameters(function) == {
        "beta": Parameter("beta", float, 4.0),
        "bins": Parameter("bins", int, 20),
        "name": Parameter("name", str, "x"),
    }
    assert list(parameters(function)) == ["beta", "bins", "name"]


def test_a_parameter_without_default_is_a_fault_of_the_program() -> None:
    def function(*, beta: float) -> None: ...

    with pytest.raises(TypeError, match="beta has no default"):
        parameters(function)
