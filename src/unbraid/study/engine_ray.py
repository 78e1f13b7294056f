"""Ray."""

from collections.abc import Generator, Sequence

from unbraid.study.work import Group, Options, Report


def ray(groups: Sequence[Group], options: Options) -> Generator[Report, None, None]:
    raise NotImplementedError
