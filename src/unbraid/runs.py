"""The run folder: the only file that knows its file names. Weights in safetensors, the rest in text; nothing runs code.

config.yaml              the resolved config
run.json                 state, step, seconds, device, versions, image shape
checkpoint.safetensors   parameters and optimizer state while the run is unfinished
weights.safetensors      parameters of the finished run
log.csv                  one row every `log_every` steps
statistics.json          posterior variances, KL, what each latent follows
tensorboard/  figures/  export/   scores.json   report.html
scores-1.json, ...       earlier scores, by another seed, other points, factors or data
error.json               why a run of a study failed, until it is tried again
"""

import itertools
import json
import math
import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, TypeVar

import numpy as np

from unbraid import __version__, course, files
from unbraid import config as configs
from unbraid.config import GIVEN_DATA, Config
from unbraid.errors import UnbraidError
from unbraid.objectives import OBJECTIVES
from unbraid.processors import with_memory

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from unbraid.metrics import Result
    from unbraid.models.vae import VAE
    from unbraid.types import Dataset

    Images = np.ndarray | Tensor
    Network = TypeVar("Network", bound=torch.nn.Module)

CONFIG = "config.yaml"
FACTS = "run.json"
CHECKPOINT = "checkpoint.safetensors"
WEIGHTS = "weights.safetensors"
LOG = "log.csv"
TENSORBOARD = "tensorboard"
FIGURES = "figures"
EXPORT = "export"
REPORT = "report.html"
STATISTICS = "statistics.json"
SCORES = "scores.json"
ERROR = "error.json"
LOCK = ".lock"
ASIDE = "set-aside"  # in the folder of a study: damaged runs, which it has done again
_OURS = (
    *(CONFIG, FACTS, CHECKPOINT, WEIGHTS, LOG, TENSORBOARD, FIGURES, EXPORT, REPORT),
    *(STATISTICS, SCORES, ERROR, LOCK),
)

# where a run is computed, how often it is saved and who else is told are not what it is
FREE_SETTINGS = ("device", "checkpoint_minutes", "logger")

OWN_DATA: Mapping[str, Any] = MappingProxyType({})  # what scores are taken of: no setting other than in training


BY_FACTORS = "by_factors"  # among what scores are taken of: names of factors, where not all count

# bytes; what a run of ours writes stays far below, and what is larger is not read
_LARGEST_JSON = 4_000_000
_LARGEST_HEADER = 1_000_000
_LARGEST_LOG, _MOST_CELLS = 2**30, 2**27  # of ten latents six million rows; cells become 8 bytes each
_LONGEST_HEADER, _LONGEST_CELL = 2**20, 32  # of the log: characters of the line of names, and of a number
_LARGEST_MATRIX = 2**20  # numbers of one of the matrices that scores keep: of 1,024 latents with each other
_BYTES_PER_PAIR = 64  # of latents, in the matrices of all scores together
_MOST_DIGITS = 30  # of a whole number in JSON: far from where floats end
_MOST_STEPS = 10**15


def is_run(path: Path) -> bool:
    return (path / CONFIG).is_file()


def find(folder: Path) -> list[Path]:
    """The folder of every run below `folder`, at any depth, but for those that a study has set aside."""
    found = (file.parent for file in folder.rglob(CONFIG))
    return sorted(path for path in found if ASIDE not in path.relative_to(folder).parts)


def leads_within(file: Path, folder: Path) -> bool:
    """Whether `file`, links followed, lies in `folder`; a link that leads round in a circle does not."""
    try:
        return file.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        return False


def _refuse_foreign(path: Path) -> None:
    """Raises UnbraidError where a run folder holds what no run of ours leaves there.

    Through a symbolic link out of the folder one would write, and a pipe or a device one would read, without end.
    """
    for name in _OURS:
        file = path / name
        if file.is_symlink() and not leads_within(file, path):
            raise UnbraidError(f"{file} is a symbolic link out of the run folder: put what it points to in its place")
        files.refuse_device(file)


