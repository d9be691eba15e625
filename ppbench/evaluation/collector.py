"""Scores leave the device and come together in the first process, which counts them. The others send it theirs."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence, Set
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.data.source import Broken
from ppbench.errors import PpbenchError
from ppbench.evaluation.journal import Journal
from ppbench.evaluation.plan import EvalPlan
from ppbench.evaluation.processes import Processes
from ppbench.evaluation.sanity import Plausibility
from ppbench.evaluation.settings import Advanced
from ppbench.evaluation.tally import TOTALS, Piece, Scored, Tally, count
from ppbench.vocabulary import Cell

_FLUSH = 0.5
"""Seconds after which scores are fetched from the device and written down."""


class _Waiting(NamedTuple):
    """The cell and the images of a batch's scores. It holds no pixels, which would fill the device's memory."""

    subject: int
    cell: Cell
    places: NDArray[np.int64]
    """``(n,)``, in the source."""
    wanted: NDArray[np.bool_]
    """``(n,)``: which images count."""


Counting = Callable[[Cell, NDArray[np.int64], NDArray[np.int64]], Piece]
"""From a cell, the places of images and their scores ``(rows, n)`` to a piece."""


class Arrivals:
    """Scores on their way from the device.

    On a GPU, each call of `fetch` starts a transfer and returns the one before, which has long arrived. This process
    therefore never waits for the device while there is more to give it.

    Args:
        device: Where scores are computed.
        count: Counts the scores of some images of a cell.
    """

    def __init__(self, device: torch.device, count: Counting = count) -> None:
        self._count = count
        self._later = device.type == "cuda"
        self._waiting: list[tuple[_Waiting, Tensor]] = []
        self._coming: tuple[list[_Waiting], Tensor, torch.cuda.Event] | None = None
        self._fetched = time.monotonic()

    @property
    def are_due(self) -> bool:
        """Whether it is time to fetch."""
        return time.monotonic() - self._fetched > _FLUSH

    def put(
        self, subject: int, cell: Cell, places: NDArray[np.int64], wanted: NDArray[np.bool_], scores: Tensor
    ) -> None:
        """Add the scores of a batch, a column for each image. Only the wanted images count."""
        self._waiting.append((_Waiting(subject, cell, places, wanted), scores))

    def fetch(self, *, last: bool = False) -> list[tuple[int, Piece]]:
        """Return the pieces that have arrived, in order, each with its subject. The last call waits for all of them.

        Raises:
            DataError: If a network gave a logit that is not a finite number.
        """
        self._fetched = time.monotonic()
        return [
            (scored.subject, self._count(scored.cell, scored.places[scored.wanted], scores[:, scored.wanted]))
            for scored, scores in self._arrived(last=last)
        ]

    def _arrived(self, *, last: bool) -> Iterator[tuple[_Waiting, NDArray[np.int64]]]:
        waiting, self._waiting = self._waiting, []
        if not self._later:
            for scored, scores in waiting:
                yield scored, scores.numpy()
            return
        # One transfer is always on its way; the one before it has had a whole interval to arrive.
        before = self._coming
        self._coming = _start(waiting) if waiting else None
        for coming in (before, self._coming) if last else (before,):
            if coming is not None:
                yield from _split(*coming)
        if last:
            self._coming = None


def _start(waiting: Sequence[tuple[_Waiting, Tensor]]) -> tuple[list[_Waiting], Tensor, torch.cuda.Event]:
    """Start one transfer of the scores of some batches; the event marks its end."""
    scores = torch.cat([scores for _, scores in waiting], dim=1).to("cpu", non_blocking=True)
    event = torch.cuda.Event()
    event.record()
    return [scored for scored, _ in waiting], scores, event


def _split(
    batches: Sequence[_Waiting], scores: Tensor, event: torch.cuda.Event
) -> Iterator[tuple[_Waiting, NDArray[np.int64]]]:
    """Wait for a transfer, and yield each batch with its scores."""
    event.synchronize()
    start = 0
    for scored in batches:
        end = start + len(scored.places)
        yield scored, scores[:, start:end].numpy()
        start = end


Pieces = Sequence[tuple[int, Piece]]
"""Each with the number of its subject."""


class _Message(NamedTuple):
    """A message from another process to the first one."""

    pieces: Pieces = ()
    broken: Set[Broken] = frozenset()
    error: PpbenchError | None = None
    done: bool = False


class Keeper(ABC):
    """Receives what a process has scored: a `Collector` in the first process, a `Sender` in the others."""

    done: list[NDArray[np.bool_]]
    """``(cells, n)`` per subject: what an earlier, interrupted evaluation had finished."""
    predicted: list[NDArray[np.int64]] | None = None
    """``(n,)`` per subject: the predictions of the clean images that it had finished, -1 for the others. They are the
    labels; None if the dataset has labels."""

    def __init__(self, plan: EvalPlan, processes: Processes) -> None:
        self._processes = processes
        self._cells = plan.cells
        self._own = np.zeros((len(plan.subjects), len(plan.cells), TOTALS), np.int64)
        """Counts of what this process has scored itself in this run."""
        self.broken: set[Broken] = set()
        """The images that could not be read, by place and reason."""
        self.error: PpbenchError | None = None
        """Why this process did not finish; in the first process, why any process did not."""

    @abstractmethod
    def leave_out(self, broken: Collection[Broken]) -> None:
        """Note images that this process could not read."""

    @abstractmethod
    def begin(self, cell: Cell) -> None:
        """Note that there is work on a cell that brings no scores yet."""

    def take(self, pieces: Pieces) -> None:
        """Keep what this process has scored."""
        for subject, piece in pieces:
            self._own[subject, self._cells.index(piece.cell)] += piece.totals()
        self._keep(pieces)

    @abstractmethod
    def _keep(self, pieces: Pieces) -> None: ...

    def end_with(self, reason: PpbenchError) -> None:
        """Stop all processes because of an error that the user can repair."""
        self.error = self.error or reason
        self._processes.stop()

    def give_up(self, reason: Exception) -> None:
        """Stop all processes because this one crashes; otherwise they would wait for it."""
        self._processes.stop()

    def finish(self) -> NDArray[np.int64] | None:
        """Wait for all processes; return the sum of what they say they have scored, or None if one of them failed."""
        self._wait()
        self.broken = self._processes.share(self.broken)
        # The sum is computed by all processes together: all of them ask for it, or none.
        return self._processes.total(self._own) if self._processes.share(self.error is None) else None

    @abstractmethod
    def _wait(self) -> None: ...

    @abstractmethod
    def scored(self, stopped_by: KeyboardInterrupt | PpbenchError | None, seconds: float) -> Scored:
        """Return all that is known at the end."""


class Sender(Keeper):
    """Sends everything to the first process."""

    def __init__(self, plan: EvalPlan, processes: Processes) -> None:
        super().__init__(plan, processes)
        self._unsent: set[Broken] = set()
        # The first process's list; what the others give here is ignored.
        self.done, self.predicted = processes.share(None)

    def leave_out(self, broken: Collection[Broken]) -> None:
        self._unsent |= {*broken} - self.broken
        self.broken |= self._unsent

    def begin(self, cell: Cell) -> None:
        """Only the first process shows progress."""

    def _keep(self, pieces: Pieces) -> None:
        if pieces or self._unsent:
            self._processes.send(_Message(pieces, self._unsent))
            self._unsent = set()

    def give_up(self, reason: Exception) -> None:
        super().give_up(reason)
        # The text alone, because not every exception can be sent.
        error = PpbenchError(f"process {self._processes.rank} failed: {type(reason).__name__}: {reason}")
        self._processes.send(_Message(error=error, done=True))

    def _wait(self) -> None:
        self._processes.send(_Message(error=self.error, broken=self._unsent, done=True))

    def scored(self, stopped_by: KeyboardInterrupt | PpbenchError | None, seconds: float) -> Scored:
        return Scored([], stopped_by, seconds, unreadable=sorted(self.broken))


def _whole_cells(tally: Tally, new: Sequence[Piece]) -> list[Piece]:
    """Return the cells that are now finished, as one piece each: parts of an adapted cell are of no use later."""
    finished = set(tally.finished())
    return [tally.merged(cell) for cell in dict.fromkeys(piece.cell for piece in new) if cell in finished]


class Collector(Keeper):
    """Counts all pieces in the first process, and acts on them: journals, plausibility, early stopping, progress.

    Args:
        plan: What is evaluated.
        processes: Processes that share the work.
        advance: Called with progress.
        journals: One per subject, to which finished pieces are written; empty: no journals.
    """

    def __init__(
        self, plan: EvalPlan, processes: Processes, advance: Advanced, journals: Sequence[Journal] = ()
    ) -> None:
        super().__init__(plan, processes)
        self._plan, self._advance, self._journals = plan, advance, journals
        self._rule = plan.rule
        # Part of a cell's images is of no use later if all decide how each is scored.
        self._waits_for_cells = plan.adaptation is not None and plan.source.stream is None
        # The hard streams leave hardly anything to be right about.
        off = plan.settings.request.force or plan.source.stream is not None
        self._plausible = Plausibility(plan.source.num_classes, off=off)
        self._running = processes.size - 1
        """Other processes that have not yet said that they are done."""
        self._tallies = [Tally(self._cells, len(plan.source.ids)) for _ in plan.subjects]
        for tally, journal in zip(self._tallies, journals, strict=False):
            for piece in journal.pieces:
                # A piece of sums alone cannot be divided, so it must not extend over two looks.
                if self._rule is None or piece.scores is not None or piece.sums is None or self._rule.fits(piece):
                    tally.add(piece)
            if journal.pieces:
                advance(None, int(np.count_nonzero(tally.done)))
        self._before = [tally.totals() for tally in self._tallies]
        # Copies, since the tallies change while this is asked for all the time.
        done = [tally.done.copy() for tally in self._tallies]
        labels = [tally.clean_predictions() for tally in self._tallies] if plan.settings.are_predicted else None
        self.done, self.predicted = processes.share((done, labels))

    def leave_out(self, broken: Collection[Broken]) -> None:
        self.broken |= {*broken}

    def begin(self, cell: Cell) -> None:
        self._advance(cell, 0)

    def _keep(self, pieces: Pieces) -> None:
        self._count(pieces)
        self._receive()

    def _count(self, pieces: Pieces) -> None:
        """Count pieces of this or another process, and write them down."""
        for subject, tally in enumerate(self._tallies):
            new = [piece for other, piece in pieces if other == subject]
            for piece in new:
                tally.add(piece)
            if self._journals and new:
                self._journals[subject].add(_whole_cells(tally, new) if self._waits_for_cells else new)
            self._plausible.check(self._plan.subjects[subject].name, tally)
        if self._rule is not None and pieces and self._rule.is_reached(self._tallies, self._readable()):
            self._processes.stop()
        for _, piece in pieces:
            self._advance(piece.cell, len(piece.places))

    def _receive(self) -> None:
        """Count what the other processes have sent."""
        for message in self._processes.receive():
            self.broken |= message.broken
            self._running -= message.done
            if message.error is not None:
                self.end_with(message.error)
            # Not raised: what the other processes have sent behind it still counts.
            try:
                self._count(message.pieces)
            except PpbenchError as reason:
                self.end_with(reason)

    def _wait(self) -> None:
        while self._running:
            self._receive()
            time.sleep(0.01)

    def finish(self) -> NDArray[np.int64] | None:
        """Wait for all processes, and check that what they say they have scored is what has arrived."""
        if (everywhere := super().finish()) is not None:
            for tally, before, added in zip(self._tallies, self._before, everywhere, strict=True):
                if not np.array_equal(tally.totals() - before, added):
                    raise RuntimeError("the processes' counts do not add up to what has arrived")
        return everywhere

    def _readable(self) -> NDArray[np.bool_]:
        """``(n,)``: which images could be read."""
        readable = np.ones(len(self._plan.source.ids), np.bool_)
        readable[[broken.place for broken in self.broken]] = False
        return readable

    def scored(self, stopped_by: KeyboardInterrupt | PpbenchError | None, seconds: float) -> Scored:
        """Return the tallies of the readable images; after an early stop, of those that were looked at until then."""
        images, stoppings = self._readable(), None
        if self._rule is not None and stopped_by is None:
            self._rule.is_reached(self._tallies, images)
            images, stoppings = images & self._rule.visited(), self._rule.stoppings()
        if images.all():
            return Scored(self._tallies, stopped_by, seconds, None, stoppings)
        for tally in self._tallies:
            # All models keep the same images, so each may leave out some that the others have.
            images = tally.separable(images)
        tallies = [tally.narrowed(images) for tally in self._tallies]
        return Scored(tallies, stopped_by, seconds, images, stoppings, sorted(self.broken))
