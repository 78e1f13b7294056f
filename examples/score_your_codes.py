"""Codes from anywhere, scored against the factors that made the images: numpy arrays in, numbers out."""

import numpy as np

import unbraid

rng = np.random.default_rng(0)
factors = rng.integers([3, 6, 8, 8], size=(5_000, 4))  # shape, size, x, y: value indices
truth = (factors - factors.mean(0)) / factors.std(0)
noise = 0.05 * rng.normal(size=truth.shape)

codes = {
    "one factor a latent": truth + noise,
    "factors mixed": truth @ np.linalg.qr(rng.normal(size=(4, 4)))[0] + noise,
    "factors unknown": rng.normal(size=truth.shape),
}
chosen = ["mig", "dci_lasso", "infom", "infoc", "infoe"]  # leave `metrics` out for all that apply

print(f"{'':20}" + "".join(f"{name:>12}" for name in chosen))
for name, array in codes.items():
    scores = unbraid.score(array, factors, metrics=chosen)
    print(f"{name:20}" + "".join(f"{scores[metric]:12.2f}" for metric in chosen))
