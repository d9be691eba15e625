"""A plain evaluation loop: one image after the other, nothing shared with ppbench's."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn


def evaluate_plainly(
    model: nn.Module,
    images: Iterable[np.ndarray],
    labels: Iterable[int],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    corruption: Callable[[np.ndarray, int], np.ndarray],
) -> list[bool]:
    """Whether each image, after ``corruption(image, place)``, is classified rightly."""
    right = []
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        pixels = corruption(image, place).astype(np.float64) / 255
        x = np.stack([(pixels[..., c] - mean[c]) / std[c] for c in range(pixels.shape[-1])])
        with torch.no_grad():
            logits = model.double()(torch.from_numpy(x)[None])
        right.append(int(logits[0].argmax()) == label)
    return right
