"""From Python: learn where a bouncing ball is, look inside, move the latents, draw."""

import numpy as np

import unbraid
from unbraid import figures

run = unbraid.train(
    data="balls",
    model="swift",
    objective="unfold",
    led="piecewise(0, 100, 100, 100, 200, 0)",  # the first two latents start as linear coordinates of the images
    opened="piecewise(0, 2, 300, 2, 500, 4)",  # then the others may find something too
    beta=4,
    tau=2,
    kappa=2,
    prune=0.05,  # a latent that ends with less than so many nats is closed
    latent_dim=4,  # a ball has two coordinates: two latents stay unused
    steps=900,
    lr="linear(2e-3, 0, steps=900)",  # every number of an objective may be such a schedule too
)
print(f"reconstruction {run.log['recon'][0]:.0f} -> {run.log['recon'][-1]:.0f} nats per image")

indices = np.arange(0, 100_000, 50)
images, positions = run.data.images(indices), run.data.factors(indices)  # [2000, 1, 32, 32] and [2000, 2]
mean, logvar = run.encode(images)  # [2000, 4] each
codes, variance = mean.numpy(), logvar.exp().mean(0)

against = figures.latent_against_factor(codes, positions, run.data.factor_names, run.data.factor_sizes)
figures.save(against, "latents_against_positions.png")

used = np.flatnonzero(variance < 0.5)
ends = np.quantile(codes[:, used], (0.02, 0.98))
values = np.linspace(*ends, 9)
moved = run.traverse(images[0], latents=used, values=values)  # [2, 9, 1, 32, 32]
strip = figures.traversals(moved, values, latents=used, variances=variance[used], original=images[0])
figures.save(strip, "traversals.png")

again = unbraid.load(run.path)  # the same model, from its folder
assert (again.encode(images)[0] == mean).all()

scores = unbraid.score(codes, positions, metrics=["mig", "irs"])
print(", ".join(f"{name} {value:.2f}" for name, value in scores.items()))
