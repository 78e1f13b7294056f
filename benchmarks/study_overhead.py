"""What the machinery of a study costs: runs of 20 steps on tiny data, in a study and alone, one after another.

    python benchmarks/study_overhead.py [--runs 100 1000] [--out benchmarks/results]

Each number of runs is trained twice, each time in a fresh process: by `train` in a loop, and as a study with one job.
The overhead is the difference of the wall times over the number of runs: it holds the start of the worker process,
folders, locks, hashes, reports and the table. `overhead_cpu_ms` is the same in seconds of processors rather than of the
clock, which a busy machine changes less. Memory is the largest resident size of the driver and of its worker.
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
from unbraid.processors import cores

_STUDY = """\
base: {data: balls, size: 8, model: balls_conv, latent_dim: 3, batch_size: 8, steps: 20, log_every: 10, device: cpu}
seeds: NUMBER
"""


def alone(number: int, out: Path) -> dict[str, float]:
    from unbraid.study import file, grid
    from unbraid.training import train

    cells = grid.cells(file.parse(_STUDY.replace("NUMBER", str(number + 1)), "tiny", ""), "")
    train(cells[-1].config, out=out / "warm-up", show_progress=False)
    began, cpu = time.perf_counter(), _cpu()
    for cell in cells[:-1]:
        train(cell.config, out=out / cell.name, show_progress=False)
    return {"seconds": time.perf_counter() - began, "cpu": _cpu() - cpu, "driver_mb": _memory("RUSAGE_SELF")}


def study(number: int, out: Path) -> dict[str, float]:
    from unbraid.study import driver, file, grid
    from unbraid.study.work import Options

    began, cpu = time.perf_counter(), _cpu()
    found = file.parse(_STUDY.replace("NUMBER", str(number)), "tiny", "")
    outcomes = driver.run_study(found, grid.cells(found, ""), out, options=Options(jobs=1), show=False)
    seconds, cpu = time.perf_counter() - began, _cpu() - cpu
    assert not any(outcome.error for outcome in outcomes)
    began = time.perf_counter()
    driver.run_study(found, grid.cells(found, ""), out, options=Options(jobs=1), show=False)
    return {
        "seconds": seconds,
        "cpu": cpu,
        "seconds_when_all_is_done": time.perf_counter() - began,
        "driver_mb": _memory("RUSAGE_SELF"),
        "worker_mb": _memory("RUSAGE_CHILDREN"),
    }


def _cpu() -> float:
    """Seconds that this process and those it waited for have worked."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _memory(whose: str) -> float:
    import resource

    return resource.getrusage(getattr(resource, whose)).ru_maxrss / (1000 if sys.platform != "darwin" else 1e6)


def _in_a_fresh_process(what: str, number: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        said = subprocess.check_output([sys.executable, __file__, "--do", what, str(number), folder], text=True)
    return json.loads(said.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", nargs="+", type=int, default=[100, 1000])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--do", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.do:
        what, number, folder = chosen.do
        print(json.dumps({"alone": alone, "study": study}[what](int(number), Path(folder))))
        return
    results: list[dict[str, Any]] = []
    for number in chosen.runs:
        one, other = (_in_a_fresh_process(what, number) for what in ("alone", "study"))
        overhead = 1000 * (other["seconds"] - one["seconds"]) / number
        worked = 1000 * (other["cpu"] - one["cpu"]) / number
        results.append(
            {"runs": number, "alone": one, "study": other, "overhead_ms": overhead, "overhead_cpu_ms": worked}
        )
        print(
            f"{number:6,} runs: {1000 * one['seconds'] / number:.1f} ms each alone, "
            f"{1000 * other['seconds'] / number:.1f} ms in a study, overhead {overhead:.1f} ms, "
            f"of processors {worked:.1f} ms; "
            f"all done, {1000 * other['seconds_when_all_is_done'] / number:.1f} ms; "
            f"driver {other['driver_mb']:.0f} MB, worker {other['worker_mb']:.0f} MB"
        )
    today = datetime.date.today().isoformat()
    write_json(chosen.out / f"{today}-{cores()}-cores-study_overhead.json", {"steps": 20, "results": results})


if __name__ == "__main__":
    main()
