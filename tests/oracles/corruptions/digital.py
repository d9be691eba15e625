"""Losses of resolution: pixelation and JPEG."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from tests.oracles.corruptions.tables import PACKAGE, Draws


def pixelate(image: np.ndarray, c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    """Shrink and enlarge. Enlarging by box or by nearest pixel differs only where two are equally near."""
    height, width = image.shape[:2]
    fraction = c["linear_size_fraction"]
    small = Image.fromarray(image).resize((int(width * fraction), int(height * fraction)), Image.Resampling.BOX)
    back = Image.Resampling.NEAREST if recipe == PACKAGE else Image.Resampling.BOX
    return np.asarray(small.resize((width, height), back)).astype(np.float64)


def jpeg_compression(image: np.ndarray, c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=c["pil_jpeg_quality"])
    return np.asarray(Image.open(file)).astype(np.float64)
