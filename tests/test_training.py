"""Training with real runs, small ones: what a config says is what happens, whatever happens on the way."""

import math
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from small_runs import (
    CHECKPOINT_AFTER,
    COMMON,
    KILLED_AT,
    RUNS,
    STEPS,
    Clock,
    Eventful,
    log_rows,
    same_run,
    small_run,
    squares,
    weights,
)

import unbraid
from unbraid import config as configs
from unbraid import runs, training
from unbraid.data import from_arrays
from unbraid.errors import UnbraidError
from unbraid.kernels import has_kernels
from unbraid.objectives import OBJECTIVES, unfold
from unbraid.randomness import fold
from unbraid.training import Interrupted, Trainer, resume, train, train_many

needs_sigkill = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(training.loop, "time", clock)
    return clock


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a run that nothing came between, trained when first asked for."""
    folder = tmp_path_factory.mktemp("undisturbed")

    def trained(name: str) -> Path:
        if not (folder / name).exists():
            small_run(name, folder / name)
        return folder / name

    return trained


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs whose processes killed themselves between two checkpoints."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, str(Path(__file__).with_name("small_runs.py")), str(folder)]
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}  # where torch sees one, nobody may learn before a fork
    ended = subprocess.run(command, stdout=subprocess.PIPE, env=env, text=True, check=True, timeout=300).stdout.split()
    assert ended == [str(-signal.SIGKILL)] * len(RUNS)
    return folder


def trainer(dataset: Any = None, **values: Any) -> Trainer:
    config = configs.resolve({"data": "given", "model": "balls_conv", "latent_dim": 3, "batch_size": 8, **values})
    return Trainer(config, squares() if dataset is None else dataset, torch.device("cpu"))


def flat(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


@needs_sigkill
@pytest.mark.parametrize("name", RUNS)
class TestKilled:
    def test_the_killed_run_lost_some_steps(self, killed: Path, name: str) -> None:
        """Or else the tests below would show nothing."""
        folder = killed / name
        _, metadata = runs.load_tensors(folder / runs.CHECKPOINT)
        assert metadata["step"] == CHECKPOINT_AFTER + 1
        assert runs.state(folder) == "running" and not (folder / runs.WEIGHTS).exists()
        assert CHECKPOINT_AFTER + 1 < runs.steps_done(folder) <= KILLED_AT

    def test_resumed_it_is_the_undisturbed_run(
        self, killed: Path, undisturbed: Callable[[str], Path], tmp_path: Path, name: str
    ) -> None:
        folder = copytree(killed / name, tmp_path / "run")
        run = resume(folder, data=squares(), show_progress=False)
        assert same_run(folder, undisturbed(name))
        assert runs.state(folder) == "finished" and not (folder / runs.CHECKPOINT).exists()
        assert run.facts["step"] == run.config.steps


class TestInterrupted:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_ends_the_run_between_two_steps(
        self, tmp_path: Path, undisturbed: Callable[[str], Path], number: signal.Signals
    ) -> None:
        folder = tmp_path / "run"
        handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
        with pytest.raises(Interrupted) as interruption:
            small_run("beta_vae", folder, Eventful(squares(), {24: lambda: signal.raise_signal(number)}))
        assert str(interruption.value) == (
            f"stopped at step 25 of 40, everything is kept: `unbraid train --resume {folder}` goes on"
        )
        assert runs.read_facts(folder)["state"] == "stopped" and runs.read_facts(folder)["step"] == 25
        assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
        resume(folder, data=squares(), show_progress=False)
        assert same_run(folder, undisturbed("beta_vae"))

    def test_again_and_again(self, tmp_path: Path, undisturbed: Callable[[str], Path]) -> None:
        stop = {step: lambda: signal.raise_signal(signal.SIGINT) for step in (0, 6, 7, 30, 38)}
        stopped = []
        with pytest.raises(Interrupted) as interruption:
            small_run("factor_vae", tmp_path / "run", Eventful(squares(), stop))
        stopped.append(str(interruption.value)[:18])
        for _ in range(3):
            with pytest.raises(Interrupted) as interruption:
                resume(tmp_path / "run", data=Eventful(squares(), stop), show_progress=False)
            stopped.append(str(interruption.value)[:18])
        assert stopped == [f"stopped at step {n} "[:18] for n in (1, 7, 8, 31)]
        resume(tmp_path / "run", data=squares(), show_progress=False)
        assert same_run(tmp_path / "run", undisturbed("factor_vae"))

    def test_at_the_last_step_it_is_too_late(self, tmp_path: Path, undisturbed: Callable[[str], Path]) -> None:
        last = {STEPS - 1: lambda: signal.raise_signal(signal.SIGTERM)}
        small_run("beta_vae", tmp_path / "run", Eventful(squares(), last), prune=0.0)
        assert same_run(tmp_path / "run", undisturbed("beta_vae"))

    def test_the_second_one_ends_it_at_once(self, tmp_path: Path) -> None:
        def twice() -> None:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

        with pytest.raises(KeyboardInterrupt) as interruption:
            small_run("beta_vae", tmp_path / "run", Eventful(squares(), {24: twice}))
        assert not isinstance(interruption.value, Interrupted)
        assert not (tmp_path / "run" / runs.CHECKPOINT).exists()
        resume(tmp_path / "run", data=squares(), show_progress=False)

    def test_a_thread_may_train_too(self, tmp_path: Path, undisturbed: Callable[[str], Path]) -> None:
        """Where signals cannot be caught."""
        thread = threading.Thread(target=small_run, args=("beta_vae", tmp_path / "run"))
        thread.start()
        thread.join()
        assert same_run(tmp_path / "run", undisturbed("beta_vae"))


class TestDiverged:
    def test_without_a_checkpoint(self, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        with pytest.raises(UnbraidError) as failure:
            small_run("beta_vae", folder, lr=1e30)
        sentence = str(failure.value)
        assert sentence.startswith("the loss stopped being a number at or before step 4, so training stopped; ")
        assert "no checkpoint had been written before" in sentence and "\n" not in sentence
        assert runs.state(folder) == "failed"
        with pytest.raises(UnbraidError, match="holds no weights yet"):
            unbraid.load(folder)

    @pytest.mark.parametrize("kind", ["beta_vae", "factor_vae"])
    def test_the_last_good_checkpoint_is_kept(self, tmp_path: Path, clock: Clock, kind: str) -> None:
        folder = tmp_path / "run"
        often = Eventful(squares(), dict.fromkeys((10, *range(20, STEPS)), clock.half_an_hour_passes))
        lr = "piecewise(0, 1e-3, 20, 1e-3, 21, 1e30)"
        with pytest.raises(UnbraidError, match=r"the checkpoint of step \d+ is kept") as failure:
            small_run(kind, folder, often, lr=lr)
        assert runs.state(folder) == "failed"
        tensors, metadata = runs.load_tensors(folder / runs.CHECKPOINT)
        assert all(tensor.isfinite().all() for tensor in tensors.values())
        assert f"the checkpoint of step {metadata['step']} is kept" in str(failure.value)
        assert runs.read_facts(folder)["step"] == metadata["step"] >= 11
        assert all(np.isfinite(column).all() for column in runs.read_log(folder).values())
        mean, _ = unbraid.load(folder, "cpu").encode(squares().images(np.arange(3)))
        assert mean.isfinite().all()
        with pytest.raises(UnbraidError, match="the loss stopped being a number"):
            resume(folder, data=squares(), show_progress=False)

    def test_an_infinite_second_moment_counts_as_divergence(self) -> None:
        """Adam divides by it, so the weight stands still from then on and nothing else would tell."""
        state = trainer()
        state.step(0)
        assert state.is_finite()
        optimizer, _ = state.optimizers[0]
        next(iter(optimizer.state.values()))["exp_avg_sq"].fill_(math.inf)
        assert not state.is_finite()


class TestClocks:
    def test_one_that_stands_still(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As a coarse one does for rows of a few milliseconds."""
        monkeypatch.setattr(training.loop, "time", SimpleNamespace(monotonic=lambda: 5.0))
        run = small_run("beta_vae", tmp_path / "run", steps=4, log_every=1)
        assert len(run.log["images_per_s"]) == 4 and np.isfinite(run.log["images_per_s"]).all()


