"""Engines: add one by writing its file and its line in the table."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from unbraid.study import engine_local, engine_ray
from unbraid.study.work import Group, Options, Report


@dataclass(frozen=True)
class Engine:
    """How groups are done, and what says beforehand, by UnbraidError, that they cannot be done so."""

    work: Callable[[Sequence[Group], Options], Generator[Report, None, None]]
    check: Callable[[Options], None]
    elsewhere: bool = False  # on machines that may have other devices than this one


ENGINES = {
    "local": Engine(engine_local.local, engine_local.check),
    "ray": Engine(engine_ray.ray_cluster, engine_ray.check, elsewhere=True),
}
