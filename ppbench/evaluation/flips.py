"""Flips and top-5 distances of sequences, computed on the device for many sequences at once.

They are those of `ppbench.metrics.sequences`, which defines them: a test holds the two equal. The ranking is known from
its five first places, so no frame is sorted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.errors import DataError
from ppbench.evaluation.tally import Piece
from ppbench.evaluation.trials import TrialCounts
from ppbench.run import is_noise
from ppbench.vocabulary import Cell, cell_in_words

_TOP = 5
"""Places of the top-5 distance."""

_UNKNOWN = -1
"""Stands for flips of logits that are not finite, and for distances of fewer than five classes."""


class Ranked(NamedTuple):
    """The first classes in the ranking of each frame."""

    classes: Tensor
    """``(n, frames, 5)``, or ``(n, frames, 1)`` of fewer than five classes."""
    finite: Tensor
    """``(n,)``: whether all logits of a sequence are finite."""


def ranked(logits: Tensor) -> Ranked:
    """Rank classes by their logits; of equal ones, the lower class is first.

    Args:
        logits: ``(n, frames, classes)``, any floating type.
    """
    left = logits.float()
    finite = left.isfinite().all(2).all(1)
    left = left.masked_fill(~finite[:, None, None], 0)
    first = []
    for _ in range(_TOP if logits.shape[2] >= _TOP else 1):
        # Not `topk`, which may return any of several equal ones.
        best = left.argmax(2, keepdim=True)
        first.append(best)
        left.scatter_(2, best, -torch.inf)
    return Ranked(torch.cat(first, dim=2), finite)


def trial_scores(top: Ranked, cell: Cell) -> Tensor:
    """Compare the frames of sequences, as a cell's perturbation and difficulty say.

    Args:
        top: The ranking of each frame.
        cell: Perturbation and difficulty.

    Returns:
        ``(3, n)`` int64: compared pairs of frames, flips among them (-1 if a logit is not finite), and the sum of their
        top-5 distances (-1 for fewer than five classes).
    """
    apart, noise = (1, True) if is_noise(cell[0]) else (cell[1], False)
    new = top.classes[:, apart:]
    old = top.classes[:, :1] if noise else top.classes[:, :-apart]
    pairs = torch.full_like(top.finite, new.shape[1], dtype=torch.int64)
    flips = (new[..., 0] != old[..., 0]).sum(1).masked_fill(~top.finite, _UNKNOWN)
    if top.classes.shape[2] < _TOP:
        return torch.stack((pairs, flips, torch.full_like(flips, _UNKNOWN)))
    places = torch.arange(1, _TOP + 1, device=new.device)
    # (n, pairs, old place, new place): whether a class is at both.
    same = old[..., :, None] == new[..., None, :]
    # A class that is no longer among the first five has the place after them.
    now = torch.where(same.any(3), (same * places).sum(3), _TOP + 1)
    return torch.stack((pairs, flips, (places - now).abs().sum((1, 2))))


def count_trials(cell: Cell, places: NDArray[np.int64], scores: NDArray[np.int64]) -> Piece:
    """Count scored sequences.

    Args:
        cell: Their cell.
        places: ``(n,)``, in the source.
        scores: ``(3, n)`` as `trial_scores` gives them.

    Raises:
        DataError: If the network gave a logit that is not a finite number.
    """
    pairs, flips, distances = scores
    if (flips < 0).any():
        raise DataError(
            f"the network gave outputs that are not finite for {np.count_nonzero(flips < 0)} sequences of "
            f"{cell_in_words(cell)}",
            "Its weights are damaged, the preprocessing is not the one it was trained with, or --precision is too low.",
        )
    far = None if (distances < 0).any() else distances.astype(np.uint16)
    trials = TrialCounts(int(pairs.max(initial=1)), flips.astype(np.uint8), far)
    return Piece(cell, places, flips == 0, None, trials=trials)