class TestOneFolderOneRun:
    def test_a_second_process_is_refused(self, tmp_path: Path, undisturbed: Callable[[str], Path]) -> None:
        folder = tmp_path / "run"
        with pytest.raises(Interrupted):
            small_run("beta_vae", folder, Eventful(squares(), {5: lambda: signal.raise_signal(signal.SIGINT)}))
        program = (
            "import sys; from filelock import FileLock\n"
            "with FileLock(sys.argv[1]): print('held', flush=True); sys.stdin.read()\n"
        )
        command = [sys.executable, "-c", program, str(folder / runs.LOCK)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None and other.stdout.readline()
            with pytest.raises(UnbraidError, match=f"another process is training in {folder}: wait for it"):
                resume(folder, data=squares(), show_progress=False)
            other.communicate()
        resume(folder, data=squares(), show_progress=False)
        assert same_run(folder, undisturbed("beta_vae"))

    def test_the_lock_is_given_back_though_the_error_is_kept(self, tmp_path: Path) -> None:
        """A notebook keeps the last traceback, and all the frames in it, alive."""
        with pytest.raises(UnbraidError) as kept:
            small_run("beta_vae", tmp_path / "run", lr=1e30)
        assert kept.tb is not None
        with FileLock(tmp_path / "run" / runs.LOCK, timeout=0):
            pass

    def test_a_folder_with_a_run_is_not_trained_into(self, undisturbed: Callable[[str], Path]) -> None:
        folder = undisturbed("beta_vae")
        with pytest.raises(
            UnbraidError, match=r"holds a run already \(finished\): choose another folder, or go on with"
        ):
            small_run("beta_vae", folder)

    def test_resuming_a_finished_run_changes_nothing(self, undisturbed: Callable[[str], Path]) -> None:
        folder = undisturbed("beta_vae")
        before = {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}
        run = resume(folder, data=squares(), show_progress=False)
        assert {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()} == before
        assert run.config.section("objective") == {"beta": 2.0}

    def test_a_name_that_is_no_text(self, tmp_path: Path) -> None:
        """A file system may hold any bytes, which Python reads as surrogates; safetensors does not."""
        with pytest.raises(UnbraidError, match="has bytes in its name that are no UTF-8: choose another name"):
            small_run("beta_vae", tmp_path / "r\udcff")
        assert not list(tmp_path.iterdir())

    def test_a_file_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(UnbraidError, match="cannot write the run folder"):
            small_run("beta_vae", tmp_path / "file" / "run")

    def test_folders_of_their_own_by_default(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        paths = [small_run("beta_vae", None, steps=1).path for _ in range(2)]
        assert paths == [Path("runs/given-balls_conv-beta_vae"), Path("runs/given-balls_conv-beta_vae-2")]

    def test_trainings_that_begin_together_have_folders_of_their_own(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another begins when this one has chosen its folder and not yet locked it."""
        monkeypatch.chdir(tmp_path)
        paths: list[Path] = []
        real = training._train_alone

        def chosen(folder: Path, *arguments: Any, **options: Any) -> runs.Run:
            if not paths:
                paths.append(folder)
                small_run("beta_vae", None, steps=1)
            else:
                paths.append(folder)
            return real(folder, *arguments, **options)

        monkeypatch.setattr(training, "_train_alone", chosen)
        small_run("beta_vae", None, steps=1)
        assert [str(path) for path in paths] == [f"runs/given-balls_conv-beta_vae{n}" for n in ("", "-2")]
        assert [runs.state(path) for path in paths] == ["finished"] * 2

    def test_a_training_that_cannot_begin_takes_no_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UnbraidError, match="batch_size must be from 2 to 72"):
            small_run("beta_vae", None, batch_size=73)
        assert list(tmp_path.iterdir()) == []
        (tmp_path / "runs").write_text("")
        with pytest.raises(UnbraidError, match="cannot write the run folder runs"):
            small_run("beta_vae", None, steps=1)

    def test_resume_needs_a_run(self, tmp_path: Path) -> None:
        with pytest.raises(UnbraidError, match=r"is not a run folder: it holds no config\.yaml"):
            resume(tmp_path)


class TestSecondImplementation:
    def test_beta_vae_by_hand(self, tmp_path: Path) -> None:
        """The whole of training written out once more: loss, schedule, Adam in its paper's own order."""
        steps, beta = 12, 3.0
        settings = {"beta": beta, "lr": "linear(4e-3, 1e-3, steps=12)", "steps": steps, "log_every": 4, "seed": 5}
        run = small_run("beta_vae", tmp_path / "run", **settings)

        dataset = squares()
        model = runs.build_model(run.config, dataset.image_shape).double()
        batches = dataset.batches(8, seed=5)
        moments = {name: [torch.zeros_like(p), torch.zeros_like(p)] for name, p in model.named_parameters()}
        seen = []
        for step in range(steps):
            x = batches(step).double()
            noise = torch.randn(8, 3, generator=torch.Generator().manual_seed(fold(5, "noise", step))).double()
            hidden = model.encoder(x)
            mean, logvar = hidden[:, :3], hidden[:, 3:]
            logits = model.decoder(mean + (logvar / 2).exp() * noise)
            p = torch.sigmoid(logits)
            recon = -(x * p.log() + (1 - x) * (1 - p).log()).sum() / 8
            kl = (mean**2 + logvar.exp() - logvar - 1).sum() / 16
            names, parameters = zip(*model.named_parameters(), strict=True)
            gradients = torch.autograd.grad(recon + beta * kl, parameters)
            lr = 4e-3 - step * 3e-3 / 12
            with torch.no_grad():
                for name, parameter, gradient in zip(names, parameters, gradients, strict=True):
                    first, second = moments[name]
                    first.copy_(0.9 * first + 0.1 * gradient)
                    second.copy_(0.999 * second + 0.001 * gradient**2)
                    hat1, hat2 = first / (1 - 0.9 ** (step + 1)), second / (1 - 0.999 ** (step + 1))
                    parameter -= lr * hat1 / (hat2.sqrt() + 1e-8)
            seen.append((recon.item(), kl.item(), lr))

        torch.testing.assert_close(flat(run.model).double(), flat(model), rtol=2e-3, atol=2e-5)
        log = run.log
        by_row = np.array(seen).reshape(3, 4, 3)
        assert log["step"].tolist() == [4, 8, 12]
        assert log["recon"] == pytest.approx(by_row[..., 0].mean(1), rel=1e-5)
        assert log["kl"] == pytest.approx(by_row[..., 1].mean(1), rel=1e-4)
        assert log["loss"] == pytest.approx((by_row[..., 0] + beta * by_row[..., 1]).mean(1), rel=1e-5)
        assert log["elbo"] == pytest.approx(-(by_row[..., 0] + by_row[..., 1]).mean(1), rel=1e-5)
        assert log["kl_0"] + log["kl_1"] + log["kl_2"] == pytest.approx(log["kl"], rel=1e-5)
        assert log["lr"] == pytest.approx(by_row[:, -1, 2])


class TestSchedules:
    def test_every_value_reaches_the_objective_at_its_step(self, undisturbed: Callable[[str], Path]) -> None:
        """Row n is the update n - 1: capacity 20 (n - 1) / 30 up to 20, gamma 1 + 8 (n - 1) / 20 up to 9."""
        log = runs.read_log(undisturbed("annealed_vae"))
        step = np.arange(STEPS)
        capacity, gamma = np.minimum(20 * step / 30, 20), np.minimum(1 + 8 * step / 20, 9)
        assert log["capacity"] == pytest.approx(capacity, rel=1e-6)
        assert log["gamma"] == pytest.approx(gamma)
        assert log["lr"] == pytest.approx(1e-3 * (1 + np.cos(np.pi * step / 40)), rel=1e-5)
        assert log["loss"] == pytest.approx(log["recon"] + gamma * abs(log["kl"] - capacity), rel=1e-4)

    def test_also_after_a_resume(self, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        with pytest.raises(Interrupted):
            small_run("annealed_vae", folder, Eventful(squares(), {24: lambda: signal.raise_signal(signal.SIGINT)}))
        seen: list[dict[str, float]] = []
        entry = OBJECTIVES["annealed_vae"]

        def spy(out: Any, *, gamma: float = 1.0, capacity: float = 1.0) -> Any:
            if torch.is_grad_enabled():  # an update, not a look at the loss
                seen.append({"gamma": float(gamma), "capacity": float(capacity)})  # which no tape can replay
            return entry.function(out, gamma=gamma, capacity=capacity)

        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(training.trainer.OBJECTIVES, "annealed_vae", type(entry)(spy, entry.description))
            resume(folder, data=squares(), show_progress=False)
        assert len(seen) == 1 + STEPS - 25, "the first is asked twice, since a tape is tried"
        assert seen[0] == {"gamma": 9.0, "capacity": pytest.approx(20 * 25 / 30)}
        assert seen[-1] == {"gamma": 9.0, "capacity": 20.0}


class TestOptimizers:
    def test_clip_is_the_largest_norm(self) -> None:
        moved = {}
        for clip in (0.0, 0.5, 1e9):
            state = trainer(optimizer="sgd", lr=1.0, clip=clip)
            before = flat(state.model).clone()
            state.step(0)
            moved[clip] = flat(state.model) - before
        assert moved[0.0].norm() > 1
        assert moved[0.5].norm().item() == pytest.approx(0.5, rel=1e-5)
        torch.testing.assert_close(moved[0.5], moved[0.0] * (0.5 / moved[0.0].norm()), rtol=1e-4, atol=1e-7)
        assert torch.equal(moved[1e9], moved[0.0])

    @pytest.mark.parametrize(("aux_lr", "used"), [(0.0, 1e-4), (0.02, 0.02)])
    def test_aux_lr_is_of_the_second_network_alone(self, aux_lr: float, used: float) -> None:
        """The first step of Adam is as long as its learning rate, whatever the gradient."""
        state = trainer(objective="factor_vae", lr=1e-3, aux_lr=aux_lr)
        assert state.aux is not None
        before = flat(state.model).clone(), flat(state.aux).clone()
        state.step(0)
        steps = [
            (flat(net) - old).abs().max().item() for net, old in zip((state.model, state.aux), before, strict=True)
        ]
        assert steps == pytest.approx([1e-3, used], rel=0.01)

    def test_each_network_has_its_own_adam(self) -> None:
        """Betas 0.5 and 0.9 for the discriminator of FactorVAE (Kim & Mnih 2018), the config's for the VAE."""
        state = trainer(objective="factor_vae", adam_beta1=0.8, adam_beta2=0.95)
        assert [optimizer.defaults["betas"] for optimizer, _ in state.optimizers] == [(0.8, 0.95), (0.5, 0.9)]


class TestRandomness:
    def test_same_seed_same_bits_and_the_global_state_untouched(
        self, tmp_path: Path, undisturbed: Callable[[str], Path]
    ) -> None:
        states = random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state()  # noqa: NPY002
        torch.manual_seed(99)
        before = torch.get_rng_state()
        small_run("factor_vae", tmp_path / "run")
        assert torch.equal(torch.get_rng_state(), before)
        assert (random.getstate(), np.random.get_state()[1].tobytes()) == states[:2]  # noqa: NPY002
        torch.set_rng_state(states[2])
        assert same_run(tmp_path / "run", undisturbed("factor_vae"))

    def test_another_seed_is_another_run(self, tmp_path: Path, undisturbed: Callable[[str], Path]) -> None:
        small_run("beta_vae", tmp_path / "run", seed=1)
        assert weights(tmp_path / "run") != weights(undisturbed("beta_vae"))

    def test_the_number_of_threads_is_the_config_s_and_then_put_back(self, tmp_path: Path) -> None:
        seen: list[int] = []
        look = {step: lambda: seen.append(torch.get_num_threads()) for step in range(4)}
        small_run("beta_vae", tmp_path / "run", Eventful(squares(), look), steps=4, threads=2)
        assert set(seen) == {2} and torch.get_num_threads() == 1


class TestGivenData:
    @pytest.mark.parametrize("shape", [(20, 16, 12), (20, 3, 16, 16), (20, 16, 16, 3), (20, 1, 8, 8)])
    def test_arrays_grey_and_rgb_train(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        images = np.random.default_rng(0).random(shape)
        run = small_run("beta_vae", tmp_path / "run", from_arrays(images), steps=10)
        assert run.config.data == "given"
        assert run.reconstruct(run.data.images(np.arange(4))).shape == (4, *run.data.image_shape)
        assert run.facts["n_data"] == 20

    def test_resuming_asks_for_the_data_again(self, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        with pytest.raises(Interrupted):
            small_run("beta_vae", folder, Eventful(squares(), {24: lambda: signal.raise_signal(signal.SIGINT)}))
        with pytest.raises(UnbraidError) as refused:
            resume(folder)
        assert str(refused.value) == (
            "this run was trained on images passed in from Python: pass the same data set again (data=...) to go on"
        )
        fewer = from_arrays(squares().images(np.arange(60)))
        with pytest.raises(UnbraidError, match=r"72 images \[1, 16, 16\], and the data given holds 60 images"):
            resume(folder, data=fewer, show_progress=False)

    @pytest.mark.parametrize("shape", [(60, 16, 16), (72, 12, 12)])
    def test_a_file_that_changed_is_no_data_to_go_on_with(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
    ) -> None:
        file, folder = tmp_path / "images.npy", tmp_path / "run"
        before = squares().images(np.arange(72))[:, 0]
        np.save(file, before)
        load, stop = runs.load_data, {5: lambda: signal.raise_signal(signal.SIGINT)}
        with monkeypatch.context() as patch:
            patch.setattr(runs, "load_data", lambda config: Eventful(load(config), stop))
            with pytest.raises(Interrupted):
                train(data=str(file), out=folder, show_progress=False, **{**COMMON, "steps": 12})
        np.save(file, before[: shape[0], : shape[1], : shape[2]])
        there = f"and arrays holds {shape[0]} images \\[1, {shape[1]}, {shape[2]}\\]: bring back the images of before"
        for go_on in (lambda: resume(folder, show_progress=False), lambda: self.as_a_study_does(folder)):
            with pytest.raises(UnbraidError, match=rf"is trained on 72 images \[1, 16, 16\], {there}"):
                go_on()
        np.save(file, before)
        assert resume(folder, show_progress=False).facts["step"] == 12

    @staticmethod
    def as_a_study_does(folder: Path) -> None:
        (found,) = train_many([runs.read_config(folder)], [folder], show_progress=False)
        if isinstance(found, UnbraidError):
            raise found

    def test_a_stream_without_an_end_goes_on(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        load, stop = runs.load_data, {5: lambda: signal.raise_signal(signal.SIGINT)}
        settings = {**COMMON, "data": "balls", "size": 8, "steps": 12}
        with monkeypatch.context() as patch:
            patch.setattr(runs, "load_data", lambda config: Eventful(load(config), stop))
            with pytest.raises(Interrupted):
                train(out=tmp_path / "run", show_progress=False, **settings)
        assert resume(tmp_path / "run", show_progress=False).facts["step"] == 12

    def test_a_run_on_named_data_takes_no_other(self, tmp_path: Path) -> None:
        stop = {"data": "balls", "size": 8, "model": "balls_conv", "steps": 2, "device": "cpu"}
        folder = train(out=tmp_path / "run", show_progress=False, **stop).path
        runs.write_facts(folder, {**runs.read_facts(folder), "state": "stopped"})
        with pytest.raises(UnbraidError, match="is trained on balls, which is found by its name: leave data out"):
            resume(folder, data=squares())

    def test_a_finished_run_loads_without_its_data(self, undisturbed: Callable[[str], Path]) -> None:
        run = unbraid.load(undisturbed("beta_vae"))
        assert run.encode(squares().images(np.arange(2)))[0].shape == (2, 3)
        with pytest.raises(UnbraidError, match="images passed in from Python"):
            _ = run.data
        assert len(unbraid.load(run.path, data=squares()).data) == 72

    def test_more_images_a_batch_than_there_are(self, tmp_path: Path) -> None:
        with pytest.raises(UnbraidError, match="batch_size must be from 2 to 72"):
            small_run("beta_vae", tmp_path / "run", batch_size=73)
        assert not (tmp_path / "run").exists()


class TestTrainsAsTold:
    def test_a_config_or_keywords(self, tmp_path: Path) -> None:
        config = configs.resolve({"data": "balls", "size": 8, "model": "balls_conv", "steps": 2, "device": "cpu"})
        for extra in ({"steps": 3}, {"data": "dsprites"}, {"data": squares()}):
            with pytest.raises(UnbraidError, match="give a config or keywords, not both"):
                train(config, out=tmp_path / "run", **extra)
        run = train(config, data="balls", out=tmp_path / "run", show_progress=False)
        assert run.config == config

    def test_a_config_made_by_hand_is_checked(self, tmp_path: Path) -> None:
        with pytest.raises(UnbraidError, match="steps must be a whole number, not 'many'"):
            train(unbraid.Config(steps="many"), out=tmp_path / "run")

    def test_the_facts_of_a_run(self, undisturbed: Callable[[str], Path]) -> None:
        facts = runs.read_facts(undisturbed("factor_vae"))
        assert facts["state"] == "finished" and facts["step"] == 36 and facts["seconds"] > 0
        assert facts["image_shape"] == [1, 16, 16] and facts["n_data"] == 72 and facts["threads"] == 1
        assert facts["device"] == "cpu" and facts["unbraid"] == unbraid.__version__
        code, aux = 4 * 4 * 4, 3 * 1000 + 1000 + 5 * (1000 * 1000 + 1000) + 2 * 1000 + 2
        encoder = (9 + 1) * 8 + 2 * ((72 + 1) * 8) + (8 + 1) * 4 + (code + 1) * 128 + (128 + 1) * 6
        decoder = (3 + 1) * 128 + (128 + 1) * code + (4 + 1) * 8 + 2 * ((72 + 1) * 8) + 72 + 1
        assert facts["parameters"] == {"encoder": encoder, "decoder": decoder, "aux": aux}

    def test_rows_come_as_often_as_asked_and_at_the_end(self, undisturbed: Callable[[str], Path]) -> None:
        rows = log_rows(undisturbed("beta_vae"))
        assert [row["step"] for row in rows] == ["7", "14", "21", "28", "35", "40"]
        assert float(rows[-1]["recon"]) < float(rows[0]["recon"])

    def test_prune_closes_the_unused_latents(self, tmp_path: Path) -> None:
        run = small_run("beta_vae", tmp_path / "run", prune=1e6)
        assert run.facts["pruned_latents"] == [0, 1, 2]
        assert torch.equal(run.decode(torch.zeros(1, 3)), run.decode(torch.ones(1, 3)))  # unheard
        mean, logvar = run.encode(squares().images(np.arange(5)))
        assert not mean.any() and not logvar.any()

    def test_prune_after_a_resume(self, tmp_path: Path) -> None:
        stop = {STEPS - 2: lambda: signal.raise_signal(signal.SIGINT)}
        with pytest.raises(Interrupted):
            small_run("beta_vae", tmp_path / "run", Eventful(squares(), stop), prune=1e6)
        assert resume(tmp_path / "run", data=squares(), show_progress=False).facts["pruned_latents"] == [0, 1, 2]

    def test_latents_that_were_never_opened_are_closed(self, tmp_path: Path) -> None:
        """Their weights are untrained, and the decoder never heard them."""
        opened = "piecewise(0, 1, 20, 1, 60, 3)"  # at 1.95 after 40 steps: one open, one nearly so, one closed
        run = small_run("beta_vae", tmp_path / "run", objective="unfold", beta=1.0, opened=opened)
        assert run.facts["pruned_latents"] == [2]
        images = squares().images(np.arange(72))
        mean, logvar = run.encode(images)
        assert mean[:, 1].std() > 0.01 and not mean[:, 2].any() and not logvar[:, 2].any()
        codes = mean.clone()
        codes[:, 2] = torch.linspace(-3, 3, 72)
        assert torch.equal(run.decode(codes), run.decode(mean))

    def test_a_checkpoint_is_handed_out_as_it_was_trained(self, tmp_path: Path) -> None:
        settings = {"objective": "unfold", "beta": 1.0, "opened": "piecewise(0, 1, 20, 1, 24, 2, 30, 2, 31, 3)"}
        whole = small_run("beta_vae", tmp_path / "whole", **settings)
        stop = {22: lambda: signal.raise_signal(signal.SIGINT)}
        with pytest.raises(Interrupted):
            small_run("beta_vae", tmp_path / "run", Eventful(squares(), stop), **settings)
        path = tmp_path / "run" / runs.CHECKPOINT
        before = path.read_bytes()
        dataset = squares()
        other = Trainer(runs.read_config(tmp_path / "run"), dataset, torch.device("cpu"))
        tensors, metadata = runs.load_tensors(path)
        other.restore(tensors, metadata["summed"], path)
        step = metadata["step"] - 1
        x, noise = other.inputs(step).x, torch.zeros(8, 3)
        hyper = other.hyper_at(step)
        assert 1 < hyper["opened"] < 2
        expected = other.model(x, noise, lambda mean, logvar: unfold.posterior(mean, logvar, **hyper))
        run = runs.load(tmp_path / "run", "cpu", dataset)
        mean, logvar = run.encode(x)
        assert torch.allclose(mean, expected[1], atol=1e-5) and torch.allclose(
            logvar[:, :2], expected[2][:, :2], atol=1e-5
        )
        assert not mean[:, 2].any() and not logvar[:, 2].any()
        assert torch.allclose(run.model(x, noise)[0], expected[0], atol=1e-4)
        assert torch.equal(other.settled(step + 1).encode(x)[0].cpu(), mean)
        assert path.read_bytes() == before
        resume(tmp_path / "run", data=dataset, show_progress=False)
        assert same_run(tmp_path / "run", whole.path) and whole.facts["pruned_latents"] == []

    @pytest.mark.parametrize("metadata", [{}, {"step": "one"}, {"step": 41}, {"step": True}])
    def test_a_checkpoint_of_no_step(self, tmp_path: Path, metadata: dict[str, Any]) -> None:
        run = small_run("beta_vae", tmp_path / "run", objective="unfold", beta=1.0)
        runs.save_tensors(run.path / runs.CHECKPOINT, runs.load_tensors(run.path / runs.WEIGHTS)[0], metadata)
        (run.path / runs.WEIGHTS).unlink()
        runs.write_facts(run.path, {**run.facts, "state": "stopped"})
        with pytest.raises(UnbraidError, match="its step must be from 1 to 40"):
            runs.load(run.path, "cpu")

    def test_a_net_that_cannot_be_pruned_is_refused_before_the_training(self, tmp_path: Path) -> None:
        with pytest.raises(UnbraidError, match="choose prune=0 or another model"):
            small_run("beta_vae", tmp_path / "run", model="balls_all_conv", latent_dim=4, prune=1.0)

    @pytest.mark.parametrize("likelihood", ["gaussian", "continuous_bernoulli"])
    def test_other_likelihoods(self, tmp_path: Path, likelihood: str) -> None:
        run = small_run("beta_vae", tmp_path / "run", likelihood=likelihood, steps=10)
        images = run.reconstruct(squares().images(np.arange(3)))
        assert images.min() >= 0 and images.max() <= 1

    @pytest.mark.skipif(not has_kernels(), reason="no kernels for this processor")
    def test_the_likelihood_is_that_of_a_kernel(self) -> None:
        made = trainer(likelihood="bernoulli")
        assert made.terms(made.inputs(0), made.hyper_at(0)).loss.isfinite()
        logits = torch.zeros(2, 1, 4, 4, requires_grad=True)
        assert made.likelihood(logits, torch.ones(2, 1, 4, 4)).grad_fn.name() == "_BernoulliBackward"

    def test_no_progress_where_none_is_wanted(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        small_run("beta_vae", tmp_path / "quiet", steps=5)
        assert capsys.readouterr() == ("", "")
        train(data=squares(), model="balls_conv", batch_size=8, steps=5, out=tmp_path / "loud")
        assert "train: 5/5 steps (100 %)" in capsys.readouterr().err


class TestCheckpointDamage:
    @pytest.fixture
    def stopped(self, tmp_path: Path) -> Path:
        with pytest.raises(Interrupted):
            small_run(
                "beta_vae", tmp_path / "run", Eventful(squares(), {24: lambda: signal.raise_signal(signal.SIGINT)})
            )
        return tmp_path / "run"

    def refused(self, folder: Path) -> str:
        with pytest.raises(UnbraidError) as refusal:
            resume(folder, data=squares(), show_progress=False)
        assert "\n" not in str(refusal.value)
        return str(refusal.value)

    def test_cut_short(self, stopped: Path) -> None:
        file = stopped / runs.CHECKPOINT
        file.write_bytes(file.read_bytes()[:-100])
        assert str(file) in self.refused(stopped)

    def test_empty(self, stopped: Path) -> None:
        (stopped / runs.CHECKPOINT).write_bytes(b"")
        assert "cannot read" in self.refused(stopped)

    def test_final_weights_in_its_place(self, stopped: Path, undisturbed: Callable[[str], Path]) -> None:
        (stopped / runs.CHECKPOINT).write_bytes(weights(undisturbed("beta_vae")))
        assert "is damaged or of another run" in self.refused(stopped)

    def test_a_checkpoint_of_another_model(self, stopped: Path) -> None:
        with pytest.raises(Interrupted):
            other = stopped.parent / "other"
            stop = {24: lambda: signal.raise_signal(signal.SIGINT)}
            small_run("beta_vae", other, Eventful(squares(), stop), latent_dim=4)
        (stopped / runs.CHECKPOINT).write_bytes((other / runs.CHECKPOINT).read_bytes())
        assert "does not fit the model of its config" in self.refused(stopped)

    @pytest.mark.parametrize(
        "change",
        [
            lambda tensors, metadata: tensors.update({"optimizer0.0.exp_avg": torch.zeros(7)}),
            lambda tensors, metadata: tensors.update({"optimizer0.99.exp_avg": torch.zeros(7)}),
            lambda tensors, metadata: tensors.update({"optimizer0.x.exp_avg": torch.zeros(7)}),
            lambda tensors, metadata: metadata.update(step="soon"),
            lambda tensors, metadata: metadata.update(step=10**6),
            lambda tensors, metadata: metadata.update(step=-1),
            lambda tensors, metadata: metadata.update(summed=None),
            lambda tensors, metadata: metadata.pop("seconds"),
            lambda tensors, metadata: metadata.clear(),
        ],
    )
    def test_other_contents(self, stopped: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
        tensors, metadata = runs.load_tensors(stopped / runs.CHECKPOINT)
        change(tensors, metadata)
        runs.save_tensors(stopped / runs.CHECKPOINT, tensors, metadata)
        assert "is damaged or of another run" in self.refused(stopped)

    @pytest.mark.parametrize("name", [runs.FACTS, runs.LOG, runs.CONFIG])
    @pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"step,loss\n1,x\nabc,2\n"])
    def test_other_files(self, stopped: Path, name: str, content: bytes) -> None:
        (stopped / name).write_bytes(content)
        assert str(stopped / name) in self.refused(stopped)

    def test_an_empty_log_is_no_damage(self, stopped: Path) -> None:
        (stopped / runs.LOG).write_bytes(b"")
        resume(stopped, data=squares(), show_progress=False)
        assert [row["step"] for row in log_rows(stopped)] == ["28", "35", "40"]

    def test_a_log_line_cut_off_by_the_kill_is_forgotten(
        self, stopped: Path, undisturbed: Callable[[str], Path]
    ) -> None:
        with (stopped / runs.LOG).open("a") as stream:
            stream.write("28,0.5,12")
        resume(stopped, data=squares(), show_progress=False)
        assert same_run(stopped, undisturbed("beta_vae"))


def test_the_process_is_its_own_again(tmp_path: Path) -> None:
    """Denormal numbers, which training takes for 0, are numbers again after it."""
    small_run("beta_vae", tmp_path / "run", steps=2)
    assert (torch.full((8,), 1e-30) * 1e-10).all()
    assert os.environ["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("objective", ["factor_vae", "unfold"])
def test_training_loads_neither_torch_s_compiler_nor_sympy(tmp_path: Path, objective: str) -> None:
    """Which take a second and more, and do nothing here."""
    small = {"data": "balls", "size": 8, "model": "balls_conv", "objective": objective, "batch_size": 8}
    program = (
        "import sys, unbraid\n"
        f"unbraid.train(**{small}, steps=2, checkpoint_minutes=1e-9, device='cpu', out={str(tmp_path)!r})\n"
        f"run = unbraid.load({str(tmp_path)!r})\n"
        "run.encode(run.data.images([0]))\n"
        "print(sorted({'torch._dynamo', 'torch._inductor', 'sympy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
