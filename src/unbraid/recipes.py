"""Settings found by trying: what two cores learn of dSprites in minutes."""

from typing import Any

from unbraid import config as configs
from unbraid.config import Config
from unbraid.schedules import piecewise

_DEMO_STEPS = 16_000


def demo(steps: str | int | None = None, **settings: Any) -> Config:
    """The demo's config; its schedules are shares of `steps`, so that a shorter demo is the same course in small.

    Two latents, led by linear coordinates, become the positions; the third becomes the size, where its rent is worth
    paying; a fourth, while little is asked, takes up what one more number can tell of the kind of shape. Then all open
    while almost nothing is asked, and some take up how a shape is turned, before the pressure returns; with it comes
    that of independence, under which a copy of a latent costs 48 nats (0.106 hsic).
    """
    total = configs.resolve({"steps": _DEMO_STEPS if steps is None else steps}).steps

    def course(*points: float) -> str:
        """Straight lines through (share of the steps, value) pairs, at whole steps."""
        shares, values = points[0::2], points[1::2]
        at = {round(share * total): value for share, value in zip(shares, values, strict=True)}
        return str(piecewise(*(x for point in at.items() for x in point))) if len(at) > 1 else str(values[-1])

    recipe = {
        "data": "dsprites",
        "model": "swift",
        "objective": "unfold",
        "beta": course(0, 1, 0.1, 1, 0.101, 0.2, 0.2, 0.2, 0.35, 0.7, 0.351, 0.1, 0.45, 0.1, 0.6, 1, 0.8, 0.5),
        "tau": course(0, 5, 0.1, 5, 0.101, 0.5, 0.2, 0.5, 0.35, 5, 0.351, 0.5, 0.45, 0.5, 0.6, 5, 0.9, 3),
        "kappa": 2.0,
        "rent": course(0, 40, 0.1, 40, 0.101, 1, 0.2, 1, 0.3, 3, 0.351, 0, 0.45, 0, 0.6, 3),
        "hsic": course(0, 0, 0.45, 0, 0.6, 450),
        "led": course(0, 100, 0.02, 100, 0.05, 0),
        "opened": course(0, 2, 0.05, 2, 0.08, 3, 0.1, 3, 0.101, 4, 0.35, 4, 0.351, 10),
        "lr": course(0, 1e-3, 0.65, 1e-3, 1, 0),
        "prune": 0.05,
        "batch_size": 64,
        "threads": 2,  # half as many steps again per minute; the number is fixed so that the bits are
        "steps": total,
        "checkpoint_minutes": 1.0,
    }
    return configs.resolve({**recipe, **settings})
