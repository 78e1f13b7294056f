"""What the command line prints: small tables on the terminal."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unbraid.errors import printable

if TYPE_CHECKING:
    from rich.console import Console

    from unbraid.config import Config
    from unbraid.registry import Parameter
    from unbraid.selection import Ranking
    from unbraid.survey import Survey
    from unbraid.types import Dataset

_WIDTH_WITHOUT_TERMINAL = 140
_WIDEST_CELL = 32  # characters; longer ones are broken over lines
_LEVELS = 60  # characters of what the values of a factor stand for
_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)")  # the name of a picture of a latent, such as z0.png


def _console() -> "Console":
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH_WITHOUT_TERMINAL)


def show(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> None:
    """A table; numbers are set flush right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="bold")
    for name, cells in zip(columns, zip(*rows, strict=True), strict=True) if rows else ():
        numeric = all(_is_number(cell) for cell in cells)
        table.add_column(Text(printable(name)), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(_cell(value))) for value in row))  # Text: what a name holds is never markup
    console = _console()
    with console.capture() as printed:  # where the reader has gone, rich would end the program with code 1
        console.print(table)
    print(printed.get(), end="")  # noqa: T201


def show_fitting(columns: Sequence[str], rows: Sequence[Sequence[Any]], ranks: Sequence[int]) -> None:
    """A table of the columns that there is room for, those of the lowest ranks; the others are named below it."""
    widths = [
        min(max(len(printable(_cell(cell))) for cell in (name, *cells)), _WIDEST_CELL) + 2
        for name, cells in zip(columns, zip(*rows, strict=True), strict=True)
    ]
    room, taken = _console().width + 2, set()
    for index in sorted(range(len(columns)), key=lambda index: ranks[index]):
        if widths[index] > room:
            break
        room -= widths[index]
        taken.add(index)
    taken |= {min(range(len(columns)), key=lambda index: ranks[index])}
    chosen = sorted(taken)
    show([columns[index] for index in chosen], [[row[index] for index in chosen] for row in rows])
    if left_out := [name for index, name in enumerate(columns) if index not in taken]:
        say(f"\nno room for {', '.join(left_out)}: --csv writes them")


def _is_number(cell: Any) -> bool:
    if isinstance(cell, str):
        return cell.replace(".", "", 1).removeprefix("-").isdecimal()
    return cell is None or isinstance(cell, int | float)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float) and value != value:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def say(text: str) -> None:
    print(text)  # noqa: T201


def show_latents(statistics: Mapping[str, Any]) -> None:
    """Posterior variance, KL and the factor that each latent follows, most used first."""
    factors = statistics["factor_names"]
    information = statistics["normalised_mutual_information"]
    variance, kl = statistics["posterior_variance"], statistics["kl_per_latent"]
    order = sorted(range(len(variance)), key=lambda latent: variance[latent])
    rows = [
        [f"z{latent}", f"{variance[latent]:.4f}", f"{kl[latent]:.2f}"]
        + ([statistics["follows"][latent] or "–", *(f"{i:.2f}" for i in information[latent])] if factors else [])
        for latent in order
    ]
    columns = ["latent", "posterior variance", "KL (nats)"] + (["follows", *factors] if factors else [])
    title = "Latents by use" + (": mutual information with each factor, over the factor's entropy" if factors else "")
    show(columns, rows, title)
    print(  # noqa: T201
        f"\nreconstruction {statistics['reconstruction']:.2f}, KL {statistics['kl']:.2f}, "
        f"ELBO {statistics['elbo']:.2f} nats per image; {_in_use(statistics['active_latents'])} in use"
    )
    if not statistics["active_latents"]:
        say(
            "no latent tells one image from another: a weaker weight, such as a lower beta, or more steps may open some"
        )


def _in_use(count: int) -> str:
    return "1 latent" if count == 1 else f"{count} latents"


def show_folder(path: Path) -> None:
    """Where the pictures of a run or study are; those numbered 0, 1, 2, ... on one line."""
    pictures = sorted(file.name for file in (path / "figures").glob("*") if not file.name.startswith("."))
    print(f"\n{path}")  # noqa: T201
    for name in _condensed(pictures):
        print(f"  figures/{name}")  # noqa: T201


def _condensed(names: Sequence[str]) -> list[str]:
    """Three names or more that are numbered 0, 1, 2, ..., such as those of latents, as the first and the last."""
    series: dict[tuple[str, str], list[str]] = {}  # what stands before and after the number -> names
    for name in names:
        parts = _NUMBERED.fullmatch(name)
        series.setdefault((parts[1], parts[3]) if parts else (name, ""), []).append(name)
    lines: list[str] = []
    for (before, after), some in series.items():
        counted = [f"{before}{number}{after}" for number in range(len(some))]
        lines += [f"{counted[0]} ... {counted[-1]}"] if len(some) > 2 and {*some} == {*counted} else some
    return lines


