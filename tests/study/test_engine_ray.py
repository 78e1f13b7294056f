"""Studies on Ray: a cluster of several nodes on this machine, whose nodes, processes and drivers are killed."""

import itertools
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from study_cases import (
    PATIENCE,
    STUDY,
    same_bits,
    started,
    states,
    study,
    wait_for_new_checkpoint,
)

from unbraid.errors import UnbraidError
from unbraid.study import engine_ray
from unbraid.study.work import Group, Options

ray = pytest.importorskip("ray")
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

LONG = STUDY.replace("steps: 300", "steps: 1500")


def test_without_ray_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UnbraidError, match=r'needs Ray: pip install "unbraid\[ray\]"'):
        engine_ray.check(Options())


@pytest.mark.parametrize("gpus", [-1, 0, 1.5, float("inf"), float("nan")])
def test_a_share_of_a_gpu(gpus: float) -> None:
    with pytest.raises(UnbraidError, match="gpus must be a share of one"):
        engine_ray.check(Options(gpus=gpus))


def test_no_cluster_there() -> None:
    with pytest.raises(UnbraidError, match=r"no Ray cluster answers at 127\.0\.0\.1:1 "):
        engine_ray.check(Options(address="127.0.0.1:1"))


class FakeRay:
    """As much of Ray as the engine uses, with GPUs that this machine may not have."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.most_at_once = 0
        self.answers = itertools.count()

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 16, "GPU": 2}

    def remote(self, **asked: Any) -> Any:
        self.asked = asked
        return lambda function: SimpleNamespace(remote=lambda group: next(self.answers))

    def wait(self, answers: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        self.most_at_once = max(self.most_at_once, len(answers))
        return answers[:1], answers[1:]

    def get(self, answer: Any) -> list[str | None]:
        return [None]


def test_several_groups_share_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = FakeRay()
    monkeypatch.setattr(engine_ray, "_connected", lambda options: nullcontext(fake))
    group = Group((tmp_path,), ({"device": "auto"},), None)  # type: ignore[arg-type]
    reports = list(engine_ray.ray_cluster([group] * 40, Options(gpus=0.25)))
    assert fake.asked["num_gpus"] == 0.25 and fake.asked["num_cpus"] == 1
    assert fake.most_at_once == 2 * 2 * 4, "two GPUs of four groups each, twice"
    assert sorted(number for report in reports for number in report.done) == list(range(40))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    assert [outcome.error for outcome in study(out, LONG)] == [None] * 3
    return out


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without cores, and two nodes of one core each."""
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": 80_000_000, "include_dashboard": False}
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small}, connect=False)
    for _ in range(2):
        found.add_node(num_cpus=1, object_store_memory=80_000_000)
    yield found
    found.shutdown()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Ray's clusters of several nodes want POSIX")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
class TestCluster:
    def test_it_ends_with_the_table_of_the_local_engine(self, tmp_path: Path, undisturbed: Path) -> None:
        """On a Ray of its own."""
        with started(tmp_path / "study", LONG, "ray") as process:
            assert process.wait(timeout=PATIENCE) == 0
        assert same_bits(tmp_path / "study", undisturbed)

    def test_a_killed_node_is_done_without(self, tmp_path: Path, undisturbed: Path, cluster: Any) -> None:
        out = tmp_path / "study"
        with started(out, LONG, "ray", cluster.address) as process:
            wait_for_new_checkpoint(out, LONG)
            node = next(iter(cluster.worker_nodes))
            node.kill_raylet(check_alive=False)  # SIGKILL
            assert process.wait(timeout=PATIENCE) == 0
        assert same_bits(out, undisturbed)

    def test_a_killed_process_of_a_node_is_replaced(self, tmp_path: Path, undisturbed: Path, cluster: Any) -> None:
        out = tmp_path / "study"
        with started(out, LONG, "ray", cluster.address) as process:
            wait_for_new_checkpoint(out, LONG)
            assert kill_workers(), "there was one"
            assert process.wait(timeout=PATIENCE) == 0
        assert same_bits(out, undisturbed)

    def test_a_killed_driver_goes_on_with_another_engine(self, tmp_path: Path, undisturbed: Path, cluster: Any) -> None:
        out = tmp_path / "study"
        with started(out, LONG, "ray", cluster.address) as process:
            wait_for_new_checkpoint(out, LONG)
            process.kill()
        assert "finished" not in states(out, LONG)[-1:], "the kill came too late to show anything"
        assert [outcome.error for outcome in study(out, LONG)] == [None] * 3
        assert same_bits(out, undisturbed)

    def test_an_interrupted_driver_waits_for_checkpoints(self, tmp_path: Path, undisturbed: Path, cluster: Any) -> None:
        out = tmp_path / "study"
        with started(out, LONG, "ray", cluster.address) as process:
            wait_for_new_checkpoint(out, LONG)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=PATIENCE)
        assert "stopped, everything is kept: the same command goes on" in said
        assert "stopped" in states(out, LONG)
        with started(out, LONG, "ray", cluster.address) as process:
            assert process.wait(timeout=PATIENCE) == 0
        assert same_bits(out, undisturbed)


def kill_workers() -> int:
    """Kills every process of Ray's that works at a group; how many there were."""
    killed = 0
    for entry in Path("/proc").iterdir():
        try:
            title = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::work"):
            os.kill(int(entry.name), signal.SIGKILL)
            killed += 1
    return killed
