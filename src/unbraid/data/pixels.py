"""Stored images as rows of bytes, gathered by index and turned into floats where the model is."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

_RESIDENT = 2**30  # bytes of pixels that may stay on an accelerator; beyond that each batch is copied there

# [256, pixels a byte]: what a byte stands for
_LEVELS = (np.arange(256, dtype=np.float32) / 255)[:, None]
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Pixels:
    """N images [C, H, W] as `rows`: uint8 [N, C*H*W], or [N, C*H*W/8] where `packed` holds eight pixels a byte."""

    rows: np.ndarray
    shape: tuple[int, int, int]
    packed: bool = False
    _resident: dict["torch.device", Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def images(self, indices: np.ndarray) -> np.ndarray:
        """uint8 [n, C, H, W], 0 to 255."""
        rows = self.rows[indices]
        if self.packed:
            rows = np.unpackbits(rows, axis=1) * np.uint8(255)
        return rows.reshape(len(indices), *self.shape)

    def floats(self, indices: np.ndarray, device: "torch.device") -> "torch.Tensor":
        """float32 [n, C, H, W] in [0, 1] on `device`: a look-up of each byte, four times faster than shifting bits."""
        import torch

        table = _BITS if self.packed else _LEVELS
        if device.type == "cpu":
            return torch.from_numpy(table.take(self.rows[indices], axis=0).reshape(-1, *self.shape))
        if device not in self._resident:
            rows = torch.from_numpy(np.array(self.rows)).to(device) if self.rows.nbytes <= _RESIDENT else None
            self._resident[device] = (torch.from_numpy(table).to(device), rows)
        lookup, rows = self._resident[device]
        if rows is None:
            gathered = torch.from_numpy(self.rows[indices]).to(device)
        else:
            gathered = rows[torch.from_numpy(indices).to(device)]
        return lookup.index_select(0, gathered.flatten().int()).view(-1, *self.shape)
