"""Balls that bounce about in a box and off each other: a stream of frames, simulated when asked for."""

import functools
import itertools
import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unbraid.errors import UnbraidError
from unbraid.kernels import has_kernels
from unbraid.processors import sent
from unbraid.randomness import numpy_generator
from unbraid.types import Batches

if TYPE_CHECKING:
    import torch

BOX = 10.0  # side; the lengths below and the factors are in the same unit
RADIUS = 1.2
SPEED = 0.5  # per frame: the joint norm of all velocities at the start
FRAMES = 128  # of one simulation, where images are asked for by index
_LENGTH = 2**20  # images by index: a nominal N, for the stream has no end
_MOST_BALLS = 5  # of six, random starts overlap 499 times in 500
_SIMULATED_AT_ONCE = 256  # training batches; shuffled ones are dealt from as many simulations
_STARTS_AT_ONCE = 64


def balls(
    *, n_balls: int = 1, size: int = 32, friction: float = 0.0, gravity: float = 0.0, shuffled: bool = False
) -> "Balls":
    """Grey images [1, size, size] of equal balls in a square box, after Sutskever (2008) as Hennigh (2016) used them.

    Per frame two half steps of x += v/2, reflection at the walls, elastic collisions of equal masses. Ball k is at
    (x_k, y_k), x to the right and y down: these are the factors, continuous. It lights the pixel at distance d from it
    by exp(-(d/1.2)^8); balls add up to at most 1. Rims are grey, so the Bernoulli likelihood has a floor above 0.
    A training batch is `batch_size` consecutive frames of one fresh simulation, or, `shuffled`, one frame each of as
    many: the same images dealt otherwise, which teach more at a time, since neighbours look alike. Each half step,
    `gravity` adds to the velocity downwards and `friction` takes that share of it: 0.003 and 0.005 where the original
    switches them on, 0 in its published figures.

    Differs from the original where balls still overlap while they move apart (a third ball or a wall in the way): it
    turns them back into each other, here they part. Raises UnbraidError for more than 5 balls and other values out
    of range.
    """
    if not 1 <= n_balls <= _MOST_BALLS:
        raise UnbraidError(
            f"n_balls must be from 1 to {_MOST_BALLS}, the most that start apart in the box, not {n_balls}"
        )
    if not 4 <= size <= 512:
        raise UnbraidError(f"size must be from 4 to 512 pixels, not {size}")
    if not 0 <= friction < 1 or not 0 <= gravity <= 1:
        raise UnbraidError(f"friction must be in [0, 1) and gravity in [0, 1], not {friction:g} and {gravity:g}")
    return Balls(n_balls, size, friction, gravity, shuffled)


