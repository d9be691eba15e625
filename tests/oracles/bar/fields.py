"""Patterns over the whole image: noise by its spectrum, Perlin's noise, plasma, waves."""

from __future__ import annotations

from typing import Any

import numpy as np


def places(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows Y and columns X of the pixels, (n, n) each."""
    rows, columns = np.mgrid[0:n, 0:n].astype(float)
    return rows, columns


def by_spectrum(phases: np.ndarray, amplitude: np.ndarray) -> np.ndarray:
    """Noise (n, n) of standard deviation 1 whose spectrum has these amplitudes, and phases (n, n/2) for half of it."""
    n = len(amplitude)
    whole = np.hstack([phases, np.rot90(phases, 2)])
    spectrum = np.roll(amplitude * np.exp(1j * whole), (n // 2, n // 2), (0, 1))
    noise = np.fft.ifft2(spectrum).real
    return noise / noise.std()


def radius(n: int) -> np.ndarray:
    """Distance of each place of a spectrum from its middle."""
    rows, columns = places(n)
    return np.hypot(rows - n / 2, columns - n / 2)


def blue_noise_sample(image: np.ndarray, s: float, d: dict[str, Any]) -> np.ndarray:
    """Only the pixels where blue noise is high."""
    noise = by_spectrum(d["phases"], radius(len(image)))
    return np.where((noise > 0.3 * s - 2.5)[..., None], image, 0)


def brownish_noise(image: np.ndarray, s: float, d: dict[str, Any]) -> np.ndarray:
    """Noise whose amplitude falls with the square of the frequency, for each channel."""
    amplitude = 1 / (radius(len(image)) ** 2 + 1)
    noise = np.stack([by_spectrum(phases, amplitude) for phases in d["phases"]], axis=2)
    return image + 6.4 * s * noise


def single_frequency_greyscale(image: np.ndarray, s: float, d: dict[str, Any]) -> np.ndarray:
    """A plane wave."""
    rows, columns = places(len(image))
    both = (d["freq_1"], d["freq_2"])
    across, down = both[int(d["order"])], both[1 - int(d["order"])]
    return image + (19.6 * s * np.sin(across * columns + down * rows + d["phase"]))[..., None]


def cocentric_sine_waves(image: np.ndarray, s: float, d: dict[str, Any]) -> np.ndarray:
    """Wobbly rings with a saw-tooth across them."""
    rows, columns = places(len(image))
    x, y = columns - d["centre"][0], rows - d["centre"][1]
    r = np.sqrt(x**2 + y**2) + d["wobble_px"] * np.sin(d["angular_freq"] * np.arctan2(x, y))
    return image + (12.8 * s * (np.mod(r, d["ring_px"]) / d["ring_px"] - 0.5))[..., None]


def plasma_noise(image: np.ndarray, s: float, d: dict[str, Any]) -> np.ndarray:
    """A mixture with coloured swirls."""
    t = d["time"]
    rows, columns = places(len(image))
    u, v = columns / d["scale_px"], rows / d["scale_px"]
    a = b = c = 1.0
    for _ in range(int(d["iterations"])):
        p, q = np.cos(v * a + t / b) / c, np.sin(u * a + t / b) / c
        p, q = p - 0.3 * q, q + 0.3 * p
        u, v = u + p, v + q
        a, b, c = a * 1.93, b * 1.15, c * (2.25 - d["sharpness"])
    colours = np.stack([np.sin(u - t), np.sin((u + v + np.sin(t)) / 2), np.sin(v + t)], axis=2)
    amount = 6.4 * s
    return (1 - amount / 255) * image + amount * colours


def perlin_noise(image: np.ndarray, s: float, d: dict[str, Any]) -> np.ndarray:
    """A mixture with a grey sum of the absolute values of five octaves."""
    n = len(image)
    rows, columns = places(n)
    total = sum(abs(perlin(f * rows / (n / 7), f * columns / (n / 7), d)) / f for f in (1, 2, 4, 8, 16))
    amount = 0.05 * s
    return (1 - amount) * image + (255 * amount * np.clip(0.5 * total + 0.5, 0, 1))[..., None]


def perlin(first: np.ndarray, second: np.ndarray, d: dict[str, Any]) -> np.ndarray:
    """Perlin's classic noise, 1.5 times."""
    table, gradients = d["permutation"], d["gradients"]
    i, j = np.floor(first).astype(int), np.floor(second).astype(int)
    x, y = first - i, second - j
    i, j = i % 256, j % 256

    def slope(di: int, dj: int) -> np.ndarray:
        g = gradients[table[table[(i + di) % 256] + (j + dj) % 256]]
        return (x - di) * g[..., 0] + (y - dj) * g[..., 1]

    across, down = x * x * (3 - 2 * x), y * y * (3 - 2 * y)
    near = slope(0, 0) + across * (slope(1, 0) - slope(0, 0))
    far = slope(0, 1) + across * (slope(1, 1) - slope(0, 1))
    return 1.5 * (near + down * (far - near))
