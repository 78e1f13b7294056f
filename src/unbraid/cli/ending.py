"""What training ends with, whichever command began it."""

from typing import Any


def finish(run: Any) -> None:
    """Statistics, figures and the table of latents of a trained run."""
    from unbraid import pictures, tables

    found = pictures.finish(run, show=True)
    tables.show_latents(found)
    tables.show_folder(run.path)
