"""What every architecture keeps: the contract behind the table."""

import numpy as np
import pytest
import torch
from torch.func import functional_call, grad, stack_module_state, vmap

from unbraid.errors import UnbraidError
from unbraid.models import ARCHITECTURES, VAE, build
from unbraid.registry import parameters

SHAPES = [(1, 32, 32), (3, 64, 32)]


def inputs(vae: VAE, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = torch.rand(batch, *vae.image_shape, generator=generator)
    return x, torch.randn(batch, vae.latent_dim, generator=generator)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_shapes_and_reparametrisation(name: str, shape: tuple[int, int, int]) -> None:
    vae = build(name, shape, latent_dim=64)  # a multiple of 16 and 32, for nets whose latents are cells of a map
    x, noise = inputs(vae)
    logits, mean, logvar, z = vae(x, noise)
    assert logits.shape == x.shape
    assert mean.shape == logvar.shape == z.shape == noise.shape
    torch.testing.assert_close(z, mean + torch.sqrt(torch.exp(logvar)) * noise)
    torch.testing.assert_close(vae.encode(x), (mean, logvar))
    torch.testing.assert_close(vae.decode(z), logits)


@pytest.mark.parametrize("name", ARCHITECTURES)
class TestEveryArchitecture:
    def test_takes_a_latent_dim(self, name: str) -> None:
        default = parameters(ARCHITECTURES[name].function)["latent_dim"].default
        assert build(name, (1, 32, 32)).latent_dim == default
        vae = build(name, (1, 32, 32), latent_dim=2 * default)
        assert vae.encode(inputs(vae)[0])[0].shape == (2, 2 * default)

    def test_seed_alone_names_the_weights(self, name: str) -> None:
        torch.manual_seed(1)
        first = build(name, (1, 32, 32), seed=3).state_dict()
        torch.manual_seed(2)
        second, other = build(name, (1, 32, 32), seed=3).state_dict(), build(name, (1, 32, 32), seed=4).state_dict()
        assert all(torch.equal(first[key], second[key]) for key in first)
        weights = [key for key in first if key.endswith("weight")]
        assert not any(torch.equal(first[key], other[key]) for key in weights)

    def test_is_on_the_cpu_whatever_the_default_device_is(self, name: str) -> None:
        with torch.device("meta"):
            found = build(name, (1, 32, 32))
        assert {weight.device.type for weight in found.parameters()} == {"cpu"}

    def test_leaves_global_randomness_alone(self, name: str) -> None:
        state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        build(name, (1, 32, 32))
        assert torch.equal(torch.get_rng_state(), state)
        assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002

    def test_parameters_are_all_of_the_state_and_all_are_used(self, name: str) -> None:
        vae = build(name, (1, 32, 32))
        assert not list(vae.buffers())
        assert all(p.isfinite().all() and p.device.type == "cpu" for p in vae.parameters())
        logits, mean, logvar, _ = vae(*inputs(vae))
        (logits.square().sum() + mean.square().sum() + logvar.square().sum()).backward()
        unused = [key for key, p in vae.named_parameters() if p.grad is None or not p.grad.any()]
        assert unused == []

    def test_images_do_not_see_each_other(self, name: str) -> None:
        vae = build(name, (1, 32, 32))
        x, noise = inputs(vae, batch=4)
        together, alone = vae(x, noise), vae(x[1:2], noise[1:2])
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[1:2], b, rtol=1e-4, atol=1e-5)

    def test_stacked_equals_alone(self, name: str) -> None:
        members = [build(name, (1, 32, 32), seed=seed).double() for seed in range(3)]
        x, noise = (t.double() for t in inputs(members[0]))

        def loss(weights: dict[str, torch.Tensor]) -> torch.Tensor:
            return sum(t.square().mean() for t in functional_call(members[0], weights, (x, noise)))  # type: ignore[return-value]

        stacked, _ = stack_module_state(members)  # type: ignore[arg-type]
        values, gradients = vmap(loss)(stacked), vmap(grad(loss))(stacked)
        for i, member in enumerate(members):
            alone = sum(t.square().mean() for t in member(x, noise))
            alone.backward()
            torch.testing.assert_close(values[i], alone.detach())
            for key, parameter in member.named_parameters():
                torch.testing.assert_close(gradients[key][i], parameter.grad, rtol=1e-8, atol=1e-12)

    def test_takes_or_refuses_an_odd_size_in_one_sentence(self, name: str) -> None:
        try:
            vae = build(name, (1, 30, 30))
        except UnbraidError as error:
            assert name in str(error) and "30x30" in str(error) and "32" in str(error)
        else:
            assert vae(*inputs(vae))[0].shape == (2, 1, 30, 30)

    def test_refuses_unknown_options_and_no_latents(self, name: str) -> None:
        with pytest.raises(UnbraidError, match=f'"{name}" has no option "latent_dims"; did you mean "latent_dim"'):
            build(name, (1, 32, 32), latent_dims=4)
        with pytest.raises(UnbraidError, match="latent_dim must be at least 1, not 0"):
            build(name, (1, 32, 32), latent_dim=0)


def test_unknown_architecture() -> None:
    with pytest.raises(UnbraidError, match='no architecture called "burges"; did you mean "burgess"'):
        build("burges", (1, 64, 64))