def read_json(file: Path, largest: int = _LARGEST_JSON) -> dict[str, Any]:
    """The object in a JSON file of ours; raises UnbraidError where it is none, or larger than we write them."""
    files.refuse_device(file)
    try:
        text = files.read_at_most(file, largest, "it")
        value = json.loads(text, parse_constant=_refuse_constant, parse_int=_whole, parse_float=_fraction)
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        kind = "damaged" if file.exists() else "missing"
        raise UnbraidError(f"{file} is {kind}: it must hold the JSON object that unbraid wrote")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError("a number that we never write")
    return int(digits)


def _fraction(text: str) -> float:
    if not math.isfinite(value := float(text)):  # 1e999
        raise ValueError("a number that we never write")
    return value


def read_facts(path: Path) -> dict[str, Any]:
    """run.json of the run at `path`; {} before it was first written."""
    return read_json(path / FACTS) if (path / FACTS).is_file() else {}


def read_statistics(path: Path) -> dict[str, Any]:
    """What `write_statistics` wrote; raises UnbraidError where that was of other weights than the run has now."""
    found = read_json(path / STATISTICS)
    if not _is_of_these_weights(path, found):
        raise UnbraidError(f"{path / STATISTICS} is of an earlier step of the run: `unbraid figures {path}` renews it")
    return found


def has_statistics(path: Path) -> bool:
    """Whether the run has statistics, of the weights that it has now."""
    return (path / STATISTICS).is_file() and _is_of_these_weights(path, read_json(path / STATISTICS))


def write_statistics(path: Path, statistics: Mapping[str, Any]) -> None:
    files.write_json(path / STATISTICS, dict(statistics))


def drawn(path: Path, theme: str) -> bool:
    """Whether everything that ends the run at `path` was made, in this theme."""
    return read_facts(path).get("drawn") == theme


def mark_drawn(path: Path, theme: str) -> None:
    write_facts(path, {**read_facts(path), "drawn": theme})


def write_facts(path: Path, facts: Mapping[str, Any]) -> None:
    files.write_json(path / FACTS, dict(facts))


def read_error(path: Path) -> str | None:
    """Why the last attempt at the run failed; None where it did not."""
    return str(read_json(path / ERROR).get("error")) if (path / ERROR).is_file() else None


def write_error(path: Path, error: str | None) -> None:
    """Records why the run failed; None takes the record back."""
    if error is None:
        (path / ERROR).unlink(missing_ok=True)
    else:
        files.write_json(path / ERROR, {"error": error})


def state(path: Path) -> str:
    """ "new", "running", "stopped", "failed" or "finished"; a run that was killed still says "running"."""
    return str(read_facts(path).get("state", "new")) if is_run(path) else "new"


def read_scores(path: Path) -> dict[str, Any]:
    """{"seed": ..., "metrics": {name: {"score", "parts", "matrices"}}} of the run at `path`; {} before it is scored.

    What was scored before training went on counts no more.
    """
    file = path / SCORES
    found = read_json(file, _largest_scores(file)) if file.is_file() else {}
    metrics = found.get("metrics", {})
    if not isinstance(metrics, dict) or not all(_is_score(value) for value in metrics.values()):
        raise UnbraidError(f"{file} is damaged: every metric must have a score, parts and matrices of numbers")
    return found if _is_of_these_weights(path, found) else {}


def _weights(path: Path) -> Path | None:
    """The file with the weights of the run as far as it is trained; None before the first checkpoint."""
    return next((path / name for name in (WEIGHTS, CHECKPOINT) if (path / name).is_file()), None)


def _is_of_these_weights(path: Path, found: Mapping[str, Any]) -> bool:
    """Whether scores or statistics are of the step that the weights of the run are of.

    Where they name no step, as older files do not, they are taken for those of a finished run.
    """
    source = _weights(path)
    if source is None:
        return True
    if found.get("step") is None:
        return source.name == WEIGHTS
    if state(path) == "finished":
        return bool(found["step"] == read_facts(path).get("step"))
    with suppress(UnbraidError), opened_tensors(source) as file:
        return bool(found["step"] == _metadata(file).get("step"))
    return False


