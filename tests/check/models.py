"""Damaged copies of an embedded network."""

from __future__ import annotations

from pathlib import Path

import torch

import ppbench
from ppbench.models.embedded import embedded_path

NAME = "fashion-mnist-resnet8"


def write_damaged(path: Path, amount: float) -> Path:
    """Write the network with noise added to its kernels, ``amount`` times the standard deviation of each."""
    model, card = ppbench.load_checkpoint(embedded_path(NAME))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for kernel in (parameter for parameter in model.parameters() if parameter.dim() > 1):
            kernel += amount * kernel.std() * torch.randn(kernel.shape, generator=generator)
    ppbench.save_checkpoint(path, model, card)
    return path
