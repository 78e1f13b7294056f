"""Trained models as files that need no unbraid: add a format by writing its file and its line in the table."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unbraid.errors import UnbraidError
from unbraid.export.check import differences
from unbraid.export.onnx_file import answers as onnx_answers
from unbraid.export.onnx_file import onnx_models
from unbraid.export.torch_file import answers as torch_answers
from unbraid.export.torch_file import torch_programs
from unbraid.files import replacing
from unbraid.registry import lookup
from unbraid.runs import EXPORT, Run

__all__ = ["FORMATS", "Format", "differences", "export", "onnx_answers", "onnx_models"]

_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Format:
    """`write(run)` gives a file for each half; `answers(file, half, batch)` what it makes of a batch."""

    write: Callable[[Run], dict[str, bytes]]
    answers: Callable[[bytes, str, np.ndarray], list[np.ndarray]]
    suffix: str
    description: str


FORMATS: dict[str, Format] = {
    "onnx": Format(onnx_models, onnx_answers, ".onnx", "for onnxruntime, browsers and most other runtimes"),
    "torch": Format(torch_programs, torch_answers, ".pt2", "programs of torch.export, for PyTorch without unbraid"),
}


def export(run: Run, folder: Path | None = None, *, format: str = "onnx") -> dict[Path, dict[str, float]]:
    """Writes the run's encoder and decoder into `folder` (the run's own "export"): file -> differences of its outputs.

    The differences are those of `check.differences`. Raises UnbraidError, and writes nothing, where one of them is
    above 1e-5.
    """
    chosen = lookup(FORMATS, format, "export format")
    written = chosen.write(run)
    found = differences(run, written, chosen.answers)
    for half, errors in found.items():
        for name, error in errors.items():
            if not error <= _TOLERANCE:
                raise UnbraidError(
                    f"the exported {half} of {run.path} gives another {name} than PyTorch (they differ by {error:.1g}, "
                    f"and {_TOLERANCE:g} is allowed), so it was not written"
                )
    files = {}
    for half, content in written.items():
        file = (folder or run.path / EXPORT) / f"{half}{chosen.suffix}"
        with replacing(file) as temporary:
            temporary.write_bytes(content)
        files[file] = found[half]
    return files
