"""What the tests of hostile input share: a call is accepted or refused, and ways to spoil a file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import costs
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from small_runs import squares

from unbraid import config, runs, training
from unbraid.errors import UnbraidError
from unbraid.report import gather
from unbraid.study import file as study_file
from unbraid.study import folders, table

FEW, MANY = 150, 10_000  # generated cases of a reader: in the default suite, in the slow one


def cases(number: int) -> settings:
    """So many cases; the seconds of each are counted by `accepted`."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(max_examples=number, deadline=None, suppress_health_check=checks, database=None)


def accepted(call: Callable[[], object]) -> bool:
    """Whether the call takes its input; it may refuse with UnbraidError and with nothing else."""
    try:
        with costs.bounded():
            call()
    except UnbraidError as refusal:
        assert len(str(refusal)) > 0, "a refusal without words"
        return False
    return True


# ---- what is generated ----

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-3, 5)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([10**400, 1e300, -0.0, "1e999", "0x1F", "../../x", "/etc/passwd", "\0", "x" * 5_000, "\ud800"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
edits = st.lists(  # (where, as a share of the length; how many bytes go; which come)
    st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=12)), min_size=1, max_size=4
)


def edited(content: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    for share, gone, new in changes:
        start = int(share * len(content))
        content = content[:start] + new + content[start + gone :]
    return content


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where all the nodes of a JSON value are."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in inner for found in paths(each, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A JSON value with another node at `path`."""
    if not path:
        return new
    copy = json.loads(json.dumps(value))
    node = copy
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = new
    return copy


# ---- what reads it ----


def read_config(folder: Path) -> None:
    resolved = config.resolve(config.read(folder / "run.yaml"))
    again = config.resolve(config.read(written(folder / "again.yaml", resolved.to_yaml().encode())))
    assert again == resolved
    runs.describe_model(resolved, (1, 64, 64))


def read_study(folder: Path) -> None:
    assert study_file.read(folder / "study.yaml").parts


def read_facts(folder: Path) -> None:
    accepted(lambda: runs.load(folder))
    accepted(lambda: runs.state(folder))
    runs.steps_done(folder)


def read_weights(folder: Path) -> None:
    run = runs.load(folder, "cpu")
    mean, _ = run.encode(run.decode([[0.0] * run.model.latent_dim]))
    assert mean.isfinite().all()


def read_checkpoint(folder: Path) -> None:
    """And one step from there."""
    trainer = training.Trainer(runs.read_config(folder), squares(), torch.device("cpu"))
    step, _ = training._restore(trainer, folder / runs.CHECKPOINT)
    trainer.step(step)
    trainer.row(step)


def read_scores(folder: Path) -> None:
    for metric, found in runs.read_scores(folder).get("metrics", {}).items():
        f"{metric} {found['score']:.2f}"
        [f"{part} {value:.2f}" for part, value in found["parts"].items()]
        [len(row) for matrix in found["matrices"].values() for row in matrix]


def read_statistics(folder: Path) -> None:
    """As the report does, which shows the log where they do not fit the run."""
    runs.read_statistics(folder)
    found = gather._of_statistics(folder, 3, {"size": 2, "x": 6, "y": 6})
    assert not found or len(found["variance"]) == len(found["kl"]) == 3


def read_error(folder: Path) -> None:
    assert isinstance(runs.read_error(folder), str)
    table.rows(folder.parent)


def read_summary(folder: Path) -> None:
    """The folder of the run stands for that of its study, too: what is read there is the order of the runs."""
    assert table._summary(folder) is not None
    runs.read_json(folder / folders.SUMMARY)


def read_log(folder: Path) -> None:
    columns = runs.read_log(folder)
    assert len({len(column) for column in columns.values()}) <= 1


READERS: dict[str, tuple[str, Callable[[Path], None]]] = {  # the file that is generated, and who reads it
    "config": ("run.yaml", read_config),
    "study": ("study.yaml", read_study),
    "run_config": (runs.CONFIG, read_weights),
    "facts": (runs.FACTS, read_facts),
    "weights": (runs.WEIGHTS, read_weights),
    "checkpoint": (runs.CHECKPOINT, read_checkpoint),
    "scores": (runs.SCORES, read_scores),
    "log": (runs.LOG, read_log),
    "statistics": (runs.STATISTICS, read_statistics),
    "error": (runs.ERROR, read_error),
    "summary": (folders.SUMMARY, read_summary),
}


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
