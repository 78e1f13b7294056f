"""The halves of a model as programs of torch.export."""

import io
import json

import numpy as np
import torch

from unbraid.export.graph import BATCH
from unbraid.export.halves import INPUT, halves, metadata
from unbraid.runs import Run

METADATA = "unbraid.json"  # the name inside the file under which `metadata` lies


def torch_programs(run: Run) -> dict[str, bytes]:
    """{"encoder": ..., "decoder": ...}: what `torch.export.load` reads, for any batch size."""
    parts = halves(run)
    files = {}
    for half in INPUT:
        program = torch.export.export(
            getattr(parts, half),
            (torch.zeros(2, *parts.shape(half)),),
            dynamic_shapes=({0: torch.export.Dim(BATCH)},),
        )
        stream = io.BytesIO()
        torch.export.save(program, stream, extra_files={METADATA: json.dumps(metadata(run, half))})
        files[half] = stream.getvalue()
    return files


def answers(program: bytes, half: str, given: np.ndarray) -> list[np.ndarray]:
    """What the stored program makes of a batch, one array for each output."""
    module = torch.export.load(io.BytesIO(program)).module()
    with torch.inference_mode():
        return [output.numpy() for output in module(torch.from_numpy(given))]
