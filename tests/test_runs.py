"""The run folder: what a Run does with images, and what happens to a folder that was tampered with."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_runs import small_run, squares

import unbraid
from unbraid import runs
from unbraid.config import resolve
from unbraid.errors import UnbraidError
from unbraid.metrics import Result
from unbraid.runs import Run

N, L = 72, 3


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return small_run("beta_vae", tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def folder(trained: Run, tmp_path: Path) -> Path:
    """A copy to tamper with."""
    copytree(trained.path, tmp_path / "run")
    return tmp_path / "run"


def images(n: int = 5) -> np.ndarray:
    return squares().images(np.arange(n))


class TestEncode:
    def test_all_forms_of_an_image_are_one(self, trained: Run) -> None:
        mean, logvar = trained.encode(images())
        assert mean.shape == logvar.shape == (5, L) and mean.dtype == torch.float32
        read_only = images()
        read_only.flags.writeable = False
        forms: list[Any] = [
            images() / 255,
            (images() / 255).astype(np.float32),
            images() > 0,
            torch.from_numpy(images()),
            torch.from_numpy(images()).float() / 255,
            (images() / 255).tolist(),
            read_only,
            np.asfortranarray(images()),
            images()[::-1][::-1],
        ]
        for form in forms:
            again, _ = trained.encode(form)
            torch.testing.assert_close(again, mean)

    def test_flipped_images_are_read_as_they_are(self, trained: Run) -> None:
        """NumPy turns images round by negative strides, which no tensor has."""
        flipped = images()[..., ::-1]
        torch.testing.assert_close(trained.encode(flipped)[0], trained.encode(flipped.copy())[0])

    def test_one_image_alone(self, trained: Run) -> None:
        torch.testing.assert_close(trained.encode(images()[3])[0], trained.encode(images())[0][3:4])

    def test_more_images_than_are_encoded_at_once(self, trained: Run) -> None:
        many = squares().images(np.arange(2500) % N)
        mean, _ = trained.encode(many)
        torch.testing.assert_close(mean, trained.encode(many[:N])[0][torch.arange(2500) % N], rtol=1e-4, atol=1e-5)

    def test_is_the_model_itself(self, trained: Run) -> None:
        x = torch.from_numpy(images()).float() / 255
        with torch.no_grad():
            hidden = trained.model.encoder(x)
        mean, logvar = trained.encode(images())
        torch.testing.assert_close(torch.cat([mean, logvar], dim=1), hidden)

    def test_results_are_ordinary_tensors(self, trained: Run) -> None:
        for result in (*trained.encode(images()), trained.decode(torch.zeros(2, L)), trained.traverse(images(1))):
            result.add_(1)
            result.requires_grad_().sum().backward()

    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            (np.zeros((5, 1, 16, 15)), "this run takes images [N, 1, 16, 16], not [5, 1, 16, 15]"),
            (np.zeros((5, 16, 16)), "not [1, 5, 16, 16]"),
            (np.zeros((16, 16)), "not [16, 16]"),
            (np.zeros((5, 3, 16, 16)), "not [5, 3, 16, 16]"),
            (np.zeros((0, 1, 16, 16)), "not [0, 1, 16, 16]"),
            (np.full((1, 1, 16, 16), 200), "uint8, or float in [0, 1]; these reach from 200 to 200"),
            (np.full((1, 1, 16, 16), 1.01), "these reach from 1.01 to 1.01"),
            (np.full((1, 1, 16, 16), -0.01), "these reach from -0.01 to -0.01"),
            (np.full((1, 1, 16, 16), np.nan), "these reach from nan to nan"),
            (np.zeros((1, 1, 16, 16), complex), "real numbers"),
            ("image.png", "images must be an array of numbers, not str"),
            (None, "images must be an array of numbers, not NoneType"),
            ([[1], [1, 2]], "images must be an array of numbers, not list"),
            (np.zeros((1, 1, 16, 16), object), "images must be an array of numbers, not ndarray"),
        ],
    )
    def test_what_is_no_image_of_this_run_is_refused(self, trained: Run, wrong: Any, sentence: str) -> None:
        for call in (trained.encode, trained.reconstruct, trained.traverse):
            with pytest.raises(UnbraidError) as refused:
                call(wrong)
            assert sentence in str(refused.value)


class TestDecode:
    def test_is_the_mean_of_the_likelihood(self, trained: Run) -> None:
        z = np.random.default_rng(0).normal(size=(1500, L))
        decoded = trained.decode(z)
        assert decoded.shape == (1500, 1, 16, 16) and decoded.min() >= 0 and decoded.max() <= 1
        with torch.no_grad():
            logits = trained.model.decoder(torch.from_numpy(z).float())
        torch.testing.assert_close(decoded, 1 / (1 + torch.exp(-logits)), rtol=1e-4, atol=1e-6)

    def test_forms(self, trained: Run) -> None:
        expected = trained.decode(torch.tensor([[0.5, -1.0, 2.0]]))
        for form in ([0.5, -1, 2], [[0.5, -1, 2]], np.array([0.5, -1, 2]), (0.5, -1, 2)):
            assert torch.equal(trained.decode(form), expected)
        assert trained.decode(np.array([[1, 0, 2]])).shape == (1, 1, 16, 16)

    def test_reconstruct_goes_through_the_mean(self, trained: Run) -> None:
        made = trained.reconstruct(images())
        assert made.shape == (5, 1, 16, 16)
        assert torch.equal(made, trained.decode(trained.encode(images())[0]))

    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            (np.zeros((2, 4)), "codes must be [N, 3], not [2, 4]"),
            (np.zeros((2, 2, 3)), "codes must be [N, 3], not [2, 2, 3]"),
            (np.zeros((0, 3)), "codes must be [N, 3], not [0, 3]"),
            (5.0, "codes must be [N, 3], not [1, 1]"),
            ([0, 0, np.nan], "codes hold NaN or infinity"),
            ([0, 0, np.inf], "codes hold NaN or infinity"),
            ("z", "codes must be an array of numbers, not str"),
            (np.zeros((1, 3), complex), "codes must be an array of real numbers"),
        ],
    )
    def test_refusals(self, trained: Run, wrong: Any, sentence: str) -> None:
        with pytest.raises(UnbraidError) as refused:
            trained.decode(wrong)
        assert sentence in str(refused.value)


class TestTraverse:
    def test_moves_one_latent_and_keeps_the_others(self, trained: Run) -> None:
        made = trained.traverse(images(1), latents=[2, 0], values=[-1.5, 0.0, 1.5, 4.0])
        assert made.shape == (2, 4, 1, 16, 16)
        code = trained.encode(images(1))[0][0]
        for row, latent in enumerate([2, 0]):
            for column, value in enumerate([-1.5, 0.0, 1.5, 4.0]):
                changed = code.clone()
                changed[latent] = value
                torch.testing.assert_close(made[row, column], trained.decode(changed)[0])

    def test_by_default_all_latents_from_minus_to_plus_three(self, trained: Run) -> None:
        made = trained.traverse(images(1))
        assert made.shape == (L, 10, 1, 16, 16)
        torch.testing.assert_close(made, trained.traverse(images(1), range(3), np.linspace(-3, 3, 10)))

    def test_forms_of_the_choice(self, trained: Run) -> None:
        expected = trained.traverse(images(1), [1])
        for latents in (1, np.array([1]), (np.int64(1),), torch.tensor([1])):
            assert torch.equal(trained.traverse(images(1), latents), expected)

    @pytest.mark.parametrize("latents", [[3], [-1], [0, 7], [], [0.5], "01", [None], [[0], [1]]])
    def test_wrong_latents(self, trained: Run, latents: Any) -> None:
        with pytest.raises(UnbraidError, match="latents must be whole numbers from 0 to 2, not"):
            trained.traverse(images(1), latents)

    @pytest.mark.parametrize("values", [[], [[1.0]], 2.0, ["a"], [np.nan], None.__class__])
    def test_wrong_values(self, trained: Run, values: Any) -> None:
        with pytest.raises(UnbraidError, match=r"values must be|codes hold NaN"):
            trained.traverse(images(1), values=values)


class TestLoad:
    def test_the_same_again(self, trained: Run) -> None:
        again = unbraid.load(str(trained.path), "cpu")
        assert again.config == trained.config and again.facts == trained.facts
        assert torch.equal(again.encode(images())[0], trained.encode(images())[0])
        assert not again.model.training

    def test_an_unfinished_run_by_its_checkpoint(self, trained: Run, folder: Path) -> None:
        checkpoint = {f"model.{name}": p.detach() + 1 for name, p in trained.model.named_parameters()}
        runs.save_tensors(folder / runs.CHECKPOINT, checkpoint, {"step": 3})
        assert torch.equal(unbraid.load(folder, "cpu").encode(images())[0], trained.encode(images())[0])
        (folder / runs.WEIGHTS).unlink()
        loaded = dict(unbraid.load(folder, "cpu").model.named_parameters())
        assert all(torch.equal(loaded[name], p + 1) for name, p in trained.model.named_parameters())

    def refused(self, folder: Path) -> str:
        with pytest.raises(UnbraidError) as refusal:
            unbraid.load(folder)
        sentence = str(refusal.value)
        assert "\n" not in sentence and str(folder) in sentence and len(sentence) < 600
        return sentence

    def test_no_run(self, tmp_path: Path) -> None:
        assert "is not a run folder: it holds no config.yaml" in self.refused(tmp_path)
        assert "is not a run folder" in self.refused(tmp_path / "nowhere")

    def test_no_weights(self, folder: Path) -> None:
        (folder / runs.WEIGHTS).unlink()
        runs.write_facts(folder, {**runs.read_facts(folder), "state": "stopped"})
        assert "holds no weights yet" in self.refused(folder)

    @pytest.mark.parametrize("keep", [0, 4, 8, 200, -1, -1000])
    def test_weights_cut_short(self, folder: Path, keep: int) -> None:
        file = folder / runs.WEIGHTS
        file.write_bytes(file.read_bytes()[:keep])
        assert "cannot read" in self.refused(folder)

    @pytest.mark.parametrize("content", [b"\xff" * 400, b"PK\x03\x04" * 50, b"{}" * 99, b"\0" * 100])
    def test_weights_of_another_kind(self, folder: Path, content: bytes) -> None:
        (folder / runs.WEIGHTS).write_bytes(content)
        assert "cannot read" in self.refused(folder) or "does not fit" in self.refused(folder)

    @pytest.mark.parametrize(
        "change",
        [
            lambda tensors: tensors.pop("model.encoder.0.bias"),
            lambda tensors: tensors.update({"model.encoder.0.bias": torch.zeros(9)}),
            lambda tensors: tensors.update({"model.encoder.0.bias": torch.zeros(2, 4)}),
            lambda tensors: tensors.update({"model.encoder.99.bias": torch.zeros(8)}),
            lambda tensors: tensors.clear(),
        ],
    )
    def test_weights_of_another_net(self, folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
        tensors = load_file(folder / runs.WEIGHTS)
        change(tensors)
        save_file(tensors, folder / runs.WEIGHTS)
        assert "does not fit the model of its config" in self.refused(folder)

    def test_a_finished_run_without_its_weights(self, folder: Path) -> None:
        (folder / runs.WEIGHTS).unlink()
        assert "weights.safetensors is missing: put it back" in self.refused(folder)

    def test_weights_without_our_metadata_still_load(self, folder: Path, trained: Run) -> None:
        save_file(load_file(folder / runs.WEIGHTS), folder / runs.WEIGHTS)
        assert torch.equal(unbraid.load(folder, "cpu").encode(images())[0], trained.encode(images())[0])

    @pytest.mark.parametrize("metadata", ["5", "[1]", "{", "nul", "[" * 100_000])
    def test_broken_metadata(self, folder: Path, metadata: str) -> None:
        save_file(load_file(folder / runs.WEIGHTS), folder / runs.WEIGHTS, metadata={"unbraid": metadata})
        try:
            unbraid.load(folder)
        except UnbraidError as error:
            assert str(folder) in str(error)

    @pytest.mark.parametrize("setting", ["latent_dim: 4", "model: balls_fc", "model: mlp"])
    def test_a_config_of_another_net(self, folder: Path, setting: str) -> None:
        lines = (folder / runs.CONFIG).read_text().splitlines()
        name = setting.split(":")[0]
        (folder / runs.CONFIG).write_text("\n".join([line for line in lines if not line.startswith(name)] + [setting]))
        assert "does not fit the model of its config" in self.refused(folder)

    @pytest.mark.parametrize("text", ["model: [", "model: nonesuch", "steps: -5", "colour: blue", "\xff"])
    def test_a_broken_config(self, folder: Path, text: str) -> None:
        (folder / runs.CONFIG).write_text(text, encoding="latin-1")
        with pytest.raises(UnbraidError):
            unbraid.load(folder)

    @pytest.mark.parametrize("shape", [None, 5, [1, 16], [1, 16, 16, 1], [1, "16", 16], [0, 16, 16], [1, 16, 10**9]])
    def test_a_shape_that_is_none(self, folder: Path, shape: Any) -> None:
        runs.write_facts(folder, {**runs.read_facts(folder), "image_shape": shape})
        assert "image_shape must be three whole numbers" in self.refused(folder)

    def test_a_shape_of_another_net(self, folder: Path) -> None:
        runs.write_facts(folder, {**runs.read_facts(folder), "image_shape": [1, 20, 16]})
        assert "does not fit the model of its config" in self.refused(folder)
        runs.write_facts(folder, {**runs.read_facts(folder), "image_shape": [1, 15, 16]})
        with pytest.raises(UnbraidError, match="cannot take 15x16 images"):
            unbraid.load(folder)

    @pytest.mark.parametrize("content", ["", "{", "[]", "null", "\xff", "[" * 100_000])
    def test_broken_facts(self, folder: Path, content: str) -> None:
        (folder / runs.FACTS).write_text(content, encoding="latin-1")
        assert "is damaged" in self.refused(folder)

    def test_missing_facts(self, folder: Path) -> None:
        (folder / runs.FACTS).unlink()
        assert "image_shape" in self.refused(folder)


class TestLog:
    def test_reads_what_was_written(self, trained: Run) -> None:
        log = trained.log
        with (trained.path / runs.LOG).open() as stream:
            rows = list(csv.DictReader(stream))
        assert list(log) == list(rows[0]) and len(log["step"]) == len(rows) == 6
        assert all(log[name][n] == float(row[name]) for n, row in enumerate(rows) for name in row)

    def test_none_yet(self, tmp_path: Path) -> None:
        assert runs.read_log(tmp_path) == {}
        (tmp_path / runs.LOG).write_text("step,loss\n")
        assert {name: len(column) for name, column in runs.read_log(tmp_path).items()} == {"step": 0, "loss": 0}

    @pytest.mark.parametrize(
        "text", ["step,loss\n1,2\n3\n", "step,loss\n1,two\n", "\xff\xfe", "step\n1,2\n", "a\n" + "x" * 200_000]
    )
    def test_damage(self, tmp_path: Path, text: str) -> None:
        (tmp_path / runs.LOG).write_text(text, encoding="latin-1")
        with pytest.raises(UnbraidError, match=r"log\.csv is damaged"):
            runs.read_log(tmp_path)

    def test_a_row_cut_short_is_none(self, tmp_path: Path) -> None:
        """As a kill or a full disk leaves it."""
        (tmp_path / runs.LOG).write_text("step,loss\n1,2.5\n2,3.5\n3,4")
        assert {name: list(column) for name, column in runs.read_log(tmp_path).items()} == {
            "step": [1, 2],
            "loss": [2.5, 3.5],
        }

    def test_a_hundred_thousand_rows(self, tmp_path: Path) -> None:
        """As `--log-every 1 --steps 100000` leaves them: 16 MB, and two thirds of them go on."""
        names = ["step", *(f"value_{n}" for n in range(18))]
        cells = ",".join(["0.1234567"] * 18)
        rows = "".join(f"{step},{cells}\n" for step in range(1, 100_001))
        (tmp_path / runs.LOG).write_text(",".join(names) + "\n" + rows)
        assert (tmp_path / runs.LOG).stat().st_size > 16_000_000
        assert len(runs.read_log(tmp_path)["step"]) == runs.steps_done(tmp_path) == 100_000
        runs.Log(tmp_path, 60_000).append(dict.fromkeys(names, 60_001))
        assert runs.read_log(tmp_path)["step"].tolist() == list(range(1, 60_002))

    def test_a_thousand_latents(self, tmp_path: Path) -> None:
        row = {"step": 7, **{f"kl_{latent}": latent / 7 for latent in range(1_000)}}
        log = runs.Log(tmp_path, 0)
        for step in (7, 14):
            log.append({**row, "step": step})
        assert runs.read_log(tmp_path)["kl_999"].tolist() == pytest.approx([999 / 7] * 2, rel=1e-6)
        assert runs.last_row(tmp_path) == pytest.approx({**row, "step": 14}, rel=1e-6)
        runs.write_facts(tmp_path, {"state": "running"})
        assert runs.steps_done(tmp_path) == 14
        runs.Log(tmp_path, 7)
        assert runs.steps_done(tmp_path) == 7

    def test_rows_beyond_the_step_are_forgotten(self, tmp_path: Path) -> None:
        log = runs.Log(tmp_path, 0)
        for step in (10, 20, 30):
            log.append({"step": step, "loss": step / 3})
        runs.Log(tmp_path, 20).append({"step": 25, "loss": 1.0})
        assert (tmp_path / runs.LOG).read_text() == "step,loss\n10,3.333333\n20,6.666667\n25,1\n"
        runs.Log(tmp_path, 0).append({"step": 1, "other": 5.0})
        assert (tmp_path / runs.LOG).read_text() == "step,other\n1,5\n"


class TestState:
    def test_states(self, tmp_path: Path, trained: Run) -> None:
        assert runs.state(tmp_path) == "new" and runs.steps_done(tmp_path) == 0
        assert runs.state(trained.path) == "finished" and runs.steps_done(trained.path) == 40
        runs.write_config(tmp_path, trained.config)
        assert runs.state(tmp_path) == "new" and runs.read_config(tmp_path) == trained.config

    def test_steps_of_a_running_run_are_those_of_its_log(self, folder: Path) -> None:
        runs.write_facts(folder, {**runs.read_facts(folder), "state": "running"})
        assert runs.steps_done(folder) == 40
        with (folder / runs.LOG).open("a") as stream:
            stream.write("half")
        assert runs.steps_done(folder) == 0
        for content in ('{"state": "finished"}', "{", ""):
            (folder / runs.FACTS).write_text(content)
            assert runs.steps_done(folder) == 0


class TestScores:
    def test_of_one_seed_are_kept_together(self, tmp_path: Path) -> None:
        assert runs.read_scores(tmp_path) == {}
        runs.write_scores(tmp_path, {"mig": Result(0.5, {"part": 1.0}, {"gaps": np.eye(2)})}, 0)
        runs.write_scores(tmp_path, {"sap": Result(0.25)}, 0)
        found = runs.read_scores(tmp_path)
        assert found["seed"] == 0 and found["unbraid"] == unbraid.__version__
        assert found["metrics"] == {
            "mig": {"score": 0.5, "parts": {"part": 1.0}, "matrices": {"gaps": [[1, 0], [0, 1]]}},
            "sap": {"score": 0.25, "parts": {}, "matrices": {}},
        }
        runs.write_scores(tmp_path, {"sap": Result(0.75)}, 1)
        assert list(runs.read_scores(tmp_path)["metrics"]) == ["sap"]

    def test_matrices_of_many_latents_are_read_again(self, tmp_path: Path) -> None:
        runs.write_config(tmp_path, resolve({"latent_dim": 500}))
        matrix = np.random.default_rng(0).normal(size=(500, 500))
        runs.write_scores(tmp_path, {"unsupervised": Result(0.5, {}, {"covariance": matrix, "other": matrix})}, 0)
        assert (tmp_path / runs.SCORES).stat().st_size > 4_000_000
        runs.write_scores(tmp_path, {"kl": Result(2.5)}, 0)
        found = runs.read_scores(tmp_path)["metrics"]
        assert found["kl"]["score"] == 2.5 and found["unsupervised"]["matrices"]["covariance"] == matrix.tolist()

    def test_matrices_that_no_one_would_read_are_left_out(self, tmp_path: Path) -> None:
        runs.write_scores(tmp_path, {"mig": Result(0.5, {}, {"all": np.zeros((1_025, 1_024)), "few": np.eye(2)})}, 0)
        assert list(runs.read_scores(tmp_path)["metrics"]["mig"]["matrices"]) == ["few"]

    def test_without_a_step_as_they_once_were_they_are_of_a_finished_run(self, folder: Path) -> None:
        old = {"seed": 0, "points": 0, "metrics": {"mig": {"score": 0.5, "parts": {}, "matrices": {}}}}
        (folder / runs.SCORES).write_text(json.dumps(old))
        assert runs.read_scores(folder) == old
        runs.write_scores(folder, {"sap": Result(0.25)}, 0, step=40)
        assert runs.read_scores(folder)["metrics"].keys() == {"mig", "sap"}
        (folder / runs.SCORES).write_text(json.dumps(old))
        (folder / runs.WEIGHTS).rename(folder / runs.CHECKPOINT)
        runs.write_facts(folder, {**runs.read_facts(folder), "state": "stopped"})
        assert runs.read_scores(folder) == {}

    def test_damage(self, tmp_path: Path) -> None:
        (tmp_path / runs.SCORES).write_text("[")
        with pytest.raises(UnbraidError, match="is damaged"):
            runs.read_scores(tmp_path)


class TestTensors:
    def test_come_back_with_their_metadata(self, tmp_path: Path) -> None:
        tensors = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(5), "c": torch.zeros(0, 2)}
        tensors["turned"] = torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
        runs.save_tensors(tmp_path / "t", tensors, {"step": 3, "list": [1.5, None]})
        found, metadata = runs.load_tensors(tmp_path / "t")
        assert metadata == {"step": 3, "list": [1.5, None]}
        assert found.keys() == tensors.keys() and all(torch.equal(found[name], tensors[name]) for name in tensors)

    def test_do_not_hang_on_the_file(self, tmp_path: Path) -> None:
        runs.save_tensors(tmp_path / "t", {"a": torch.ones(5_000)}, {})
        found, _ = runs.load_tensors(tmp_path / "t")
        with (tmp_path / "t").open("rb+") as file:  # Windows refuses this, and replacing it, while the file is mapped
            file.write(bytes((tmp_path / "t").stat().st_size))
        assert (found["a"] == 1).all()

    def test_missing_and_folder(self, tmp_path: Path) -> None:
        for path in (tmp_path / "none", tmp_path):
            with pytest.raises(UnbraidError, match=f"cannot read {path}"):
                runs.load_tensors(path)

    def test_a_header_that_promises_a_terabyte(self, tmp_path: Path) -> None:
        header = json.dumps({"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}).encode()
        (tmp_path / "t").write_bytes(len(header).to_bytes(8, "little") + header)
        with pytest.raises(UnbraidError, match="cannot read"):
            runs.load_tensors(tmp_path / "t")


class TestDevice:
    def test_cpu(self) -> None:
        assert runs.choose_device("cpu") == torch.device("cpu")
        assert runs.choose_device("auto").type in ("cpu", "cuda", "mps")

    @pytest.mark.parametrize(
        "name", ["gpu", "", "cuda:", "cuda:x", "cuda:-1", "CPU", "cuda:99999999999999999999", "a b"]
    )
    def test_no_such_kind(self, name: str) -> None:
        with pytest.raises(UnbraidError) as refused:
            runs.choose_device(name)
        assert f'there is no device called "{name}" (allowed: auto, cpu, cuda, cuda:N, mps)' in str(refused.value)

    @pytest.mark.parametrize("name", ["cuda:99", "meta", "xpu", "hpu"])
    def test_not_here(self, name: str) -> None:
        with pytest.raises(UnbraidError, match=f'the device "{name}" is not on this machine .usable here: auto, cpu'):
            runs.choose_device(name)

    @pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
    def test_a_run_for_a_gpu_that_is_not_there_is_refused_before_anything_is_written(self, tmp_path: Path) -> None:
        with pytest.raises(UnbraidError, match='the device "cuda" is not on this machine'):
            small_run("beta_vae", tmp_path / "run", device="cuda")
        assert not (tmp_path / "run").exists()

    def test_a_finished_run_moves_to_another_device(self, trained: Run, folder: Path) -> None:
        """A run made on a GPU is looked at on a laptop."""
        config = resolve({**trained.config.flat(), "device": "cuda:7"})
        runs.write_config(folder, config)
        assert unbraid.load(folder, "cpu").encode(images())[0].shape == (5, L)
        with pytest.raises(UnbraidError, match="is not on this machine"):
            unbraid.load(folder, "cuda:7")
