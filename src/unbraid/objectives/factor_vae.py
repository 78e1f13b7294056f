"""FactorVAE."""

import torch
import torch.nn.functional as F
from torch import Tensor

from unbraid.objectives.elbo import detached, recon_and_kl
from unbraid.types import Forward, Terms


def factor_vae(out: Forward, *, gamma: float = 10.0) -> Terms:
    """recon + KL + gamma TC, TC from a discriminator of codes against permuted codes (Kim & Mnih 2018, equation 2).

    The discriminator's two logits are (from q(z), from prod_l q(z_l)) and TC is the mean of their difference on z.
    Its own loss, aux_loss, is the mean cross-entropy of both halves, log 2 for a blind one. Permuted codes, each
    latent shuffled over the batch by itself, come from this same batch, as in disentanglement_lib; Kim & Mnih
    permute a second batch. gamma 0 is the VAE.
    """
    assert out.aux is not None and out.aux_frozen is not None and out.permutation is not None
    recon, kl = recon_and_kl(out)
    judged = out.aux_frozen(out.z)  # [B, 2]; no gradient to the discriminator
    tc = (judged[:, 0] - judged[:, 1]).mean()

    z = out.z.detach()  # no gradient to the encoder
    joint, shuffled = out.aux(torch.cat([z, z.gather(0, out.permutation)])).chunk(2)  # [B, 2] each
    aux_loss = 0.5 * (_surprise(joint, 0) + _surprise(shuffled, 1))
    right = torch.cat([joint[:, 0] >= joint[:, 1], shuffled[:, 1] > shuffled[:, 0]])
    logs = detached(recon=recon, kl=kl, tc=tc, disc_accuracy=right.float().mean())
    return Terms(recon + kl.sum() + gamma * tc, aux_loss, logs)


def _surprise(logits: Tensor, truth: int) -> Tensor:
    """Mean cross-entropy [] where all B rows belong to one class."""
    return -F.log_softmax(logits, dim=1)[:, truth].mean()
