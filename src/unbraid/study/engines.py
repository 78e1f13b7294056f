"""Engines: add one by writing its file and its line in the table."""

from collections.abc import Callable, Generator, Sequence

from unbraid.study.engine_local import local
from unbraid.study.engine_ray import ray_cluster
from unbraid.study.work import Group, Options, Report

Engine = Callable[[Sequence[Group], Options], Generator[Report, None, None]]

ENGINES: dict[str, Engine] = {"local": local, "ray": ray_cluster}
