"""Noise with a spectrum of its own, and Perlin's: blue_noise_sample, brownish_noise, perlin_noise.

Images are ``(n, H, W, C)`` uint8; everything is computed in float64 and truncated once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ppbench.corruptions.bar.draws import grid, parameter, table, truncated
from ppbench.corruptions.dispatch import on_cpu
from ppbench.corruptions.kernels import bar_fields as kernels
from ppbench.corruptions.kernels import bar_noise
from ppbench.corruptions.random import Draws, uniform
from ppbench.corruptions.recipes import Recipe
from ppbench.corruptions.strengths import Strength

_OCTAVES = (1, 2, 4, 8, 16)


def blue_noise_sample(images: Tensor, k: Strength, recipe: Recipe, draws: Draws) -> Tensor:
    """Keep the pixels at which blue noise exceeds 0.3 s - 2.5 of its standard deviations; all others turn black.

    Draws: ``phases`` (n, H, W/2, rounded up) of half the noise's spectrum, radians.
    """
    height, width = images.shape[1:3]
    phases = parameter(draws, images, "phases", 0, 2 * torch.pi, height, (width + 1) // 2)
    return keep_where_high(images, noise_from(phases, height, width, 1), 0.3 * k.value - 2.5)


def brownish_noise(images: Tensor, k: Strength, recipe: Recipe, draws: Draws) -> Tensor:
    """Add noise of 6.4 s levels whose amplitude falls with the square of the frequency, and an offset.

    Each channel has noise of its own; a grey image gets that of red.
    Draws: ``phases`` (n, 3, H, W/2, rounded up) of half of each channel's spectrum, radians.
    """
    height, width, channels = images.shape[1:]
    phases = parameter(draws, images, "phases", 0, 2 * torch.pi, 3, height, (width + 1) // 2)[:, :channels]
    return add_fields(images, noise_from(phases.flatten(0, 1), height, width, 2), 6.4 * k.value)


@on_cpu(bar_noise.noise_from)
def noise_from(phases: Tensor, height: int, width: int, power: int) -> Tensor:
    """Return fields float64 ``(n, H, W)`` with phases for half of their spectrum, see `half_spectrum`."""
    # Their scale does not matter, so nothing is divided by H W.
    return torch.fft.irfft2(half_spectrum(phases, height, width, power), s=(height, width), norm="forward")


def half_spectrum(phases: Tensor, height: int, width: int, power: int) -> Tensor:
    """Return the half of a real field's spectrum that `torch.fft.irfft2` takes: complex ``(n, H, W//2 + 1)``.

    The published code takes the real part of a field whose spectrum is not symmetric, which is the field of the
    spectrum's symmetric part.

    Args:
        phases: ``(n, H, W/2, rounded up)``; the other half has them turned by 180 degrees.
        height: H.
        width: W.
        power: 1: the amplitude is the frequency f; 2: it is 1 / (f^2 + 1), f in waves per shorter side.
    """
    whole = torch.cat([phases, phases.flip(1, 2)[..., width % 2 :]], dim=2)
    rows, columns = (torch.arange(side, device=phases.device, dtype=torch.float64) for side in (height, width))
    side = min(height, width)
    down, across = (rows - height // 2) / height * side, (columns - width // 2) / width * side
    square = down[:, None] ** 2 + across**2
    amplitude = square.sqrt() if power == 1 else 1 / (square + 1)
    spectrum = torch.polar(amplitude.expand_as(whole).contiguous(), whole)
    spectrum = torch.roll(spectrum, (-(height // 2), -(width // 2)), (1, 2))
    # The spectrum at minus each frequency: frequency 0 stays, the others are in reverse order.
    opposite = torch.roll(spectrum.flip(1, 2), (1, 1), (1, 2))
    return ((spectrum + opposite.conj()) / 2)[..., : width // 2 + 1].resolve_conj()


@on_cpu(bar_noise.keep_where_high)
def keep_where_high(images: Tensor, noise: Tensor, threshold: float) -> Tensor:
    """Blacken the pixels at which noise ``(n, H, W)`` is not above a threshold in its standard deviations."""
    deviation = noise.flatten(1).std(dim=1, correction=0).view(-1, 1, 1)
    return images * (noise > threshold * deviation)[..., None]


@on_cpu(bar_noise.add_fields)
def add_fields(images: Tensor, noise: Tensor, amount: float) -> Tensor:
    """Add noise ``(n * C, H, W)``, one field for each channel, with a standard deviation of ``amount`` levels."""
    n, height, width, channels = images.shape
    weight = amount / noise.flatten(1).std(dim=1, correction=0).view(-1, 1, 1)
    return truncated(images + (noise * weight).view(n, channels, height, width).permute(0, 2, 3, 1))


def perlin_noise(images: Tensor, k: Strength, recipe: Recipe, draws: Draws) -> Tensor:
    """Mix 5 s % of grey clouds into the image: Perlin's noise of five octaves, with seven cells on the shorter side.

    A gradient of length 0 counts as level; in the published code it blackens its cells.
    Draws: ``gradients`` (n, 256 or more, 2) of length 1 or 0, and ``permutation`` (n, 256 or more) of 0 to 255.
    """
    gradients = table(draws, "gradients", 256, 2)
    if gradients is None:
        steps = (uniform(draws.words("gradients", 256, 2), 0, 512).floor().double() - 256) / 256
        gradients = steps / (steps**2).sum(dim=2, keepdim=True).sqrt().clamp(min=1e-9)
    numbers = table(draws, "permutation", 256)
    if numbers is None:
        numbers = draws.words("permutation", 256).argsort(dim=1, stable=True)
    first = numbers[:, :256].long().remainder(256).contiguous()
    cell = min(images.shape[1:3]) / 7
    return mix_perlin(images, gradients[:, :256].double().contiguous(), first, cell, 0.05 * k.value)


@on_cpu(kernels.mix_perlin)
def mix_perlin(images: Tensor, gradients: Tensor, permutation: Tensor, cell: float, share: float) -> Tensor:
    """Mix a share of noise into images; gradients ``(n, 256, 2)``, permutation ``(n, 256)``, cell in pixels."""
    rows, columns = grid(images)
    total = torch.zeros(images.shape[:3], dtype=torch.float64, device=images.device)
    for f in _OCTAVES:
        total += _perlin(f * rows / cell, columns * (f / cell), gradients, permutation).abs() * (1 / f)
    clouds = 255 * share * (0.5 * total + 0.5).clamp(0, 1)
    return truncated((1 - share) * images.double() + clouds[..., None])


def _perlin(first: Tensor, second: Tensor, gradients: Tensor, permutation: Tensor) -> Tensor:
    """Perlin's classic noise, 1.5 times, at coordinates ``(H, 1)`` and ``(1, W)``: ``(n, H, W)``."""
    i, j = first.floor(), second.floor()
    x, y = first - i, second - j
    image = torch.arange(len(gradients), device=gradients.device).view(-1, 1, 1)

    def slope(di: int, dj: int) -> Tensor:
        row = permutation[image, ((i.long() + di) % 256)[None]]
        g = gradients[image, permutation[image, (row + j.long() + dj) % 256]]
        return (x - di) * g[..., 0] + (y - dj) * g[..., 1]

    across, down = x * x * (3 - 2 * x), y * y * (3 - 2 * y)
    near = slope(0, 0) + across * (slope(1, 0) - slope(0, 0))
    far = slope(0, 1) + across * (slope(1, 1) - slope(0, 1))
    return 1.5 * (near + down * (far - near))
