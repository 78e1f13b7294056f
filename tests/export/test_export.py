"""Exported models answer as PyTorch does, say what they are, and are not written where they do not agree."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from small_runs import small_run, squares
from torch import nn

import unbraid.export.graph
from unbraid import config as configs
from unbraid import export, models, runs
from unbraid.errors import UnbraidError
from unbraid.export import torch_file
from unbraid.models import ARCHITECTURES, VAE
from unbraid.models.acceleration import accelerate
from unbraid.models.initialisation import fan_in_uniform
from unbraid.probability import LIKELIHOODS
from unbraid.runs import Run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("runs") / "run"
    small_run("beta_vae", path)
    return runs.load(path, data=squares())


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way through torch.onnx is closed."""
    monkeypatch.setattr(unbraid.export.graph, "_traced", None)


def made(model: VAE, likelihood: str = "bernoulli") -> Run:
    return Run(Path("made"), configs.resolve({"likelihood": likelihood, "device": "cpu"}), {}, model.eval())


def ask(model: bytes, name: str, given: np.ndarray) -> dict[str, np.ndarray]:
    """Every output of an ONNX file, by its name."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found = session.run(None, {name: given})
    return {output.name: array for output, array in zip(session.get_outputs(), found, strict=True)}


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 64, 64)])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_answers_as_in_pytorch(name: str, shape: tuple[int, int, int], untraced: None) -> None:
    run = made(models.build(name, shape, latent_dim=64, seed=3))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, *shape), np.uint8)  # another batch size than any other here
    codes = 3 * rng.normal(size=(5, 64)).astype(np.float32)
    files = export.onnx_models(run)
    encoded, decoded = ask(files["encoder"], "x", images.astype(np.float32) / 255), ask(files["decoder"], "z", codes)
    mean, logvar = run.encode(images)
    assert list(encoded) == ["mean", "logvar"] and list(decoded) == ["logits", "x_hat"]
    np.testing.assert_allclose(encoded["mean"], mean, atol=1e-5)
    np.testing.assert_allclose(encoded["logvar"], logvar, atol=1e-5)
    np.testing.assert_allclose(decoded["x_hat"], run.decode(codes), atol=1e-5)


@pytest.mark.parametrize("model", ["mlp", "burgess", "balls_conv"])
def test_layers_made_faster_for_this_machine_are_exported_as_what_they_are(model: str, untraced: None) -> None:
    run = made(models.build(model, (1, 64, 64)))
    plain = export.onnx_models(run)
    accelerate(run.model)
    assert export.onnx_models(run) == plain


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_image_is_the_mean_of_the_likelihood(likelihood: str, untraced: None) -> None:
    """At logits everywhere from far below zero to far above, and on both sides of where formulas change."""
    decoder = nn.Sequential(nn.Linear(64, 64), nn.Unflatten(1, (1, 8, 8)))
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 128))
    model = VAE(encoder, decoder, image_shape=(1, 8, 8), latent_dim=64, initialiser=fan_in_uniform)
    with torch.no_grad():
        decoder[0].weight.copy_(torch.eye(64))
        decoder[0].bias.zero_()
    logits = [*np.linspace(-30, 30, 60), -0.5, 0.0, 1e-4, 0.5]
    codes = np.array([logits, np.linspace(-1, 1, 64)], np.float32)
    found = ask(export.onnx_models(made(model, likelihood))["decoder"], "z", codes)
    assert found["logits"].reshape(2, 64) == pytest.approx(codes)
    expected = LIKELIHOODS[likelihood].mean(torch.from_numpy(codes).double()).numpy()
    np.testing.assert_allclose(found["x_hat"].reshape(2, 64), expected, atol=1e-6)


def other_net() -> VAE:
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2, padding="valid"), nn.GELU(), nn.Flatten(), nn.Linear(36, 4))
    decoder = nn.Sequential(nn.Linear(2, 64), nn.SiLU(), nn.Unflatten(1, (1, 8, 8)))
    model = VAE(encoder, decoder, image_shape=(1, 8, 8), latent_dim=2, initialiser=fan_in_uniform)
    model.initialise(torch.Generator().manual_seed(1))
    return model


def test_a_net_with_other_layers_takes_the_way_through_torch_onnx(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = made(other_net())
    files = export.export(run, tmp_path)
    assert capfd.readouterr() == ("", "")
    codes = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    decoder = (tmp_path / "decoder.onnx").read_bytes()
    np.testing.assert_allclose(ask(decoder, "z", codes)["x_hat"], run.decode(codes), atol=1e-5)
    assert list(files) == [tmp_path / "encoder.onnx", tmp_path / "decoder.onnx"]


def test_which_needs_a_package_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UnbraidError, match="needs onnxscript"):
        export.onnx_models(made(other_net()))


def test_half_precision_halves_the_file_and_hardly_moves_the_answer(trained: Run) -> None:
    whole, small = export.onnx_models(trained), export.onnx_models(trained, half_precision=True)
    assert len(small["decoder"]) < 0.8 * len(whole["decoder"])  # of a net whose biases weigh something
    found = export.differences(trained, small, export.onnx_answers, squares().images(np.arange(72)))
    assert 0 < max(found["decoder"]["x_hat"], found["encoder"]["mean"]) < 0.01


def test_the_difference_is_the_largest_over_all_answers(trained: Run) -> None:
    def answers(file: bytes, half: str, given: np.ndarray) -> list[np.ndarray]:
        found = export.onnx_answers(file, half, given)
        found[1].flat[-1] += 0.25
        return found

    found = export.differences(trained, export.onnx_models(trained), answers)
    assert found["decoder"]["x_hat"] == pytest.approx(0.25, rel=1e-4)
    assert found["decoder"]["logits"] < 1e-5


@pytest.mark.parametrize("wrong", [1e-4, np.nan, np.inf])
def test_a_file_that_answers_otherwise_is_not_written(
    trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    def answers(file: bytes, half: str, given: np.ndarray) -> list[np.ndarray]:
        return [array + wrong for array in export.onnx_answers(file, half, given)]

    monkeypatch.setitem(export.FORMATS, "onnx", replace(export.FORMATS["onnx"], answers=answers))
    with pytest.raises(UnbraidError, match="another mean than PyTorch"):
        export.export(trained, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_file_says_what_it_is(trained: Run) -> None:
    for half, content in export.onnx_models(trained).items():
        model = onnx.load_from_string(content)
        facts = {entry.key: entry.value for entry in model.metadata_props}
        assert facts["half"] == half and facts["run"] == "run" and "bytes / 255" in facts["normalisation"]
        assert json.loads(facts["image_shape"]) == [1, 16, 16] and json.loads(facts["latent_dim"]) == 3
        assert json.loads(facts["config"])["objective"] == "beta_vae"
        for value in (*model.graph.input, *model.graph.output):
            dimensions = [each.dim_param or each.dim_value for each in value.type.tensor_type.shape.dim]
            assert json.loads(facts["shapes"])[value.name] == f"[{', '.join(map(str, dimensions))}]"


def test_programs_of_torch_export_need_no_unbraid(trained: Run, tmp_path: Path) -> None:
    files = list(export.export(trained, tmp_path, format="torch"))
    assert files == [tmp_path / "encoder.pt2", tmp_path / "decoder.pt2"]
    program = "import sys, torch; sys.modules['unbraid'] = None; m = torch.export.load(sys.argv[1]).module(); "
    program += "print(m(torch.full((1, 3), 0.5))[1].sum().item())"
    done = subprocess.run([sys.executable, "-c", program, str(files[1])], capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(float(trained.decode([0.5] * 3).sum()), rel=1e-5)
    facts = {torch_file.METADATA: ""}
    torch.export.load(io.BytesIO(files[0].read_bytes()), extra_files=facts)
    assert json.loads(facts[torch_file.METADATA])["half"] == "encoder"


def test_files_land_in_the_run_unless_told(trained: Run) -> None:
    assert {file.relative_to(trained.path).as_posix() for file in export.export(trained)} == {
        "export/encoder.onnx",
        "export/decoder.onnx",
    }


def test_an_unknown_format_is_refused(trained: Run) -> None:
    with pytest.raises(UnbraidError, match=r'export format called "onx"; did you mean "onnx"'):
        export.export(trained, format="onx")
