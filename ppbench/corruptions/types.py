"""Array types that the engine and its kernels share. Free of torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""Images, ``(n, H, W, C)`` or ``(H, W, C)``."""

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]
