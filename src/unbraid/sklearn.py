"""Disentangled codes as a scikit-learn transformer: a step of a Pipeline, a candidate of GridSearchCV."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from unbraid import config as configs
from unbraid import course, runs
from unbraid.config import GIVEN_DATA, Config, Value
from unbraid.data.stored import shuffled
from unbraid.errors import UnbraidError
from unbraid.probability import LIKELIHOODS
from unbraid.processors import threads
from unbraid.training import Trainer
from unbraid.types import Batches

_AT_ONCE = 2**22  # numbers of X that go through the model together
_WIDTH = 256  # of the mlp where `settings` do not say: the published 1200 take ten times as long


class Disentangler(TransformerMixin, BaseEstimator):
    """Trains a variational autoencoder on images or rows of features, and transforms these to posterior means.

    X is [N, H, W], [N, H, W, C], [N, C, H, W] or flat, [N, D]. A row of D numbers is an image in the order of
    `image_shape`, (H, W) or (C, H, W); by default a square where D is one, else a line. What the model sees as 0 and 1
    are 0 and 255 where X is uint8, 0 and 1 where all of X lies between, and the least and the largest of X otherwise;
    of other X, what lies beyond is clipped.

    The VAE is the default since beta 4 closes every latent of data with few pixels; see `unbraid objectives` for the
    others. `settings` holds any more settings of a config, such as {"beta": 2.0, "width": 100}. With `random_state`
    None each fit is another one. Attributes: `n_features_in_`, `feature_names_in_` where X has names, `range_`,
    `config_`, `model_`, and `log_`: loss, recon, kl and what else the objective logs, means over the last tenth of the
    steps.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 10,
        objective: str = "vae",
        model: str = "mlp",
        steps: int = 1000,
        batch_size: int = 64,
        lr: float | str = 1e-3,
        image_shape: Sequence[int] | None = None,
        settings: Mapping[str, Value] | None = None,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.latent_dim = latent_dim
        self.objective = objective
        self.model = model
        self.steps = steps
        self.batch_size = batch_size
        self.lr = lr
        self.image_shape = image_shape
        self.settings = settings
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> "Disentangler":
        """Trains anew on X; y is ignored."""
        rows, self._shape = self._rows(X, reset=True)
        self._layout = _layout(self._shape if len(self._shape) > 1 else self.image_shape, rows.shape[1])
        self.range_ = _range(rows)
        config = self._config(len(rows))
        if short := course.cut_short(config):
            warnings.warn(short, stacklevel=2)
        device = runs.choose_device(self.device)
        dataset = _Shuffled(rows, self._layout, self.range_)
        with threads(config.threads):
            trainer = Trainer(config, dataset, device)  # type: ignore[arg-type]  # as much of a data set as it needs
            for step in range(config.steps):
                if step and step == config.steps * 9 // 10:
                    trainer.row(step)
                trainer.step(step)
            self.log_ = trainer.row(config.steps)
            if not trainer.is_finite():
                raise UnbraidError("the loss stopped being a number: try a smaller lr, or settings={'clip': 1000}")
            trainer.prune()
            trainer.model.zero_grad()
        # double precision, or the code of a row would depend on the rows beside it; accelerators are too slow at it
        self.config_ = trainer.config.flat()
        self.model_ = trainer.model.double() if device.type == "cpu" else trainer.model
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Posterior means [N, latent_dim]."""
        check_is_fitted(self)
        rows, _ = self._rows(X, reset=False)
        like = next(self.model_.parameters())
        parts = []
        with torch.inference_mode():
            for part in self._parts(rows):
                x = _pixels(part, self._layout, self.range_).to(like.device, like.dtype)
                parts.append(self.model_.encode(x)[0].cpu().numpy())
        return np.concatenate(parts).astype(_float(rows))

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Codes [N, latent_dim] -> the likelihood's mean, in the shape and the range of the X of `fit`."""
        check_is_fitted(self)
        codes = check_array(X)
        if codes.shape[1] != self.model_.latent_dim:
            raise UnbraidError(f"codes must be [N, {self.config_['latent_dim']}], not {list(codes.shape)}")
        like = next(self.model_.parameters())
        mean = LIKELIHOODS[str(self.config_["likelihood"])].mean
        parts = []
        with torch.inference_mode():
            for part in self._parts(codes):
                x = mean(self.model_.decode(torch.from_numpy(part).to(like.device, like.dtype))).cpu().numpy()
                parts.append(np.moveaxis(x, 1, 3) if self._layout.channels_last else x)
        low, high = self.range_
        x = low + (high - low) * np.concatenate(parts)
        return x.reshape(len(codes), *self._shape).astype(_float(codes))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """z0, z1, ...; `input_features` is ignored."""
        check_is_fitted(self)
        return np.array([f"z{latent}" for latent in range(self.model_.latent_dim)], object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.non_deterministic = self.random_state is None
        return tags

    def _rows(self, X: Any, *, reset: bool) -> tuple[np.ndarray, tuple[int, ...]]:
        """(X as [N, D], checked as scikit-learn does; the shape of one of its images or rows)"""
        X = np.asarray(X) if isinstance(X, list | tuple) else X
        shape = tuple(getattr(X, "shape", ()))[1:]
        flat = np.asarray(X).reshape(len(X), -1) if len(shape) in (2, 3) else X
        rows = validate_data(self, flat, reset=reset, ensure_min_samples=2 if reset else 1)
        return rows, shape or rows.shape[1:]

    def _parts(self, rows: np.ndarray) -> Sequence[np.ndarray]:
        size = max(1, _AT_ONCE // math.prod(self._layout.shape))
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def _seed(self) -> int:
        if self.random_state is None:  # for which scikit-learn would draw from NumPy's global generator
            return int(np.random.default_rng().integers(2**31))
        return int(check_random_state(self.random_state).randint(2**31))

    def _config(self, n: int) -> Config:
        own = {
            "data": GIVEN_DATA,
            "seed": self._seed(),
            "batch_size": min(self.batch_size, n),
            **{name: getattr(self, name) for name in ("latent_dim", "objective", "model", "steps", "lr", "device")},
        }
        more = (
            {"likelihood": "bernoulli"} | ({"width": _WIDTH} if self.model == "mlp" else {}) | dict(self.settings or {})
        )
        for name in own.keys() & more.keys():
            raise UnbraidError(
                f"{name} must not be among the settings: it is a parameter of its own, or follows from X"
            )
        return configs.resolve({**own, **more})


@dataclass(frozen=True)
class _Layout:
    shape: tuple[int, int, int]  # (C, H, W)
    channels_last: bool = False  # of the rows


def _layout(shape: Sequence[int] | None, width: int) -> _Layout:
    """How rows of `width` numbers are images; `shape` is that of one image."""
    if shape is None:
        side = math.isqrt(width)
        return _Layout((1, side, side) if side * side == width else (1, 1, width))
    sides = tuple(int(side) for side in shape)
    if math.prod(sides) != width or len(sides) not in (2, 3):
        raise UnbraidError(
            f"image_shape {sides} is not that of images of {width} numbers: it must be (H, W) or (C, H, W)"
        )
    if len(sides) == 2:
        return _Layout((1, *sides))
    if sides[0] not in (1, 3) and sides[2] in (1, 3):
        return _Layout((sides[2], sides[0], sides[1]), channels_last=True)
    return _Layout((sides[0], sides[1], sides[2]))


def _range(rows: np.ndarray) -> tuple[float, float]:
    if rows.dtype == np.uint8:
        return 0.0, 255.0
    low, high = float(rows.min()), float(rows.max())
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def _pixels(rows: np.ndarray, layout: _Layout, limits: tuple[float, float]) -> Tensor:
    """Rows [n, D] -> float64 [n, C, H, W] in [0, 1]."""
    low, high = limits
    x = torch.from_numpy(((rows - low) / ((high - low) or 1)).clip(0, 1))
    channels, height, width = layout.shape
    if layout.channels_last:
        return x.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
    return x.reshape(-1, *layout.shape)


def _float(rows: np.ndarray) -> np.dtype:
    return rows.dtype if rows.dtype == np.float32 else np.dtype(np.float64)


@dataclass(frozen=True)
class _Shuffled:
    """As much of a data set as training needs: rows in the precision they came in, an epoch after the other."""

    rows: np.ndarray
    layout: _Layout
    limits: tuple[float, float]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.layout.shape

    @property
    def binary(self) -> bool:
        return bool(np.isin(self.rows, self.limits).all())

    @property
    def factor_names(self) -> tuple[str, ...]:
        return ()

    def __len__(self) -> int:
        return len(self.rows)

    def images(self, indices: np.ndarray) -> np.ndarray:
        """uint8 [N, C, H, W], for looks at the data as a whole."""
        return (255 * _pixels(self.rows[indices], self.layout, self.limits)).round().byte().numpy()

    def batches(self, batch_size: int, *, seed: int, device: torch.device | str = "cpu") -> Batches:
        chosen = shuffled(len(self), batch_size, seed)
        return lambda step: _pixels(self.rows[chosen(step)], self.layout, self.limits).float().to(device)
