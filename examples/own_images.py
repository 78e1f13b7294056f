"""Images of your own: the 1,797 handwritten digits that come with scikit-learn, 8x8 pixels each.

Trains for some seconds, then moves each latent and writes what changes to digits.png.
"""

import numpy as np
from sklearn.datasets import load_digits

import unbraid
from unbraid import figures

digits = load_digits()
dataset = unbraid.data.from_arrays(
    digits.images / 16,  # [N, 8, 8] floats from 0 to 1; bytes, colours and other sizes do as well
    factors=digits.target[:, None],  # what is known of each image; leave it out where nothing is
    factor_names=["digit"],
)

run = unbraid.train(
    data=dataset,
    likelihood="bernoulli",  # a Gaussian is what such shades would get by default
    model="burgess",
    objective="beta_vae",
    beta=0.3,  # an image of few pixels has few nats to tell: a larger beta leaves most latents unused
    latent_dim=6,
    steps=800,
    lr="linear(2e-3, 0, steps=800)",
)

mean, logvar = run.encode(dataset.images(np.arange(len(dataset))))  # [1797, 6] each
variance = logvar.exp().mean(0)  # 1 for a latent that is not used, near 0 for one that is used well
start = int(np.flatnonzero(digits.target == 5)[0])
image = dataset.images([start])
values = np.linspace(-2.5, 2.5, 11)
moved = run.traverse(image, values=values)  # [6 latents, 11 values, 1, 8, 8]
figures.save(figures.traversals(moved, values, variances=variance, original=image[0]), "digits.png")
print(f"digits.png shows what each latent does; the run is in {run.path}")
