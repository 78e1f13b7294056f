"""Rewrites the generated parts of the pages in docs/: `python docs/build.py`, or the names of some parts after it.

A part stands between two comments, <!-- begin NAME --> and <!-- end NAME -->. All but `scores`, which takes minutes,
are read off the tables of the package; tests/test_docs.py makes them again and compares.
"""

import re
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unbraid import config, registry
from unbraid.cli import COMMANDS
from unbraid.data import DATASETS
from unbraid.errors import UnbraidError
from unbraid.files import write_text
from unbraid.metrics import METRICS, score
from unbraid.metrics.udr import udr
from unbraid.models import ARCHITECTURES
from unbraid.objectives import OBJECTIVES
from unbraid.optimizers import OPTIMIZERS
from unbraid.probability import LIKELIHOODS
from unbraid.progress import progress
from unbraid.randomness import numpy_generator
from unbraid.study import file
from unbraid.study.presets import PRESETS

DOCS = Path(__file__).parent

# ---- the tables of the package ----


def data() -> str:
    return table(
        ["data set", "what it is", "options"], [(n, e.description, options("data", n)) for n, e in DATASETS.items()]
    )


def models() -> str:
    rows = [
        (name, entry.description, registry.parameters(entry.function)["latent_dim"].default, options("model", name))
        for name, entry in ARCHITECTURES.items()
    ]
    return table(["model", "what it is", "latents", "options"], rows)


def objectives() -> str:
    rows = [(name, entry.description, options("objective", name)) for name, entry in OBJECTIVES.items()]
    return table(["objective", "what it is", "options"], rows)


def likelihoods() -> str:
    rows = [(name, first_sentence(entry.nll), options("likelihood", name)) for name, entry in LIKELIHOODS.items()]
    return table(["likelihood", "what it is", "options"], rows)


def optimizers() -> str:
    return table(["optimizer", "options"], [(name, options("optimizer", name)) for name in OPTIMIZERS])


def settings() -> str:
    rows = [(field.name, field.metadata["help"], shown(field.default)) for field in config.general_fields()]
    return table(["setting", "what it is", "default"], rows)


def metrics() -> str:
    needs = {"any": "", "discrete": "discrete factors", "posterior": "discrete factors and log-variances"}
    rows = []
    for name, metric in METRICS.items():
        notes = [
            needs[metric.needs],
            f"{metric.min_factors} factors or more" if metric.min_factors > 1 else "",
            "" if metric.default else "to be asked for by name",
        ]
        own = registry.parameters(metric.function).values()
        rows.append(
            (
                f"[{name}](metrics.md#{name})",
                metric.description,
                metric.paper,
                "; ".join(filter(None, notes)),
                listed(own),
            )
        )
    return table(["metric", "what it is", "published in", "needs", "options"], rows)


def commands() -> str:
    return table(["command", "what it does"], [(f"`unbraid {name}`", help) for name, (help, _) in COMMANDS.items()])


def studies() -> str:
    rows = [(name, file.read(path).description, len(file.read(path))) for name, path in PRESETS.items()]
    return table(["study", "what it is", "runs"], rows)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown; the first cell of each row, a name, is set as code unless it is so or a link already."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    for name, *cells in rows:
        first = name if name[0] in "`[" else f"`{name}`"
        lines.append("| " + " | ".join([first, *(str(cell).replace("|", r"\|") for cell in cells)]) + " |")
    return "\n".join(lines)


def options(section: str, entry: str) -> str:
    """The options of one table entry, with the defaults that the config gives them."""
    return listed(p for where, name, p in config.table_parameters() if (where, name) == (section, entry))


def listed(parameters: Iterable[registry.Parameter]) -> str:
    return ", ".join(f"`{p.name}={shown(p.default)}`" for p in parameters)


def shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def first_sentence(function: Callable[..., Any]) -> str:
    return " ".join((function.__doc__ or "").split("\n\n")[0].split()).rstrip(".")


# ---- the same codes scored by every metric ----

SIZES = (3, 6, 40, 32, 32)  # of the factors of dSprites: shape, scale, orientation, position x and y
FIT, TEST = 10_000, 5_000
USED, UNUSED = 0.01, 1.0  # standard deviations of q(z|x)
SHOWN_PARTS = ("completeness", "informativeness_test")


