"""unbraid: learn, show, measure and compare disentangled representations of images.

    run = unbraid.train(data="dsprites", objective="beta_vae", beta=4, steps=1000)
    mean, logvar = run.encode(images)
    scores = unbraid.score(codes, factors)

Names are imported when first used, so that `import unbraid` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from unbraid.config import Config
    from unbraid.errors import UnbraidError
    from unbraid.metrics import score
    from unbraid.runs import Run, load
    from unbraid.training import resume, train, train_many

_HOMES = {
    "Config": "config",
    "Run": "runs",
    "UnbraidError": "errors",
    "load": "runs",
    "resume": "training",
    "score": "metrics",
    "train": "training",
    "train_many": "training",
}
_MODULES = (
    "codes",
    "config",
    "data",
    "evaluate",
    "figures",
    "hub",
    "metrics",
    "models",
    "objectives",
    "runs",
    "schedules",
    "sklearn",
)

__all__ = ["Config", "Run", "UnbraidError", "load", "resume", "score", "train", "train_many"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"unbraid.{_HOMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"unbraid.{name}")
    raise AttributeError(f"module 'unbraid' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES, "__version__"])
