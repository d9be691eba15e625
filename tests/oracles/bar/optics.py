"""Images read at displaced places: refraction, twirls, ripples, rotations, chromatic aberration."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from tests.oracles.bar.fields import places


def bilinear(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """float32 (…, C) of the image (n, n, C) at places (…); taps outside it are 0."""
    n = len(image)
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, across = rows - top, columns - left
    total = np.zeros((*rows.shape, image.shape[2]))
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        y, x = top + dy, left + dx
        inside = (y >= 0) & (y < n) & (x >= 0) & (x < n)
        weight = (down if dy else 1 - down) * (across if dx else 1 - across) * inside
        total += weight[..., None] * image[np.clip(y, 0, n - 1), np.clip(x, 0, n - 1)]
    return total.astype(np.float32)


def caustics(n: int, t: float, size: float) -> np.ndarray:
    """The light of waves on the ground of a pool, (n, n) in 0..1."""
    rows, columns = places(n)
    py, px = ((p / size % 1) * 6.28318530718 - 250 for p in (rows, columns))
    jy, jx, c = py, px, 1.0
    for m in range(5):
        u = t * (1 - 3.5 / (m + 1))
        jy, jx = py + np.cos(u - jy) + np.sin(u + jx), px + np.sin(u - jx) + np.cos(u + jy)
        c = c + 1 / np.sqrt((py / (np.sin(jy + u) / 0.005)) ** 2 + (px / (np.cos(jx + u) / 0.005)) ** 2)
    return np.clip(abs(1.17 - (c / 5) ** 1.4) ** 8, 0, 1)


def caustic_refraction(image: np.ndarray, s: float, d: dict[str, Any]) -> np.ndarray:
    """Seen through a wavy surface, lit from one side."""
    n = len(image)
    z = np.pad(ndimage.gaussian_filter(caustics(n, d["time"], d["size_px"]), 1), 1)
    a, b = z[2:, 1:-1] - z[:-2, 1:-1], z[1:-1, 2:] - z[1:-1, :-2]
    length = np.sqrt(a**2 + b**2 + 1)
    ny, nx, nz = a / length, b / length, 1 / length
    theta = np.arccos(nz)
    phi = np.arcsin(np.sin(theta) / 4)
    slope = np.hypot(ny, nx)
    shift = np.where(nz < 0.999, 0.05 * n * s * np.sin(theta - phi) / np.where(slope == 0, 1, slope), 0)
    rows, columns = places(n)
    x = image.astype(np.float32) / np.float32(255)
    made = bilinear(x, rows + np.round(shift * ny, 3), columns + np.round(shift * nx, 3))
    return np.clip(made + (0.2 * s * (a - b))[..., None], 0, 1) * 255


def pinch_and_twirl(image: np.ndarray, s: float, d: dict[str, Any]) -> np.ndarray:
    """Twirls in the cells of a grid, one cell after another."""
    cells = len(d["signs"])
    side = len(image) // cells
    half = side / 2
    made = image.astype(np.float32)
    for i in range(cells):
        for j in range(cells):
            y0, x0 = j * side, i * side
            rows, columns = np.mgrid[y0 : y0 + side, x0 : x0 + side].astype(float)
            dy, dx = rows - (y0 + half), columns - (x0 + half)
            distance = np.hypot(dy, dx) / half
            inside = (distance <= 1) & (np.round(distance, 3) != 0)
            safe = np.where(inside, distance, 0.5)
            pull = np.sin(np.pi * safe / 2) ** -(0.04 * s + 0.1)
            angle = d["signs"][i, j] * np.pi / 20 * s * (1 - safe) ** 2
            sine, cosine = np.sin(angle), np.cos(angle)
            y = y0 + half + pull * (dy * cosine - dx * sine)
            x = x0 + half + pull * (dx * cosine + dy * sine)
            cell = made[y0 : y0 + side, x0 : x0 + side]
            made[y0 : y0 + side, x0 : x0 + side] = np.where(inside[..., None], bilinear(made, y, x), cell)
    return made


def ripple(image: np.ndarray, s: float, d: dict[str, Any]) -> np.ndarray:
    """Stretched and compressed along both axes by waves."""
    n = len(image)
    away = [
        p + 0.0025 * s * n * np.sin(2 * np.pi * p / wavelength + phase)
        for p, wavelength, phase in zip(places(n), d["wavelength_px"], d["phase"], strict=True)
    ]
    return bilinear(image.astype(np.float32), *away)


def circular_motion_blur(image: np.ndarray, s: float, d: dict[str, Any]) -> np.ndarray:
    """The weighted mean of 21 rotations."""
    x = image.astype(np.float32)
    total, weights = np.zeros_like(x), np.float32(0)
    for u in np.linspace(-1, 1, 21):
        weight = np.float32(np.exp(-2 * u**2))
        total += weight * ndimage.rotate(x, 1.5 * s * u, (1, 0), reshape=False, order=3)
        weights += weight
    return total / weights


def transverse_chromatic_abberation(image: np.ndarray, s: float, d: dict[str, Any]) -> np.ndarray:
    """Each channel has a size of its own."""
    n, made = len(image), np.empty_like(image)
    for channel, scale in enumerate((1 + 0.025 * s * np.asarray(d["order"])).tolist()):
        zoomed = ndimage.zoom(image[..., channel], scale, order=3, prefilter=False, mode="mirror")
        cut = (len(zoomed) - n) // 2
        made[..., channel] = zoomed[cut : cut + n, cut : cut + n]
    return made
