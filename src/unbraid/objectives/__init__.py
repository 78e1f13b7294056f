"""Objectives: add one by writing its file and its line in the table.

Each is a pure function `(Forward, *, hyper-parameters) -> Terms`: no step counter, no random draw, no `if` on a
hyper-parameter, so that one function serves one model or, under torch.func.vmap, a hundred.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from unbraid.objectives import ada_gvae, ada_ml_vae, independence, unfold
from unbraid.objectives.annealed_vae import annealed_vae
from unbraid.objectives.beta_tcvae import beta_tcvae
from unbraid.objectives.beta_tcvae_mss import beta_tcvae_mss
from unbraid.objectives.beta_vae import beta_vae
from unbraid.objectives.dip_vae_i import dip_vae_i
from unbraid.objectives.dip_vae_ii import dip_vae_ii
from unbraid.objectives.discriminator import discriminator
from unbraid.objectives.factor_vae import factor_vae
from unbraid.objectives.vae import vae
from unbraid.types import Terms

__all__ = ["OBJECTIVES", "Aux", "Objective"]


@dataclass(frozen=True)
class Aux:
    """A second network that an objective trains beside the model, with an Adam of its own."""

    build: Callable[[int, int], nn.Module]  # (latent_dim, seed) -> network on z [B, L]
    lr: float
    betas: tuple[float, float]


# (mean, logvar) [B, L], with the hyper-parameters by name -> the same, before z is drawn
Posterior = Callable[..., tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Objective:
    """`function` with what the trainer must know about it."""

    function: Callable[..., Terms]
    description: str
    defaults: Mapping[str, str] = field(default_factory=dict)  # schedules, as text, in place of signature defaults
    aux: Aux | None = None
    # (hyper-parameters of the step before, of this step, L) -> the latents that wake at this step, see `VAE.waken`
    woken: Callable[[Mapping[str, float], Mapping[str, float], int], list[int]] | None = None
    # (hyper-parameters, L) -> the latents that no step up to this one has trained, where it opens them in turn
    closed: Callable[[Mapping[str, float], int], list[int]] | None = None
    linear: int = 0  # so many linear coordinates of the images are in `Forward.linear`
    posterior: Posterior | None = None
    least_batch: int = 2
    pairs: bool = False  # of images that share factors: the batch's first half beside its second


OBJECTIVES: dict[str, Objective] = {
    "vae": Objective(vae, "evidence lower bound (Kingma & Welling 2014)"),
    "beta_vae": Objective(beta_vae, "beta times the KL (Higgins 2017)"),
    "annealed_vae": Objective(
        annealed_vae,
        "KL held at a rising capacity (Burgess 2018)",
        defaults={"capacity": "linear(0, 25, steps=100000)"},
    ),
    "beta_tcvae": Objective(beta_tcvae, "beta times the total correlation, minibatch-weighted (Chen 2018)"),
    "beta_tcvae_mss": Objective(beta_tcvae_mss, "beta times the total correlation, stratified (Chen 2018)"),
    "factor_vae": Objective(
        factor_vae,
        "gamma times the total correlation, from a discriminator (Kim & Mnih 2018)",
        aux=Aux(discriminator, lr=1e-4, betas=(0.5, 0.9)),
    ),
    "dip_vae_i": Objective(dip_vae_i, "covariance of the means near the identity (Kumar 2018)"),
    "dip_vae_ii": Objective(dip_vae_ii, "covariance of the codes near the identity (Kumar 2018)"),
    "ada_gvae": Objective(
        ada_gvae.ada_gvae,
        "beta-VAE of pairs that share factors, which ones unknown; shared posteriors averaged (Locatello 2020)",
        posterior=ada_gvae.posterior,
        pairs=True,
    ),
    "ada_ml_vae": Objective(
        ada_ml_vae.ada_ml_vae,
        "the same, shared posteriors multiplied (Locatello 2020)",
        posterior=ada_ml_vae.posterior,
        pairs=True,
    ),
    "unfold": Objective(
        unfold.unfold,
        "latents led by linear coordinates, opened in turn for rent, independent two by two (ours; the demo's)",
        defaults={
            "led": "piecewise(0, 100, 500, 100, 1000, 0)",
            "opened": "piecewise(0, 2, 1000, 2, 3000, 6, 6000, 10)",
        },
        posterior=unfold.posterior,
        woken=unfold.woken,
        closed=unfold.closed,
        linear=unfold.LED,
        least_batch=independence.LEAST_BATCH,
    ),
}
