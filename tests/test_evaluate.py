"""What is said of a trained run: models that know the answer, and numbers worked out once more."""

import dataclasses
import json
import math
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import Eventful, small_run, squares
from torch import Tensor

import unbraid
from unbraid import evaluate, runs
from unbraid.data import from_arrays
from unbraid.data.balls import balls
from unbraid.errors import UnbraidError
from unbraid.information import entropy, equal_width_bins, mutual_information
from unbraid.metrics import METRICS, OF_A_RUN, Result
from unbraid.runs import Run
from unbraid.training import Interrupted, resume
from unbraid.types import Dataset


class Oracle(Run):
    """Reads x, y and size of a square off its image, into latents 2, 0 and 3; latent 1 is silent."""

    def encode(self, images: Any) -> tuple[Tensor, Tensor]:
        bright = torch.as_tensor(images)[:, 0] > 0
        column, row = bright.any(1).float(), bright.any(2).float()
        mean = torch.stack([row.argmax(1) / 2, 0 * row.sum(1), column.argmax(1) / 2, (row.sum(1) - 3) / 2], dim=1)
        return mean, torch.tensor([-4.0, 0.0, -4.0, -2.0]).expand(len(mean), 4)


class Pixels(Run):
    """Codes that are the image itself."""

    def encode(self, images: Any) -> tuple[Tensor, Tensor]:
        mean = torch.as_tensor(images).reshape(len(images), -1)[:, :4].float() / 64
        return mean, torch.zeros_like(mean)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return small_run("beta_vae", tmp_path_factory.mktemp("runs") / "run", beta=0.5, steps=60)


@pytest.fixture
def oracle(trained: Run, tmp_path: Path) -> Oracle:
    return Oracle(tmp_path, trained.config, trained.facts, trained.model, squares())


@pytest.fixture
def blank(tmp_path: Path) -> Run:
    """A model of zeros: every posterior the prior, every pixel 1/2."""
    run = small_run("beta_vae", tmp_path / "run", steps=1)
    with torch.no_grad():
        for parameter in run.model.parameters():
            parameter.zero_()
    return run


class TestEncode:
    def test_all_of_a_small_set(self, oracle: Oracle) -> None:
        encoded = evaluate.encode_sample(oracle, squares())
        assert encoded.indices.tolist() == list(range(72))
        assert np.array_equal(encoded.mean[:, [3, 2, 0]], squares().factors(np.arange(72)))
        assert np.array_equal(encoded.factors, squares().factors(np.arange(72)))

    def test_a_sample_of_a_large_one(self, oracle: Oracle) -> None:
        encoded = evaluate.encode_sample(oracle, squares(), points=50)
        assert len(set(encoded.indices.tolist())) == 50
        assert np.array_equal(encoded.mean[:, [3, 2, 0]], squares().factors(encoded.indices))
        assert np.array_equal(evaluate.encode_sample(oracle, squares(), points=50).indices, encoded.indices)
        assert not np.array_equal(evaluate.encode_sample(oracle, squares(), points=50, seed=1).indices, encoded.indices)

    def test_in_pieces_is_the_same(self, oracle: Oracle) -> None:
        indices = np.arange(2300) % 72
        mean, logvar = evaluate.encode_images(oracle, squares(), indices)
        assert mean.shape == logvar.shape == (2300, 4) and mean.dtype == np.float64
        assert np.array_equal(mean[:, [3, 2, 0]], squares().factors(indices))

    def test_summaries_of_the_posterior(self) -> None:
        mean, logvar = np.array([[0.0, 2.0], [0.0, -2.0]]), np.log(np.array([[1.0, 0.04], [1.0, 0.16]]))
        encoded = evaluate.Encoded(np.arange(2), mean, logvar, np.zeros((2, 0)))
        assert encoded.variance == pytest.approx([1.0, 0.1])
        assert encoded.deviation == pytest.approx([1.0, 0.3])
        kl = [0.5 * (4 + v - 1 - math.log(v)) for v in (0.04, 0.16)]
        assert encoded.kl == pytest.approx([0.0, sum(kl) / 2])


