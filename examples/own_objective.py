"""An objective and a metric of one's own, in a script: no file of the package is touched.

The tables are dictionaries. What a script adds to them can be named as everything else can, by keywords, in configs
and in `unbraid.score`; whoever loads such a run has to add it before. docs/adding_an_objective.md says what makes one
sound.
"""

import numpy as np
import torch

import unbraid
from unbraid.metrics import METRICS, Metric, Result
from unbraid.objectives import OBJECTIVES, Objective
from unbraid.types import Forward, Representation, Terms


def free_bits(out: Forward, *, free_nats: float = 0.5) -> Terms:
    """recon + sum_l max(KL_l, free_nats): a latent pays only for what it uses beyond `free_nats` (Kingma 2016)."""
    recon = out.likelihood(out.logits, out.x).mean()
    kl = 0.5 * (out.mean.square() + out.logvar.exp() - out.logvar - 1).mean(0)
    return Terms(recon + kl.clamp(min=free_nats).sum(), logs={"recon": recon.detach(), "kl": kl.detach()})


def correlation(rep: Representation, rng: np.random.Generator) -> Result:
    """The largest correlation of each factor with a latent, the mean over factors."""
    together = np.corrcoef(rep.codes, rep.factors, rowvar=False)[: rep.codes.shape[1], rep.codes.shape[1] :]
    return Result(float(np.nan_to_num(np.abs(together)).max(0).mean()))


OBJECTIVES["free_bits"] = Objective(free_bits, "KL below some nats a latent is free (Kingma 2016)")
METRICS["correlation"] = Metric(correlation, "correlation of each factor with its best latent", "this script")

run = unbraid.train(data="balls", model="balls_conv", objective="free_bits", free_nats=1.0, steps=200)
found = unbraid.evaluate.score_run(run, ["correlation", "mig"], points=2_000)
print({name: round(result.score, 2) for name, result in found.items()})
again = unbraid.load(run.path)
images = run.data.images(np.arange(3))
assert torch.equal(again.encode(images)[0], run.encode(images)[0])