def _largest_scores(file: Path) -> int:
    """Bytes: matrices of latents against each other grow beyond any size that other files have."""
    if file.stat().st_size <= _LARGEST_JSON:  # so that few have to look into the config
        return _LARGEST_JSON
    return _LARGEST_JSON + _BYTES_PER_PAIR * min(read_config(file.parent).latent_dim ** 2, _LARGEST_MATRIX)


def _is_score(value: Any) -> bool:
    if not (isinstance(value, dict) and isinstance(value.get("parts"), dict)):
        return False
    matrices = value.get("matrices")
    return (
        all(map(_is_number, (value.get("score"), *value["parts"].values())))
        and isinstance(matrices, dict)
        and all(map(_is_matrix, matrices.values()))
    )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < float("inf")  # so NaN is none


def _is_matrix(value: Any) -> bool:
    """Rows of numbers, all of one length."""
    return (
        isinstance(value, list)
        and all(isinstance(row, list) and len(row) == len(value[0]) for row in value)
        and all(_is_number(cell) for row in value for cell in row)
    )


def scores_by(path: Path, seed: int, points: int, data: Mapping[str, Any] | None = OWN_DATA) -> dict[str, Any]:
    """The metrics in `read_scores` where they were taken by this seed, these points and this data; else {}.

    `data` are settings laid over those of the run's own data. None is a data set that has no settings, which none is
    known to equal.
    """
    found = read_scores(path)
    there = found.get("data", read_facts(path).get("score_data", OWN_DATA))  # where older files have it
    same = found.get("seed") == seed and found.get("points", 0) == points and data is not None and there == data
    return found.get("metrics", {}) if same else {}


def write_scores(
    path: Path,
    found: Mapping[str, "Result"],
    seed: int,
    points: int = 0,
    step: int | None = None,
    data: Mapping[str, Any] | None = OWN_DATA,
) -> Path | None:
    """Adds `found` to the scores of the same seed, number of points and data.

    Those of others, minutes of work, go to a file of their own, scores-1.json, ..., which is returned. Nothing is
    written where `step`, that of the weights that were scored, is not the run's any more.
    """
    if not _is_of_these_weights(path, {"step": step}):
        return None
    metrics, others = scores_by(path, seed, points, data), read_scores(path)
    aside = None
    if not metrics and others.get("metrics"):
        numbered = (path / f"scores-{number}.json" for number in itertools.count(1))
        aside = next(file for file in numbered if not os.path.lexists(file))
        files.write_json(aside, others)
    for name, result in found.items():
        kept = {key: matrix for key, matrix in result.matrices.items() if matrix.size <= _LARGEST_MATRIX}
        matrices = {key: matrix.tolist() for key, matrix in kept.items()}
        metrics[name] = {"score": result.score, "parts": dict(result.parts), "matrices": matrices}
    named = None if data is None else dict(data)
    taken = {"seed": seed, "points": points, "step": step, "data": named, "unbraid": __version__}
    files.write_json(path / SCORES, {**taken, "metrics": metrics})
    return aside


def steps_done(path: Path) -> int:
    """How far the run at `path` has come, read from the last line of its log."""
    try:
        if state(path) == "finished":
            return int(read_facts(path)["step"])
        with (path / LOG).open("rb") as file:
            lines = _end(file).splitlines()[1:]
        return min(int(lines[-1].split(",")[0]), _MOST_STEPS) if lines else 0
    except (OSError, ValueError, KeyError, TypeError):  # no log yet, a line half written, or a damaged file
        return 0


def last_row(path: Path) -> dict[str, float]:
    """The last row of the run's log, without reading the others; {} before the first, or where it is half written."""
    try:
        with (path / LOG).open("rb") as file:
            names = file.readline(_LONGEST_HEADER).decode().rstrip().split(",")
            end = _end(file)
        cells = end.splitlines()[-1].split(",")
        return dict(zip(names, map(float, cells), strict=True)) if end.endswith("\n") else {}
    except (OSError, ValueError, IndexError):
        return {}


