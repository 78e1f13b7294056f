"""step, log, checkpoint, until the end or an interrupt: one loop for a model alone and for a stack of them."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from unbraid import runs
from unbraid.errors import UnbraidError
from unbraid.files import full_disks_named
from unbraid.logs import logger
from unbraid.probability import LIKELIHOODS
from unbraid.progress import progress
from unbraid.surroundings import interrupts
from unbraid.training.trainer import Trainer
from unbraid.types import Dataset


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM ended a run between two steps; its checkpoint is written, and `how` one goes on is known."""

    def __init__(self, where: str, how: str) -> None:
        super().__init__(where, how)  # both, so that it passes from process to process
        self.where, self.how = where, how

    def __str__(self) -> str:
        return f"{self.where}: {self.how}"


class Member:
    """A run on its way: the trainer in memory and what of it is on the disk."""

    def __init__(
        self, folder: Path, trainer: Trainer, dataset: Dataset, facts: Mapping[str, Any], start: int, seconds: float
    ) -> None:
        self.folder, self.trainer, self.dataset, self.facts = folder, trainer, dataset, dict(facts)
        self.start, self.seconds_before = start, seconds
        self.good = start  # the step of the last checkpoint
        self.error: UnbraidError | None = None

    def begin(self) -> None:
        self._write_state("running", self.start)
        self.began = self.row_began = time.monotonic()
        self.row_start = self.start
        self.log = runs.Log(self.folder, self.start)
        self.board = logger(self.folder, self.start, self.trainer.config)

    def row(self, done: int) -> str:
        """Writes the next row of the log; returns it in brief."""
        now, images = time.monotonic(), (done - self.row_start) * self.trainer.config.batch_size
        row = {"step": done, "seconds": self._seconds(), "images_per_s": images / max(now - self.row_began, 1e-9)}
        row |= self.trainer.row(done)
        self.row_start, self.row_began = done, now
        self._check(row["loss"], done)
        self.log.append(row)
        self.board.scalars(row)
        return f"recon {row['recon']:.1f}  kl {row['kl']:.1f}"

    def pictures(self, done: int) -> None:
        self._check(self.trainer.loss(done - 1), done)
        config = self.trainer.config
        mean = LIKELIHOODS[config.likelihood].mean
        self.board.images(self.trainer.settled(done), self.dataset, mean, done, config.seed)

    def checkpoint(self, step: int) -> None:
        self._check(self.trainer.loss(step - 1), step)
        self.board.flush()
        metadata = {"step": step, "seconds": self._seconds(), "summed": self.trainer.summed}
        runs.save_tensors(self.folder / runs.CHECKPOINT, self.trainer.checkpoint(), metadata)
        self.good = step

    def stop(self, step: int) -> None:
        self.checkpoint(step)
        self._write_state("stopped", step)

    def finish(self, steps: int) -> None:
        self._check(self.trainer.loss(steps - 1), steps)
        self.facts["pruned_latents"] = self.trainer.prune()
        runs.save_tensors(self.folder / runs.WEIGHTS, self.trainer.weights(), {"step": steps})
        self._write_state("finished", steps)
        (self.folder / runs.CHECKPOINT).unlink(missing_ok=True)

    def _seconds(self) -> float:
        return round(self.seconds_before + time.monotonic() - self.began, 3)

    def _write_state(self, state: str, step: int) -> None:
        seconds = self._seconds() if state != "running" else self.seconds_before
        runs.write_facts(self.folder, {"state": state, "step": step, "seconds": seconds, **self.facts})

    def _check(self, loss: float, step: int) -> None:
        if math.isfinite(loss) and self.trainer.is_finite():
            return
        self._write_state("failed", self.good)
        kept = f"the checkpoint of step {self.good:,} is kept" if self.good else "no checkpoint had been written before"
        raise UnbraidError(
            f"the loss stopped being a number at or before step {step:,}, so training stopped; {kept} in "
            f"{self.folder}: try a smaller lr, or clip=1000"
        )


def run(
    members: Sequence[Member], program: Callable[[Sequence[Trainer]], Callable[[int], object]], *, show_progress: bool
) -> None:
    """Trains members that stand at the same step to their end; `program` makes the step of those still training.

    A member that fails keeps its error and leaves the others as they would be without it.
    """
    config, start = members[0].trainer.config, members[0].start
    pictures = {config.steps * part // 10 for part in range(1, 11)}
    training = list(members)

    def each(act: Callable[[Member, int], str | None], done: int) -> str | None:
        """The last answer of the members that are still training."""
        answer = None
        for member in training:
            if member.error is None:
                try:
                    answer = act(member, done)
                except UnbraidError as error:
                    member.error = error
        return answer

    with full_disks_named(members[0].folder), ExitStack() as boards:

        def begin(member: Member, step: int) -> None:
            member.begin()
            boards.enter_context(member.board)

        each(begin, start)
        training = [member for member in training if member.error is None]
        if not training:
            return
        next_checkpoint = time.monotonic() + 60 * config.checkpoint_minutes
        advance = program([member.trainer for member in training])
        with interrupts() as interrupted, progress("train", config.steps, initial=start, show=show_progress) as bar:
            for step in range(start, config.steps):
                advance(step)
                done, status = step + 1, None
                if done % config.log_every == 0 or done == config.steps:
                    status = each(Member.row, done)
                if done in pictures:
                    each(Member.pictures, done)
                bar.advance(status=status)
                if done == config.steps:
                    break
                if interrupted.is_set():
                    each(Member.stop, done)
                    training = [member for member in training if member.error is None]
                    if not training:
                        return
                    whose = training[0].folder if len(training) == 1 else training[0].folder.parent
                    how = f"`unbraid train --resume {whose}` goes on" if len(training) == 1 else "the same call goes on"
                    raise Interrupted(f"stopped at step {done:,} of {config.steps:,}, everything is kept", how)
                if time.monotonic() >= next_checkpoint:
                    each(Member.checkpoint, done)
                    next_checkpoint = time.monotonic() + 60 * config.checkpoint_minutes
                if any(member.error for member in training):
                    training = [member for member in training if member.error is None]
                    if not training:
                        return
                    advance = program([member.trainer for member in training])
    each(Member.finish, config.steps)
