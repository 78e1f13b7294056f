"""Many models as one program: each as if alone, whatever happens to the others."""

import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_runs import COMMON, Clock, Eventful, log_rows, same_run, squares

from unbraid import optimizers, runs, training
from unbraid.config import Config, resolve
from unbraid.errors import UnbraidError
from unbraid.objectives import OBJECTIVES
from unbraid.training import Interrupted, Trainer, _train_group, groups, program, resume, train, train_many
from unbraid.training.recorded import _share_images
from unbraid.training.stack import Stack, alike, in_step
from unbraid.types import Batches, Dataset

STEPS = 12


class OnceEventful(Eventful):
    """Of the streams of a stack's members, only the first acts."""

    def batches(self, *args: Any, **kwargs: Any) -> Batches:
        stream = super().batches(*args, **kwargs)
        self.events = {}
        return stream


def config(**values: Any) -> Config:
    return resolve({**COMMON, "data": "given", "steps": STEPS, "log_every": 5, "lr": 1e-3, **values})


def stacked(
    folder: Path, configs: Sequence[Config], data: Dataset | None = None
) -> tuple[list[Path], list[runs.Run | UnbraidError]]:
    folders = [folder / f"member-{index}" for index in range(len(configs))]
    data = squares() if data is None else data
    return folders, train_many(configs, folders, data=data, stacked=True, show_progress=False)


def assert_as_alone(folder: Path, config: Config, tmp_path: Path) -> None:
    """Weights and log of the run in `folder`, trained in a stack, against those of the plain path."""
    alone = tmp_path / "alone" / folder.name
    train(config, data=squares(), out=alone, show_progress=False)
    ours, theirs = load_file(folder / runs.WEIGHTS), load_file(alone / runs.WEIGHTS)
    start = {
        f"model.{name}": tensor.detach() for name, tensor in runs.build_model(config, (1, 16, 16)).named_parameters()
    }
    assert ours.keys() == theirs.keys()
    apart = sum(float((ours[name] - theirs[name]).square().sum()) for name in start) ** 0.5
    moved = sum(float((theirs[name] - tensor).square().sum()) for name, tensor in start.items()) ** 0.5
    # Adam divides by the size of the gradient, so rounding moves a weight whose gradient is all but zero
    assert apart < 2e-3 * moved
    for row, other in zip(log_rows(folder), log_rows(alone), strict=True):
        assert row.keys() == other.keys()
        assert [float(v) for v in row.values()] == pytest.approx([float(v) for v in other.values()], rel=2e-3, abs=1e-4)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_trains_as_alone(tmp_path: Path, objective: str) -> None:
    weight = next(iter(config(objective=objective).section("objective")), None)
    own = [{weight: value} if weight else {} for value in (2.0, 5.0, 9.0)]
    configs = [
        config(objective=objective, seed=seed, lr=lr, **each)
        for seed, (lr, each) in enumerate(zip((1e-3, 3e-4, "cosine(2e-3, 0, steps=12)"), own, strict=True))
    ]
    assert groups(configs, stacked=True) == [[0, 1, 2]]
    folders, results = stacked(tmp_path, configs)
    assert all(isinstance(result, runs.Run) for result in results)
    for folder, member in zip(folders, configs, strict=True):
        assert_as_alone(folder, member, tmp_path)
    assert load_file(folders[0] / runs.WEIGHTS).keys() == load_file(folders[1] / runs.WEIGHTS).keys()


@pytest.mark.parametrize(
    "model", ["balls_all_conv", "swift", *(pytest.param(name, marks=pytest.mark.slow) for name in ("balls_fc", "mlp"))]
)
def test_other_nets_train_as_alone(tmp_path: Path, model: str) -> None:
    configs = [config(model=model, latent_dim=4 if "all" in model else 3, beta=beta, seed=3) for beta in (0.5, 4.0)]
    folders, _ = stacked(tmp_path, configs)
    for folder, member in zip(folders, configs, strict=True):
        assert_as_alone(folder, member, tmp_path)


