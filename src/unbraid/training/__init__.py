"""Training: a run is a function of its config, and step s of a resumed run is step s of an unbroken one.

To the last bit on a CPU; on CUDA to rounding, since a recorded step takes other paths while it warms up.
"""

import dataclasses
import math
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

import unbraid
from unbraid import course, runs
from unbraid.config import GIVEN_DATA, Config, resolve
from unbraid.errors import UnbraidError
from unbraid.logs import check_installed
from unbraid.processors import threads
from unbraid.surroundings import denormals_flushed, locked, memory_kept, tensor_cores
from unbraid.training import loop
from unbraid.training.loop import Interrupted, Member
from unbraid.training.recorded import RECORDABLE, recorded
from unbraid.training.stack import Stack, alike, in_step, stackable
from unbraid.training.trainer import Trainer
from unbraid.types import Dataset

__all__ = ["Interrupted", "Trainer", "groups", "parameter_counts", "program", "resume", "train", "train_many"]


def train(
    config: Config | None = None,
    *,
    data: str | Dataset | None = None,
    out: str | Path | None = None,
    show_progress: bool = True,
    **values: Any,
) -> runs.Run:
    """Trains a model and returns its run: `train(data="dsprites", objective="beta_vae", beta=4, steps=1000)`.

    `data` is a name from the table or a Dataset (`unbraid.data.from_arrays(images)`); the other keywords are those of
    the command line. `out` is the run folder, which must not hold a run yet; by default a new folder under `runs/`.
    """
    given = None if data is None or isinstance(data, str) else data
    if given is not None and not hasattr(given, "batches"):
        raise UnbraidError(
            f"data must be a name or a data set, not {type(given).__name__}: wrap arrays in "
            "unbraid.data.from_arrays(images)"
        )
    named = {} if data is None else {"data": GIVEN_DATA if given is not None else data}
    if config is None:
        config = resolve({**named, **values})
    elif values or named.get("data", config.data) != config.data:
        raise UnbraidError(
            f"give a config or keywords, not both (got a config of data={config.data} and "
            f"{', '.join(f'{name}={value}' for name, value in {**named, **values}.items())})"
        )
    if out is not None:
        return _train_alone(Path(out), resolve(config.flat()), given, show_progress, new=True)
    with _new_folder(config) as folder:
        return _train_alone(folder, resolve(config.flat()), given, show_progress, new=True)


def resume(
    path: str | Path, *, data: Dataset | None = None, device: str | None = None, show_progress: bool = True
) -> runs.Run:
    """Goes on with the run in `path` from its last checkpoint; a finished run is returned as it is.

    `device` is where, by default where it was begun; on another kind of device the last bits differ.
    """
    folder = Path(path)
    config = runs.read_config(folder)
    if device is not None:
        config = dataclasses.replace(config, device=device)
    if runs.state(folder) == "finished":
        return runs.load(folder, config.device, data)
    if data is not None and config.data != GIVEN_DATA:
        raise UnbraidError(f"this run is trained on {config.data}, which is found by its name: leave data out")
    return _train_alone(folder, config, data, show_progress, new=False)


def _refuse_run(folder: Path) -> None:
    if runs.is_run(folder):
        raise UnbraidError(
            f"{folder} holds a run already ({runs.state(folder)}): choose another folder, or go on with "
            f"`unbraid train --resume {folder}`"
        )
    if folder.is_dir() and any(not file.name.startswith(".") for file in folder.iterdir()):
        raise UnbraidError(f"{folder} holds other files: a run wants a new or an empty folder")


def _refuse_other_data(folder: Path, config: Config, data: Dataset) -> None:
    """Raises UnbraidError where a run that goes on would see other images than before: files change, and code does."""
    facts = runs.read_facts(folder) if (folder / runs.CHECKPOINT).is_file() else {}
    there = (facts.get("n_data"), facts.get("image_shape"))
    here = (len(data), list(data.image_shape))
    if facts and there != here:
        given = config.data == GIVEN_DATA
        raise UnbraidError(
            f"this run is trained on {there[0]} images {there[1]}, and {'the data given' if given else config.data} "
            f"holds {here[0]} images {here[1]}: "
            + ("pass the same data set again" if given else "bring back the images of before, or train a new run")
        )


