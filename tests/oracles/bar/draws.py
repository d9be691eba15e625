"""Draws of the published law: parameters from one legacy generator, large arrays from another with a drawn seed."""

from __future__ import annotations

from typing import Any

import numpy as np


def random_draws(corruption: str, s: float, n: int, rng: np.random.RandomState) -> dict[str, Any]:
    """The draws that ``oracle`` takes, for images of n px and the strength s."""
    drawn: dict[str, Any] = _DRAWERS[corruption](s, n, rng) if corruption in _DRAWERS else {}
    return drawn


def _seeded(rng: np.random.RandomState) -> np.random.RandomState:
    return np.random.RandomState(rng.randint(0, 2**32, dtype=np.uint64))


def _blue(s: float, n: int, rng: np.random.RandomState) -> dict[str, Any]:
    return {"phases": _seeded(rng).uniform(0, 2 * np.pi, (n, n // 2))}


def _brown(s: float, n: int, rng: np.random.RandomState) -> dict[str, Any]:
    own = _seeded(rng)
    return {"phases": np.stack([own.uniform(0, 2 * np.pi, (n, n // 2)) for _ in range(3)])}


def _caustic(s: float, n: int, rng: np.random.RandomState) -> dict[str, Any]:
    return {"time": rng.uniform(0.5, 2), "size_px": n * rng.uniform(0.75, 1.25)}


def _checkerboard(s: float, n: int, rng: np.random.RandomState) -> dict[str, Any]:
    angle, cell = rng.uniform(0, 2 * np.pi), max(n * rng.uniform(0.1, 0.25), 1)
    count = int(4 * n / cell)
    return {"angle": angle, "cell_px": cell, "grid": _seeded(rng).uniform(size=(count, count))}


def _cocentric(s: float, n: int, rng: np.random.RandomState) -> dict[str, Any]:
    return {
        "centre": rng.uniform(0, n, 2), "angular_freq": rng.uniform(0, 10), "wobble_px": rng.uniform(0, n / 10),
        "ring_px": rng.uniform(0, n / 10),
    }  # fmt: skip


def _inverse(s: float, n: int, rng: np.random.RandomState) -> dict[str, Any]:
    centre, own, rays = n * rng.uniform(0.25, 0.75, 2), _seeded(rng), rng.randint(50, 200)
    return {"centre": centre, "rays": rays, "ray_noise": own.standard_normal(rays)}


def _sparkles(s: float, n: int, rng: np.random.RandomState) -> dict[str, Any]:
    centres, own, rays = rng.uniform(0, n, (5, 2)), _seeded(rng), rng.randint(50, 200, 5)
    noise = np.zeros((5, 199))
    for star, count in enumerate(rays):
        noise[star, :count] = own.standard_normal(count)
    return {"centres": centres, "rays": rays, "ray_noise": noise}


def _lines(s: float, n: int, rng: np.random.RandomState) -> dict[str, Any]:
    angle, variation = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 1)
    return {"angle": angle, "variation": variation, "lines": _seeded(rng).uniform(size=(int(0.1 * s * n), 3))}


def _perlin(s: float, n: int, rng: np.random.RandomState) -> dict[str, Any]:
    own = _seeded(rng)
    steps = (own.randint(0, 2**31, (514, 2)) % 512 - 256) / 256
    length = np.hypot(*steps.T)[:, None]
    gradients = np.where(length == 0, 0, steps / np.where(length == 0, 1, length))
    places = np.arange(514)
    for i in range(255, -1, -1):
        other = own.randint(0, 2**31) % 256
        places[[i, other]] = places[[other, i]]
    places[256:], gradients[256:] = places[:258], gradients[:258]
    return {"gradients": gradients, "permutation": places}


def _pinch(s: float, n: int, rng: np.random.RandomState) -> dict[str, Any]:
    cells = 5 if n == 224 else 3
    return {"signs": rng.choice([-1, 1], (cells, cells))}


def _plasma(s: float, n: int, rng: np.random.RandomState) -> dict[str, Any]:
    return {
        "time": rng.uniform(0, 6 * np.pi), "iterations": rng.randint(4, 7), "sharpness": rng.uniform(0.5, 1),
        "scale_px": n * rng.uniform(0.075, 0.2),
    }  # fmt: skip


def _ripple(s: float, n: int, rng: np.random.RandomState) -> dict[str, Any]:
    return {"wavelength_px": n * rng.uniform(0.1, 0.3, 2), "phase": rng.uniform(0, 2 * np.pi, 2)}


def _single(s: float, n: int, rng: np.random.RandomState) -> dict[str, Any]:
    first = rng.uniform(-np.pi, np.pi)
    second = rng.uniform(-abs(first), abs(first))
    return {"freq_1": first, "freq_2": second, "order": rng.permutation(2)[0], "phase": rng.uniform(0, 2 * np.pi)}


def _transverse(s: float, n: int, rng: np.random.RandomState) -> dict[str, Any]:
    return {"order": rng.permutation(3)}


_DRAWERS = {
    "blue_noise_sample": _blue, "brownish_noise": _brown, "caustic_refraction": _caustic,
    "checkerboard_cutout": _checkerboard, "cocentric_sine_waves": _cocentric, "inverse_sparkles": _inverse,
    "lines": _lines, "perlin_noise": _perlin, "pinch_and_twirl": _pinch, "plasma_noise": _plasma, "ripple": _ripple,
    "single_frequency_greyscale": _single, "sparkles": _sparkles, "transverse_chromatic_abberation": _transverse,
}  # fmt: skip
