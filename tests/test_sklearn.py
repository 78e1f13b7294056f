"""The transformer: scikit-learn's own checks, and what it learns, takes and gives back."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from small_runs import squares

from unbraid.data.linear_coordinates import linear_coordinates
from unbraid.errors import UnbraidError
from unbraid.objectives.unfold import LED
from unbraid.sklearn import Disentangler, _layout, _range, _Shuffled

QUICK: dict[str, Any] = {"steps": 5, "latent_dim": 3, "settings": {"width": 8}, "random_state": 0}


@parametrize_with_checks([Disentangler(**QUICK)])
def test_keeps_the_contract_of_scikit_learn(estimator: Disentangler, check: Any) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    return load_digits(return_X_y=True)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def trained(digits: tuple[np.ndarray, np.ndarray]) -> Disentangler:
    return Disentangler(steps=400, random_state=0).fit(digits[0][:1500])


class TestLearns:
    def test_codes_tell_digits_apart(self, trained: Disentangler, digits: tuple[np.ndarray, np.ndarray]) -> None:
        X, y = digits
        classifier = LogisticRegression(max_iter=1000).fit(trained.transform(X[:1500]), y[:1500])
        assert classifier.score(trained.transform(X[1500:]), y[1500:]) > 0.6

    def test_codes_stand_for_the_images(self, trained: Disentangler, digits: tuple[np.ndarray, np.ndarray]) -> None:
        X = digits[0][1500:]
        back = trained.inverse_transform(trained.transform(X))
        assert back.shape == X.shape and 0 <= back.min() <= back.max() <= 16
        assert ((back - X) ** 2).mean() < 0.7 * ((X - X.mean(0)) ** 2).mean()

    def test_log(self, trained: Disentangler) -> None:
        assert trained.log_["loss"] == pytest.approx(trained.log_["recon"] + trained.log_["kl"])

    def test_one_seed_one_model(self, digits: tuple[np.ndarray, np.ndarray]) -> None:
        X = digits[0][:50]
        one, same, other = (Disentangler(**{**QUICK, "random_state": seed}).fit_transform(X) for seed in (1, 1, 2))
        assert np.array_equal(one, same) and not np.allclose(one, other)

    def test_another_without_a_seed(self, digits: tuple[np.ndarray, np.ndarray]) -> None:
        X, state = digits[0][:50], str(np.random.get_state())  # noqa: NPY002 - that it is not touched
        one, other = (Disentangler(**{**QUICK, "random_state": None}).fit_transform(X) for _ in range(2))
        assert not np.allclose(one, other)
        assert str(np.random.get_state()) == state  # noqa: NPY002


class TestClosed:
    def test_prune(self, digits: tuple[np.ndarray, np.ndarray]) -> None:
        model = Disentangler(**{**QUICK, "settings": {"width": 8, "prune": 1e6}})
        assert not model.fit_transform(digits[0][:50]).any()

    def test_latents_that_were_never_opened(self, digits: tuple[np.ndarray, np.ndarray]) -> None:
        settings = {"width": 8, "opened": 2.0, "led": 0.0}
        model = Disentangler(**{**QUICK, "objective": "unfold", "settings": settings})
        with pytest.warns(UserWarning, match="latent 2 never opens: let opened rise further"):
            codes = model.fit_transform(digits[0][:50])
        assert codes.std(0)[:2].min() > 0 and not codes[:, 2].any()


class TestForms:
    def images(self) -> np.ndarray:
        return squares().images(np.arange(72))  # uint8 [72, 1, 16, 16]

    def test_all_forms_of_grey_images_are_one(self) -> None:
        images = self.images()
        expected = Disentangler(**QUICK).fit_transform(images)
        for form in (images[:, 0], images[..., None][:, 0], images / 255, (images / 255).astype(np.float32)):
            np.testing.assert_allclose(Disentangler(**QUICK).fit_transform(form), expected, atol=1e-6)
        flat = images.reshape(72, -1)
        for shape in (None, (16, 16), (1, 16, 16)):
            found = Disentangler(**QUICK, image_shape=shape).fit_transform(flat)
            np.testing.assert_allclose(found, expected, atol=1e-6)

    def test_colours_first_or_last(self) -> None:
        first = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 12), np.uint8)
        last = np.moveaxis(first, 1, 3)
        one, other = (Disentangler(**QUICK).fit(form) for form in (first, last))
        np.testing.assert_allclose(one.transform(first), other.transform(last))
        codes = one.transform(first)
        back = one.inverse_transform(codes)
        assert back.shape == first.shape and back.max() > 1
        np.testing.assert_allclose(np.moveaxis(other.inverse_transform(codes), 3, 1), back)
        flat = Disentangler(**QUICK, image_shape=(3, 8, 12)).fit(first.reshape(20, -1))
        np.testing.assert_allclose(flat.inverse_transform(codes), back.reshape(20, -1))

    def test_a_convolutional_model(self) -> None:
        model = Disentangler(model="balls_conv", objective="factor_vae", steps=3, latent_dim=3, random_state=0)
        assert model.fit_transform(self.images()).shape == (72, 3)

    def test_an_objective_that_looks_at_the_images_first(self) -> None:
        images = self.images()
        expected = linear_coordinates(squares(), LED)(torch.from_numpy(images).float() / 255)
        for form in (images, images / 17.0):
            rows = form.reshape(72, -1)
            dataset = _Shuffled(rows, _layout((16, 16), 256), _range(rows))
            found = linear_coordinates(dataset, LED)(torch.from_numpy(images).float() / 255)  # type: ignore[arg-type]
            assert torch.allclose(found, expected, atol=1e-4)
        settings = {"width": 8, "opened": 3.0, "led": 1.0}
        model = Disentangler(**{**QUICK, "objective": "unfold", "settings": settings})
        assert model.fit_transform(images).shape == (72, 3)

    @pytest.mark.parametrize(
        ("X", "limits"),
        [
            (np.array([[0, 255], [3, 4]], np.uint8), (0, 255)),
            (np.array([[0, 1], [1, 1]], np.uint8), (0, 255)),
            (np.array([[0.2, 0.5], [0.3, 0.4]]), (0, 1)),
            (np.array([[-1.0, 3.0], [0.3, 0.4]]), (-1, 3)),
            (np.array([[0, 16], [4, 5]]), (0, 16)),
        ],
    )
    def test_ranges(self, X: np.ndarray, limits: tuple[float, float]) -> None:
        model = Disentangler(**QUICK).fit(X)
        assert model.range_ == limits
        back = model.inverse_transform(model.transform(X))
        assert limits[0] <= back.min() and back.max() <= limits[1]
        beyond = np.where(X.max() == X, 1e9, X.astype(float))  # is clipped
        at_most = np.where(X.max() == X, limits[1], X.astype(float))
        np.testing.assert_allclose(model.transform(beyond), model.transform(at_most))

    def test_a_likelihood_that_the_data_choose(self) -> None:
        settings = {"width": 8, "likelihood": "auto"}
        for X, chosen in ((self.images() > 0, "bernoulli"), (np.random.default_rng(0).random((9, 16)), "gaussian")):
            model = Disentangler(**{**QUICK, "settings": settings}).fit(X)
            assert model.config_["likelihood"] == chosen

    def test_features_that_never_vary(self) -> None:
        assert np.isfinite(Disentangler(**QUICK).fit_transform(np.full((5, 3), 7.0))).all()

    def test_data_frames(self) -> None:
        X = pd.DataFrame(np.random.default_rng(0).random((9, 3)), columns=["a", "b", "c"])
        model = Disentangler(**QUICK).set_output(transform="pandas")
        found = model.fit_transform(X)
        assert list(found.columns) == ["z0", "z1", "z2"] and model.feature_names_in_.tolist() == ["a", "b", "c"]

    @pytest.mark.parametrize("n", [1, 5, 300])
    def test_a_row_does_not_depend_on_the_others(self, trained: Disentangler, n: int, digits: Any) -> None:
        X = digits[0]
        np.testing.assert_allclose(trained.transform(X[:n]), trained.transform(X)[:n], rtol=1e-9, atol=1e-9)


class TestRefusals:
    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ({"objective": "beta_va"}, 'no objective called "beta_va"; did you mean "beta_vae"'),
            ({"settings": {"betta": 3}}, 'no setting called "betta"'),
            ({"settings": {"beta": 3}}, '"beta" is an option of objective'),
            ({"settings": {"steps": 3}}, "steps must not be among the settings"),
            ({"steps": 0}, "steps must be at least 1"),
            ({"latent_dim": 0.5}, "latent_dim must be a whole number"),
            ({"image_shape": (3, 3)}, r"image_shape \(3, 3\) is not that of images of 64 numbers"),
            ({"image_shape": (1, 1, 8, 8)}, "is not that of images"),
            ({"model": "swift"}, "swift cannot take 8x8 images"),
            ({"device": "warp"}, 'no device called "warp"'),
            ({"lr": 1e30}, "the loss stopped being a number"),
            ({"objective": "ada_gvae"}, "pairs of images that share factors need two or more factors"),
        ],
    )
    def test_parameters(self, values: dict[str, Any], sentence: str, digits: tuple[np.ndarray, np.ndarray]) -> None:
        with pytest.raises(UnbraidError, match=sentence):
            Disentangler(**{"steps": 2, "random_state": 0, **values}).fit(digits[0][:20])

    def test_codes_of_another_length(self, trained: Disentangler) -> None:
        with pytest.raises(UnbraidError, match=r"codes must be \[N, 10\], not \[2, 9\]"):
            trained.inverse_transform(np.zeros((2, 9)))


def test_in_a_pipeline_searched_over_a_grid(digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits[0][:300], digits[1][:300]
    pipeline = make_pipeline(Disentangler(steps=150, random_state=0), LogisticRegression(max_iter=500))
    grid = {
        "disentangler__latent_dim": [1, 6],
        "disentangler__settings": [{"beta": 0.1}],
        "disentangler__objective": ["beta_vae"],
    }
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert search.best_params_["disentangler__latent_dim"] == 6 and search.best_score_ > 0.4
    assert clone(search.best_estimator_[0]).get_params() == search.best_estimator_[0].get_params()