class TestInformation:
    def test_a_copy_tells_all_and_noise_nothing(self) -> None:
        factors = np.stack(np.unravel_index(np.arange(600), (4, 5, 30)), axis=1)
        codes = np.stack([factors[:, 1] * -3.0 + 1, factors[:, 2] % 2 + 0.0, np.zeros(600)], axis=1)
        found = evaluate.normalised_mutual_information(codes, factors, (4, 5, 30))
        expected = [[0, 1, 0], [0, 0, math.log(2) / math.log(30)], [0, 0, 0]]
        assert found == pytest.approx(np.array(expected), abs=0.01)

    def test_few_images_tell_nothing_by_chance(self) -> None:
        rng = np.random.default_rng(0)
        codes, factor = rng.normal(size=(300, 6)), rng.integers(0, 10, (300, 1))
        codes[:, 0] = factor[:, 0]
        found = evaluate.normalised_mutual_information(codes, factor, (10,))[:, 0]
        assert found[0] == pytest.approx(1) and found[1:].max() < 0.03
        plain = mutual_information(equal_width_bins(codes), factor) / entropy(factor)
        assert plain[1:].min() > 0.06  # what is taken off

    def test_continuous_factors_are_binned(self) -> None:
        factor = np.linspace(0, 1, 4000)
        codes = np.stack([factor**1, -factor, np.tile([0.0, 1.0], 2000)], axis=1)
        found = evaluate.normalised_mutual_information(codes, factor[:, None], (None,))
        assert found[:, 0] == pytest.approx([1, 1, 0], abs=0.02)

    def test_a_constant_factor_and_none_at_all(self) -> None:
        codes = np.random.default_rng(0).normal(size=(50, 2))
        assert evaluate.normalised_mutual_information(codes, np.zeros((50, 1)), (1,)).tolist() == [[0.0], [0.0]]
        assert evaluate.normalised_mutual_information(codes, np.zeros((50, 0)), ()).shape == (2, 0)

    def test_follows_the_factor_told_most_of(self) -> None:
        information = np.array([[0.2, 0.9], [0.5, 0.2], [0.5, 0.6], [0.04, 0.05]])
        assert evaluate.follows(information, ("x", "y")) == ["y", "x", "y, x", ""]
        assert evaluate.follows(np.zeros((2, 0)), ()) == ["", ""]

    def test_a_latent_is_in_use_when_it_pays_and_its_mean_moves(self) -> None:
        moving = np.linspace(-1.7, 1.7, 100)
        mean = np.stack([moving, 1e-3 * moving, moving, 0.01 * moving], axis=1)
        logvar = np.tile([-3.0, -3.0, 0.0, 0.0], (100, 1))  # pays and moves; pays; moves enough to pay; neither
        encoded = evaluate.Encoded(np.arange(100), mean, logvar, np.zeros((100, 0)))
        assert encoded.active.tolist() == [True, False, True, False]


class TestFreshLosses:
    def test_of_half_grey_pictures(self, blank: Run) -> None:
        losses, floor = evaluate.fresh_losses(blank, squares(), batches=7)
        assert losses.shape == (7,) and losses == pytest.approx(256 * math.log(2), rel=1e-5)
        assert floor == 0

    def test_the_floor_is_the_entropy_of_the_pixels(self, blank: Run) -> None:
        grey = from_arrays(np.full((40, 16, 16), 51, np.uint8))
        _, floor = evaluate.fresh_losses(blank, grey, batches=2)
        assert floor == pytest.approx(-256 * (0.2 * math.log(0.2) + 0.8 * math.log(0.8)), rel=1e-5)

    def test_no_floor_under_a_density(self, tmp_path: Path) -> None:
        run = small_run("beta_vae", tmp_path / "run", likelihood="gaussian", steps=2)
        losses, floor = evaluate.fresh_losses(run, squares(), batches=2)
        assert math.isnan(floor) and np.isfinite(losses).all()
        assert (
            evaluate.statistics(run, squares(), evaluate.encode_sample(run, squares()))["reconstruction_floor"] is None
        )

    def test_codes_are_sampled_and_repeatable(self, trained: Run) -> None:
        one, other = (evaluate.fresh_losses(trained, squares(), seed=seed)[0] for seed in (0, 1))
        assert np.array_equal(one, evaluate.fresh_losses(trained, squares())[0])
        assert not np.array_equal(one, other) and one.mean() == pytest.approx(other.mean(), rel=0.1)
        x = torch.from_numpy(squares().images(np.arange(72))).float() / 255
        with torch.no_grad():
            noiseless, *_ = trained.model(x, torch.zeros(72, 3))
        exact = torch.nn.functional.binary_cross_entropy_with_logits(noiseless, x, reduction="sum").item() / 72
        assert one.mean() > exact

    def test_balls_never_seen_in_training(self, tmp_path: Path) -> None:
        settings = {"data": "balls", "size": 8, "model": "balls_conv", "steps": 2, "device": "cpu"}
        run = unbraid.train(out=tmp_path / "run", show_progress=False, **settings)
        seen: list[int] = []

        class Spy:
            def __getattr__(self, name: str) -> Any:
                return getattr(run.data, name)

            def __len__(self) -> int:
                return len(run.data)

            def batches(self, batch_size: int, *, seed: int, device: Any) -> Any:
                seen.append(seed)
                return run.data.batches(batch_size, seed=seed, device=device)

        evaluate.fresh_losses(run, Spy(), batches=2)
        assert seen != [run.config.seed]


