"""Severities between the five, in steps of a quarter: constants on the line between two neighbours; 0 has no effect.

Streams of CCC (Press et al., "RDumb: A simple approach that questions our progress in continual test-time adaptation",
NeurIPS 2023) need them. The paper's constants of severity 0 are 0. Here some differ, where 0 would not mean "no
effect" (`_AT_ZERO`). At a whole severity the result is that of `ppbench.corruptions.apply.corrupt`, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ppbench.corruptions.apply import ids_of, made_in_chunks
from ppbench.corruptions.catalog import CORRUPTIONS
from ppbench.corruptions.constants import Shot, constants
from ppbench.corruptions.keys import key
from ppbench.corruptions.recipes import RECIPES, recipe_for_size
from ppbench.corruptions.types import Pixels
from ppbench.errors import UsageError
from ppbench.lookup import check_name
from ppbench.scalars import integer_of
from ppbench.vocabulary import C15

_Images = TypeVar("_Images", Tensor, Pixels)

QUARTER = 0.25
"""One step of a severity."""

_AT_ZERO: dict[str, tuple[float | None, ...]] = {
    "zoom_blur": (1, 1, None),
    "snow": (0, 0, None, 0, 0, 0, 1),
    "frost": (1, 0),
    "fog": (0, None),
    "contrast": (1,),
    "pixelate": (1,),
    "jpeg_compression": (100,),
}
"""Constants of severity 0 where the paper's 0 would not mean "no effect"; None: as at severity 1. All others are 0.

None are the step of zoom_blur, the enlargement of snow's flakes and the decay of fog.
"""

_WHOLE = frozenset({"max_shift", "passes", "radius", "quality"})
"""Counts and distances in pixels. Where both neighbours are whole, so is what lies between them."""

_LEAST = {"max_shift": 1, "passes": 1}


def constants_at(table: str, corruption: str, severity: float) -> Any:
    """Return the constants of one of the 15 corruptions at a severity above 0, on the line between its neighbours.

    Of shot_noise the line is between the reciprocals of the photons, which are its variances.

    Args:
        table: Name of a recipe of the 19 corruptions.
        corruption: Its name.
        severity: Above 0, up to 5.
    """
    low = math.floor(severity)
    share = severity - low
    if share == 0:
        return constants(table, corruption, low)
    above = constants(table, corruption, low + 1)
    below: Any = constants(table, corruption, low) if low else _at_zero(corruption, above)
    if isinstance(above, Shot):
        reciprocal = share / above.photons + ((1 - share) / below.photons if low else 0)
        # Rounded, so that 240.00000000000003 photons are 240.
        return Shot(round(1 / reciprocal, 9))  # type: ignore[arg-type]
    values = zip(above._fields, below, above, strict=True)
    return type(above)(*(_between(name, one, other, share) for name, one, other in values))


def _at_zero(corruption: str, mildest: Any) -> tuple[float, ...]:
    neutral = _AT_ZERO.get(corruption, (0,) * len(mildest))
    return tuple(own if value is None else value for value, own in zip(neutral, mildest, strict=True))


def _between(name: str, below: float, above: float, share: float) -> float:
    value = (1 - share) * below + share * above
    if name not in _WHOLE or below != int(below) or above != int(above):
        return value
    return max(_LEAST.get(name, 0), math.floor(value + 0.5))


def corrupt_at(
    images: _Images, name: str, severity: float, *, recipe: str | None = None, seed: int = 0, ids: Sequence[str]
) -> _Images:
    """Corrupt images at any severity of the grid 0, 0.25, …, 5.

    Args:
        images: uint8 ``(n, H, W, C)``: numpy, or a contiguous torch tensor on any device.
        name: One of the 15 corruptions of ImageNet-C.
        severity: A multiple of 0.25 from 0 (images as they are) to 5.
        recipe: One of the recipes of the 19 corruptions; None: the one that suits the images' size.
        seed: Seed of all draws.
        ids: The images' ids, one each, by which their draws are keyed.

    Returns:
        The same kind as ``images``.

    Raises:
        UsageError: If a name, severity or recipe is not allowed, or a corruption cannot work at the images' size.
    """
    if isinstance(images, np.ndarray):
        made = corrupt_at(torch.from_numpy(images), name, severity, recipe=recipe, seed=seed, ids=ids)
        return made.numpy()
    check_name("corruption of a stream", name, C15, "docs/streams.md")
    level = check_quarter(severity)
    if level == 0:
        return images.clone()
    how = RECIPES[recipe or recipe_for_size(*images.shape[1:3])]
    cell = constants_at(how.name, name, level)
    text = f"{level:g}"  # of a whole severity the text that `corrupt` hashes
    keys = [key(integer_of("seed", seed), name, text, image_id) for image_id in ids_of(ids, images)]
    return made_in_chunks(images, CORRUPTIONS[name], cell, how, keys, {}, 1)[0]


def check_quarter(severity: Any) -> float:
    """Return a severity as a number; raise `UsageError` if it is not a multiple of 0.25 from 0 to 5."""
    is_number = isinstance(severity, int | float) and not isinstance(severity, bool)
    if not is_number or not 0 <= severity <= 5 or severity / QUARTER != int(severity / QUARTER):
        raise UsageError(f"severity {severity!r} is not allowed", "It is a multiple of 0.25 from 0 to 5.")
    return float(severity)
