"""Scores on their way from the device to the pieces of a tally."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.evaluation.tally import Piece, count
from ppbench.vocabulary import Cell

_FLUSH = 0.5
"""Seconds after which scores are fetched from the device and written down."""


class _Scored(NamedTuple):
    """The cell and the images of a batch's scores. It holds no pixels, which would fill the device's memory."""

    subject: int
    cell: Cell
    places: NDArray[np.int64]
    """``(n,)``, in the source."""
    wanted: NDArray[np.bool_]
    """``(n,)``: which images count."""


class Arrivals:
    """Scores on their way from the device.

    On a GPU, each call of `fetch` starts a transfer and returns the one before, which has long arrived. This process
    therefore never waits for the device while there is more to give it.
    """

    def __init__(self, device: torch.device) -> None:
        self._later = device.type == "cuda"
        self._waiting: list[tuple[_Scored, Tensor]] = []
        self._coming: tuple[list[_Scored], Tensor, torch.cuda.Event] | None = None
        self._fetched = time.monotonic()

    @property
    def are_due(self) -> bool:
        """Whether it is time to fetch."""
        return time.monotonic() - self._fetched > _FLUSH

    def put(
        self, subject: int, cell: Cell, places: NDArray[np.int64], wanted: NDArray[np.bool_], scores: Tensor
    ) -> None:
        """Add the ``(3, n)`` scores of a batch. Only the wanted images count."""
        self._waiting.append((_Scored(subject, cell, places, wanted), scores))

    def fetch(self, *, last: bool = False) -> list[tuple[int, Piece]]:
        """Return the pieces that have arrived, in order, each with its subject. The last call waits for all of them.

        Raises:
            DataError: If a network gave a logit that is not a finite number.
        """
        self._fetched = time.monotonic()
        return [
            (scored.subject, count(scored.cell, scored.places[scored.wanted], scores[:, scored.wanted]))
            for scored, scores in self._arrived(last=last)
        ]

    def _arrived(self, *, last: bool) -> Iterator[tuple[_Scored, NDArray[np.int64]]]:
        waiting, self._waiting = self._waiting, []
        if not self._later:
            for scored, scores in waiting:
                yield scored, scores.numpy()
            return
        before = self._coming
        self._coming = _start(waiting) if waiting else None
        for coming in (before, self._coming) if last else (before,):
            if coming is not None:
                yield from _split(*coming)
        if last:
            self._coming = None


def _start(waiting: Sequence[tuple[_Scored, Tensor]]) -> tuple[list[_Scored], Tensor, torch.cuda.Event]:
    """Start one transfer of the scores of some batches; the event marks its end."""
    scores = torch.cat([scores for _, scores in waiting], dim=1).to("cpu", non_blocking=True)
    event = torch.cuda.Event()
    event.record()
    return [scored for scored, _ in waiting], scores, event


def _split(
    batches: Sequence[_Scored], scores: Tensor, event: torch.cuda.Event
) -> Iterator[tuple[_Scored, NDArray[np.int64]]]:
    """Wait for a transfer, and yield each batch with its scores."""
    event.synchronize()
    start = 0
    for scored in batches:
        end = start + len(scored.places)
        yield scored, scores[:, start:end].numpy()
        start = end