@contextmanager
def _new_folder(config: Config) -> Iterator[Path]:
    """The first free folder under runs/, made at once: of trainings that begin together each has its own.

    What was made and is still empty in the end goes again, for no run came of it.
    """
    above, name = Path("runs"), f"{config.data}-{config.model}-{config.objective}"
    is_new = not above.exists()
    candidates = (above / (f"{name}-{n}" if n > 1 else name) for n in range(1, 1_000_000))
    folder = next(path for path in candidates if _is_free(path))
    try:
        yield folder
    finally:
        for made in [folder, above] if is_new else [folder]:
            with suppress(OSError):
                made.rmdir()


def _is_free(path: Path) -> bool:
    """Whether nothing was at `path`, where there is a folder now, or none can be: who writes into it will say why."""
    try:
        path.mkdir(parents=True)
    except OSError:
        return not os.path.lexists(path)
    return True


def train_many(
    configs: Sequence[Config],
    folders: Sequence[str | Path],
    *,
    data: Dataset | None = None,
    stacked: bool | None = None,
    show_progress: bool = True,
) -> list[runs.Run | UnbraidError]:
    """Trains many models in this process, each into its folder as if alone; the run of each, or why it failed.

    A folder with a run of its config is gone on with, or left as it is where finished. Members of one group (`groups`)
    train as one program where `stacked` is true, or by default where they are on an accelerator: many small models fill
    it as one cannot, while on a CPU the same models side by side in processes are quicker (docs/speed.md). The weights
    equal those of training alone but for rounding. Raises UnbraidError before all training where a folder holds another
    run.
    """
    if len(configs) != len(folders) or len({Path(folder) for folder in folders}) < len(folders):
        raise UnbraidError(f"train_many wants a folder of its own for each of {len(configs)} configs")
    found: dict[int, runs.Run | UnbraidError] = {}
    for config, folder in zip(configs, folders, strict=True):
        runs.refuse_other_settings(Path(folder), config)
    for group in groups(configs, stacked=stacked):
        members = [(Path(folders[index]), configs[index]) for index in group]
        found |= dict(zip(group, _train_group(members, data, show_progress), strict=True))
    return [found[index] for index in range(len(configs))]


def groups(configs: Sequence[Config], *, stacked: bool | None = None, elsewhere: bool = False) -> list[list[int]]:
    """Indices of the configs that `train_many` trains together: each alone where stacking is not quicker.

    On CUDA those that keep step, of whatever kinds; on others only what stacks into one program. Where they train
    `elsewhere`, a device that a config names need not be on this machine.
    """
    kinds = [_kind(config.device, elsewhere) for config in configs]
    if all(kind == "cuda" for kind in kinds) and stacked is not False:
        return in_step(configs)
    found: list[list[int]] = []
    for group in stackable(configs):
        together = kinds[group[0]] != "cpu" if stacked is None else stacked
        found.extend([group] if together else [[index] for index in group])
    return found


def _kind(device: str, elsewhere: bool) -> str:
    return device.partition(":")[0] if elsewhere and device != "auto" else runs.choose_device(device).type


def _train_alone(folder: Path, config: Config, given: Dataset | None, show_progress: bool, *, new: bool) -> runs.Run:
    if new:
        _refuse_run(folder)
    (result,) = _train_group([(folder, config)], given, show_progress, new=new)
    if isinstance(result, UnbraidError):
        raise result
    return result


def _train_group(
    members: Sequence[tuple[Path, Config]], given: Dataset | None, show_progress: bool, *, new: bool = False
) -> list[runs.Run | UnbraidError]:
    """Trains one group from wherever each of its members stands."""
    config = members[0][1]
    check_installed(config.logger)
    device = runs.choose_device(config.device)
    datasets = _Datasets(given)
    errors: dict[Path, UnbraidError] = {}
    notes: dict[str, None] = {}  # on what was left to the images, and what the steps do not get to, once each
    memory_kept()
    with ExitStack() as locks:
        locks.enter_context(denormals_flushed())
        locks.enter_context(tensor_cores(device))
        at_step: dict[int, list[Member]] = {}  # members that were stopped apart go on apart
        for folder, own in members:
            try:
                dataset = datasets.of(own)
                _refuse_other_data(folder, own, dataset)
                trainer = Trainer(own, dataset, device)
                locks.enter_context(locked(folder))
                if new:
                    _refuse_run(folder)  # another process may have come first
                if runs.state(folder) != "finished":
                    member = _begin_or_go_on(folder, trainer, dataset)
                    at_step.setdefault(member.start, []).append(member)
                    if not member.start and (said := course.cut_short(trainer.config)):
                        notes[said] = None
            except UnbraidError as error:
                errors[folder] = error
                continue
            if trainer.config.likelihood != own.likelihood:
                notes[_likelihood(trainer.config, dataset)] = None
        for note in notes if show_progress else ():
            print(note, file=sys.stderr)  # noqa: T201
        with threads(config.threads):
            for together in at_step.values():
                loop.run(together, program, show_progress=show_progress)
                errors |= {member.folder: member.error for member in together if member.error is not None}
    return [errors.get(folder) or runs.load(folder, str(device), given) for folder, _ in members]