@pytest.mark.parametrize("settings", [{"optimizer": "adagrad", "lr": 1e-2}, {"optimizer": "sgd", "lr": 1e-5}])
def test_optimizers_and_clips_are_of_each_member(tmp_path: Path, settings: dict[str, Any]) -> None:
    configs = [config(seed=seed, clip=clip, **settings) for seed, clip in enumerate((0.0, 1.0, 30.0))]
    folders, _ = stacked(tmp_path, configs)
    for folder, member in zip(folders, configs, strict=True):
        assert_as_alone(folder, member, tmp_path)


@pytest.mark.parametrize("objective", ["beta_tcvae", "factor_vae"])
def test_one_optimizer_for_all_steps_as_each_its_own(objective: str) -> None:
    configs = [config(objective=objective, seed=seed) for seed in range(3)]
    apart, together = ([Trainer(each, squares(), torch.device("cpu")) for each in configs] for _ in range(2))
    first, second = Stack(apart), Stack(together)
    for step in range(3):
        first.step(step)
        second.step(step)
    second.join()
    assert len(second.optimizers()) == len(apart[0].optimizers)
    for step in range(3, 8):
        first.step(step)
        second.step(step)
    for ours, theirs in zip(together, apart, strict=True):
        found, expected = ours.checkpoint(), theirs.checkpoint()
        assert found.keys() == expected.keys()
        assert all(torch.allclose(found[name], expected[name], rtol=1e-4, atol=1e-6) for name in found)


@pytest.mark.parametrize("fused", [False, True], ids=["ours", "torch"])
def test_members_whose_stack_is_dissolved_count_their_steps_alone(monkeypatch: pytest.MonkeyPatch, fused: bool) -> None:
    """As when one of them diverges, and those left become a program of their own."""
    if fused:  # as on CUDA
        monkeypatch.setattr(optimizers, "_fused_adam", partial(torch.optim.Adam, lr=0.0, fused=True))
    configs = [config(objective="factor_vae", seed=seed) for seed in range(4)]
    members, apart = ([Trainer(each, squares(), torch.device("cpu")) for each in configs] for _ in range(2))

    def steps(trainer: Trainer) -> set[float]:
        return {float(value) for name, value in trainer.checkpoint().items() if name.endswith(".step")}

    step = 0
    for left in (4, 3, 1):
        joined, other = Stack(members[:left]), Stack(apart[:left])
        for number in range(5):
            if number == 3:
                joined.join()
            joined.step(step)
            other.step(step)
            step += 1
        assert len(joined.optimizers()) == 2
        assert all(steps(member) == {step} for member in members[:left])
    found, expected = members[0].checkpoint(), apart[0].checkpoint()
    assert all(torch.allclose(found[name], expected[name], rtol=1e-4, atol=1e-6) for name in expected)
    assert [steps(member) for member in members] == [{15}, {10}, {10}, {5}]


def test_a_member_that_cannot_begin_leaves_the_others(tmp_path: Path) -> None:
    stop = {5: lambda: signal.raise_signal(signal.SIGINT)}
    configs = [config(seed=seed) for seed in range(2)]
    with pytest.raises(Interrupted):
        stacked(tmp_path, configs, OnceEventful(squares(), stop))
    log = tmp_path / "member-0" / runs.LOG
    log.write_text(log.read_text() + "x" * 10 + "," * (len(runs.last_row(log.parent)) - 1) + "\n")
    _, (first, second) = stacked(tmp_path, configs)
    assert isinstance(first, UnbraidError) and f"{log} is damaged" in str(first)
    assert isinstance(second, runs.Run) and runs.state(second.path) == "finished"
    _, (first, _) = stacked(tmp_path, configs)
    assert isinstance(first, UnbraidError), "also where it is all that is left"


