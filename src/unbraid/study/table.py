"""One table of a study: a row per run of its folder, from what lies in the run folders.

run, state, error       the folder's name, how the run stands, why it failed
beta, seed, ...         every setting but the device and how often it was saved
final.*                 the last row of the log: loss, recon, kl, elbo, ...
score.*                 every score and its parts
measured.*              seconds, images per second, device, versions: the only columns that another run of the same
                        study changes
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from unbraid import files, runs
from unbraid.errors import UnbraidError
from unbraid.study.folders import SUMMARY, TABLE, run_folders
from unbraid.study.results import Result

Row = dict[str, Any]

MEASURED = "measured."
_FACTS = ("seconds", "device", "device_name", "platform", "threads", "unbraid", "torch", "python")
_KINDS = ("", "score.", "final.", MEASURED)  # what a short name may stand for, in this order


def rows(folder: Path) -> list[Row]:
    """The table of every run in `folder`: those of the last study in its order, then others by name."""
    paths = {path.name: path for path in run_folders(folder)}
    if not paths:
        why = "it is a run itself, so give the folder around it" if runs.is_run(folder) else "it holds no run"
        raise UnbraidError(f"{folder} is not the folder of a study: {why}")
    order = [name for name in _summary(folder) if name in paths]
    found = [_row(paths[name]) for name in dict.fromkeys([*order, *paths])]
    columns = dict.fromkeys(name for kind in range(5) for row in found for name in row if _kind(name) == kind)
    return [{name: row.get(name) for name in columns} for row in found]


def not_begun(folder: Path) -> int:
    """How many runs of the last study in `folder` have no folder yet."""
    waiting = {name for name, state in _summary(folder).items() if state == "unfinished"}
    return len(waiting - {path.name for path in run_folders(folder)})


def _kind(name: str) -> int:
    """The order of the columns: what it is, settings, losses, scores, measurements."""
    starts = {"final.": 2, "score.": 3, MEASURED: 4}
    return next((n for start, n in starts.items() if name.startswith(start)), 0 if name in _FIRST else 1)


_FIRST = ("run", "state", "error")
_SETTINGS = 6  # columns of settings that come before all scores where there is no room for everything


def _summary(folder: Path) -> dict[str, Any]:
    """{} where it is missing or damaged: it only tells the order of the runs."""
    try:
        return runs.read_json(folder / SUMMARY)
    except UnbraidError:
        return {}


def _row(path: Path) -> Row:
    try:
        config, facts, error = runs.read_config(path), runs.read_facts(path), runs.read_error(path)
        scores = Result(path, config).scores
    except (UnbraidError, KeyError, TypeError, AttributeError) as damaged:
        return {"run": path.name, "state": "damaged", "error": str(damaged)}
    row: Row = {"run": path.name, "state": runs.state(path), "error": error}
    row |= {name: value for name, value in config.flat().items() if name not in runs.FREE_SETTINGS}
    last = runs.last_row(path)
    row |= {
        f"final.{name}": value
        for name, value in last.items()
        if name not in ("step", "seconds", "images_per_s") and not name.startswith("kl_")
    }
    row |= {f"score.{name}": value for name, value in scores.items()}
    row |= {f"{MEASURED}{name}": facts.get(name) for name in _FACTS}
    return row | {f"{MEASURED}images_per_s": last.get("images_per_s")}


def column(name: str, columns: Iterable[str]) -> str:
    """The column that `name` means: "mig" is "score.mig"; raises UnbraidError where there is none."""
    from unbraid.registry import suggest

    known = list(columns)
    for kind in _KINDS:
        if f"{kind}{name}" in known:
            return f"{kind}{name}"
    short = [each.removeprefix(kind) for each in known for kind in _KINDS[1:] if each.startswith(kind)]
    raise UnbraidError(f'the table has no column "{name}"{suggest(name, [*known, *short])} (see `--csv` for all)')


def ordered(table: Sequence[Row], name: str) -> list[Row]:
    """By a column, the best score or the largest value first and the lowest of what should be low; then the unknown."""
    from unbraid.metrics import direction

    if not table:
        return []
    wanted = column(name, table[0])
    kind, _, rest = wanted.partition(".")
    score = rest.partition(".")[0]
    low = kind in ("score", "final") and direction(score) < 0
    known = [row for row in table if row[wanted] is not None]
    unknown = [row for row in table if row[wanted] is None]
    if any(isinstance(row[wanted], str) for row in known):
        return [*sorted(known, key=lambda row: str(row[wanted])), *unknown]
    return [*sorted(known, key=lambda row: row[wanted], reverse=not low), *unknown]


def shown(table: Sequence[Row], sort: str = "") -> tuple[list[str], list[list[Any]], list[int]]:
    """(columns, rows, how much each column matters) for a terminal: what tells the runs apart, and what came out.

    A terminal that has no room for all of them shows the columns of the lowest numbers: how the runs stand, what they
    are sorted by, the settings that most of them have, and the scores.
    """
    if not table:
        return [], [], []
    settings = [name for name in table[0] if _kind(name) == 1]
    varied = [name for name in settings if len({repr(row[name]) for row in table}) > 1]
    scores = [name for name in table[0] if _kind(name) == 3 and "." not in name.removeprefix("score.")]
    results = scores or [name for name in ("final.loss", "final.recon", "final.kl") if name in table[0]]
    names = ["run", *([] if varied else ["state"]), *varied, *results, f"{MEASURED}seconds"]
    if any(row["state"] != "finished" for row in table) and "state" not in names:
        names.insert(1, "state")
    first = [*_FIRST, column(sort, table[0])] if sort else _FIRST
    filled = {name: sum(row[name] is not None for row in table) for name in varied}
    common = sorted((name for name in varied if 2 * filled[name] > len(table)), key=lambda name: -filled[name])
    leading = [*first, *common[:_SETTINGS], *results, *common, f"{MEASURED}seconds", *varied]
    short = [name.removeprefix("score.").removeprefix("final.").removeprefix(MEASURED) for name in names]
    return short, [[row[name] for name in names] for row in table], [leading.index(name) for name in names]


def write(folder: Path) -> Path:
    """Writes the table of the runs in `folder` beside them as Parquet."""
    from pyarrow import Table, parquet

    found = rows(folder)
    columns = {name: _one_type([row[name] for row in found]) for name in found[0]}
    with files.replacing(folder / TABLE) as temporary:
        parquet.write_table(Table.from_pydict(columns), temporary)
    return folder / TABLE


def _one_type(values: list[Any]) -> list[Any]:
    """Numbers where all are, else text: a number of one run may be a schedule in another."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and len(kinds) == 2:
        return [None if value is None else float(value) for value in values]
    return values if len(kinds) < 2 else [None if value is None else str(value) for value in values]


def write_csv(path: Path, table: Sequence[Row]) -> None:
    columns = list(table[0]) if table else ["run"]
    files.write_table(path, columns, [["" if row[name] is None else row[name] for name in columns] for row in table])
