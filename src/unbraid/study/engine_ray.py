"""The engine of many machines: each group is a task of Ray, which knows nothing of training, nor training of it.

All that lasts lies in the run folders, on a file system that every machine sees. So a task may be lost with its
machine: Ray gives it to another, where it goes on from the checkpoint.
"""

import logging
import math
import os
import socket
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from unbraid.errors import UnbraidError
from unbraid.processors import cores
from unbraid.study.work import Group, Options, Report, work

_RETRIES = 10  # of a group whose machine or process was lost
_STORE = 100_000_000  # bytes of a Ray of our own for its objects; ours are a page of settings each
_PATIENCE = 10.0  # seconds for a cluster to answer
_FAREWELL = 60.0  # seconds for runs that were stopped to write their checkpoints


def check(options: Options) -> None:
    """Raises UnbraidError where Ray is not installed, its cluster does not answer, or a group's share is none."""
    if find_spec("ray") is None:
        raise UnbraidError('the engine "ray" needs Ray: pip install "unbraid[ray]"')
    whole = math.isfinite(options.gpus) and options.gpus == int(options.gpus)
    if not (0 < options.gpus < 1 or (whole and options.gpus >= 1)):
        raise UnbraidError(f"gpus must be a share of one, such as 0.25, or a whole number, not {options.gpus:g}")
    _check_answers(_address(options))


def ray_cluster(groups: Sequence[Group], options: Options) -> Generator[Report, None, None]:
    """Does the groups on the Ray cluster at `options.address`, or on a Ray of this machine that ends with the study.

    A group takes one core and, where the cluster has GPUs, `options.gpus` of one. `options.jobs` is the most groups
    side by side; by default as many as fit. Without an address that of RAY_ADDRESS counts, as everywhere in Ray. Raises
    UnbraidError where Ray is not installed or does not answer.
    """
    with _connected(options) as ray:
        groups = [replace(group, folders=tuple(folder.resolve() for folder in group.folders)) for group in groups]
        has_gpus = ray.cluster_resources().get("GPU", 0) > 0 and groups[0].settings[0]["device"] != "cpu"
        share = options.gpus if has_gpus else 0
        task = ray.remote(num_cpus=1, num_gpus=share, max_retries=_RETRIES)(work)
        waiting, at_work = list(range(len(groups))), dict[Any, int]()
        try:
            while waiting or at_work:
                # twice what fits: nobody waits for us, a cluster that can grow sees work, and there is no long queue
                most = options.jobs or max(1, 2 * _fitting(ray, share))
                while waiting and len(at_work) < most:
                    number = waiting.pop(0)
                    at_work[task.remote(groups[number])] = number
                done = {}
                ready, _ = ray.wait(list(at_work), num_returns=len(at_work), timeout=0.5)
                for answer in ready:
                    number = at_work.pop(answer)
                    done[number] = _errors(ray, answer, groups[number])
                yield Report(list(at_work.values()), done)
        finally:
            for answer in at_work:
                ray.cancel(answer)
            if at_work:
                ray.wait(list(at_work), num_returns=len(at_work), timeout=_FAREWELL)


def _fitting(ray: Any, share: float) -> int:
    there = ray.cluster_resources()
    return int(min(there.get("CPU", 1), there["GPU"] / share if share else float("inf")))


def _errors(ray: Any, answer: Any, group: Group) -> list[str | None]:
    try:
        return ray.get(answer)
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())[:300]
        return [f"its process on the cluster was lost {_RETRIES} times and more: {reason}"] * len(group.folders)


def _address(options: Options) -> str:
    return options.address or os.environ.get("RAY_ADDRESS", "")


def _check_answers(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdecimal():
        try:
            socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
        except (OSError, OverflowError) as error:
            raise UnbraidError(f"no Ray cluster answers at {address} ({error}): is `ray start --head` up?") from None


@contextmanager
def _connected(options: Options) -> Iterator[Any]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what Ray will do in future, without a warning
    import ray

    address = _address(options)
    own = {
        "address": "local",  # also where something is left of another Ray
        "num_cpus": options.jobs or cores(),
        "include_dashboard": False,
        "_node_ip_address": "127.0.0.1",
        "object_store_memory": _STORE,
    }
    try:
        given = {"address": address} if address else own
        ray.init(**given, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        said = str(error).split("\n")[0]
        raise UnbraidError(f"cannot reach a Ray cluster at {address or 'this machine'}: {said}") from None
    try:
        yield ray
    finally:
        with suppress(KeyboardInterrupt):
            ray.shutdown()
