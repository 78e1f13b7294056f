"""A study on a Ray cluster of several nodes of one core each, all on this machine, against one such node.

    python benchmarks/study_scaling.py naps 1 4 [--out benchmarks/results]
    python benchmarks/study_scaling.py training 1 2

`training` trains for real, and so wants as many free cores as nodes. `naps` has groups that wait for some seconds
instead: what the engine and Ray make of four nodes is then to be seen on a machine of two cores. `seconds` is the time
of the whole engine, from its connecting to Ray to its last report; `groups_per_minute` is the rate in the middle half
of the groups, without the start of the processes, which is to be paid once a node.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from unbraid.files import write_json
from unbraid.study import engine_ray, file, grid, work
from unbraid.study.engines import ENGINES

_GROUPS, _NAP = 24, 4.0  # seconds
_STUDY = """\
base: {data: balls, model: balls_conv, batch_size: 64, steps: 600, device: cpu}
seeds: 8
"""


def nap(group: work.Group) -> list[str | None]:
    time.sleep(_NAP)
    return [None] * len(group.folders)


def measured(kind: str, address: str) -> dict[str, float]:
    options = work.Options(address=address)
    with tempfile.TemporaryDirectory() as folder:
        if kind == "naps":
            vars(engine_ray)["work"] = nap
            group = work.Group((Path(folder),), ({"device": "cpu"},), work.Finish())
            groups = [group] * _GROUPS
        else:
            cells = grid.cells(file.parse(_STUDY, "scaling", ""), "")
            groups = [work.Group((Path(folder) / c.name,), (c.config.flat(),), work.Finish()) for c in cells]
        reports = ENGINES["ray"].work(groups, options)
        began = time.perf_counter()
        ended = []
        for report in reports:
            assert all(error is None for errors in report.done.values() for error in errors), report
            ended += [time.perf_counter() - began] * len(report.done)
        count = len(ended) // 2
        rate = count / (ended[count // 2 + count] - ended[count // 2])
        return {"seconds": ended[-1], "groups_per_minute": 60 * rate}


def on_nodes(kind: str, nodes: int) -> dict[str, float]:
    """In a fresh process, with a cluster of its own; the processes of each node are started before."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    small: dict[str, Any] = {"object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small})
    for _ in range(nodes):
        cluster.add_node(num_cpus=1, **small)
    try:
        command = [sys.executable, __file__, kind, str(nodes), "--at", cluster.address]
        return json.loads(subprocess.check_output(command, text=True).splitlines()[-1])
    finally:
        cluster.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["naps", "training"])
    parser.add_argument("nodes", nargs="+", type=int)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--at", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.at:
        print(json.dumps(measured(chosen.kind, chosen.at)))
        return
    found: dict[int, Any] = {}
    for nodes in chosen.nodes:
        found[nodes] = on_nodes(chosen.kind, nodes)
        first = chosen.nodes[0]
        rate = found[nodes]["groups_per_minute"]
        share = rate * first / (found[first]["groups_per_minute"] * nodes)
        taken = found[nodes]["seconds"]
        print(f"{nodes} nodes: {taken:.1f} s, {rate:.1f} groups a minute, {share:.0%} of linear", flush=True)
    today = datetime.date.today().isoformat()
    work_of = {"groups": _GROUPS, "seconds": _NAP} if chosen.kind == "naps" else {"study": _STUDY}
    result = {"kind": chosen.kind, **work_of, "by_nodes": found}
    write_json(chosen.out / f"{today}-study_scaling-{chosen.kind}.json", json.loads(json.dumps(result)))


if __name__ == "__main__":
    main()
