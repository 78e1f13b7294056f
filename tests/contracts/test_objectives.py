"""What every objective keeps: the contract behind the table."""

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.utils import skip_init

from unbraid.models.vae import Posterior
from unbraid.objectives import OBJECTIVES
from unbraid.probability import LIKELIHOODS
from unbraid.registry import parameters
from unbraid.schedules import parse
from unbraid.types import Forward, Terms

BATCH, LATENTS, PIXELS, MEMBERS, N_DATA = 6, 3, 8, 3, 50
Weights = Mapping[str, torch.Tensor]


def randn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class Networks(nn.Module):
    """The smallest model and second network that an objective can tell from real ones."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.encoder = skip_init(nn.Linear, PIXELS, 2 * LATENTS)
        self.decoder = skip_init(nn.Linear, LATENTS, PIXELS)
        self.aux = nn.Sequential(skip_init(nn.Linear, LATENTS, 5), nn.LeakyReLU(0.2), skip_init(nn.Linear, 5, 2))
        self.double()
        for i, parameter in enumerate(self.parameters()):
            parameter.data = 0.7 * randn(*parameter.shape, seed=100 * seed + i)

    def forward(self, x: torch.Tensor, noise: torch.Tensor, posterior: Posterior | None) -> tuple[torch.Tensor, ...]:
        mean, logvar = self.encoder(x.flatten(1)).chunk(2, dim=1)
        if posterior is not None:
            mean, logvar = posterior(mean, logvar)
        z = mean + torch.exp(0.5 * logvar) * noise
        return self.decoder(z).view_as(x), mean, logvar, z


def batch(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """x, noise and a permutation of each latent."""
    order = randn(BATCH, LATENTS, seed=seed + 1).argsort(0)
    return torch.sigmoid(3 * randn(BATCH, 1, 2, 4, seed=seed)), randn(BATCH, LATENTS, seed=seed + 2), order


def forward(
    outputs: tuple[torch.Tensor, ...],
    x: torch.Tensor,
    order: torch.Tensor,
    aux: Callable[[torch.Tensor], torch.Tensor],
    aux_frozen: Callable[[torch.Tensor], torch.Tensor],
) -> Forward:
    logits, mean, logvar, z = outputs
    nll = LIKELIHOODS["bernoulli"].nll
    return Forward(x, logits, mean, logvar, z, nll, N_DATA, permutation=order, aux=aux, aux_frozen=aux_frozen)


def alone(name: str, member: int, hyper: Mapping[str, float | torch.Tensor]) -> tuple[Terms, dict[str, torch.Tensor]]:
    """Terms and gradients of one member by plain autograd, its frozen network a copy that needs no gradient."""
    net, frozen = Networks(member), Networks(member).requires_grad_(False)
    x, noise, order = batch(10 * member)
    outputs = net(x, noise, OBJECTIVES[name].posterior)
    terms = OBJECTIVES[name].function(forward(outputs, x, order, net.aux, frozen.aux), **hyper)
    (terms.loss if terms.aux_loss is None else terms.loss + terms.aux_loss).backward()
    return terms, {key: torch.zeros_like(p) if p.grad is None else p.grad for key, p in net.named_parameters()}


def hyper_parameters(name: str, member: int) -> dict[str, torch.Tensor]:
    """Other values for every member: the defaults, or 1 where they are 0, scaled."""
    found = parameters(OBJECTIVES[name].function)
    return {key: torch.tensor((p.default or 1.0) * (0.4, 1.0, 1.7)[member]).double() for key, p in found.items()}


@pytest.mark.parametrize("name", OBJECTIVES)
class TestEveryObjective:
    def test_signature_is_a_schema_of_floats(self, name: str) -> None:
        objective = OBJECTIVES[name]
        found = parameters(objective.function)
        assert all(p.type is float for p in found.values())
        assert set(objective.defaults) <= set(found)
        for text in objective.defaults.values():
            parse(text)

    def test_logs_recon_and_kl_cut_from_the_graph(self, name: str) -> None:
        terms, _ = alone(name, 0, {})
        assert terms.loss.shape == () and terms.loss.isfinite()
        assert terms.logs["recon"].shape == () and terms.logs["kl"].shape == (LATENTS,)
        assert all(not value.requires_grad and value.isfinite().all() for value in terms.logs.values())

    def test_recon_and_kl_are_sums_of_an_image_and_means_of_a_batch(self, name: str) -> None:
        terms, _ = alone(name, 1, {})
        net = Networks(1)
        x, noise, _ = batch(10)
        with torch.no_grad():
            logits, mean, logvar, _ = net(x, noise, OBJECTIVES[name].posterior)
        p = torch.sigmoid(logits)
        recon = [-(x[b] * p[b].log() + (1 - x[b]) * (1 - p[b]).log()).sum().item() for b in range(BATCH)]
        kl = [(0.5 * (mean[b] ** 2 + logvar[b].exp() - 1 - logvar[b])).tolist() for b in range(BATCH)]
        assert terms.logs["recon"].item() == pytest.approx(sum(recon) / BATCH)
        assert terms.logs["kl"].tolist() == pytest.approx([sum(k) / BATCH for k in zip(*kl, strict=True)])

    def test_loss_reaches_encoder_and_decoder(self, name: str) -> None:
        _, gradients = alone(name, 0, {})
        unreached = [key for key, g in gradients.items() if not key.startswith("aux") and not g.any()]
        assert unreached == []
        assert gradients["aux.0.weight"].any() == (OBJECTIVES[name].aux is not None)

    def test_is_pure(self, name: str) -> None:
        state = torch.get_rng_state()
        (first, gradients), (second, others) = alone(name, 0, {}), alone(name, 0, {})
        assert first.loss.item() == second.loss.item()
        assert all(torch.equal(gradients[key], others[key]) for key in gradients)
        assert torch.equal(torch.get_rng_state(), state)

    def test_stacked_equals_alone(self, name: str) -> None:
        """Members with other weights, images, noise and hyper-parameters, as one program under vmap."""
        networks = [Networks(member) for member in range(MEMBERS)]
        base = networks[0]
        stacked, _ = stack_module_state(networks)  # type: ignore[arg-type]
        batches = [torch.stack(tensors) for tensors in zip(*(batch(10 * m) for m in range(MEMBERS)), strict=True)]
        members = [hyper_parameters(name, m) for m in range(MEMBERS)]
        hyper = {key: torch.stack([values[key] for values in members]) for key in members[0]}

        def loss(weights: Weights, x: torch.Tensor, noise: torch.Tensor, order: torch.Tensor, hyper: Weights):  # type: ignore[no-untyped-def]
            def aux(z: torch.Tensor, weights: Weights = weights) -> torch.Tensor:
                part = {key.removeprefix("aux."): w for key, w in weights.items() if key.startswith("aux.")}
                return functional_call(base.aux, part, (z,))  # type: ignore[no-any-return]

            detached = {key: w.detach() for key, w in weights.items()}
            outputs = functional_call(base, dict(weights), (x, noise, OBJECTIVES[name].posterior))
            out = forward(outputs, x, order, aux, lambda z: aux(z, detached))
            terms = OBJECTIVES[name].function(out, **hyper)
            total = terms.loss if terms.aux_loss is None else terms.loss + terms.aux_loss
            return total, (terms.loss, dict(terms.logs))

        gradients, (losses, logs) = vmap(grad(loss, has_aux=True))(stacked, *batches, hyper)
        for member in range(MEMBERS):
            terms, expected = alone(name, member, hyper_parameters(name, member))
            torch.testing.assert_close(losses[member], terms.loss.detach(), rtol=1e-9, atol=1e-9)
            for key, value in terms.logs.items():
                torch.testing.assert_close(logs[key][member], value, rtol=1e-9, atol=1e-9)
            for key, value in expected.items():
                torch.testing.assert_close(gradients[key][member], value, rtol=1e-8, atol=1e-9)

    def test_floats_and_tensors_are_the_same_hyper_parameters(self, name: str) -> None:
        tensors = hyper_parameters(name, 2)
        numbers = {key: value.item() for key, value in tensors.items()}
        assert alone(name, 0, tensors)[0].loss.item() == pytest.approx(alone(name, 0, numbers)[0].loss.item())

    def test_second_network_is_named_by_its_seed(self, name: str) -> None:
        aux = OBJECTIVES[name].aux
        if aux is None:
            assert alone(name, 0, {})[0].aux_loss is None
            return
        assert aux.lr > 0 and all(0 <= beta < 1 for beta in aux.betas)
        state = torch.get_rng_state()
        first, again, other = (aux.build(LATENTS, seed) for seed in (1, 1, 2))
        assert torch.equal(torch.get_rng_state(), state)
        for a, b, c in zip(first.parameters(), again.parameters(), other.parameters(), strict=True):
            assert torch.equal(a, b) and (not a.any() or not torch.equal(a, c))
        stacked, _ = stack_module_state([first, other])  # type: ignore[arg-type]
        z = randn(2, BATCH, LATENTS, seed=0).float()
        together = vmap(lambda weights, z: functional_call(first, weights, (z,)))(stacked, z)
        torch.testing.assert_close(together, torch.stack([first(z[0]), other(z[1])]), rtol=1e-4, atol=1e-5)