def _end(log: BinaryIO) -> str:
    """The end of a log, with its last row: a thousand latents make a long one."""
    length = log.seek(0, 2)
    for size in (2**12, 2**16, 2**22):
        log.seek(max(length - size, 0))
        end = log.read(size)
        if end.count(b"\n") > 1:  # what ends the row before, and the last
            break
    return end.decode()


def read_config(path: Path) -> Config:
    if not is_run(path):
        raise UnbraidError(f"{path} is not a run folder: it holds no {CONFIG}")
    _refuse_foreign(path)
    config = configs.resolve(configs.read(path / CONFIG))
    if config.likelihood == configs.FITTED_LIKELIHOOD:
        raise UnbraidError(
            f"{path / CONFIG} is damaged: a run names its likelihood, and this one has {config.likelihood}"
        )
    return config


def write_config(path: Path, config: Config) -> None:
    files.write_text(path / CONFIG, config.to_yaml())


def save_tensors(path: Path, tensors: Mapping[str, "Tensor"], metadata: Mapping[str, Any]) -> None:
    """One safetensors file, atomically; `metadata` comes back from `load_tensors` as it went in (JSON)."""
    from safetensors.torch import save

    # safetensors wants dense tensors of the plain layout; a channels_last weight is neither
    plain = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    with files.replacing(path) as temporary:
        # written here rather than by safetensors, whose files nobody but their owner may read
        temporary.write_bytes(save(plain, metadata={"unbraid": json.dumps(metadata)}))


def load_tensors(path: Path, largest: int | None = None) -> tuple[dict[str, "Tensor"], dict[str, Any]]:
    """(tensors, metadata) of a file that `save_tensors` wrote, of `largest` bytes at most.

    Raises UnbraidError where it is anything else. A file is as long as its tensors, whose header may not leave any part
    of it out; on the disk, a hole in it takes no room.
    """
    with opened_tensors(path) as file:
        if largest is not None and path.stat().st_size > largest:
            raise UnbraidError(
                f"{path} has {path.stat().st_size:,} bytes, and that of this run has at most {largest:,}: "
                "put the right one back, or remove it to train from the beginning"
            )
        metadata = _metadata(file)
        # copies: a tensor that stayed a view of the file would keep Windows from ever replacing it
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a mapping
    return tensors, metadata


def _metadata(file: Any) -> dict[str, Any]:
    """What `save_tensors` was given beside the tensors of an opened file."""
    found = json.loads((file.metadata() or {}).get("unbraid", "{}"))
    return found if isinstance(found, dict) else {}


@contextmanager
def opened_tensors(path: Path) -> Iterator[Any]:
    """A file of tensors, none of them read yet."""
    from safetensors import SafetensorError, safe_open

    files.refuse_device(path)
    try:
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        if header > _LARGEST_HEADER:  # the library would take apart a hundred times as much
            raise UnbraidError(f"cannot read {path}: its header would be {header:,} bytes long")
        with safe_open(path, framework="pt") as file:
            yield file
    except UnbraidError:
        raise
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:  # RuntimeError: torch cannot map the file
        raise UnbraidError(f"cannot read {path}: {' '.join(str(error).split())[:300]}") from None


def read_log(path: Path) -> dict[str, np.ndarray]:
    """Column -> float64 [rows] of the run's log; {} before its first row.

    A last line without its end is none: a kill or a full disk cut it off, and `Log` goes on without it.
    """
    file = path / LOG
    if not _has_rows(file):
        return {}
    try:
        with _opened_log(file) as (header, lines):
            columns = [array("d") for _ in header]
            for line in lines:
                if not line.endswith("\n"):
                    break
                if len(columns[0]) * len(columns) >= _MOST_CELLS:
                    raise ValueError("more cells than we write")
                for column, cell in zip(columns, line.split(","), strict=True):
                    column.append(float(cell))
        steps = columns[header.index("step")] if "step" in header else ()
        if not all(0 <= step <= _MOST_STEPS for step in steps):
            raise ValueError
    except ValueError:
        raise _damaged(file) from None
    return {
        name: np.frombuffer(column) if column else np.empty(0) for name, column in zip(header, columns, strict=True)
    }


