"""Losses for training with augmentations."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def jensen_shannon_loss(clean: Tensor, first: Tensor, second: Tensor, labels: Tensor, weight: float = 12.0) -> Tensor:
    """AugMix's loss: cross entropy of the clean images, and agreement with two augmented versions of each.

    ``CE(clean, labels) + weight * JS``, where JS is the mean over the images of the Jensen-Shannon divergence of the
    three predicted distributions: their mean Kullback-Leibler divergence from their average.

    Source: Hendrycks et al., "AugMix: A simple data processing method to improve robustness and uncertainty", ICLR 2020
    (weight 12); the average is kept above 1e-7, as in the authors' code.

    Args:
        clean: Logits ``(N, classes)`` of the clean images.
        first: Logits of an augmented version of each, of the same shape.
        second: Logits of another.
        labels: ``(N,)`` int64.
        weight: Of the divergence.

    Returns:
        A scalar, in nats.
    """
    # Divergences of nearly equal distributions are differences of nearly equal numbers: not for half precision.
    logarithms = torch.stack((clean, first, second)).float().log_softmax(dim=2)
    probabilities = logarithms.exp()
    average = probabilities.mean(0).clamp(1e-7, 1).log()
    divergence = (probabilities * (logarithms - average)).sum(2).mean()
    return F.cross_entropy(clean.float(), labels) + weight * divergence