def show_config(config: "Config") -> None:
    """The config as YAML, and the parameter counts of its networks, which are made first: not every config has any."""
    from unbraid import config as configs
    from unbraid import runs, training

    dataset = runs.load_data(config)
    config = configs.fitted(config, dataset)
    counts = training.parameter_counts(config, dataset)
    print(config.to_yaml())  # noqa: T201
    print("# parameters: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))  # noqa: T201


def show_dataset(name: str, dataset: "Dataset", found: "Survey") -> None:
    """Size, levels, duplicates, and of each factor its values and how many images share one."""
    channels, height, width = dataset.image_shape
    kind = "grey" if channels == 1 else f"{channels} channels"
    if dataset.binary:
        kind = "black and white" if channels == 1 else f"{kind}, each of 0 or 255"
    looked_at = "" if len(found.indices) == len(dataset) else f" (of {len(found.indices):,} images looked at)"
    print(  # noqa: T201
        f"{name}: {_counted(len(dataset), 'image')}, {height}x{width}, {kind}\n"
        f"levels {found.low} to {found.high} of 255, mean {found.mean:.1f}, deviation {found.deviation:.1f}\n"
        f"{_counted(found.duplicates, 'duplicate')}{looked_at}\n"
    )
    if dataset.factor_names:
        columns = zip(dataset.factor_names, dataset.factor_sizes, found.factors.T, strict=True)
        levels: Mapping[str, Sequence[str]] = getattr(dataset, "levels", {})
        rows = [(factor, *_values(size, column, levels.get(factor, ()))) for factor, size, column in columns]
        show(["factor", "values", "images a value"], rows)
        still = np.ptp(found.factors, axis=0) == 0
        if still.any() and len(dataset) > 1:
            constant = printable(
                ", ".join(name for name, each in zip(dataset.factor_names, still, strict=True) if each)
            )
            where = "in all images" + (" looked at" if len(found.factors) < len(dataset) else "")
            print(f"one value {where}, so that no latent can follow it: {constant}")  # noqa: T201
    else:
        print("no ground-truth factors")  # noqa: T201


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'s' * (n != 1)}"


def _values(size: int | None, column: "np.ndarray", levels: Sequence[str]) -> tuple[str, str]:
    """(how many values a factor has, of those below its largest, or their range; how many images share one)"""
    if size is None:
        return f"{column.min():.6g} to {column.max():.6g}", "continuous"
    shared = np.unique(column, return_counts=True)[1]
    least, most = shared.min(), shared.max()
    occurring = f"{size:,}" if len(shared) == size else f"{len(shared):,} of {size:,}"
    words = printable(", ".join(levels))
    if words:
        occurring += f": {words}" if len(words) <= _LEVELS else f": {words[:_LEVELS]} ..."
    return occurring, f"{least:,}" if least == most else f"{least:,} to {most:,}"


def show_entries(kind: str, descriptions: Mapping[str, str], options: Iterable[tuple[str, "Parameter"]]) -> None:
    """A table of the package: what each entry is, and its options (entry, parameter) with their defaults."""
    own: dict[str, list[str]] = {name: [] for name in descriptions}
    for name, parameter in options:
        own[name].append(f"{parameter.name}={parameter.default}")
    show([kind, "what it is", "options"], [(name, text, "  ".join(own[name])) for name, text in descriptions.items()])


def show_scores(data: str, metrics: Mapping[str, Mapping[str, Any]]) -> None:
    """Scores of a run beside the published ones on the same data set."""
    from unbraid.metrics import direction
    from unbraid.metrics.published import PUBLISHED

    published = PUBLISHED.get(data, {})
    rows: list[Sequence[Any]] = []
    for name, found in metrics.items():
        others = ", ".join(f"{method} {value:.2f} ({source})" for method, value, source in published.get(name, []))
        rows.append(
            [
                name,
                found["score"],
                "lower is better" if direction(name) < 0 else "",
                others,
            ]
        )
        rows += [[f"  {part}", value, "", ""] for part, value in found["parts"].items()]
    show(["metric", "score", "note", "published"], rows)


def show_ranking(ranking: "Ranking") -> None:
    """The runs of a study, best first without labels, and how that order agrees with the supervised scores."""
    columns: dict[str, Sequence[Any]] = {"active latents": ranking.active_latents, **ranking.unsupervised}
    rows = [[name, *(column[n] for column in columns.values())] for n, name in enumerate(ranking.runs)]
    agrees = any(value is not None for value in ranking.unsupervised["udr_lasso"])
    show(["run", *columns], rows, "Runs by UDR (agreement with other seeds; no labels used)" if agrees else "Runs")
    if not agrees:
        say("\nno ranking: UDR compares runs that differ in nothing but the seed, and there are no two of them")
    if ranking.supervised:  # a row each: there are more metrics than a line has room for
        agreement = [
            [metric, scores[0] if agrees else None, *(row[metric] for row in ranking.agreement.values())]
            for metric, scores in ranking.supervised.items()
        ]
        print()  # noqa: T201
        title = "Supervised scores, and the rank correlation of each criterion with them over the runs"
        show(["metric", "best run's score", *ranking.agreement], agreement, title)