def test_rates_or_clips_of_their_own_keep_optimizers_apart() -> None:
    for own in ({"lr": 1e-4}, {"clip": 3.0}):
        stack = Stack([Trainer(each, squares(), torch.device("cpu")) for each in (config(), config(**own))])
        stack.step(0)
        stack.join()
        assert len(stack.optimizers()) == 2


def test_members_of_one_program_may_have_data_of_their_own() -> None:
    configs = [config(data="balls", n_balls=n, size=16, seed=seed) for n, seed in ((1, 0), (2, 0), (2, 1))]
    device = torch.device("cpu")
    together = [Trainer(each, runs.load_data(each), device) for each in configs]
    assert alike(together) == [[0, 1, 2]]
    step = program(together)
    for number in range(4):
        step(number)
    for member, own in zip(together, configs, strict=True):
        alone = Trainer(own, runs.load_data(own), device)
        for number in range(4):
            alone.step(number)
        assert member.row(4) == pytest.approx(alone.row(4), rel=1e-4, abs=1e-5)
    linear = [config(data="balls", objective="unfold", n_balls=n, model="mlp") for n in (1, 2)]
    assert alike([Trainer(each, runs.load_data(each), device) for each in linear]) == [[0], [1]]


def test_pairs_are_a_stream_of_their_own() -> None:
    """Stacks of one loop share batches where they see the same, and an objective of pairs does not."""
    device, data = torch.device("cpu"), runs.load_data(resolve({"data": "xy_squares"}))
    own = {"data": "xy_squares", "model": "mlp", "batch_size": 8, "device": "cpu", "seed": 3}
    objectives = [{"objective": "beta_vae"}, {"objective": "vae"}]
    objectives += [{"objective": "ada_gvae", "pair_changes": changed} for changed in (0, 1)]
    members = [Trainer(resolve({**own, **each}), data, device) for each in objectives]
    before = [member.batches(5) for member in members]
    _share_images([Stack([member]) for member in members])
    assert members[0].batches is members[1].batches
    assert len({id(member.batches) for member in members}) == 3
    assert all(torch.equal(member.batches(5), x) for member, x in zip(members, before, strict=True))


def test_one_that_cannot_begin_leaves_the_others(tmp_path: Path) -> None:
    configs = [config(data="balls", size=16), config(data="balls", size=6), config(data="balls", size=16, seed=1)]
    folders = [tmp_path / str(number) for number in range(3)]
    results = _train_group(list(zip(folders, configs, strict=True)), None, False)
    assert isinstance(results[1], UnbraidError) and "multiple" in str(results[1])
    assert [runs.state(folder) for folder in (folders[0], folders[2])] == ["finished"] * 2
    assert not folders[1].exists()


class TestGroups:
    def test_seed_rate_clip_and_the_objective_s_numbers_may_differ(self) -> None:
        configs = [config(), config(seed=4, lr=1e-2), config(beta="linear(0, 3, steps=5)", clip=2.0)]
        assert groups(configs, stacked=True) == [[0, 1, 2]]

    @pytest.mark.parametrize(
        "other",
        [{"model": "mlp"}, {"objective": "vae"}, {"batch_size": 9}, {"steps": 13}, {"latent_dim": 4}, {"log_every": 6}],
    )
    def test_what_makes_another_program(self, other: dict[str, Any]) -> None:
        assert groups([config(), config(**other), config(seed=1)], stacked=True) == [[0, 2], [1]]

    def test_what_keeps_step_goes_kind_after_kind(self) -> None:
        configs = [config(), config(model="mlp"), config(seed=1), config(model="mlp", seed=1), config(steps=13)]
        assert in_step(configs) == [[0, 2, 1, 3], [4]]

    def test_alone_on_a_cpu(self) -> None:
        assert groups([config(), config(seed=1)]) == [[0], [1]]


