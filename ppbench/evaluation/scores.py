"""From logits to what is kept of each image, and from that to the counts of a cell."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.errors import DataError
from ppbench.run import CALIBRATION_BINS, MICRO, Cell


class Scores(NamedTuple):
    """What is kept of each image: four ``(n,)`` tensors on the device."""

    rank: Tensor
    """Classes with a higher logit than the label, int64; equal logits rank in the order of the classes."""
    nll: Tensor
    """Negative log probability of the label, in millionths of a nat, int64."""
    confidence: Tensor
    """Highest probability, in millionths, int64."""
    finite: Tensor
    """Whether all logits are finite, bool."""


def score(logits: Tensor, labels: Tensor) -> Scores:
    """Score a batch without waiting for the device.

    Args:
        logits: ``(n, classes)``, any floating type.
        labels: ``(n,)`` int64, on the same device.
    """
    logits = logits.float()
    own = logits.gather(1, labels[:, None])
    classes = torch.arange(logits.shape[1], device=logits.device)
    before = (logits > own) | ((logits == own) & (classes < labels[:, None]))
    finite = logits.isfinite().all(1)
    log_probability = torch.log_softmax(logits.where(finite[:, None], torch.zeros_like(logits)), 1).double()
    nll = -log_probability.gather(1, labels[:, None])[:, 0]
    confidence = log_probability.amax(1).exp()
    return Scores(before.sum(1), (nll * MICRO).round().long(), (confidence * MICRO).round().long(), finite)


def count_cell(corruption: str, severity: int, batches: list[Scores]) -> tuple[Cell, NDArray[np.bool_]]:
    """Add up a cell's batches; the sums are of integers and do not depend on how the images were batched.

    Returns:
        The counts, and ``(n,)`` whether each image's label came first.

    Raises:
        DataError: If the network gave a logit that is not a finite number.
    """
    rank, nll, confidence, finite = (torch.cat(parts).cpu().numpy() for parts in zip(*batches, strict=True))
    if not finite.all():
        raise DataError(
            f"the network gave {np.count_nonzero(~finite)} outputs that are not finite at {corruption}/{severity}",
            "Its weights are damaged, or the preprocessing is not the one it was trained with.",
        )
    right = rank == 0
    bins = np.clip(-(-confidence * CALIBRATION_BINS // MICRO) - 1, 0, CALIBRATION_BINS - 1)

    def per_bin(values: NDArray[np.int64]) -> tuple[int, ...]:
        totals = np.zeros(CALIBRATION_BINS, np.int64)
        np.add.at(totals, bins, values)
        return tuple(totals.tolist())

    cell = Cell(
        corruption=corruption,
        severity=severity,
        n=len(rank),
        top1=int(right.sum()),
        top5=int((rank < 5).sum()),
        nll_micronats=int(nll.sum()),
        bin_n=per_bin(np.ones_like(confidence)),
        bin_top1=per_bin(right.astype(np.int64)),
        bin_confidence=per_bin(confidence),
    )
    return cell, right
