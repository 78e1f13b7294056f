"""What commands on trained runs share: what training ends with, and what is said of a run before it is looked at."""

import sys
from typing import Any

from unbraid.errors import printable


def finish(run: Any) -> None:
    """Statistics, figures and the table of latents of a trained run."""
    from unbraid import pictures, tables

    found = pictures.finish(run, show=True)
    tables.show_latents(found)
    tables.show_folder(run.path)


def say_if_unfinished(run: Any, what: str) -> None:
    """That `what`, "figures" or "scores", will not be of a finished run, to standard error."""
    from unbraid import runs

    if at := runs.unfinished(run):
        print(printable(f"{run.path} is not finished: the {what} are of {at}"), file=sys.stderr)
