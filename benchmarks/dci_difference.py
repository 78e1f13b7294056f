"""How far dci_hgb, whose trees split between bins, is from dci_gbt, whose trees split between any two points.

    python benchmarks/dci_difference.py [--seeds 0 1 2] [--bins 64] [--out benchmarks/results]

Both score four kinds of codes of dSprites' factors, drawn anew for every seed, at the published size: 10,000 points to
fit and 5,000 to test, 10 latents.
"""

import argparse
import datetime
from collections.abc import Callable
from pathlib import Path

import numpy as np
from metric_speed import LATENTS, SIZES, representation

from unbraid.files import write_json
from unbraid.metrics.dci_gbt import dci_gbt
from unbraid.metrics.dci_hgb import dci_hgb
from unbraid.metrics.result import Result
from unbraid.randomness import numpy_generator
from unbraid.types import Representation


def sample(seed: int, name: str, encode: Callable[[np.ndarray], np.ndarray], noise: float) -> Representation:
    """`encode` takes the factors, each from -1 to 1 [N, F], and gives at most 10 latents; those it lacks are noise."""
    rng = numpy_generator(seed, name)
    factors = rng.integers(SIZES, size=(15_000, len(SIZES)))
    codes = noise * rng.normal(size=(len(factors), LATENTS))
    clean = encode(2 * factors / (np.array(SIZES) - 1) - 1)
    codes[:, : clean.shape[1]] += clean
    return Representation(codes[:10_000], factors[:10_000], SIZES, codes[10_000:], factors[10_000:])


def own_latents(seed: int) -> Representation:
    """A latent a factor, sharp enough to tell most neighbouring values apart."""
    return sample(seed, "own latents", lambda f: f, 0.02)


def rotated(seed: int) -> Representation:
    """Factors, the angle on a circle and three squares, all turned into each other."""
    turn = np.linalg.qr(numpy_generator(seed, "turn").normal(size=(LATENTS, LATENTS)))[0]

    def encode(f: np.ndarray) -> np.ndarray:
        angle = np.pi * f[:, 2]
        return np.c_[f, np.sin(angle), np.cos(angle), f[:, :3] ** 2] @ turn

    return sample(seed, "rotated", encode, 0.05)


def noisy(seed: int) -> Representation:
    """A latent a factor, under noise whose deviation is a quarter of its range."""
    return sample(seed, "noisy", lambda f: f, 0.5)


KINDS = {"as of a VAE": representation, "own latents": own_latents, "rotated": rotated, "noisy": noisy}


def values(result: Result) -> np.ndarray:
    return np.array([result.score, *result.parts.values()])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--bins", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()

    names = ["D", "completeness", "informativeness_train", "informativeness_test"]
    found = {}
    for kind, make in KINDS.items():
        exact, binned = [], []
        for seed in arguments.seeds:
            rep = make(seed)
            exact.append(values(dci_gbt(rep, numpy_generator(seed, "dci_gbt"))))
            binned.append(values(dci_hgb(rep, numpy_generator(seed, "dci_hgb"), bins=arguments.bins)))
            difference = dict(zip(names, (binned[-1] - exact[-1]).round(4).tolist(), strict=True))
            print(f"{kind:12} seed {seed}  dci_hgb - dci_gbt: {difference}", flush=True)
        columns = zip(names, np.transpose(exact).round(4), np.transpose(binned).round(4), strict=True)
        found[kind] = {name: {"dci_gbt": a.tolist(), "dci_hgb": b.tolist()} for name, a, b in columns}
    path = arguments.out / f"{datetime.date.today().isoformat()}-dci_difference.json"
    write_json(path, {"seeds": arguments.seeds, "bins": arguments.bins, "points": [10_000, 5_000], "kinds": found})
    print(path)


if __name__ == "__main__":
    main()
