"""PRIME against its plain definition, and the properties that its paper gives the primitives."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ppbench.train.prime import (
    CIFAR,
    IMAGENET,
    ColourTransform,
    Prime,
    PrimeSettings,
    SpatialTransform,
    SpectralTransform,
    settings_for,
)
from ppbench.train.prime.spatial import mode_deviations, temperature_range
from tests.oracles import prime as oracle

STILL = PrimeSettings(3, 0.0, 2, 5, 7, 0.0, None)
"""No filter, no colour change."""


def key(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 4, channels: int = 3, size: int = 12, seed: int = 0) -> Tensor:
    return torch.rand((count, channels, size, size), generator=key(seed))


def transforms(size: int) -> list[torch.nn.Module]:
    return [SpectralTransform(3, 4.0), SpatialTransform(size, 2, 100), ColourTransform(100, 0.01)]


class TestSpectral:
    @pytest.mark.parametrize("filter_size", [1, 3, 5])
    def test_matches_its_definition(self, filter_size: int) -> None:
        images, transform = pictures(), SpectralTransform(filter_size, 0.5)
        filters = transform.draw(len(images), key(1))
        result = transform.transform(images, filters)
        for image, kernel, got in zip(images.numpy(), filters.numpy(), result.numpy(), strict=True):
            np.testing.assert_allclose(got, oracle.filtered(image, kernel), atol=1e-5)

    def test_zero_strength_is_the_identity(self) -> None:
        images = pictures()
        assert torch.equal(SpectralTransform(3, 0.0)(images, key(0)), images)

    def test_weights_are_independent_and_normal_about_the_identity(self) -> None:
        weights = SpectralTransform(3, 4.0).draw(60_000, key(2))
        weights[:, 1, 1] -= 1
        flat = weights.flatten(1).double()
        # sigma is uniform on [0, 4): the mean square is 16/3, the mean fourth power 3 * 256/5.
        assert flat.square().mean(0).numpy() == pytest.approx(np.full(9, 16 / 3), rel=0.03)
        assert flat.pow(4).mean().item() == pytest.approx(3 * 256 / 5, rel=0.05)
        correlation = np.corrcoef(flat.numpy().T) - np.eye(9)
        assert np.abs(correlation).max() < 0.02
        assert flat.mean(0).abs().max() < 0.04

    def test_an_even_filter_has_no_centre(self) -> None:
        with pytest.raises(ValueError, match="filter_size 4 is even"):
            SpectralTransform(4, 1.0)


class TestSpatial:
    def test_matches_its_definition(self) -> None:
        size = 12
        images, transform = pictures(size=size), SpatialTransform(size, 2, 8)
        coefficients = 0.1 * torch.randn((len(images), 2, size - 2, size - 2), generator=key(1))
        strengths = torch.tensor([1e-4, 1e-3, 1e-2, 0.1])
        displacements = transform.field(coefficients, strengths)
        result = transform.transform(images, displacements)
        for index, image in enumerate(images.numpy()):
            right, down = (
                oracle.field(coefficients[index, axis].numpy(), size, float(strengths[index])) for axis in (0, 1)
            )
            np.testing.assert_allclose(displacements[index].numpy(), np.stack((right, down)), atol=1e-4)
            np.testing.assert_allclose(result[index].numpy(), oracle.displaced(image, right, down), atol=2e-4)

    @pytest.mark.parametrize(("size", "cut"), [(10, 2), (10, 7), (10, 8), (10, 9), (10, 30), (13, 40), (3, 5)])
    def test_modes_that_look_alike_on_the_pixels_add_up_in_variance(self, size: int, cut: int) -> None:
        deviations = mode_deviations(size, 2, cut + 1)[cut - 2]
        np.testing.assert_allclose(deviations.double().square().numpy(), oracle.mode_variances(size, cut), atol=1e-5)

    def test_a_field_has_the_variance_of_all_its_modes(self) -> None:
        size, cut = 12, 25
        transform = SpatialTransform(size, cut, cut + 1)
        normal = torch.randn((20_000, 2, size - 2, size - 2), generator=key(3))
        fields = transform.field(normal * transform.deviations[0], torch.ones(len(normal))) / size
        place = np.arange(size) / (size - 1)
        expected = sum(
            np.outer(np.sin(np.pi * j * place) ** 2, np.sin(np.pi * i * place) ** 2) / (i**2 + j**2)
            for i in range(1, cut + 1)
            for j in range(1, cut + 1)
            if math.hypot(i, j) < cut + 0.5
        )
        np.testing.assert_allclose(fields.var(dim=(0, 1)).numpy(), expected, rtol=0.05, atol=1e-6)

    @pytest.mark.parametrize("cut", [2, 5, 9])
    def test_no_energy_above_the_cut_off(self, cut: int) -> None:
        size = 32
        transform = SpatialTransform(size, cut, cut + 1)
        fields = transform.field(
            torch.randn((6, 2, size - 2, size - 2), generator=key(4)) * transform.deviations[0], torch.full((6,), 0.01)
        )
        energy = (transform.basis.T @ fields @ transform.basis).square().sum(dim=(0, 1))
        mode = torch.arange(1, size - 1)
        outside = torch.hypot(mode[:, None].float(), mode.float()) >= cut + 0.5
        assert energy[outside].max() < 1e-9 * energy.max()
        assert energy[~outside].min() > 0

    def test_the_border_stays_where_it_is(self) -> None:
        displacements = SpatialTransform(20, 2, 100).draw(50, key(5))
        border = torch.ones((20, 20), dtype=torch.bool)
        border[1:-1, 1:-1] = False
        assert displacements[:, :, border].abs().max() < 1e-3

    def test_no_displacement_is_the_identity(self) -> None:
        images = pictures(size=28)
        still = torch.zeros((len(images), 2, 28, 28))
        assert torch.allclose(SpatialTransform(28, 2, 100).transform(images, still), images, atol=1e-5)

    @pytest.mark.parametrize(("size", "cut_max"), [(28, 100), (224, 500)])
    def test_strengths_lie_between_half_a_pixel_and_folding(self, size: int, cut_max: int) -> None:
        transform = SpatialTransform(size, 2, cut_max)
        cuts = transform.draw_cuts(20_000, key(6))
        assert (cuts.min(), cuts.max()) == (2, cut_max)
        strengths = transform.draw_strengths(cuts, key(7))
        low, high = temperature_range(size, cuts)
        assert (strengths >= low).all()
        assert (strengths <= high * (1 + 1e-6)).all()
        typical = size / 2 * (math.pi * low * cuts.float().log()).sqrt()
        assert torch.allclose(typical, torch.full_like(typical, 0.5))

    def test_the_weakest_displacements_are_half_a_pixel_long(self) -> None:
        size, cut = 100, 60
        transform = SpatialTransform(size, cut, cut + 1)
        low, _ = temperature_range(size, torch.full((200,), cut))
        modes = size - 2
        normal = torch.randn((200, 2, modes, modes), generator=key(8))
        lengths = transform.field(normal * transform.deviations[0], low).square().sum(1).sqrt()
        # The formula is the leading term for high cut-offs.
        assert lengths.square().mean().sqrt().item() == pytest.approx(0.5, rel=0.2)

    def test_most_fields_at_the_highest_strength_do_not_fold(self) -> None:
        size = 64
        transform = SpatialTransform(size, 4, 5)
        _, high = temperature_range(size, torch.full((500,), 4))
        fields = transform.field(torch.randn((500, 2, 62, 62), generator=key(9)) * transform.deviations[0], high)
        stretch = torch.gradient(fields[:, 0], dim=2)[0].abs()
        assert (stretch < 1).double().mean() > 0.95

    def test_cuts_favour_both_ends(self) -> None:
        transform = SpatialTransform(8, 2, 3)
        assert transform.draw_cuts(10_000, key(10)).double().mean().item() == pytest.approx(2.5, abs=0.03)

    def test_limits_are_checked(self) -> None:
        with pytest.raises(ValueError, match="cut_min 1"):
            SpatialTransform(28, 1, 5)


class TestColour:
    @pytest.mark.parametrize(("cut_max", "strength", "bandwidth"), [(100, 0.01, None), (500, 0.05, 20), (3, 0.2, None)])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_matches_its_definition(self, cut_max: int, strength: float, bandwidth: int | None, channels: int) -> None:
        images, transform = pictures(channels=channels), ColourTransform(cut_max, strength, bandwidth)
        coefficients = transform.draw(len(images), channels, key(1))
        result = transform.transform(images, coefficients)
        for image, series, got in zip(images.numpy(), coefficients.numpy(), result.numpy(), strict=True):
            np.testing.assert_allclose(got, oracle.recoloured(image, series), atol=1e-3)  # a quarter of a grey level

    def test_black_and_white_stay(self) -> None:
        images = torch.cat((torch.zeros((50, 3, 2, 2)), torch.ones((50, 3, 2, 2))))
        assert torch.allclose(ColourTransform(100, 0.5)(images, key(2)), images, atol=1e-4)

    def test_zero_strength_is_the_identity(self) -> None:
        images = pictures()
        assert torch.equal(ColourTransform(100, 0.0)(images, key(0)), images)

    def test_coefficients_have_variance_t_up_to_the_cut_off(self) -> None:
        coefficients = ColourTransform(10, 0.3).draw(60_000, 2, key(3)).double()
        last = (coefficients != 0).any(1).double().cumsum(1).argmax(1) + 1
        assert torch.bincount(last)[1:].double().div(6000).numpy() == pytest.approx(np.ones(10), rel=0.06)
        every = coefficients[last == 10]
        assert every.square().mean(dim=(0, 1)).numpy() == pytest.approx(np.full(10, 0.15), rel=0.06)  # T uniform
        assert (coefficients[last == 4][:, :, 4:] == 0).all()

    def test_a_band_is_successive_and_starts_below_the_cut_off(self) -> None:
        used = (ColourTransform(500, 0.05, 20).draw(5000, 1, key(4))[:, 0] != 0).double()
        frequency = torch.arange(1, 501)
        first = torch.where(used.bool(), frequency, 1000).amin(1)
        last = (used * frequency).amax(1)
        assert ((last - first + 1) == used.sum(1)).all()
        assert used.sum(1).max() == 20
        assert used.sum(1).min() >= 1
        assert first.double().mean().item() == pytest.approx(500 / 4, rel=0.1)  # uniform below a uniform cut-off

    def test_channels_get_curves_of_their_own(self) -> None:
        grey = torch.rand((5, 1, 8, 8), generator=key(5)).expand(-1, 3, -1, -1)
        result = ColourTransform(100, 0.01)(grey, key(6))
        assert not torch.allclose(result[:, 0], result[:, 1], atol=1e-2)

    def test_equal_values_stay_equal(self) -> None:
        image = torch.rand((1, 1, 4, 4), generator=key(7))
        result = ColourTransform(100, 0.01)(torch.cat((image, image), dim=3), key(8))
        assert torch.equal(result[..., :4], result[..., 4:])


class TestPrime:
    @pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32), (3, 96)])
    def test_stays_in_range_and_changes_the_images(self, channels: int, size: int) -> None:
        images = pictures(6, channels, size)
        result = Prime(size)(images, key(1))
        assert result.shape == images.shape
        assert result.dtype == torch.float32
        assert result.min() >= 0
        assert result.max() <= 1
        assert ((result - images).abs().amax(dim=(1, 2, 3)) > 1e-3).all()

    def test_equal_generators_give_equal_images(self) -> None:
        images, prime = pictures(8, 1, 28), Prime(28)
        untouched = images.clone()
        first = prime(images, key(1))
        assert torch.equal(first, prime(images, key(1)))
        assert not torch.equal(first, prime(images, key(2)))
        assert torch.equal(images, untouched)

    def test_no_global_random_state_is_used(self) -> None:
        prime, images = Prime(28), pictures(4, 1, 28)
        state, other = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        first = prime(images, key(1))
        assert torch.equal(torch.get_rng_state(), state)
        assert np.array_equal(np.random.get_state()[1], other)  # noqa: NPY002
        torch.rand(3)
        assert torch.equal(first, prime(images, key(1)))

    def test_is_the_mixture_of_its_chains(self) -> None:
        images, prime = pictures(5, 3, 28), Prime(28)
        generator = key(3)
        chains = prime.chains(images, generator).numpy()
        weights, share = (draw.numpy() for draw in prime.weights(len(images), generator))
        result = prime(images, key(3))
        for index, image in enumerate(images.numpy()):
            expected = oracle.mixed(image, chains[:, index], weights[:, index], share[index])
            np.testing.assert_allclose(result[index].numpy(), expected, atol=1e-6)

    def test_chains_follow_the_plan(self) -> None:
        class Mark(torch.nn.Module):
            def __init__(self, digit: int) -> None:
                super().__init__()
                self.digit = digit

            def forward(self, images: Tensor, generator: torch.Generator) -> Tensor:
                return images * 10 + self.digit

        prime = Prime(4)
        prime.primitives = torch.nn.ModuleList(Mark(digit) for digit in (1, 2, 3))
        chains = prime.chains(torch.zeros((7, 1, 4, 4)), key(4))[:, :, 0, 0, 0].flatten()
        for number, steps in zip(chains.tolist(), prime.plan(7, key(4)).T.tolist(), strict=True):
            taken = [step for step in steps if step >= 0]
            assert steps == taken + [-1] * (3 - len(taken))
            assert int(number) == int("".join(str(step + 1) for step in taken))

    def test_the_plan_is_uniform_over_lengths_and_primitives(self) -> None:
        plan = Prime(28).plan(20_000, key(5))
        lengths = torch.bincount((plan >= 0).sum(0), minlength=4)
        assert lengths[0] == 0
        assert lengths[1:].double().div(20_000).numpy() == pytest.approx(np.ones(3), rel=0.03)
        choices = torch.bincount(plan[plan >= 0])
        assert choices.double().div(40_000).numpy() == pytest.approx(np.ones(3), rel=0.03)

    def test_weights_are_uniform_over_the_simplex(self) -> None:
        weights, share = Prime(28).weights(50_000, key(6))
        assert torch.allclose(weights.sum(0), torch.ones(50_000))
        assert weights.mean(1).numpy() == pytest.approx(np.full(3, 1 / 3), rel=0.02)
        assert weights.var(1).numpy() == pytest.approx(np.full(3, 1 / 18), rel=0.03)  # of Dirichlet(1, 1, 1)
        assert (share.mean().item(), share.var().item()) == pytest.approx((1 / 2, 1 / 12), rel=0.02)

    def test_without_strength_only_pixels_are_displaced(self) -> None:
        flat = torch.full((6, 3, 16, 16), 0.25)
        assert torch.allclose(Prime(16, STILL)(flat, key(7)), flat, atol=1e-5)

    @given(value=st.floats(0, 1, width=32), size=st.sampled_from((3, 9, 28)), seed=st.integers(0, 2**31))
    @settings(max_examples=15, deadline=None)
    def test_range_holds_for_any_image(self, value: float, size: int, seed: int) -> None:
        result = Prime(size, CIFAR)(torch.full((3, 1, size, size), value), key(seed))
        assert bool(((result >= 0) & (result <= 1)).all())

    def test_another_size_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"images are \(28, 28\) pixels, this module is for \(32, 32\)"):
            Prime(32)(pictures(2, 1, 28), key(0))

    def test_autocast_changes_nothing(self) -> None:
        images, prime = pictures(4, 3, 32), Prime(32)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = prime(images, key(8))
        assert torch.equal(inside, prime(images, key(8)))

    def test_the_memory_format_does_not_matter(self) -> None:
        images, prime = pictures(4, 3, 28), Prime(28)
        other = prime(images.contiguous(memory_format=torch.channels_last), key(9))
        assert torch.allclose(other, prime(images, key(9)), atol=1e-6)

    def test_has_no_state_to_save_or_send(self) -> None:
        prime = Prime(28)
        assert not prime.state_dict()
        assert not list(prime.buffers())

    def test_settings_by_size(self) -> None:
        assert [settings_for(size) for size in (28, 32, 64, 96, 224)] == [CIFAR, CIFAR, CIFAR, IMAGENET, IMAGENET]

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    @pytest.mark.parametrize("size", [28, 224])
    def test_runs_on_a_gpu_with_the_same_transforms(self, size: int) -> None:
        images = pictures(4, 3, size)
        generator = torch.Generator("cuda").manual_seed(0)
        result = Prime(size).cuda()(images.cuda(), generator)
        assert result.is_cuda
        assert result.min() >= 0
        assert result.max() <= 1
        colour, spatial = ColourTransform(100, 0.01), SpatialTransform(size, 2, 100)
        coefficients, displacements = colour.draw(4, 3, key(1)), spatial.draw(4, key(2))
        on_gpu = colour.cuda().transform(images.cuda(), coefficients.cuda()).cpu()
        assert torch.allclose(on_gpu, colour.cpu().transform(images, coefficients), atol=1e-3)
        on_gpu = spatial.transform(images.cuda(), displacements.cuda()).cpu()
        assert torch.allclose(on_gpu, spatial.transform(images, displacements), atol=1e-3)