def _has_rows(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0


@contextmanager
def _opened_log(file: Path) -> Iterator[tuple[list[str], Iterator[str]]]:
    """(names of the columns, lines of numbers with their ends); raises ValueError where it is none of ours."""
    if file.stat().st_size > _LARGEST_LOG:
        raise ValueError("it is larger than we write them")
    with file.open(encoding="utf-8") as stream:
        header = stream.readline(_LONGEST_HEADER).rstrip("\n").split(",")
        if not all(header) or len(set(header)) < len(header):
            raise ValueError("its first line has no names, or one of them twice")
        longest = _LONGEST_CELL * len(header)
        yield header, iter(partial(_line, stream, longest), "")


def _line(stream: TextIO, longest: int) -> str:
    line = stream.readline(longest + 1)
    if len(line) > longest:
        raise ValueError("a line is longer than we write them")
    return line


def _damaged(log: Path) -> UnbraidError:
    return UnbraidError(
        f"{log} is damaged: it must be a table of numbers under one line of names, of {_LARGEST_LOG:,} bytes at most"
    )


class Log:
    """Appends rows to log.csv; opened at a step, it forgets the rows that a killed run wrote beyond it."""

    def __init__(self, path: Path, step: int) -> None:
        self.file = path / LOG
        self.columns: list[str] = []
        if _has_rows(self.file):
            try:
                with files.replacing(self.file) as temporary:
                    self._keep(temporary, step)
            except ValueError:
                raise _damaged(self.file) from None

    def _keep(self, temporary: Path, step: int) -> None:
        """Copies the rows up to `step`, one by one, under their names; nothing where there is none."""
        with (
            _opened_log(self.file) as (header, lines),
            temporary.open("w", newline="", encoding="utf-8") as stream,
        ):
            for line in lines:
                # the last line may have been cut off in the middle by the kill
                whole = line.endswith("\n") and line.count(",") == len(header) - 1
                if whole and int(line.partition(",")[0]) <= step:
                    if not self.columns:
                        self.columns = header
                        stream.write(",".join(header) + "\n")
                    stream.write(line)

    def append(self, row: Mapping[str, float]) -> None:
        with self.file.open("a", newline="", encoding="utf-8") as stream:
            if not self.columns:
                self.columns = list(row)
                stream.write(",".join(self.columns) + "\n")
            cells = (row[name] for name in self.columns)
            stream.write(",".join(str(c) if isinstance(c, int) else f"{c:.7g}" for c in cells) + "\n")


def choose_device(name: str) -> "torch.device":
    """The device called `name`; "auto" takes CUDA, then MPS, then the CPU."""
    import torch

    if name == "auto":
        mps = torch.backends.mps.is_available()
        return _numbered(torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"))
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UnbraidError(f'there is no device called "{name}" (allowed: auto, cpu, cuda, cuda:N, mps)') from None
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not here.get(device.type, False) or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        usable = ", ".join(["auto", *(kind for kind, there in here.items() if there)])
        raise UnbraidError(f'the device "{name}" is not on this machine (usable here: {usable})')
    return _numbered(device)


def _numbered(device: "torch.device") -> "torch.device":
    """cuda as cuda:N, as tensors call it: what is kept per device is then kept once."""
    import torch

    return torch.device("cuda", torch.cuda.current_device()) if str(device) == "cuda" else device


def refuse_other_settings(folder: Path, config: Config) -> None:
    """Raises UnbraidError where `folder` holds a run of another config; where and how it is computed may differ."""
    if not is_run(folder):
        return
    begun = read_config(folder)
    if config.likelihood == configs.FITTED_LIKELIHOOD:  # the run names what it became
        config = configs.resolve({**config.flat(), "likelihood": begun.likelihood, **begun.section("likelihood")})
    there, here = begun.flat(), config.flat()
    for name in here.keys() | there.keys():
        if name not in FREE_SETTINGS and here.get(name) != there.get(name):
            raise UnbraidError(
                f"{folder} was run with {name}={there.get(name)}, and this asks for {name}={here.get(name)}: "
                "choose another --out, or the settings it was begun with"
            )


def build_model(config: Config, image_shape: Sequence[int]) -> "VAE":
    """The model of this config with its initial weights."""
    from unbraid import models

    return models.build(config.model, _sides(image_shape), seed=config.seed, **_model_options(config))


def describe_model(config: Config, image_shape: Sequence[int]) -> "VAE":
    """The same model without memory for its weights."""
    from unbraid import models

    return models.describe(config.model, _sides(image_shape), **_model_options(config))


def _sides(image_shape: Sequence[int]) -> tuple[int, int, int]:
    return int(image_shape[0]), int(image_shape[1]), int(image_shape[2])


def _model_options(config: Config) -> dict[str, Any]:
    return {"latent_dim": config.latent_dim, **config.section("model")}


def settle(model: "VAE", config: Config, step: int) -> list[int]:
    """Gives the model by itself the posterior it was trained with at `step`; returns the latents still closed then.

    An objective that opens latents in turn keeps the others from the decoder, which never learned to hear what their
    untrained weights say. Those are closed for good, and one half open keeps its share. Not for a model that trains on.
    """
    posterior = OBJECTIVES[config.objective].posterior
    if OBJECTIVES[config.objective].closed is None or posterior is None:
        return []
    model.absorb(partial(posterior, **course.hyper_at(config, step)))
    shut = course.closed(config, step)
    if shut:
        model.close(shut)
    return shut


def to_device(network: "Network", device: "torch.device") -> "Network":
    """The network on `device`, in the memory layout and with the kernels in which it is fastest there.

    The layout is channels_last with oneDNN and cuDNN. Metal gains nothing from it, and some of its releases leave
    weights that are not contiguous as they are when an optimizer should change them.
    """
    import torch

    from unbraid.models import acceleration

    if device.type == "cpu":
        acceleration.accelerate(network)
    layout = torch.contiguous_format if device.type == "mps" else torch.channels_last
    return network.to(device, memory_format=layout)  # type: ignore[call-overload]


def load_data(config: Config) -> "Dataset":
    from unbraid import data

    if config.data == GIVEN_DATA:
        raise UnbraidError(
            "this run was trained on images passed in from Python: pass the same data set again (data=...) to go on"
        )
    return data.load(config.data, **config.section("data"))


@dataclass(frozen=True)
class Run:
    """A trained model and the folder that it lives in. Images are uint8 (0 to 255) or float in [0, 1]."""

    path: Path
    config: Config
    facts: Mapping[str, Any]
    model: "VAE"
    given_data: "Dataset | None" = None

    @property
    def device(self) -> "torch.device":
        return next(self.model.parameters()).device

    @property
    def data(self) -> "Dataset":
        """The data set that the run was trained on."""
        return self.given_data if self.given_data is not None else load_data(self.config)

    def figure(self, name: str) -> Path:
        """Where the figure called `name` of this run lies."""
        return self.path / FIGURES / name

    @property
    def log(self) -> dict[str, np.ndarray]:
        return read_log(self.path)

    def encode(self, images: "Images") -> tuple["Tensor", "Tensor"]:
        """Images [N, C, H, W] (or one [C, H, W]) -> mean and logvar of q(z|x), each [N, L], on the CPU."""
        import torch

        x = self._images(images)
        with torch.inference_mode():
            parts = [self.model.encode(_unit(part.to(self.device))) for part in x.split(1024)]
        # joined out here, where the result is a tensor like any other: it may be changed in place and differentiated
        return torch.cat([mean for mean, _ in parts]).cpu(), torch.cat([logvar for _, logvar in parts]).cpu()

    def decode(self, z: "Images") -> "Tensor":
        """Codes [N, L] (or one [L]) -> the likelihood's mean image [N, C, H, W] in [0, 1], on the CPU."""
        import torch

        from unbraid.probability import LIKELIHOODS

        codes = torch.atleast_2d(_tensor(z, "codes").float())
        if codes.ndim != 2 or codes.shape[1] != self.model.latent_dim or not len(codes):
            raise UnbraidError(f"codes must be [N, {self.model.latent_dim}], not {list(codes.shape)}")
        if not codes.isfinite().all():
            raise UnbraidError("codes hold NaN or infinity: leave those out")
        mean = LIKELIHOODS[self.config.likelihood].mean
        with torch.inference_mode():
            parts = [mean(self.model.decode(part.to(self.device))).cpu() for part in codes.split(1024)]
        return torch.cat(parts)

    def reconstruct(self, images: "Images") -> "Tensor":
        """Images -> decode(posterior mean), [N, C, H, W] in [0, 1]."""
        return self.decode(self.encode(images)[0])

    def traverse(
        self,
        image: "Images",
        latents: Sequence[int] | None = None,
        values: Sequence[float] | np.ndarray | None = None,
    ) -> "Tensor":
        """Decoded [len(latents), T, C, H, W]: one latent at a time set to each value, the others as encoded.

        `latents` defaults to all; `values` [T], or [len(latents), T] for each latent its own, to ten from -3 to 3
        (prior standard deviations).
        """
        import torch

        size = self.model.latent_dim
        chosen = list(range(size)) if latents is None else np.atleast_1d(latents).tolist()
        if not chosen or not all(isinstance(latent, int) and 0 <= latent < size for latent in chosen):
            raise UnbraidError(f"latents must be whole numbers from 0 to {size - 1}, not {chosen}")
        steps = torch.linspace(-3, 3, 10) if values is None else _tensor(values, "values").float()
        if steps.ndim not in (1, 2) or not steps.numel() or (steps.ndim == 2 and len(steps) != len(chosen)):
            raise UnbraidError(f"values must be [T] or [{len(chosen)} latents, T] numbers, not {list(steps.shape)}")
        steps = steps.expand(len(chosen), -1)
        codes = self.encode(image)[0][:1].repeat(*steps.shape, 1)
        for row, latent in enumerate(chosen):
            codes[row, :, latent] = steps[row]
        return self.decode(codes.flatten(0, 1)).unflatten(0, tuple(steps.shape))

    def _images(self, images: "Images") -> "Tensor":
        """[N, C, H, W], uint8 or float32 in [0, 1]"""
        import torch

        x = _tensor(images, "images")
        x = x if x.dtype == torch.uint8 else x.float()
        x = x.unsqueeze(0) if x.ndim == 3 else x
        shape = self.model.image_shape
        if x.ndim != 4 or tuple(x.shape[1:]) != tuple(shape) or not len(x):
            raise UnbraidError(f"this run takes images [N, {', '.join(map(str, shape))}], not {list(x.shape)}")
        if x.dtype == torch.uint8:
            return x
        low, high = float(x.min()), float(x.max())
        if not (math.isfinite(low) and math.isfinite(high) and low >= 0 and high <= 1):
            raise UnbraidError(f"images must be uint8, or float in [0, 1]; these reach from {low:g} to {high:g}")
        return x


def _unit(images: "Tensor") -> "Tensor":
    """uint8 as float in [0, 1]; floats as they are."""
    return images if images.is_floating_point() else images.float() / 255


def _tensor(value: Any, name: str) -> "Tensor":
    """Anything that NumPy can read as an array of real numbers."""
    import torch

    try:
        # a copy, since an array may be read-only or run backwards, and a tensor cannot
        tensor = value.detach() if isinstance(value, torch.Tensor) else torch.from_numpy(np.array(value, order="C"))
    except (TypeError, ValueError):
        raise UnbraidError(f"{name} must be an array of numbers, not {type(value).__name__}") from None
    if tensor.is_complex():
        raise UnbraidError(f"{name} must be an array of real numbers, not complex ones")
    return tensor


def load(path: str | Path, device: str = "auto", data: "Dataset | None" = None) -> Run:
    """The run in the folder `path`: its final weights, or its last checkpoint while it is unfinished."""
    folder = Path(path)
    config = read_config(folder)
    facts = read_facts(folder)
    source = _weights(folder)
    if source is None and facts.get("state") == "finished":
        raise UnbraidError(f"{folder / WEIGHTS} is missing: put it back, or train the run again")
    if source is None:
        raise UnbraidError(f"{folder} holds no weights yet: the run was stopped before its first checkpoint")
    shape = facts.get("image_shape")
    if not (isinstance(shape, list) and len(shape) == 3 and all(type(n) is int and 0 < n <= 4096 for n in shape)):
        raise UnbraidError(f"{folder / FACTS} is damaged: image_shape must be three whole numbers, not {shape!r}")
    model, step = _read_model(source, config, shape)
    if facts.get("state") != "finished":  # its facts were written when it began or stopped, and a checkpoint since
        facts = {**facts, "step": step}
    if source.name == CHECKPOINT and OBJECTIVES[config.objective].closed is not None:
        settle(model, config, _known_step(source, config, step) - 1)  # the file itself trains on
    return Run(folder, config, facts, to_device(model, choose_device(device)).eval(), data)


def unfinished(run: Run) -> str | None:
    """How far a run that is not finished has come, as "step 300 of 1,000"; None of a finished one."""
    step = run.facts.get("step")
    if run.facts.get("state") == "finished" or type(step) is not int:
        return None
    return f"step {step:,} of {run.config.steps:,}"


def _read_model(source: Path, config: Config, image_shape: Sequence[int]) -> tuple["VAE", Any]:
    """The model with the weights in `source`, and their step.

    No memory is taken for it before the names and shapes of the weights are compared.
    """
    model = describe_model(config, image_shape)
    with opened_tensors(source) as file:
        names = {name.removeprefix("model."): name for name in file.keys() if name.startswith("model.")}  # noqa: SIM118
        _refuse_misfit(model, {short: file.get_slice(name) for short, name in names.items()}, source)
        model = with_memory(model)
        fill(model, {short: file.get_tensor(name) for short, name in names.items()}, source)
        return model, _metadata(file).get("step")


def _known_step(source: Path, config: Config, step: Any) -> int:
    if not (type(step) is int and 0 < step <= config.steps):
        raise UnbraidError(f"{source} is damaged: its step must be from 1 to {config.steps:,}, not {str(step)[:80]}")
    return step


def fill(module: "torch.nn.Module", tensors: Mapping[str, "Tensor"], source: Path) -> None:
    """Copies `tensors` into the parameters of `module`, which keep their memory layout; names and shapes must match."""
    import torch

    _refuse_misfit(module, tensors, source)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if not (tensors[name].dtype == parameter.dtype and tensors[name].isfinite().all()):
                raise UnbraidError(f"{source} is damaged: {name} must hold finite numbers of type {parameter.dtype}")
            parameter.copy_(tensors[name])


def _refuse_misfit(module: "torch.nn.Module", tensors: Mapping[str, Any], source: Path) -> None:
    own = dict(module.named_parameters())
    wrong = [
        name
        for name in own.keys() | tensors.keys()
        if name not in own or name not in tensors or list(own[name].shape) != _shape(tensors[name])
    ]
    if wrong:
        shown = ", ".join(name[:60] for name in sorted(wrong)[:3])
        raise UnbraidError(f"{source} does not fit the model of its config: {shown}")


def _shape(tensor: Any) -> list[int]:
    """Of a tensor, or of a part of a file that is not read yet."""
    return list(tensor.get_shape() if hasattr(tensor, "get_shape") else tensor.shape)