class _Datasets:
    """The data set of each config: the one that was given, or each that is named once."""

    def __init__(self, given: Dataset | None) -> None:
        self._given = given
        self._loaded: dict[tuple[Any, ...], Dataset] = {}

    def of(self, config: Config) -> Dataset:
        if self._given is not None:
            return self._given
        key = (config.data, *config.section("data").items())
        if key not in self._loaded:
            self._loaded[key] = runs.load_data(config)
        return self._loaded[key]


def _likelihood(config: Config, dataset: Dataset) -> str:
    """What a likelihood that was left to the images became."""
    kind = "black and white" if dataset.binary else "in shades or colours"
    options = "".join(f", {name} {value}" for name, value in config.section("likelihood").items())
    return f"likelihood {config.likelihood}{options}, as the images are {kind}"


def program(trainers: Sequence[Trainer]) -> Callable[[int], object]:
    """The step of all these, which may be of several kinds: what stacks is one program, on CUDA a recorded one."""
    kinds = [[trainers[index] for index in kind] for kind in alike(trainers)]
    on_cuda = trainers[0].device.type == "cuda"
    quick = [kind for kind in kinds if on_cuda and kind[0].config.optimizer in RECORDABLE]
    steps: list[Callable[[int], object]] = [recorded([Stack(kind) for kind in quick])] if quick else []
    steps += [kind[0].step if len(kind) == 1 else Stack(kind).step for kind in kinds if kind not in quick]

    def program(step: int) -> None:
        for each in steps:
            each(step)

    return program


def _begin_or_go_on(folder: Path, trainer: Trainer, dataset: Dataset) -> Member:
    start, seconds = 0, 0.0
    if (folder / runs.CHECKPOINT).is_file():
        start, seconds = _restore(trainer, folder / runs.CHECKPOINT)
    else:
        runs.write_config(folder, trainer.config)
    with threads(trainer.config.threads):
        facts = {
            **_facts(trainer.device),
            "image_shape": list(dataset.image_shape),
            "n_data": len(dataset),
            "parameters": trainer.parameter_counts(),
            **_beta_norm(trainer.config, dataset.image_shape),
        }
    return Member(folder, trainer, dataset, facts, start, seconds)


def _restore(trainer: Trainer, checkpoint: Path) -> tuple[int, float]:
    """(steps done, seconds spent) of a checkpoint, whose tensors go into `trainer`."""
    tensors, metadata = runs.load_tensors(checkpoint, trainer.largest_checkpoint())
    try:
        step, steps = int(metadata["step"]), trainer.config.steps
        if not 0 < step < steps:
            raise ValueError(f"step {step} of {steps}")
        trainer.restore(tensors, int(metadata["summed"]), checkpoint)
        seconds = float(metadata["seconds"])
        if not 0 <= seconds < math.inf:
            raise ValueError(f"{seconds} seconds")
        return step, seconds
    except UnbraidError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UnbraidError(
            f"{checkpoint} is damaged or of another run ({type(error).__name__}: {error}): put the right one back, or "
            "remove it to train from the beginning"
        ) from None


def parameter_counts(config: Config, dataset: Dataset) -> dict[str, int]:
    """What `Trainer.parameter_counts` says of a run that is not trained yet."""
    return Trainer(config, dataset, torch.device("cpu")).parameter_counts()


def _beta_norm(config: Config, image_shape: Sequence[int]) -> dict[str, float]:
    """beta L / (C H W), which compares betas across image sizes (Higgins 2017); {} without one beta."""
    beta = config.options.get("beta")
    return {"beta_norm": beta * config.latent_dim / math.prod(image_shape)} if isinstance(beta, float) else {}


def _facts(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "unbraid": unbraid.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.system(),
        "device": str(device),
        "device_name": name,
        "threads": torch.get_num_threads(),
    }
