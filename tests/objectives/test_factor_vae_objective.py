import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from unbraid.objectives import OBJECTIVES
from unbraid.objectives.discriminator import discriminator
from unbraid.objectives.factor_vae import factor_vae
from unbraid.objectives.vae import vae
from unbraid.types import Forward

Make = Callable[..., Forward]


class Setting:
    """A batch whose mean and second network are leaves, so that each gradient can be looked at alone."""

    def __init__(self, make_forward: Make) -> None:
        generator = torch.Generator().manual_seed(3)
        plain = make_forward()
        self.mean = plain.mean.clone().requires_grad_()
        self.weight = torch.randn(3, 2, dtype=torch.float64, generator=generator).requires_grad_()
        self.permutation = torch.rand(6, 3, generator=generator).argsort(0)
        self.out = make_forward(
            mean=self.mean,
            logvar=plain.logvar,
            z=self.mean + (plain.z - plain.mean),
            permutation=self.permutation,
            aux=lambda z: torch.tanh(z @ self.weight),
            aux_frozen=lambda z: torch.tanh(z @ self.weight.detach()),
        )

    def gradients(self, loss: torch.Tensor) -> list[torch.Tensor]:
        leaves = [self.mean, self.weight]
        found = torch.autograd.grad(loss, leaves, retain_graph=True, allow_unused=True)
        return [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, found, strict=True)]


@pytest.fixture
def setting(make_forward: Make) -> Setting:
    return Setting(make_forward)


def test_values_equal_plain_loops(setting: Setting) -> None:
    z, weight = setting.out.z.detach().numpy(), setting.weight.detach().numpy()

    def judge(code: list[float]) -> tuple[float, float]:
        """(log D, log(1 - D))"""
        logits = [math.tanh(sum(code[k] * weight[k, c] for k in range(3))) for c in range(2)]
        total = math.log(sum(math.exp(v) for v in logits))
        return logits[0] - total, logits[1] - total

    tc = discriminator_loss = right = 0.0
    for b in range(6):
        log_d, log_not = judge(list(z[b]))
        tc += (log_d - log_not) / 6
        discriminator_loss -= 0.5 * log_d / 6
        right += (log_d > log_not) / 12
        log_d, log_not = judge([z[setting.permutation[b, k].item(), k] for k in range(3)])
        discriminator_loss -= 0.5 * log_not / 6
        right += (log_not > log_d) / 12
    terms = factor_vae(setting.out, gamma=5.0)
    assert terms.logs["tc"].item() == pytest.approx(tc)
    assert terms.loss.item() == pytest.approx(vae(setting.out).loss.item() + 5 * tc)
    assert terms.aux_loss is not None and terms.aux_loss.item() == pytest.approx(discriminator_loss)
    assert terms.logs["disc_accuracy"].item() == pytest.approx(right)


def test_no_gradient_crosses(setting: Setting) -> None:
    terms = factor_vae(setting.out, gamma=5.0)
    assert terms.aux_loss is not None
    to_encoder, to_discriminator = setting.gradients(terms.loss)
    assert to_encoder.any() and not to_discriminator.any()
    to_encoder, to_discriminator = setting.gradients(terms.aux_loss)
    assert not to_encoder.any() and to_discriminator.any()


def test_one_backward_of_the_sum_is_both(setting: Setting) -> None:
    terms = factor_vae(setting.out, gamma=5.0)
    assert terms.aux_loss is not None
    together = setting.gradients(terms.loss + terms.aux_loss)
    torch.testing.assert_close(together[0], setting.gradients(terms.loss)[0])
    torch.testing.assert_close(together[1], setting.gradients(terms.aux_loss)[1])


def test_the_encoder_feels_the_discriminator(setting: Setting) -> None:
    """The slope of TC by finite differences: a detach too many would leave the VAE's alone."""
    z, step = setting.out.z.detach(), 1e-6
    slope = setting.gradients(factor_vae(setting.out, gamma=5.0).loss - vae(setting.out).loss)[0]
    logits = [torch.tanh(z @ setting.weight.detach())]
    nudged = z.clone()
    nudged[2, 1] += step
    logits.append(torch.tanh(nudged @ setting.weight.detach()))
    before, after = ((pair[:, 0] - pair[:, 1]).mean().item() for pair in logits)
    assert slope[2, 1].item() == pytest.approx(5 * (after - before) / step, rel=1e-4)


