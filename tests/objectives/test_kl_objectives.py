"""vae, beta_vae and annealed_vae."""

from collections.abc import Callable

import pytest
import torch

from unbraid.objectives.annealed_vae import annealed_vae
from unbraid.objectives.beta_vae import beta_vae
from unbraid.objectives.vae import vae
from unbraid.types import Forward

Make = Callable[..., Forward]


def terms_by_loops(out: Forward) -> tuple[float, float]:
    """recon and KL, one pixel and one latent at a time."""
    recon = kl = 0.0
    for b in range(len(out.x)):
        for logit, x in zip(out.logits[b].flatten(), out.x[b].flatten(), strict=True):
            p = 1 / (1 + torch.exp(-logit))
            recon -= (x * torch.log(p) + (1 - x) * torch.log(1 - p)).item() / len(out.x)
        for mean, logvar in zip(out.mean[b], out.logvar[b], strict=True):
            q = torch.distributions.Normal(mean, torch.exp(logvar / 2))
            kl += torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).item() / len(out.x)
    return recon, kl


def test_values_equal_plain_loops(make_forward: Make) -> None:
    out = make_forward()
    recon, kl = terms_by_loops(out)
    assert vae(out).loss.item() == pytest.approx(recon + kl)
    assert beta_vae(out, beta=7.0).loss.item() == pytest.approx(recon + 7 * kl)
    assert annealed_vae(out, gamma=30.0, capacity=kl + 2).loss.item() == pytest.approx(recon + 60)
    assert annealed_vae(out, gamma=30.0, capacity=kl - 2).loss.item() == pytest.approx(recon + 60)


def test_more_pixels_weigh_more(make_forward: Make) -> None:
    """recon is a sum: with a mean over pixels, four times the pixels would leave it as it was."""
    out = make_forward()
    larger = make_forward(x=out.x.repeat(1, 1, 2, 2), logits=out.logits.repeat(1, 1, 2, 2))
    assert beta_vae(larger).logs["recon"].item() == pytest.approx(4 * beta_vae(out).logs["recon"].item())
    torch.testing.assert_close(beta_vae(larger).logs["kl"], beta_vae(out).logs["kl"])


def test_more_images_weigh_the_same(make_forward: Make) -> None:
    out = make_forward()
    twice = make_forward(**{key: getattr(out, key).repeat(2, *[1] * (getattr(out, key).ndim - 1))
                            for key in ("x", "logits", "mean", "logvar", "z")})  # fmt: skip
    assert beta_vae(twice).loss.item() == pytest.approx(beta_vae(out).loss.item())


def test_capacity_is_held_by_the_batch_and_not_by_each_image(make_forward: Make) -> None:
    """One image at the prior and one at twice the capacity are together where they should be."""
    mean = torch.tensor([[0.0, 0.0], [4.0, 0.0]], dtype=torch.float64)  # KL 0 and 8
    out = make_forward(mean=mean, logvar=torch.zeros_like(mean))
    terms = annealed_vae(out, gamma=1000.0, capacity=4.0)
    assert terms.loss.item() == pytest.approx(terms.logs["recon"].item())
    assert annealed_vae(out, gamma=1000.0, capacity=3.0).loss.item() == pytest.approx(terms.logs["recon"].item() + 1000)


def test_a_capacity_pulls_the_kl_up_and_down(make_forward: Make) -> None:
    mean = torch.full((6, 3), 0.5, dtype=torch.float64, requires_grad=True)  # KL 0.375
    out = make_forward(mean=mean, logvar=torch.zeros(6, 3).double())
    above, below = annealed_vae(out, capacity=0.1).loss, annealed_vae(out, capacity=5.0).loss
    (down,), (up,) = torch.autograd.grad(above, mean, retain_graph=True), torch.autograd.grad(below, mean)
    assert (down > 0).all() and (up < 0).all()


def test_neutral_values_are_the_vae(make_forward: Make) -> None:
    out = make_forward()
    assert beta_vae(out, beta=1.0).loss.item() == pytest.approx(vae(out).loss.item())
    assert annealed_vae(out, gamma=1.0, capacity=0.0).loss.item() == pytest.approx(vae(out).loss.item())
