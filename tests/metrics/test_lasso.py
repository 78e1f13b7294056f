"""The lasso against scikit-learn's, and the scale that both DCI and UDR put codes on."""

import numpy as np
import pytest
from sklearn.linear_model import Lasso
from sklearn.preprocessing import StandardScaler

from unbraid.metrics.lasso import lasso
from unbraid.metrics.scaling import standardise


@pytest.mark.parametrize("alpha", [0.01, 0.1, 0.5])
def test_coefficients_are_those_of_scikit_learn(alpha):
    rng = np.random.default_rng(0)
    x = standardise(rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6)))
    y = standardise(x @ rng.normal(size=(6, 3)) + rng.normal(size=(500, 3)))
    expected = np.stack([Lasso(alpha, tol=1e-12, max_iter=100_000).fit(x, column).coef_ for column in y.T], axis=1)
    np.testing.assert_allclose(lasso(x, y, alpha), expected, atol=1e-5)


def test_one_latent_is_shrunk_by_alpha():
    x = standardise(np.random.default_rng(0).normal(size=(100, 1)))
    np.testing.assert_allclose(lasso(x, np.c_[x, -x], 0.3), [[0.7, -0.7]])
    assert lasso(x, x, 1.5).item() == 0


def test_columns_of_zeros_get_no_coefficient():
    x = np.c_[standardise(np.arange(10.0)[:, None]), np.zeros(10)]
    np.testing.assert_allclose(lasso(x, x, 0.0), [[1, 0], [0, 0]])
    assert lasso(np.zeros((10, 0)), x, 0.1).shape == (0, 2)


def test_standardised_columns():
    values = np.random.default_rng(0).normal(3, 2, size=(50, 4))
    np.testing.assert_allclose(standardise(values), StandardScaler().fit_transform(values))
    np.testing.assert_allclose(standardise(values[:5], values), StandardScaler().fit(values).transform(values[:5]))


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3, -1e-300])
def test_a_constant_column_becomes_zero(value):
    """The mean of equal numbers is not always that number, nor their deviation 0."""
    scaled = standardise(np.full((997, 1), value))
    np.testing.assert_allclose(scaled, 0, atol=1e-9)
    assert np.isfinite(standardise(np.array([[1.0], [2.0]]), np.full((7, 1), value))).all()