def test_each_latent_is_permuted_over_the_batch_and_never_in_place(make_forward: Make) -> None:
    seen: list[torch.Tensor] = []

    def spy(z: torch.Tensor) -> torch.Tensor:
        seen.append(z)
        return z[:, :2]

    z = 10.0 * torch.arange(4).double().unsqueeze(1) + torch.arange(3)  # tens name the image, ones the latent
    permutation = torch.tensor([[1, 3, 0], [0, 2, 1], [2, 1, 3], [3, 0, 2]])
    out = make_forward(mean=z.clone(), z=z, permutation=permutation, aux=spy, aux_frozen=spy)
    factor_vae(out)
    shuffled = torch.cat(seen)[-4:]
    assert shuffled.tolist() == [[10, 31, 2], [0, 21, 12], [20, 11, 32], [30, 1, 22]]
    assert z.tolist() == [[10.0 * b + k for k in range(3)] for b in range(4)]


def test_a_blind_discriminator_loses_log_2_and_is_right_half_the_time(make_forward: Make) -> None:
    permutation = torch.zeros(6, 3, dtype=torch.int64)
    out = make_forward(permutation=permutation, aux=lambda z: 0 * z[:, :2], aux_frozen=lambda z: 0 * z[:, :2])
    terms = factor_vae(out, gamma=1e6)
    assert terms.aux_loss is not None and terms.aux_loss.item() == pytest.approx(math.log(2))
    assert terms.logs["disc_accuracy"].item() == 0.5
    assert terms.loss.item() == pytest.approx(vae(out).loss.item())


def test_a_trained_discriminator_tells_dependent_codes_and_finds_their_tc(make_forward: Make) -> None:
    """Two Gaussian latents of correlation 0.8: TC = -1/2 log(1 - 0.64) = 0.51."""
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 2)).double()  # the log-ratio of two Gaussians is quadratic in z
    with torch.no_grad():
        net[0].weight.zero_()
        net[0].bias.zero_()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.03)

    def judge(z: torch.Tensor) -> torch.Tensor:
        return net(torch.cat([z, z.square(), z[:, :1] * z[:, 1:]], dim=1))  # type: ignore[no-any-return]

    estimates = []
    for _ in range(300):
        a, b = torch.randn(2, 500, dtype=torch.float64, generator=generator)
        z = torch.stack([a, 0.8 * a + 0.6 * b], dim=1)
        permutation = torch.rand(500, 2, generator=generator).argsort(0)
        terms = factor_vae(make_forward(mean=z, z=z, permutation=permutation, aux=judge, aux_frozen=judge))
        assert terms.aux_loss is not None
        optimizer.zero_grad()
        terms.aux_loss.backward()
        optimizer.step()
        estimates.append(terms.logs["tc"].item())
    assert terms.logs["disc_accuracy"].item() > 0.6
    assert sum(estimates[-50:]) / 50 == pytest.approx(-0.5 * math.log(1 - 0.64), abs=0.08)


def test_the_discriminator_is_the_published_one() -> None:
    net = discriminator(10, seed=0)
    layers = list(net)
    assert [type(layer) for layer in layers] == 6 * [nn.Linear, nn.LeakyReLU] + [nn.Linear]
    assert [layer.out_features for layer in layers if isinstance(layer, nn.Linear)] == 6 * [1000] + [2]
    assert all(layer.negative_slope == 0.2 for layer in layers if isinstance(layer, nn.LeakyReLU))
    assert sum(p.numel() for p in net.parameters()) == 11 * 1000 + 5 * 1001 * 1000 + 1001 * 2
    aux = OBJECTIVES["factor_vae"].aux
    assert aux is not None and (aux.lr, aux.betas) == (1e-4, (0.5, 0.9))