def example_codes() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Factors [N, 5] and, for each column of the table, codes [N, L] of them."""
    rng = numpy_generator(0, "example codes")
    factors = rng.integers(SIZES, size=(FIT + TEST, len(SIZES)))
    sizes = np.array(SIZES)
    each = (factors - (sizes - 1) / 2) / np.sqrt((sizes**2 - 1) / 12)  # a factor a latent, deviation 1
    others, angle = np.delete(each, 2, axis=1), 2 * np.pi * factors[:, 2] / SIZES[2]
    turn = np.sqrt(0.5) * np.array([[1, -1], [1, 1]])
    return factors, {
        "perfect": each,
        "permuted": -each[:, ::-1],
        "duplicated": each.repeat(2, axis=1),
        "folded": np.column_stack([others, np.sqrt(2) * np.cos(angle), np.sqrt(2) * np.sin(angle)]),
        "rotated": np.column_stack([each[:, 0], each[:, 1:3] @ turn, each[:, 3:] @ turn]),
        "collapsed": np.column_stack([each, 0.01 * rng.normal(size=each.shape)]),
        "lacking": others,
        "noise": rng.normal(size=each.shape),
    }


def example_scores(names: Iterable[str], *, show: bool = False) -> dict[str, dict[str, float]]:
    """Column -> {"mig": ..., "dci_rf.completeness": ...} of the metrics in `names`."""
    factors, columns = example_codes()
    names = list(names)
    found: dict[str, dict[str, float]] = {}
    with progress("scores", len(columns) * len(names), "scores", show=show) as bar:
        for column, codes in columns.items():
            found[column] = {}
            for name in names:
                found[column] |= score(
                    codes[:FIT],
                    factors[:FIT],
                    [name],
                    test_codes=codes[FIT:],
                    test_factors=factors[FIT:],
                    logvar=logvar(codes)[:FIT],
                )
                bar.advance(status=f"{column} {name}")
    return found


def logvar(codes: np.ndarray) -> np.ndarray:
    """[N, L]: sharp posteriors, but the prior's for a latent that hardly moves."""
    return np.broadcast_to(2 * np.log(np.where(codes.std(0) < 0.1, UNUSED, USED)), codes.shape)


def scores() -> str:
    found = example_scores(METRICS, show=True)
    names = [name for name in found["perfect"] if "." not in name or name.partition(".")[2] in SHOWN_PARTS]
    rows = [[label(name), *(two_digits(of[name]) for of in found.values())] for name in names]
    rows.append(["udr", *map(two_digits, agreement_with_perfect())])
    return table(["", *found], rows)


def label(name: str) -> str:
    return name if "." in name or METRICS[name].higher_is_better else f"`{name}` (lower is better)"


def two_digits(value: float) -> str:
    return f"{round(value, 2) + 0:.2f}"  # + 0: no minus before zero


def agreement_with_perfect() -> list[float]:
    """UDR of each column's codes with the perfect ones."""
    columns = {name: codes[:1_000] for name, codes in example_codes()[1].items()}
    kl = {name: 0.5 * (codes**2 + np.expm1(logvar(codes)) - logvar(codes)).mean(0) for name, codes in columns.items()}
    return [
        float(udr([columns["perfect"], codes], [kl["perfect"], kl[name]]).scores[1]) for name, codes in columns.items()
    ]


# ---- pages ----

PARTS: dict[str, Callable[[], str]] = {
    part.__name__: part
    for part in (commands, settings, data, models, objectives, likelihoods, optimizers, studies, metrics, scores)
}
MARKED = re.compile(r"<!-- begin ([a-z]+) -->.*?<!-- end \1 -->", re.DOTALL)


def rebuilt(page: str, names: Collection[str]) -> str:
    """The text of a page with its parts called `names` made anew."""

    def part(found: re.Match[str]) -> str:
        name = found[1]
        return f"<!-- begin {name} -->\n\n{PARTS[name]()}\n\n<!-- end {name} -->" if name in names else found[0]

    return MARKED.sub(part, page)


def main(names: Sequence[str]) -> None:
    for name in names:
        registry.lookup(PARTS, name, "generated part")
    for page in sorted(DOCS.glob("*.md")):
        before = page.read_text(encoding="utf-8")
        after = rebuilt(before, names or PARTS)
        if after != before:
            write_text(page, after)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UnbraidError as error:
        sys.exit(str(error))
