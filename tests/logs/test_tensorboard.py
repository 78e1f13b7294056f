"""TensorBoard: what its own reader finds in the event files."""

import io
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_runs import Eventful, log_rows, small_run, squares
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from unbraid import runs
from unbraid.logs import TensorBoard
from unbraid.randomness import numpy_generator
from unbraid.runs import Run
from unbraid.training import Interrupted, resume


def events(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    found.Reload()
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return small_run("annealed_vae", tmp_path_factory.mktemp("runs") / "run")


def picture(found: EventAccumulator, tag: str, step: int) -> np.ndarray:
    """[H, W, C]"""
    (encoded,) = [image.encoded_image_string for image in found.Images(tag) if image.step == step]
    return np.asarray(Image.open(io.BytesIO(encoded)))


class TestScalars:
    def test_are_those_of_the_log(self, trained: Run) -> None:
        found, rows = events(trained.path / runs.TENSORBOARD), log_rows(trained.path)
        tags = {f"kl/{name[3:]}" if name.startswith("kl_") else name: name for name in rows[0] if name != "step"}
        assert set(found.Tags()["scalars"]) == {*tags, "seconds", "images_per_s"}
        for tag, name in tags.items():
            scalars = found.Scalars(tag)
            assert [s.step for s in scalars] == [int(row["step"]) for row in rows]
            assert [s.value for s in scalars] == pytest.approx([float(row[name]) for row in rows], rel=1e-5, abs=1e-6)

    def test_nothing_is_there_twice_after_a_resume(self, tmp_path: Path, trained: Run) -> None:
        folder = tmp_path / "run"
        with pytest.raises(Interrupted):
            small_run("annealed_vae", folder, Eventful(squares(), {24: lambda: signal.raise_signal(signal.SIGINT)}))
        resume(folder, data=squares(), show_progress=False)
        found, undisturbed = (events(path / runs.TENSORBOARD) for path in (folder, trained.path))
        assert [(s.step, s.value) for s in found.Scalars("loss")] == [
            (s.step, s.value) for s in undisturbed.Scalars("loss")
        ]
        assert [i.step for i in found.Images("traversals")] == [i.step for i in undisturbed.Images("traversals")]

    @pytest.mark.parametrize("step", [0, 20])
    def test_what_a_kill_left_beyond_the_checkpoint_is_hidden(self, tmp_path: Path, step: int) -> None:
        with TensorBoard(tmp_path, 0) as board:
            for at in (10, 20, 30, 40):
                board.scalars({"step": at, "loss": 1.0})
        time.sleep(1.1)  # event files are read in the order of their names, which hold the second
        with TensorBoard(tmp_path, step) as board:
            for at in range(step + 10, 50, 10):
                board.scalars({"step": at, "loss": 2.0})
        expected = [(at, 1.0 if at <= step else 2.0) for at in (10, 20, 30, 40)]
        assert [(s.step, s.value) for s in events(tmp_path).Scalars("loss")] == expected

    def test_a_flush_brings_all_to_the_disk(self, tmp_path: Path) -> None:
        with TensorBoard(tmp_path, 0) as board:
            board.scalars({"step": 10, "loss": 1.0, "kl_0": 0.5})
            board.flush()
            assert [s.value for s in events(tmp_path).Scalars("kl/0")] == [0.5]


class TestImages:
    def test_ten_times_a_run(self, trained: Run) -> None:
        found = events(trained.path / runs.TENSORBOARD)
        for tag in ("reconstructions", "traversals"):
            assert [image.step for image in found.Images(tag)] == list(range(4, 41, 4))

    def test_originals_above_their_reconstructions(self, trained: Run) -> None:
        shown = picture(events(trained.path / runs.TENSORBOARD), "reconstructions", 40)
        indices = numpy_generator(0, "shown").integers(72, size=10)
        originals = squares().images(indices)  # [10, 1, 16, 16]
        made = trained.reconstruct(originals).numpy()
        assert shown.shape == (32, 160, 3)
        for n in range(10):
            column = shown[:, 16 * n : 16 * (n + 1), 0].astype(float)
            assert np.array_equal(column[:16], originals[n, 0])
            assert np.abs(column[16:] - 255 * made[n, 0]).max() <= 1

    def test_a_row_of_the_traversals_is_one_latent(self, trained: Run) -> None:
        shown = picture(events(trained.path / runs.TENSORBOARD), "traversals", 40)
        first = squares().images(numpy_generator(0, "shown").integers(72, size=10)[:1])
        made = trained.traverse(first).numpy()  # [3, 10, 1, 16, 16]
        assert shown.shape == (48, 160, 3)
        for latent in range(3):
            for n in range(10):
                cell = shown[16 * latent : 16 * (latent + 1), 16 * n : 16 * (n + 1), 0].astype(float)
                assert np.abs(cell - 255 * made[latent, n, 0]).max() <= 1

    def test_in_colour(self, tmp_path: Path) -> None:
        from unbraid.data import from_arrays

        images = np.random.default_rng(0).integers(0, 256, (12, 3, 8, 12), dtype=np.uint8)
        small_run("beta_vae", tmp_path / "run", from_arrays(images), steps=10)
        shown = picture(events(tmp_path / "run" / runs.TENSORBOARD), "reconstructions", 10)
        indices = numpy_generator(0, "shown").integers(12, size=10)
        assert shown.shape == (16, 120, 3)
        assert np.array_equal(shown[:8, :12], images[indices[0]].transpose(1, 2, 0))


def test_the_log_is_closed_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), TensorBoard(tmp_path, 0) as board:
        board.scalars({"step": 1, "loss": torch.tensor(3.0).item()})
        _ = 1 / 0
    assert [s.value for s in events(tmp_path).Scalars("loss")] == [3.0]
