"""Types shared by the engine, its kernels and its users. Free of torch."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""Images, ``(n, H, W, C)`` or ``(H, W, C)``."""

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]

Scale = float | Literal["auto"]
"""Factor of a recipe's lengths; "auto": the image's shorter side in units of the recipe's size, at least 1."""

LARGEST_SCALE = 64.0
