"""What the program asks of its environment before anything else is loaded."""

import os
import sys

import pytest

from unbraid.__main__ import main


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "2000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)],
    ids=["by default", "told how long", "told what to do"],
)
def test_threads_rest_early_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: str | None
) -> None:
    monkeypatch.setattr("unbraid.__main__._notice_interrupts", lambda: None)
    monkeypatch.setattr("unbraid.__main__._ignore_interrupts", lambda: None)
    monkeypatch.setattr(os, "environ", given | {"PATH": os.environ["PATH"]})
    monkeypatch.setattr(sys, "argv", ["unbraid", "--version"])
    assert main() == 0 and os.environ.get("GOMP_SPINCOUNT") == expected
