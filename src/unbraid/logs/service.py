"""What the loggers of other services share: their packages, and what a run is called there."""

import hashlib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from unbraid.errors import UnbraidError

PACKAGES = ("wandb", "mlflow", "trackio")  # each the name of its logger too


def check_installed(logger: str) -> None:
    """Raises UnbraidError where `logger` is a service whose package is not there."""
    if logger in PACKAGES and find_spec(logger) is None:
        raise UnbraidError(f'the logger {logger} needs its package: pip install "unbraid[{logger}]"')


def service(package: str) -> Any:
    """The package, which comes with an extra; raises UnbraidError where it is not there."""
    check_installed(package)
    return import_module(package)


def identity(folder: Path) -> tuple[str, str, str]:
    """(project, name, key) of the run in `folder`: the same whenever it goes on in the same place."""
    whole = folder.resolve()
    return whole.parent.name or "runs", whole.name, hashlib.sha256(str(whole).encode()).hexdigest()[:12]
