"""From logits to what is kept of each image."""

from __future__ import annotations

import torch
from torch import Tensor

from ppbench.run import MICRO

NOT_FINITE = -1


def score(logits: Tensor, labels: Tensor) -> Tensor:
    """Score a batch without waiting for the device.

    Args:
        logits: ``(n, classes)``, any floating type.
        labels: ``(n,)`` int64, on the same device.

    Returns:
        ``(3, n)`` int64: the rank of the label (classes with a higher logit; equal ones rank in the order of the
        classes; -1 if a logit is not finite), its negative log probability and the highest probability, both in
        millionths.
    """
    logits = logits.float()
    own = logits.gather(1, labels[:, None])
    classes = torch.arange(logits.shape[1], device=logits.device)
    before = (logits > own) | ((logits == own) & (classes < labels[:, None]))
    finite = logits.isfinite().all(1)
    log_probability = torch.log_softmax(logits.where(finite[:, None], torch.zeros_like(logits)), 1).double()
    nll = -log_probability.gather(1, labels[:, None])[:, 0]
    confidence = log_probability.amax(1).exp()
    rank = before.sum(1).where(finite, NOT_FINITE)
    return torch.stack((rank, (nll * MICRO).round().long(), (confidence * MICRO).round().long()))
