"""Codes outside of a run: images to a table of codes and back. Memory does not grow with their number."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from unbraid import evaluate
from unbraid.codes import pictures, tables
from unbraid.codes.sources import open_images
from unbraid.codes.tables import Part
from unbraid.errors import UnbraidError
from unbraid.progress import progress
from unbraid.runs import Run
from unbraid.types import Dataset

__all__ = ["decode", "encode", "open_images"]

_DECODED = 2**22  # pixels decoded together


def encode(
    run: Run,
    dataset: Dataset,
    out: str | Path,
    *,
    names: Sequence[str] | None = None,
    variances: bool = False,
    show: bool = False,
) -> int:
    """Writes the code of every image of `dataset` to the file `out` (.parquet, .csv or .npz); returns their number.

    Codes are posterior means; `variances` adds those of q(z|x). `names` [N] tells the images apart, by default the
    names of their files, or their indices.
    """
    path, n = Path(out), len(dataset)
    tables.check_name(path)
    if tuple(dataset.image_shape) != tuple(run.model.image_shape):
        wanted, found = ("x".join(map(str, shape)) for shape in (run.model.image_shape, dataset.image_shape))
        raise UnbraidError(
            f"this run takes images of {wanted} (channels, height, width), and these are {found}: convert them, or "
            "give files of pictures, which are made to fit"
        )
    known = names if names is not None else getattr(dataset, "names", ())
    named = [name.encode(errors="backslashreplace").decode() for name in known]  # no table takes bytes that are no text
    if max(map(len, named), default=0) > tables.LONGEST_NAME:
        raise UnbraidError(f"the name of an image has more than {tables.LONGEST_NAME:,} characters: shorten it")
    index: Sequence[str | int] = named or range(n)

    def parts() -> Iterator[Part]:
        done = 0
        with progress("encode", n, "images", show=show) as bar:
            for mean, logvar in evaluate.encoded_parts(run, dataset, np.arange(n)):
                variance = logvar.exp().numpy() if variances else None
                yield Part(index[done : done + len(mean)], mean.numpy(), variance)
                done += len(mean)
                bar.advance(len(mean))

    tables.write(path, parts())
    return n


def decode(run: Run, codes: str | Path, out: str | Path, *, show: bool = False) -> int:
    """Writes the mean image of every code in a file of `encode` (or an array, .npy); returns their number.

    `out` is a new folder of PNG files, named as the images that the codes came from were, or by number; or a file
    (.npy, .npz) of one array `images`, float32 [N, C, H, W] in [0, 1].
    """
    table = tables.read(Path(codes), run.model.latent_dim)
    if table.n < 1:
        raise UnbraidError(f"{codes} holds no codes")

    at_once = max(1, _DECODED // math.prod(run.model.image_shape))

    def parts() -> Iterator[tuple[list[str], np.ndarray]]:
        with progress("decode", table.n, "images", show=show) as bar:
            for part in table.parts:
                for rows in np.split(np.arange(len(part.codes)), range(at_once, len(part.codes), at_once)):
                    names = [str(part.index[row]) for row in rows]
                    yield names, run.decode(part.codes[rows]).numpy()
                    bar.advance(len(rows))

    pictures.write(Path(out), (table.n, *run.model.image_shape), parts())
    return table.n
