"""Full precision on GPUs."""

from __future__ import annotations

import torch
from torch import Tensor


def divide(x: Tensor, divisor: float) -> Tensor:
    """``x / divisor``, correctly rounded: by itself torch lets GPUs multiply by the reciprocal of a number."""
    return x / torch.full((), divisor, dtype=x.dtype, device=x.device)