class TestStatistics:
    def test_of_a_blank_model(self, blank: Run) -> None:
        found = evaluate.statistics(blank, squares(), evaluate.encode_sample(blank, squares()))
        assert found["posterior_variance"] == found["posterior_deviation"] == [1.0, 1.0, 1.0]
        assert found["kl"] == 0 and found["active_latents"] == 0 and found["follows"] == ["", "", ""]
        assert found["reconstruction"] == pytest.approx(256 * math.log(2), rel=1e-5)
        assert found["elbo"] == pytest.approx(-256 * math.log(2), rel=1e-5)
        assert found["normalised_mutual_information"] == [[0, 0, 0]] * 3 and found["points"] == 72

    def test_are_written_as_json_that_reads_back(self, blank: Run) -> None:
        found = evaluate.statistics(blank, squares(), evaluate.encode_sample(blank, squares()))
        assert runs.read_statistics(blank.path) == found == json.loads((blank.path / runs.STATISTICS).read_text())

    def test_of_an_oracle(self, oracle: Oracle) -> None:
        encoded = evaluate.encode_sample(oracle, squares())
        information = evaluate.normalised_mutual_information(encoded.mean, encoded.factors, squares().factor_sizes)
        information[~encoded.active] = 0
        assert evaluate.follows(information, squares().factor_names) == ["y", "", "x", "size"]

    def test_without_factors(self, blank: Run) -> None:
        plain = from_arrays(squares().images(np.arange(72)))
        found = evaluate.statistics(blank, plain, evaluate.encode_sample(blank, plain))
        assert found["factor_names"] == [] and found["follows"] == ["", "", ""]
        assert found["normalised_mutual_information"] == [[], [], []]