@dataclass(frozen=True)
class Balls:
    """Satisfies `unbraid.types.Dataset`: index i is frame i % 128 of simulation i // 128 of a stream of its own."""

    n_balls: int
    size: int
    friction: float
    gravity: float
    shuffled: bool = False
    binary: bool = False

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return (1, self.size, self.size)

    @property
    def factor_names(self) -> tuple[str, ...]:
        return tuple(f"{axis}_{ball}" for ball in range(1, self.n_balls + 1) for axis in "xy")

    @property
    def factor_sizes(self) -> tuple[None, ...]:
        return (None,) * (2 * self.n_balls)

    def __len__(self) -> int:
        return _LENGTH

    def factors(self, indices: np.ndarray) -> np.ndarray:
        """float64 [N, 2 n_balls]: the centres."""
        indices = np.asarray(indices)
        if indices.size and not 0 <= indices.min() <= indices.max() < _LENGTH:
            raise IndexError(f"indices run from 0 to {_LENGTH - 1}, not from {indices.min()} to {indices.max()}")
        simulations, which = np.unique(indices // FRAMES, return_inverse=True)
        centres = self._simulate([numpy_generator(0, "indexed", int(each)) for each in simulations], FRAMES)
        return centres[which, indices % FRAMES].reshape(len(indices), 2 * self.n_balls)

    def indices(self, factors: np.ndarray) -> np.ndarray:
        raise UnbraidError("the positions of balls are continuous, so none can be looked up: choose images by index")

    def images(self, indices: np.ndarray) -> np.ndarray:
        centres = self.factors(indices).reshape(-1, self.n_balls, 2)
        return np.rint(_light(np, self._pixels, centres.astype(np.float32)) * 255).astype(np.uint8)

    def batches(self, batch_size: int, *, seed: int, device: "torch.device | str" = "cpu") -> Batches:
        """Simulations are made in blocks of 256 steps and drawn on `device` one step at a time."""
        import torch

        if batch_size < 1:
            raise UnbraidError(f"batch_size must be at least 1, not {batch_size}")
        place = torch.device(device)
        kept: tuple[int, Any] = (-1, None)
        frames: Any

        def centres(step: int) -> Any:
            """[B, n_balls, 2], an array on the CPU and a tensor elsewhere."""
            nonlocal kept
            block, row = divmod(step, _SIMULATED_AT_ONCE)
            if block != kept[0]:
                steps = range(block * _SIMULATED_AT_ONCE, (block + 1) * _SIMULATED_AT_ONCE)
                simulated = _simulated(self, seed, steps, batch_size)
                kept = (block, simulated if place.type == "cpu" else sent(torch.from_numpy(simulated), place))
            return kept[1][(row + frames) % _SIMULATED_AT_ONCE, frames] if self.shuffled else kept[1][row]

        if place.type == "cpu":
            frames = np.arange(batch_size)
            if not has_kernels():
                return lambda step: torch.from_numpy(_light(np, self._pixels, centres(step)))
            from unbraid.data.balls_kernel import drawn

            return lambda step: drawn(torch.from_numpy(centres(step)), self.size, box=BOX, radius=RADIUS)
        frames = torch.arange(batch_size, device=place)
        pixels = torch.from_numpy(self._pixels).to(place)
        return lambda step: _light(torch, pixels, centres(step))

    @property
    def _pixels(self) -> np.ndarray:
        """float32 [size]: the centres of the pixels along one side."""
        return ((np.arange(self.size) + 0.5) * (BOX / self.size)).astype(np.float32)

    def _simulate(self, generators: list[np.random.Generator], frames: int) -> np.ndarray:
        """float64 [K, frames, n_balls, 2]: the centres in K simulations, each a function of its own generator alone."""
        starts = [self._start(rng) for rng in generators]
        x = np.stack([position for position, _ in starts], axis=-1)  # [n_balls, 2, K]
        v = np.stack([velocity for _, velocity in starts], axis=-1)
        centres = np.empty((frames, *x.shape))
        for frame in range(frames):
            centres[frame] = x
            for _ in range(2):
                x += 0.5 * v
                self._accelerate(x, v)
        return np.ascontiguousarray(np.moveaxis(centres, -1, 0))

    def _start(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Positions and velocities [n_balls, 2]; positions are redrawn, all of them, until each ball has its place."""
        velocity = rng.standard_normal((self.n_balls, 2))
        velocity *= SPEED / math.sqrt((velocity**2).sum())
        while True:
            tries = rng.uniform(2, BOX, (_STARTS_AT_ONCE, self.n_balls, 2))
            good = (tries <= BOX - RADIUS).all(axis=(1, 2))
            for i, j in itertools.combinations(range(self.n_balls), 2):
                good &= ((tries[:, i] - tries[:, j]) ** 2).sum(axis=-1) >= (2 * RADIUS) ** 2
            if good.any():
                return tries[good.argmax()], velocity

    def _accelerate(self, x: np.ndarray, v: np.ndarray) -> None:
        """Changes v [n_balls, 2, K] by what happens at x: gravity and friction, then the walls, then collisions."""
        if self.gravity or self.friction:
            v[:, 1] += self.gravity * (x[:, 1] < BOX - RADIUS)
            v -= self.friction * v
        np.copyto(v, np.abs(v), where=x < RADIUS)
        np.copyto(v, -np.abs(v), where=x > BOX - RADIUS)
        for i in range(self.n_balls):
            for j in range(i):
                apart = x[i] - x[j]  # [2, K]
                square = apart[0] ** 2 + apart[1] ** 2
                hit = np.flatnonzero(square < (2 * RADIUS) ** 2)
                if len(hit):
                    apart, change = apart[:, hit], (v[i] - v[j])[:, hit]
                    closing = np.minimum(apart[0] * change[0] + apart[1] * change[1], 0)
                    exchanged = apart * (closing / square[hit])
                    v[i][:, hit] -= exchanged
                    v[j][:, hit] += exchanged


@functools.lru_cache(maxsize=8)
def _simulated(balls: Balls, seed: int, steps: range, frames: int) -> np.ndarray:
    """float32 [len(steps), frames, n_balls, 2] of the stream of `seed`, which models of a study may read together."""
    return balls._simulate([numpy_generator(seed, "balls", each) for each in steps], frames).astype(np.float32)


def _light(xp: Any, pixels: Any, centres: Any) -> Any:
    """float32 [N, 1, size, size] of balls at `centres` [N, n_balls, 2]; `xp` is numpy or torch, as the arrays are."""
    squares = xp.square((pixels - centres[..., None]) / RADIUS)  # [N, n_balls, 2, size]
    light = functools.reduce(operator.iadd, (_glow(xp, squares[:, ball]) for ball in range(centres.shape[1])))
    if centres.shape[1] > 1:  # one alone is never brighter than 1
        xp.clip(light, None, 1.0, out=light)
    return light[:, None]


def _glow(xp: Any, squares: Any) -> Any:
    """[N, size, size] of one ball, from its squared distances [N, 2, size] to the pixels' columns and rows."""
    power = squares[:, 0, None, :] + squares[:, 1, :, None]
    power *= power
    power *= power
    return xp.exp(xp.negative(power, out=power), out=power)
