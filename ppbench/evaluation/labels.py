"""The labels that predictions are scored against: the dataset's, or each network's own predictions of clean images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.evaluation.feed import Batch
from ppbench.evaluation.transport import Staging
from ppbench.vocabulary import CLEAN


class GivenLabels:
    """The labels of the dataset, the same for all networks.

    Args:
        labels: ``(N,)`` places in the source's classes.
        device: Device that scores.
    """

    def __init__(self, labels: NDArray[np.int64], device: torch.device) -> None:
        self._labels, self._staging = labels, Staging(device, 64)
        self._last: tuple[NDArray[np.int64], Tensor] | None = None

    def are_known(self, subject: int, batch: Batch) -> NDArray[np.bool_]:
        """``(n,)``: which images of a batch have a label."""
        return np.ones(len(batch.places), np.bool_)

    def of(self, subject: int, batch: Batch) -> Tensor | None:
        """``(n,)``: the labels of a batch, on the device."""
        # All cells of a block have the same array of places.
        if self._last is None or self._last[0] is not batch.places:
            self._last = batch.places, self._staging.send(self._labels[batch.places])
        return self._last[1]

    def learn(self, subject: int, batch: Batch, wanted: NDArray[np.bool_], scores: Tensor) -> None:
        """Do nothing: the dataset has the labels."""


class PredictedLabels:
    """Each network's own predictions of the clean images. The clean cell of an image comes before all its others.

    Labels stay on the device, so nobody waits for it. An image whose clean version cannot be read has no label. It is
    left out of every cell.

    Args:
        known: ``(N,)`` per network: the predictions that an earlier evaluation had finished; -1 for the others.
        device: Device that scores.
    """

    def __init__(self, known: Sequence[NDArray[np.int64]], device: torch.device) -> None:
        self._staging = Staging(device, 64)
        self._known = [labels >= 0 for labels in known]
        self._labels = [self._staging.send(labels.clip(min=0)) for labels in known]

    def are_known(self, subject: int, batch: Batch) -> NDArray[np.bool_]:
        """``(n,)``: which images of a batch have a label; clean ones need none."""
        if batch.cell[0] == CLEAN:
            return np.ones(len(batch.places), np.bool_)
        return self._known[subject][batch.places]

    def of(self, subject: int, batch: Batch) -> Tensor | None:
        """``(n,)``: the labels of a batch, on the device; None for clean images, whose predictions are the labels."""
        if batch.cell[0] == CLEAN:
            return None
        return self._labels[subject].index_select(0, self._staging.send(batch.places))

    def learn(self, subject: int, batch: Batch, wanted: NDArray[np.bool_], scores: Tensor) -> None:
        """Keep the predictions of clean images.

        Args:
            subject: Number of the network.
            batch: The images.
            wanted: ``(n,)``: which of them count.
            scores: ``(4, n)`` as `ppbench.evaluation.inference.score` gives them.
        """
        if batch.cell[0] != CLEAN:
            return
        places = self._staging.send(batch.places[wanted])
        rows = self._staging.send(np.flatnonzero(wanted))
        self._labels[subject].index_copy_(0, places, scores[3].index_select(0, rows))
        self._known[subject][batch.places[wanted]] = True
