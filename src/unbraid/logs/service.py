"""What the loggers of other services share: their packages, and what a run is called there."""

import hashlib
from importlib import import_module
from pathlib import Path
from typing import Any

from unbraid.errors import UnbraidError


def service(package: str) -> Any:
    """The package, which comes with an extra; raises UnbraidError where it is not there."""
    try:
        return import_module(package)
    except ImportError:
        raise UnbraidError(f'the logger {package} needs its package: pip install "unbraid[{package}]"') from None


def identity(folder: Path) -> tuple[str, str, str]:
    """(project, name, key) of the run in `folder`: the same whenever it goes on in the same place."""
    whole = folder.resolve()
    return whole.parent.name or "runs", whole.name, hashlib.sha256(str(whole).encode()).hexdigest()[:12]
