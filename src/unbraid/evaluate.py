"""What a trained run learned: encode once, then every statistic is a few lines over the same arrays."""

import itertools
import math
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from unbraid import randomness, runs
from unbraid.config import FITTED_LIKELIHOOD, GIVEN_DATA
from unbraid.data import DATASETS
from unbraid.errors import UnbraidError, printable
from unbraid.information import entropy, equal_width_bins, mutual_information
from unbraid.metrics import METRICS, Result, choose, results
from unbraid.probability import LIKELIHOODS, bernoulli_floor, kl_per_latent
from unbraid.processors import cores, threads
from unbraid.progress import progress
from unbraid.registry import lookup
from unbraid.runs import Run
from unbraid.types import Dataset, Representation

_POINTS = 10_000
_CHUNK, _CHUNK_BYTES = 1_000, 2**24  # images, and bytes of them, encoded together
_BINS = 20
_SHUFFLES = 10
_TELLING = 0.1  # of a factor's entropy
_ACTIVE_KL = 0.1  # nats; a latent below tells less than a seventh of a coin toss
_ACTIVE_VARIANCE = 0.01  # of the means: an active unit as Burda 2016 has it


@dataclass(frozen=True)
class Encoded:
    """A sample of the data set through the encoder."""

    indices: np.ndarray  # [N]
    mean: np.ndarray  # [N, L] float64
    logvar: np.ndarray  # [N, L] float64
    factors: np.ndarray  # [N, F]; F is 0 where nothing is known

    @property
    def variance(self) -> np.ndarray:
        """[L] average posterior variance: 1 is the prior (unused), near 0 is a well-used latent."""
        return np.exp(self.logvar).mean(0)

    @property
    def active(self) -> np.ndarray:
        """[L] whether a latent is in use: it pays more than 0.1 nats of KL, and its mean varies by more than 0.01.

        A latent can pay KL with a mean that never moves, or move a mean that says nothing to the decoder.
        """
        return (self.kl > _ACTIVE_KL) & (self.mean.var(0) > _ACTIVE_VARIANCE)

    def sample(self, seed: int = 0) -> np.ndarray:
        """[N, L] one z ~ q(z|x) of each image: a sample of the aggregate posterior, the prior for unused latents."""
        noise = randomness.numpy_generator(seed, "sample").standard_normal(self.mean.shape)
        return self.mean + np.exp(0.5 * self.logvar) * noise

    @property
    def deviation(self) -> np.ndarray:
        """[L] average posterior standard deviation."""
        return np.exp(0.5 * self.logvar).mean(0)

    @property
    def kl(self) -> np.ndarray:
        """[L] KL to the prior, nats."""
        return kl_per_latent(torch.from_numpy(self.mean), torch.from_numpy(self.logvar)).mean(0).numpy()


def encode_sample(run: Run, dataset: Dataset, *, points: int = _POINTS, seed: int = 0, show: bool = False) -> Encoded:
    """`points` images of the data set, drawn without replacement (all of a smaller set), encoded by the run."""
    rng = randomness.numpy_generator(seed, "evaluate")
    if len(dataset) <= points:
        indices = np.arange(len(dataset))
    else:
        indices = np.sort(rng.choice(len(dataset), size=points, replace=False, shuffle=False))
    return Encoded(indices, *encode_images(run, dataset, indices, show=show), dataset.factors(indices))