class TestScores:
    def test_an_oracle_scores_high_and_its_scores_are_kept(self, oracle: Oracle) -> None:
        found = evaluate.score_run(oracle, ["mig", "modularity"])
        assert found["mig"].score > 0.99
        kept = runs.read_scores(oracle.path)
        assert kept["seed"] == 0 and kept["metrics"]["mig"]["score"] == found["mig"].score
        again = evaluate.score_run(oracle, ["sap"])
        assert runs.read_scores(oracle.path)["metrics"].keys() == {"mig", "modularity", "sap"} and list(again) == [
            "sap"
        ]

    def test_numbers_of_images_among_the_factors_are_told_of(
        self, oracle: Oracle, capsys: pytest.CaptureFixture[str]
    ) -> None:
        images, factors = squares().images(np.arange(72)), squares().factors(np.arange(72))
        numbered = from_arrays(images, np.c_[factors, np.arange(72)], ["size", "x", "y", "id"])
        run = Oracle(oracle.path, oracle.config, oracle.facts, oracle.model, numbered)
        with pytest.warns(UserWarning, match="factor id counts as 72 classes"):
            evaluate.score_run(run, ["mig"])
        evaluate.score_run(run, ["mig"], show=True)
        assert capsys.readouterr().err.count("factor id counts as 72 classes") == 1
        known = dataclasses.replace(run.config, data="dsprites")  # whose classes are no guess of ours
        evaluate.score_run(Oracle(oracle.path, known, oracle.facts, oracle.model, numbered), ["mig"])

    @pytest.mark.parametrize("state", ["stopped", "running"])
    def test_what_was_said_of_an_unfinished_run_is_not_said_of_the_finished_one(
        self, tmp_path: Path, state: str
    ) -> None:
        """Of one that was killed, run.json knows no more than where it began."""
        folder = tmp_path / "run"
        with pytest.raises(Interrupted):
            small_run("beta_vae", folder, Eventful(squares(), {24: lambda: signal.raise_signal(signal.SIGINT)}))
        facts = runs.read_facts(folder)
        runs.write_facts(folder, {**facts, "state": state, "step": {"stopped": 25, "running": 0}[state]})
        half = runs.load(folder, "cpu", squares())
        assert half.facts["step"] == 25
        evaluate.score_run(half, ["mig", "kl"])
        evaluate.statistics(half, squares(), evaluate.encode_sample(half, squares()))
        assert runs.read_scores(folder)["metrics"].keys() == {"mig", "kl"} and runs.has_statistics(folder)

        whole = resume(folder, data=squares(), show_progress=False)
        assert runs.read_scores(folder) == {} and not runs.has_statistics(folder)
        with pytest.raises(UnbraidError, match=r"is of an earlier step of the run: `unbraid figures"):
            runs.read_statistics(folder)
        found = evaluate.score_run(whole, ["kl"])
        assert evaluate.score_run(half, ["kl"]) != found, "or else this would show nothing"
        metrics = runs.read_scores(folder)["metrics"]
        assert list(metrics) == ["kl"] and metrics["kl"]["score"] == found["kl"].score

    def test_a_blank_model_scores_nothing_but_numbers(self, blank: Run) -> None:
        """Constant codes must not become a NaN, which no JSON holds."""
        run = Run(blank.path, blank.config, blank.facts, blank.model, squares())
        found = evaluate.score_run(run, ["mig", "sap", "factor_vae", "beta_vae", "unsupervised", "modularity", "irs"])
        assert found["mig"].score == 0 and all(math.isfinite(result.score) for result in found.values())

    def test_by_some_of_the_factors(self, oracle: Oracle, capsys: pytest.CaptureFixture[str]) -> None:
        """One continuous factor would leave out most metrics of all the others."""
        mixed = from_arrays(squares().images(np.arange(72)), squares().factors(np.arange(72)) + np.array([0, 0.5, 0]))
        shape, _, y = mixed.factor_names
        run = Run(oracle.path, oracle.config, oracle.facts, oracle.model, mixed)
        assert "infoe" not in evaluate.score_run(run, show=True)
        assert f"--factors {shape} {y} takes them of the others" in capsys.readouterr().err
        found = evaluate.score_run(run, factors=[shape, y])
        assert "infoe" in found and found["mig"].matrices["mutual_information"].shape == (oracle.config.latent_dim, 2)
        assert runs.read_scores(oracle.path)["data"] == {"by_factors": [shape, y]}
        rep = evaluate.representation(run, mixed, factors=[y, shape])
        assert rep.factor_sizes == (6, 2) and rep.factors.dtype == np.int64
        assert np.array_equal(rep.factors, squares().factors(np.arange(72))[:, [2, 0]])
        with pytest.raises(UnbraidError, match='there is no factor called "z"'):
            evaluate.score_run(run, factors=["z"])

    def test_the_scores_of_runs_alone_are_listed(self) -> None:
        assert evaluate.SCORES.keys() == METRICS.keys() | OF_A_RUN.keys()

    @pytest.mark.parametrize("broken", [Result(math.nan), Result(0.5, {"part": math.inf})])
    def test_a_score_that_is_no_number_is_named_and_takes_no_other_along(
        self, oracle: Oracle, monkeypatch: pytest.MonkeyPatch, broken: Result
    ) -> None:
        monkeypatch.setitem(METRICS, "sap", replace(METRICS["sap"], function=lambda rep, rng: broken))
        with pytest.raises(UnbraidError, match="NaN or infinity came out of sap: all other scores are kept"):
            evaluate.score_run(oracle, ["mig", "sap", "modularity"])
        assert runs.read_scores(oracle.path)["metrics"].keys() == {"mig", "modularity"}

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [("mgi", 'did you mean "mig"'), ("udr", "unbraid select"), ("dci_rf", "needs discrete factors")],
    )
    def test_what_cannot_be_scored_is_refused_before_anything_is_encoded(
        self, oracle: Oracle, monkeypatch: pytest.MonkeyPatch, name: str, sentence: str
    ) -> None:
        monkeypatch.setattr(evaluate, "encode_images", lambda *arguments, **options: pytest.fail("encoded"))
        run = Run(oracle.path, oracle.config, oracle.facts, oracle.model, continuous(72))
        with pytest.raises(UnbraidError, match=sentence):
            evaluate.score_run(run, [name])

    def test_the_whole_grid_is_the_population(self, oracle: Oracle) -> None:
        rep = evaluate.representation(oracle, squares())
        assert rep.test_codes is None and rep.factor_sizes == (2, 6, 6)
        assert np.array_equal(rep.codes[:, [3, 2, 0]], rep.factors) and rep.logvar is not None

    def test_of_few_images_no_row_is_both_fitted_on_and_tested_with(
        self, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Fewer than the points that metrics draw: with replacement, most of the test would have been seen."""
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (300, 4, 4), dtype=np.uint8)
        chance = from_arrays(images, rng.integers(0, 2, (300, 2)))  # factors that no image tells
        run = Pixels(oracle.path, oracle.config, oracle.facts, oracle.model, chance)
        rep = evaluate.representation(run, chance)
        assert not rep.population and len(rep.codes) == 300
        found = evaluate.score_run(run, ["dci_rf"])["dci_rf"].parts
        assert found["informativeness_train"] > 0.95 and found["informativeness_test"] < 0.65
        monkeypatch.setattr(evaluate, "_SAMPLE", (48, 24))
        assert evaluate.representation(oracle, squares()).population

    @pytest.mark.parametrize(("n", "fit", "test"), [(72, 48, 24), (3, 2, 1)])
    def test_few_images_with_continuous_factors_are_split(self, oracle: Oracle, n: int, fit: int, test: int) -> None:
        rep = evaluate.representation(oracle, continuous(n), points=n)
        assert not rep.population and rep.test_codes is not None and rep.test_factors is not None
        assert (len(rep.codes), len(rep.factors), len(rep.test_codes), len(rep.test_factors)) == (fit, fit, test, test)
        assert rep.logvar is not None and len(rep.logvar) == fit
        rows = np.concatenate([rep.factors, rep.test_factors])
        assert len(np.unique(rows, axis=0)) == n, "no image is in both parts"
        assert np.array_equal(rep.codes[:, 0], rep.factors[:, 2] - 0.25)

    def test_a_stream_is_sampled(self, tmp_path: Path) -> None:
        run = small_run("beta_vae", tmp_path / "run", balls(size=8), steps=1)
        rep = evaluate.representation(run, balls(size=8))
        assert rep.codes.shape == (10_000, 3) and rep.test_codes is not None and rep.test_codes.shape == (5_000, 3)
        assert rep.factor_sizes == (None, None) and rep.factors.dtype == np.float64

    def test_data_without_factors_cannot_be_scored(self, oracle: Oracle) -> None:
        with pytest.raises(UnbraidError, match="data without ground-truth factors"):
            evaluate.representation(oracle, from_arrays(squares().images(np.arange(72))))

    def test_dependence_of_gaussian_codes(self) -> None:
        """TC of two normals of correlation r is -1/2 log(1 - r^2); independent ones have none."""
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(2, 40_000))
        tc, mi = evaluate.dependence(np.stack([a, 0.8 * a + 0.6 * b], axis=1))
        assert tc == pytest.approx(-0.5 * math.log(1 - 0.64), rel=0.03) and mi > 0.3
        tc, mi = evaluate.dependence(np.stack([a, b], axis=1))
        assert tc == pytest.approx(0, abs=1e-3) and mi < 0.02


def continuous(n: int) -> Dataset:
    """Squares with x and y as lengths."""
    indices = np.arange(n) % 72
    return from_arrays(squares().images(indices), squares().factors(indices) + np.array([0, 0.5, 0.25]))
