"""The package imagecorruptions with a seed, and the draws it makes after that seed, in its order."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tests.oracles.corruptions.fog import map_side
from tests.oracles.corruptions.frost import texture
from tests.oracles.corruptions.tables import constants

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import imagecorruptions
    from imagecorruptions import corruptions as package


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """numpy's global generator seeded, and put back as it was."""
    state = np.random.get_state()  # noqa: NPY002 - the package draws from it
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def by_the_package(image: np.ndarray, corruption: str, severity: int, seed: int) -> np.ndarray:
    own = {"seed": seed} if corruption in ("impulse_noise", "glass_blur") else {}
    compiled = package._shuffle_pixels_njit_glass_blur
    package._shuffle_pixels_njit_glass_blur = compiled.py_func  # compiled it would draw from numba's generator
    try:
        with seeded(seed):
            return imagecorruptions.corrupt(image, severity=severity, corruption_name=corruption, **own)
    finally:
        package._shuffle_pixels_njit_glass_blur = compiled


def the_packages_draws(image: np.ndarray, corruption: str, severity: int, seed: int) -> dict[str, Any]:
    """What the package draws after this seed, in its order, under the names that the oracle knows."""
    height, width, _ = image.shape
    c = constants(corruption, severity, "imagecorruptions")
    legacy = np.random.RandomState(seed)  # the stream of numpy's global generator
    match corruption:
        case "gaussian_noise" | "speckle_noise":
            return {"noise": legacy.normal(size=image.shape)}
        case "shot_noise":
            return {"photons": legacy.poisson(image / 255.0 * c["photons_per_unit_intensity"])}
        case "impulse_noise":  # scikit-image's, of a generator of its own
            rng = np.random.default_rng(seed)
            flipped = rng.random(image.shape) <= c["fraction_of_channel_values_replaced"]
            return {"flipped": flipped, "salted": rng.random(image.shape) <= 0.5}
        case "glass_blur":
            return {"shift": _shifts(legacy, height, width, c["max_delta_px"], c["iterations"])}
        case "motion_blur":
            return {"angle": legacy.uniform(-45, 45)}
        case "snow":
            return {"layer": legacy.normal(size=(height, width)), "angle": legacy.uniform(-135, -45)}
        case "frost":
            index = legacy.randint(6)
            rows, columns = texture(index, height, width, "imagecorruptions").shape[:2]
            return {"texture": index, "row": legacy.randint(rows - height), "column": legacy.randint(columns - width)}
        case "fog":
            return {"map": _fog_map(legacy, map_side(height, width), c["wibble_decay"])}
        case "elastic_transform":
            return {"dx": legacy.uniform(-1, 1, (height, width)), "dy": legacy.uniform(-1, 1, (height, width))}
        case "spatter":
            return {"layer": legacy.normal(size=(height, width))}
    return {}


def _shifts(legacy: np.random.RandomState, height: int, width: int, delta: int, iterations: int) -> np.ndarray:
    shift = np.zeros((iterations, height, width, 2), int)
    for one_pass in shift:
        moved = one_pass[height - delta : delta : -1, width - delta : delta : -1]
        moved[:] = legacy.randint(-delta, delta, size=moved.shape)
    return shift


def _fog_map(legacy: np.random.RandomState, side: int, decay: float) -> np.ndarray:
    draws, step = np.zeros((side, side)), side
    while step >= 2:
        half = step // 2
        for cells in (draws[half::step, half::step], draws[::step, half::step], draws[half::step, ::step]):
            cells[...] = legacy.uniform(-1, 1, cells.shape)
        step = half
    return draws
