"""A stack's step on CUDA, recorded once as a graph and replayed: no kernel waits for Python any more.

A step of a small net is hundreds of kernels of a few microseconds each, and Python takes longer to launch one than the
device to run it. So whatever changes from step to step is made ahead for many steps and lies on the device, where a
counter tells the recorded step which row is its own.
"""

import functools
import importlib.util
import math
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

from unbraid.processors import sent
from unbraid.training.stack import Stack
from unbraid.training.trainer import Trainer

_WARM_UP = 3  # steps before the recording: the libraries choose their kernels, the optimizers make their state
_AHEAD, _AHEAD_BYTES = 64, 2**28  # steps made ahead at most, and what their images may take
RECORDABLE = ("adam", "adamw")  # optimizers whose step reads nothing but the device


def recorded(stacks: Sequence[Stack]) -> Callable[[int], None]:
    """The step of all of these, side by side on the device."""
    _share_images(stacks)
    each = [_Recorded(stack) for stack in stacks]

    def step(step: int) -> None:
        for one in each:
            one.prepare(step)
        for one in each:
            one.begin(step)
        for one in each:
            one.end()

    return step


def _share_images(stacks: Sequence[Stack]) -> None:
    """Stacks of different nets on the same data make each batch once."""
    streams: dict[Hashable, list[Trainer]] = {}
    for stack in stacks:
        for source, index in stack.streams.items():
            streams.setdefault(source, []).append(stack.members[index])
    for members in streams.values():
        if len(members) > 1:
            shared = functools.lru_cache(maxsize=_ahead(members[0], streams=1))(members[0].batches)
            for member in members:
                member.batches = shared


def _ahead(trainer: Trainer, streams: int) -> int:
    """How many steps are made at once where each takes images from so many streams."""
    images = 4 * trainer.config.batch_size * math.prod(trainer.model.image_shape)
    return max(1, min(_AHEAD, _AHEAD_BYTES // (images * streams)))


class _Recorded:
    """Steps a stack as `Stack.step` does, on a stream of its own."""

    def __init__(self, stack: Stack) -> None:
        if importlib.util.find_spec("triton"):  # which PyTorch for CUDA brings along on Linux
            from unbraid.models.stacked_layers import stack_well

            for network in stack.networks.values():
                stack_well(network)
        self._stack = stack
        self._stream = torch.cuda.Stream(stack.device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._warmed = 0
        self._made = range(0)
        self._table: dict[str, Tensor] = {}
        self._row = torch.zeros(1, dtype=torch.int64, device=stack.device)
        self._sums: dict[str, Tensor] = {}

    def prepare(self, step: int) -> None:
        """Makes what the step takes in, before any stack is set going."""
        if self._warmed < _WARM_UP:
            self._table = self._stack.table(range(step, step + 1))
        elif step not in self._made:
            self._make(step)

    def begin(self, step: int) -> None:
        """Sets the step going."""
        self._stream.wait_stream(torch.cuda.current_stream(self._stack.device))
        with torch.cuda.stream(self._stream):
            if self._warmed < _WARM_UP:
                logs = self._stack.step_with(self._table, step)
                self._sums = {name: torch.zeros_like(value) for name, value in logs.items()}
                self._warmed += 1
            else:
                self._replay(step)

    def end(self) -> None:
        """What comes next on the device waits for the step."""
        torch.cuda.current_stream(self._stack.device).wait_stream(self._stream)

    def _replay(self, step: int) -> None:
        members = self._stack.members
        if self._graph is None:
            self._graph = self._record()
        self._stack.waken(self._table["x"][step - self._made.start], step)
        if not members[0].summed:
            for value in self._sums.values():
                value.zero_()
            for index, member in enumerate(members):
                member.sums = {name: value[index] for name, value in self._sums.items()}
        self._graph.replay()
        for member in members:
            member.summed += 1

    def _make(self, step: int) -> None:
        """Fills the table from `step` on, in the same place each time, which is where the graph looks."""
        first = self._stack.members[0]
        count = _ahead(first, len(self._stack.streams))
        self._made = range(step, min(step + count, max(first.config.steps, step + 1)))
        made = {**self._stack.table(self._made), "rates": self._rates()}
        if self._graph is None:
            self._table = made
        else:
            for name, value in made.items():
                self._table[name][: len(value)].copy_(value)
        self._row.zero_()

    def _rates(self) -> Tensor:
        """[K, M, optimizers]"""
        rates = [[member.rates(step) for member in self._stack.members] for step in self._made]
        return sent(torch.tensor(rates, dtype=torch.float32), self._stack.device)

    def _record(self) -> torch.cuda.CUDAGraph:
        members = self._stack.members
        for index, member in enumerate(members):
            for name, value in member.sums.items():
                self._sums[name][index] = value
            member.sums = {name: value[index] for name, value in self._sums.items()}
        self._stack.join()
        for optimizer in self._stack.optimizers():
            for group in optimizer.param_groups:
                group["capturable"] = True
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            row = {name: value.index_select(0, self._row)[0] for name, value in self._table.items()}
            rates = [each.unbind() for each in row.pop("rates").unbind()]
            for name, value in self._stack.advance(row, rates).items():
                self._sums[name] += value
            self._row += 1
        return graph
