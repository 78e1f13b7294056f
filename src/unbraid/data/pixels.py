"""Stored images as rows of bytes, gathered by index and turned into floats where the model is."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from unbraid.processors import sent

if TYPE_CHECKING:
    import torch

_RESIDENT = 2**30  # bytes of pixels that may stay on an accelerator; beyond that each batch is copied there

# [256, pixels a byte]: what a byte stands for
_LEVELS = (np.arange(256, dtype=np.float32) / 255)[:, None]
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32)


class Rows(Protocol):
    """uint8 [N, width]: an array, or a file that is read where asked."""

    @property
    def nbytes(self) -> int: ...

    def __len__(self) -> int: ...

    def __getitem__(self, indices: Any) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class Pixels:
    """N images [C, H, W] as `rows`: uint8 [N, C*H*W], or [N, C*H*W/8] where `packed` holds eight pixels a byte."""

    rows: Rows
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
        """float32 [n, C, H, W] in [0, 1] on `device`: a look-up of each byte, which beats shifting bits."""
        import torch

        table = _BITS if self.packed else _LEVELS
        if device.type != "cpu":
            return self._floats_there(torch.from_numpy(indices), torch.from_numpy(table), device)
        return torch.from_numpy(table.take(self.rows[indices], axis=0).reshape(-1, *self.shape))

    def _floats_there(self, indices: "torch.Tensor", table: "torch.Tensor", device: "torch.device") -> "torch.Tensor":
        """The same on an accelerator, where table and rows stay once they have come, unless the rows are too many."""
        import torch

        if device not in self._resident:
            rows = torch.from_numpy(np.array(self.rows[:])).to(device) if self.rows.nbytes <= _RESIDENT else None
            self._resident[device] = (table.to(device), rows)
        table, rows = self._resident[device]
        if rows is None:
            chosen = sent(torch.from_numpy(self.rows[indices.numpy()]), device)
        else:
            chosen = rows.index_select(0, sent(indices, device))
        return table.index_select(0, chosen.flatten().int()).view(-1, *self.shape)