class TestDisturbed:
    def configs(self) -> list[Config]:
        return [config(seed=seed, beta=2.0 + seed) for seed in range(3)]

    def test_a_signal_stops_all_and_the_same_call_goes_on(self, tmp_path: Path) -> None:
        configs, undisturbed = self.configs(), tmp_path / "undisturbed"
        stacked(undisturbed, configs)
        data = OnceEventful(squares(), {7: lambda: signal.raise_signal(signal.SIGINT)})
        with pytest.raises(Interrupted, match="stopped at step 8 of 12, everything is kept: the same call goes on"):
            stacked(tmp_path / "stopped", configs, data)
        folders = [tmp_path / "stopped" / f"member-{index}" for index in range(3)]
        assert [runs.state(folder) for folder in folders] == ["stopped"] * 3
        stacked(tmp_path / "stopped", configs)
        assert all(same_run(folder, undisturbed / folder.name) for folder in folders)

    def test_members_that_stand_at_different_steps(self, tmp_path: Path) -> None:
        """One finished, one resumed alone to a later step, one not begun: all end as alone."""
        configs = self.configs()
        folders = [tmp_path / f"member-{index}" for index in range(3)]
        done = train(configs[0], data=squares(), out=folders[0], show_progress=False)
        before = (folders[0] / runs.WEIGHTS).stat().st_mtime_ns
        with pytest.raises(Interrupted):
            data = Eventful(squares(), {4: lambda: signal.raise_signal(signal.SIGINT)})
            train(configs[1], data=data, out=folders[1], show_progress=False)
        _, results = stacked(tmp_path, configs)
        assert [isinstance(result, runs.Run) for result in results] == [True] * 3
        assert (folders[0] / runs.WEIGHTS).stat().st_mtime_ns == before and done.path == folders[0]
        for folder, member in zip(folders[1:], configs[1:], strict=True):
            assert_as_alone(folder, member, tmp_path)

    def test_a_member_checkpointed_in_a_stack_is_resumed_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        configs, clock = self.configs(), Clock()
        monkeypatch.setattr(training.loop, "time", clock)
        data = OnceEventful(squares(), {5: clock.half_an_hour_passes, 8: lambda: signal.raise_signal(signal.SIGINT)})
        with pytest.raises(Interrupted):
            stacked(tmp_path, configs, data)
        folder = tmp_path / "member-2"
        resume(folder, data=squares(), show_progress=False)
        assert_as_alone(folder, configs[2], tmp_path)

    def test_one_that_diverges_stops_alone(self, tmp_path: Path) -> None:
        configs = [config(), config(seed=1, lr=1e30), config(seed=2)]
        folders, results = stacked(tmp_path, configs)
        assert str(results[1]).startswith("the loss stopped being a number at or before step 1,")
        assert runs.state(folders[1]) == "failed" and not (folders[1] / runs.WEIGHTS).exists()
        for index in (0, 2):
            assert isinstance(results[index], runs.Run)
            assert_as_alone(folders[index], configs[index], tmp_path)

    def test_all_diverge(self, tmp_path: Path) -> None:
        _, results = stacked(tmp_path, [config(seed=seed, lr=1e30) for seed in range(2)])
        assert all(isinstance(result, UnbraidError) for result in results)


class TestRefused:
    def test_a_folder_of_another_config(self, tmp_path: Path) -> None:
        folders, _ = stacked(tmp_path, [config(), config(seed=1)])
        with pytest.raises(UnbraidError, match=r"was run with beta=4.0, and this asks for beta=7.0"):
            train_many([config(), config(seed=1, beta=7.0)], folders, data=squares(), show_progress=False)

    @pytest.mark.parametrize("folders", [["one"], ["one", "one"]])
    def test_too_few_folders(self, folders: list[str]) -> None:
        with pytest.raises(UnbraidError, match="a folder of its own for each of 2 configs"):
            train_many([config(), config(seed=1)], folders)
