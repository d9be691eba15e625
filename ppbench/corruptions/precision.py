"""Full precision on GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute in float32: by itself torch lets GPUs round convolutions to TF32, 10 bits of mantissa."""
    backends: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = False
    try:
        yield
    finally:
        for backend, allowed in zip(backends, before, strict=True):
            backend.allow_tf32 = allowed


def divide(x: Tensor, divisor: float) -> Tensor:
    """``x / divisor``, correctly rounded: by itself torch lets GPUs multiply by the reciprocal of a number."""
    return x / torch.full((), divisor, dtype=x.dtype, device=x.device)
