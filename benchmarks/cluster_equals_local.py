"""A study on a Ray cluster that loses a node midway, against the same study by the local engine: the same table?

    python benchmarks/cluster_equals_local.py [--study dsprites-methods] [--steps 200] [--seeds 1] [--work FOLDER]

The cluster is a head without cores and three nodes of one core each, all on this machine; one node is killed (SIGKILL)
once a third of the runs are done. Compared are all columns that are not measured times or the name of the machine, and
the bytes of every run's weights. `--work` keeps the two study folders, and goes on with what is there.
"""

import argparse
import datetime
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from unbraid import runs
from unbraid.files import write_json
from unbraid.study import table

_NODES = 3
_POLL = 0.5  # seconds


def command(chosen: argparse.Namespace, out: Path, *more: str) -> list[str]:
    study = [sys.executable, "-m", "unbraid", "study", chosen.study, "--out", str(out)]
    return [*study, "--steps", str(chosen.steps), "--seeds", str(chosen.seeds), *more]


def finished(out: Path) -> int:
    return sum(runs.state(file.parent) == "finished" for file in out.glob(f"*/{runs.FACTS}"))


def on_a_cluster(chosen: argparse.Namespace, out: Path, total: int) -> dict[str, Any]:
    """Runs the study and kills a node; what was done when it died."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    small: dict[str, Any] = {"object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small})
    for _ in range(_NODES):
        cluster.add_node(num_cpus=1, **small)
    try:
        with subprocess.Popen(command(chosen, out, "--engine", "ray", "--address", cluster.address)) as process:
            while process.poll() is None and finished(out) < total // 3:
                time.sleep(_POLL)
            if process.poll() is not None:
                raise SystemExit(f"the study ended with {process.returncode} before a node could be killed")
            done = finished(out)
            node = next(iter(cluster.worker_nodes))
            node.kill_raylet(check_alive=False)
            print(f"killed a node of {_NODES} with {done} of {total} runs done", flush=True)
            ended = process.wait()
    finally:
        cluster.shutdown()
    return {"nodes": _NODES, "killed_with_runs_done": done, "exit_code": ended}


def certain(out: Path) -> dict[str, dict[str, Any]]:
    """By run: every column of the table that is not measured."""
    return {
        row["run"]: {name: value for name, value in row.items() if not name.startswith(table.MEASURED)}
        for row in table.rows(out)
    }


def compared(one: Path, other: Path) -> dict[str, Any]:
    left, right = certain(one), certain(other)
    differing = sorted(run for run in left.keys() | right.keys() if left.get(run) != right.get(run))
    weights = [
        run for run in left if (one / run / runs.WEIGHTS).read_bytes() != (other / run / runs.WEIGHTS).read_bytes()
    ]
    columns = len(next(iter(left.values())))
    return {"runs": len(left), "columns": columns, "rows_that_differ": differing, "weights_that_differ": weights}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default="dsprites-methods")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--work", type=Path, help="folder of the two studies (default: a temporary one)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.work or Path(temporary)
        subprocess.run(command(chosen, folder / "local"), check=True)
        cluster = on_a_cluster(chosen, folder / "ray", finished(folder / "local"))
        found = {"study": chosen.study, "steps": chosen.steps, "seeds": chosen.seeds, **cluster}
        found |= compared(folder / "local", folder / "ray")
    print(found)
    write_json(chosen.out / f"{datetime.date.today().isoformat()}-cluster_equals_local-{chosen.study}.json", found)
    sys.exit(bool(found["exit_code"] or found["rows_that_differ"] or found["weights_that_differ"]))


if __name__ == "__main__":
    main()
