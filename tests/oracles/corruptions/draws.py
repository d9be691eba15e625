"""Draws of the right law for each corruption, for tests."""

from __future__ import annotations

import numpy as np

from tests.oracles.corruptions import fog, frost, glass
from tests.oracles.corruptions.tables import FIXED, PACKAGE, Draws, constants


def random_draws(
    corruption: str,
    severity: int,
    recipe: str,
    height: int,
    width: int,
    rng: np.random.Generator,
    image: np.ndarray | None = None,
) -> Draws:
    """The draws that ``oracle`` takes; without an ``image``, shot noise is of one with all intensities at random."""
    c = constants(corruption, severity, recipe)
    if corruption in ("gaussian_noise", "speckle_noise"):
        return {"noise": rng.standard_normal((height, width, 3))}
    if corruption == "shot_noise":
        x = rng.random((height, width, 3)) if image is None else image / 255
        return {"photons": rng.poisson(x * c["photons_per_unit_intensity"])}
    if corruption == "impulse_noise":
        flipped = rng.random((height, width, 3)) < c["fraction_of_channel_values_replaced"]
        return {"flipped": flipped, "salted": rng.random((height, width, 3)) < 0.5}
    if corruption == "glass_blur":
        delta = c["max_delta_px"]
        glass.visited(min(height, width), delta)  # raises if there is none
        return {"shift": rng.integers(-delta, delta, (c["iterations"], height, width, 2))}  # never +delta
    if corruption == "motion_blur":
        return {"angle": rng.uniform(*FIXED["motion_angle_deg_uniform"])}
    if corruption == "snow":
        layer = rng.standard_normal((height, width))
        return {"layer": layer, "angle": rng.uniform(*FIXED["snow_angle_deg_uniform"])}
    if corruption == "frost":
        index = int(rng.integers(frost.number_of_textures(recipe)))
        rows, columns = frost.texture(index, height, width, recipe).shape[:2]  # the last place is never drawn
        return {
            "texture": index,
            "row": int(rng.integers(rows - height)),
            "column": int(rng.integers(columns - width)),
        }
    if corruption == "fog":
        side = fog.map_side(height, width)
        return {"map": rng.uniform(-1, 1, (side, side))}
    if corruption == "elastic_transform":
        jitter = {} if recipe == PACKAGE else {"jitter": rng.uniform(-1, 1, (3, 2))}
        return {**jitter, "dx": rng.uniform(-1, 1, (height, width)), "dy": rng.uniform(-1, 1, (height, width))}
    if corruption == "spatter":
        return {"layer": rng.standard_normal((height, width))}
    return {}