def encode_images(
    run: Run, dataset: Dataset, indices: np.ndarray, *, show: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """mean and logvar [N, L], float64, of the images at `indices`, read and encoded in parts."""
    parts = []
    with progress("encode", len(indices), "images", show=show) as bar:
        for mean, logvar in encoded_parts(run, dataset, indices):
            parts.append((mean.double().numpy(), logvar.double().numpy()))
            bar.advance(len(mean))
    return np.concatenate([mean for mean, _ in parts]), np.concatenate([logvar for _, logvar in parts])


def encoded_parts(run: Run, dataset: Dataset, indices: np.ndarray) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """mean and logvar [n, L] of one part after the other of the images at `indices`; few parts are held at a time.

    On a CPU each core takes a part of its own: nets this small lose more than they gain by sharing one.
    """
    workers = cores() if run.device.type == "cpu" else 1
    size = max(1, min(_CHUNK, _CHUNK_BYTES // math.prod(dataset.image_shape)))
    starts = iter(range(0, len(indices), size))
    with threads(1), ThreadPoolExecutor(workers) as pool:

        def encoded(part: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
            return run.encode(dataset.images(part))

        def next_parts(count: int) -> list[Future[tuple[torch.Tensor, torch.Tensor]]]:
            chosen = [indices[start : start + size] for start in itertools.islice(starts, count)]
            return [pool.submit(encoded, part) for part in chosen]

        waiting = deque(next_parts(workers + 1))
        while waiting:
            yield waiting.popleft().result()
            waiting += next_parts(1)


def normalised_mutual_information(
    codes: np.ndarray, factors: np.ndarray, factor_sizes: tuple[int | None, ...]
) -> np.ndarray:
    """[L, F] I(latent; factor) / H(factor), from 0 to 1; latents and continuous factors in 20 bins of equal width.

    Adjusted for chance (Vinh 2010): few images in many bins seem to tell of a factor that they do not know. What the
    same values show once they are shuffled, the mean of ten times, is taken off above and below the line.
    """
    continuous = [size is None for size in factor_sizes]
    values = np.where(continuous, 0, factors).astype(np.int64)
    values[:, continuous] = equal_width_bins(factors[:, continuous], _BINS)
    binned = equal_width_bins(codes, _BINS)
    rng = randomness.numpy_generator(0, "chance")
    chance = np.mean([mutual_information(binned, rng.permutation(values)) for _ in range(_SHUFFLES)], axis=0)
    told = (mutual_information(binned, values) - chance).clip(0)
    room = entropy(values) - chance
    return np.divide(told, room, out=np.zeros_like(told), where=room > 0)


def follows(information: np.ndarray, factor_names: tuple[str, ...]) -> list[str]:
    """The factors that each latent tells of, most first ([L, F] normalised): the best, and those half as well told."""
    told = []
    for row in information:
        order = np.argsort(-row, kind="stable")
        told.append([factor_names[k] for k in order if row[k] > _TELLING and row[k] >= row[order[0]] / 2])
    return [", ".join(names) for names in told]


def fresh_losses(
    run: Run, dataset: Dataset, *, batches: int = 100, batch_size: int = 32, seed: int = 0
) -> tuple[np.ndarray, float]:
    """(reconstruction loss of each batch [batches], the floor under their mean), nats per image.

    The batches are a stream of their own: of simulated data, simulations that training did not see. z is sampled as
    in training. The floor is the least that the Bernoulli likelihood allows on these images, the entropy of their
    pixels; it is nan for other likelihoods.
    """
    likelihood = LIKELIHOODS[run.config.likelihood]
    options = run.config.section("likelihood")
    stream = dataset.batches(min(batch_size, len(dataset)), seed=randomness.fold(seed, "fresh"), device=run.device)
    generator = torch.Generator(run.device)
    losses, floors = [], []
    with torch.inference_mode():
        for number in range(batches):
            x = stream(number)
            generator.manual_seed(randomness.fold(seed, "fresh noise", number))
            noise = torch.randn((len(x), run.model.latent_dim), generator=generator, device=run.device)
            losses.append(float(likelihood.nll(run.model(x, noise)[0], x, **options).mean()))
            floors.append(float(bernoulli_floor(x).mean()))
    return np.array(losses), float(np.mean(floors)) if run.config.likelihood == "bernoulli" else float("nan")


def statistics(run: Run, dataset: Dataset, encoded: Encoded) -> dict[str, Any]:
    """What a table of runs shows of each, JSON-ready; also written into the run folder.

    The information of unused latents counts as 0: cut into bins over its own range, even a mean that moves by a
    millionth would seem to tell something.
    """
    losses, floor = fresh_losses(run, dataset)
    information = normalised_mutual_information(encoded.mean, encoded.factors, dataset.factor_sizes)
    information[~encoded.active] = 0.0
    kl = encoded.kl
    found = {
        "step": run.facts.get("step"),
        "points": len(encoded.indices),
        "reconstruction": float(losses.mean()),
        "reconstruction_sd": float(losses.std(ddof=1)),
        "reconstruction_floor": None if np.isnan(floor) else floor,
        "kl": float(kl.sum()),
        "elbo": -float(losses.mean() + kl.sum()),
        "active_latents": int(encoded.active.sum()),
        "posterior_variance": encoded.variance.tolist(),
        "posterior_deviation": encoded.deviation.tolist(),
        "kl_per_latent": kl.tolist(),
        "factor_names": list(dataset.factor_names),
        "normalised_mutual_information": information.tolist(),
        "follows": follows(information, dataset.factor_names),
    }
    runs.write_statistics(run.path, found)
    return found


_FEWEST = 10  # points: ten are six to fit on and four to test with
_WHOLE = 2_000_000  # images; the whole of a data set up to this size is encoded for scores
_SAMPLE = (10_000, 5_000)  # rows to fit on and to test with, of larger sets and streams


def representation(
    run: Run,
    dataset: Dataset,
    *,
    factors: Sequence[str] = (),
    seed: int = 0,
    points: int = 0,
    show: bool = False,
) -> Representation:
    """The run's codes beside the factors, or those named: every image, or `points` of them, encoded once.

    Metrics then draw their published numbers of points from the table, which is the protocol itself: what a metric
    asks for twice is not encoded twice. Of a set with fewer images than those points they take every row, and hold a
    third of them out where they test: drawn with replacement, most rows to test with would have been fitted on. Of a
    larger set, a stream or many images with continuous factors, 10,000 rows to fit on and 5,000 to test with.
    """
    if not dataset.factor_names:
        raise UnbraidError(f"{run.path} was trained on data without ground-truth factors, and scores compare with them")
    columns = [dataset.factor_names.index(name) for name in factors or dataset.factor_names]
    sizes = tuple(dataset.factor_sizes[column] for column in columns)
    few, discrete = len(dataset) < sum(_SAMPLE), None not in sizes
    kind = np.int64 if discrete else np.float64
    if not points and (few or (discrete and len(dataset) <= _WHOLE)):
        indices = np.arange(len(dataset))
        mean, logvar = encode_images(run, dataset, indices, show=show)
        values = dataset.factors(indices)[:, columns].astype(kind)
        return Representation(mean, values, sizes, population=not few, logvar=logvar)
    rng = randomness.numpy_generator(seed, "score")
    size = min(points or sum(_SAMPLE), len(dataset))
    indices = rng.choice(len(dataset), size=size, replace=False)
    mean, logvar = encode_images(run, dataset, indices, show=show)
    values = dataset.factors(indices)[:, columns].astype(kind)
    fit = size * _SAMPLE[0] // sum(_SAMPLE)
    (codes, test), (values, test_values) = (np.split(array, [fit]) for array in (mean, values))
    return Representation(codes, values, sizes, test, test_values, logvar=logvar[:fit])


def score_run(
    run: Run,
    metrics: Iterable[str] | None = None,
    *,
    factors: Sequence[str] = (),
    seed: int = 0,
    points: int = 0,
    dataset: Dataset | None = None,
    data: Mapping[str, Any] | None = None,
    show: bool = False,
) -> dict[str, Result]:
    """Each metric's Result by name, with `reconstruction` and `kl` of the run; written to scores.json in its folder.

    `metrics=None` takes every metric that applies but the slow ones, and those two alone where no factors are known;
    `factors` names those that count, by default all. Scores of earlier calls with the same seed, points, data and
    factors stay in the file; another begins a new one, and the old is kept beside it. `points` images are encoded,
    0 means every one, of `dataset`, by default the one that the run was trained on. `data` names another: the
    settings in which it is another than that one. Raises UnbraidError where a score is NaN or infinite, once all others
    are written.
    """
    if points < 0 or 0 < points < _FEWEST:
        raise UnbraidError(f"points must be 0, which means every image, or a number from {_FEWEST}, not {points:,}")
    data = runs.OWN_DATA if dataset is None else data
    dataset = run.data if dataset is None else dataset
    for name in factors:
        lookup(dict.fromkeys(dataset.factor_names), name, "factor")
    names = tuple(dict.fromkeys(factors)) or dataset.factor_names
    sizes = tuple(dataset.factor_sizes[dataset.factor_names.index(name)] for name in names)
    if factors and data is not None:
        data = {**data, runs.BY_FACTORS: list(names)}
    runs.read_scores(run.path)  # refuses a damaged file now rather than when all is done
    own: list[str] = list(_OF_A_RUN)
    others: list[str] | None = None if dataset.factor_names else []
    if metrics is not None:
        asked = list(metrics)
        own, others = [n for n in asked if n in _OF_A_RUN], [n for n in asked if n not in _OF_A_RUN]
    found: dict[str, Result] = {}
    rep = None
    if others is None or others:
        if dataset.factor_names:
            choose(others, sizes, posterior=True)  # refuses now rather than after minutes of encoding
        began = time.perf_counter()
        rep = representation(run, dataset, factors=names, seed=seed, points=points, show=show)
        encoded = time.perf_counter() - began
        guessed = run.config.data == GIVEN_DATA or DATASETS[run.config.data].likelihood == FITTED_LIKELIHOOD
        found = results(rep, others, seed, factor_names=names, classes_known=not guessed, show=show)
        if show:
            _tell_left_out(metrics, names, sizes)
            share = encoded / (time.perf_counter() - began)
            print(f"encoding took {encoded:.0f} s, {share:.0%} of the time", file=sys.stderr)  # noqa: T201
    found |= {name: _OF_A_RUN[name](run, dataset, seed, rep) for name in own}
    kept = {name: result for name, result in found.items() if result.finite}
    aside = runs.write_scores(run.path, kept, seed, points, run.facts.get("step"), data)
    if aside is not None and show:
        print(f"earlier scores, taken otherwise, are kept in {printable(str(aside))}", file=sys.stderr)  # noqa: T201
    if lost := ", ".join(name for name in found if name not in kept):
        raise UnbraidError(
            f"NaN or infinity came out of {lost}: all other scores are kept in {run.path / runs.SCORES}, so leave it "
            f"out, or try another seed"
        )
    return found


def _tell_left_out(metrics: Iterable[str] | None, names: Sequence[str], sizes: tuple[int | None, ...]) -> None:
    """Which of the usual scores need discrete factors, which of these are not, and how to score by the others."""
    fractions = [name for name, size in zip(names, sizes, strict=True) if size is None]
    others = [name for name in names if name not in fractions]
    taken = choose(None, sizes, posterior=True)
    left_out = [name for name, metric in METRICS.items() if metric.default and name not in taken]
    if metrics is None and fractions and left_out:
        why = f"they need discrete factors, and {', '.join(fractions)} is not made of whole numbers"
        if len(others) > 1:
            why += f": --factors {' '.join(others)} takes them of the others"
        print(f"left out: {', '.join(left_out)} ({why})", file=sys.stderr)  # noqa: T201


def _reconstruction(run: Run, dataset: Dataset, seed: int, rep: Representation | None) -> Result:
    """Nats per image, lower is better; see `fresh_losses`."""
    losses, floor = fresh_losses(run, dataset, seed=seed)
    parts = {"sd": float(losses.std(ddof=1))} | ({} if np.isnan(floor) else {"floor": floor})
    return Result(float(losses.mean()), parts)


def _kl(run: Run, dataset: Dataset, seed: int, rep: Representation | None) -> Result:
    """KL to the prior, nats per image, over the images that are encoded already, or 10,000."""
    if rep is not None and rep.logvar is not None:
        encoded = Encoded(np.arange(len(rep.codes)), rep.codes, rep.logvar, rep.factors)
    else:
        encoded = encode_sample(run, dataset, seed=seed)
    kl = encoded.kl
    return Result(float(kl.sum()), {"active_latents": float(encoded.active.sum())}, {"kl": kl[:, None]})


_OF_A_RUN = {"reconstruction": _reconstruction, "kl": _kl}
SCORES: dict[str, object] = {**METRICS, **_OF_A_RUN}  # every name that `score_run` knows


def dependence(codes: np.ndarray) -> tuple[float, float]:
    """(Gaussian total correlation, mean pairwise mutual information) of codes [N, L], nats; see `unsupervised`."""
    rep = Representation(codes, np.zeros((len(codes), 0)), ())
    result = METRICS["unsupervised"].function(rep, randomness.numpy_generator(0))
    return result.score, result.parts["mutual_information"]
