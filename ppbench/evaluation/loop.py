"""The evaluation loop: every image of every cell through every model, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.data.source import Broken, Source
from ppbench.devices import full_precision
from ppbench.errors import DataError, PpbenchError
from ppbench.evaluation.feed import Batch, stream, to_device
from ppbench.evaluation.inference import SMALL, Network, forward_size
from ppbench.evaluation.journal import Journal
from ppbench.evaluation.plan import Block, Missing, plan_blocks, plan_chunks, share, spread
from ppbench.evaluation.processes import LostProcessError, Team
from ppbench.evaluation.sanity import PROBE, Plausibility, mildest
from ppbench.evaluation.stopping import CHUNK, Enough
from ppbench.evaluation.subject import Head, choose_head
from ppbench.evaluation.tally import SUMS, Record, Tally, count
from ppbench.models.load import Subject
from ppbench.run import Stopping, expected_cells
from ppbench.vocabulary import C15, SEVERITIES, Cell

Advance = Callable[[Cell | None, int], None]
"""Called now and then with a cell and how many more of its images went through a model; None: earlier, in others."""

_FLUSH = 0.5
"""Seconds after which scores are fetched from the device and written down."""


@dataclass(frozen=True)
class Settings:
    """How to evaluate."""

    corruptions: Sequence[str] = C15
    severities: Sequence[int] = SEVERITIES
    seed: int = 0
    normalizer: str = "none"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: str = "fp32"
    """One of `ppbench.devices.PRECISIONS`."""
    compiled: bool = False
    """Whether the network goes through ``torch.compile``."""
    resize: int | None = None
    """Side in pixels to which the images are resized before they are cut to the model's input size; None: not."""
    logits: str | None = None
    """"masked" or "all", where the model has more classes than the images; None: "masked"."""
    chosen_classes: bool = False
    """Whether the images are those of some classes that the user chose."""
    weights_files: tuple[Path, ...] = ()
    """Files that decide the network's outputs beside the tensors that torch knows of."""
    batch_size: int | None = None
    """Images that are loaded together, and on a GPU of a forward pass; None: by their size and the device."""
    workers: int = 0
    """Processes that read images; 0: none besides this one. Changes no result."""
    force: bool = False
    """Whether to go on where the accuracy is implausible."""
    overwrite: bool = False
    """Whether a run may take the place of the finished run of another measurement."""
    command: str = ""
    """The command line, for the record."""


class Outcome(NamedTuple):
    """What an evaluation came to."""

    tallies: list[Tally]
    """One per subject; none in a process that is not the first."""
    stopped_by: KeyboardInterrupt | PpbenchError | None
    """What kept it from finishing. Whoever called keeps the tallies' finished cells, then raises this."""
    seconds: float
    """From the first image to the last."""
    images: NDArray[np.bool_] | None = None
    """``(n,)``: those it is of, where some were not visited, because enough was known, or unreadable; None: all."""
    stoppings: Sequence[Stopping] | None = None
    """Per subject, how one ended that was to stop as soon as it knew enough; empty if no image could be read."""
    unreadable: Sequence[Broken] = ()
    """The images that could not be read, each as often as there are reasons. They are left out of every cell."""


def cells_of(source: Source, settings: Settings) -> list[Cell]:
    """The cells of an evaluation, in order."""
    cells = expected_cells(settings.corruptions, settings.severities)
    return cells if source.has_clean else cells[1:]


def batch_size(settings: Settings, source: Source) -> int:
    """Images that are loaded and corrupted together: of small ones those of several forward passes, to save time."""
    forward = forward_size(settings.device, source.size)
    return settings.batch_size or (4 * forward if settings.device.type == "cpu" and source.size <= SMALL else forward)


def evaluate_all(
    subjects: Sequence[Subject],
    source: Source,
    settings: Settings,
    advance: Advance = lambda cell, images: None,
    journals: Sequence[Journal] | None = None,
    team: Team | None = None,
    enough: Enough | None = None,
) -> Outcome:
    """Measure all ``subjects`` on the same images; every image is loaded and corrupted once for all of them.

    Models are put into eval mode and moved to the device. What the journals hold is not done again. Images that cannot
    be read in one cell are left out of all, so that every cell is of the same images. Ctrl-C, or logits that are not
    finite, end the evaluation early. The cells that are finished are kept.

    Args:
        subjects: Models with their cards; all take the source's images.
        source: The images.
        settings: How.
        advance: Told of progress.
        journals: One per subject, where finished pieces are written down; None: nowhere.
        team: The processes that share the work; None: this one alone.
        enough: What is asked, image by image in a random order, whether enough is known; None: all images are done.

    Raises:
        DataError: Before the start, if a model does not fit the source.
    """
    heads = [check_fits(subject, source, settings) for subject in subjects]
    work = _Evaluation(subjects, heads, source, settings, advance, journals, team or Team(), enough)
    clock = time.perf_counter()
    with full_precision(), _threads_to_spare(settings, source.size):
        stopped_by = work.run()
    seconds = round(time.perf_counter() - clock, 3)
    unreadable = work.unreadable()
    if not work.tallies:
        return Outcome([], stopped_by, seconds, unreadable=unreadable)
    images, stoppings = work.readable(), None
    if enough is not None and stopped_by is None:
        enough.is_reached(work.tallies, images)
        images, stoppings = images & enough.visited(), enough.stoppings()
    if images.all():
        return Outcome(work.tallies, stopped_by, seconds, None, stoppings)
    for tally in work.tallies:
        images = tally.separable(images)
    tallies = [tally.narrowed(images) for tally in work.tallies]
    return Outcome(tallies, stopped_by, seconds, images, stoppings, unreadable)


def check_fits(subject: Subject, source: Source, settings: Settings) -> Head:
    """Find out how the model's outputs stand for the images' classes.

    Raises:
        DataError: If the model cannot be meant for the images: classes, channels or size differ.
    """
    card = subject.card
    head = choose_head(subject.name, card, source, settings.logits)
    if card.in_channels == 1 and source.channels == 3:
        raise DataError(
            f"{subject.name} takes grey images, {source.dataset} has colour ones", "Take a model for colour."
        )
    entering = source.size if settings.resize is None else settings.resize
    pads = settings.resize is not None and card.resize is not None and card.resize < card.input_size
    if (entering < card.input_size and not pads) or (settings.resize is None and entering != card.input_size):
        cut = f"resized to {entering} px" if settings.resize else f"{entering} px"
        raise DataError(
            f"{subject.name} takes images of {card.input_size} px, {source.dataset} has {cut}",
            f"Corrupted images are not resized unless asked: `--resize {card.resize or card.input_size}`, or take a "
            "model made for their size.",
        )
    return head


class _Evaluation:
    """One process's part of an evaluation."""

    def __init__(
        self, subjects: Sequence[Subject], heads: Sequence[Head], source: Source, settings: Settings,
        advance: Advance, journals: Sequence[Journal] | None, team: Team, enough: Enough | None,
    ) -> None:  # fmt: skip
        self._subjects, self._heads = subjects, heads
        self._source, self._settings, self._team = source, settings, team
        self._advance, self._journals, self._enough = advance, journals or [], enough
        self._cells = cells_of(source, settings)
        self._queue = _Queue(settings.device)
        self._plausible = Plausibility(source.num_classes, off=settings.force)
        self._broken: set[Broken] = set()
        self._untold: set[Broken] = set()
        """Those that the first process has not been told of."""
        self._error: PpbenchError | None = None
        self._running = team.size - 1
        """Other processes that have not yet said that they are done; the first process counts them."""
        images = len(source.ids)
        self.tallies = [Tally(self._cells, images) for _ in subjects if team.is_first]
        self._own = np.zeros((len(subjects), len(self._cells), 1 + SUMS), np.int64)
        """What this process has added to the tallies in this run."""
        for tally, journal in zip(self.tallies, self._journals, strict=False):
            for record in journal.records:
                if enough is None or record.scores is not None or enough.fits(record):
                    tally.add(record)
            if journal.records:
                self._advance(None, int(np.count_nonzero(tally.done)))
        self._before = [tally.totals() for tally in self.tallies]
        self._done: list[Missing] = team.share([tally.done.copy() for tally in self.tallies])

    def run(self) -> KeyboardInterrupt | PpbenchError | None:
        """Do all that is missing; returns what kept it from finishing, if anything did."""
        try:
            return self._run()
        except (KeyboardInterrupt, LostProcessError) as reason:  # the others are not waited for
            with suppress(LostProcessError):
                self._team.stop()
            self._keep_what_is_scored()
            return reason

    def _run(self) -> PpbenchError | None:
        try:
            self._compute()
        except LostProcessError:
            raise
        except PpbenchError as reason:
            self._end_with(reason)
            self._keep_what_is_scored()
        except Exception as reason:
            self._tell(reason)
            raise
        if not self._team.is_first:
            self._team.send(_Message(error=self._error, broken=self._untold, done=True))
        while self._team.is_first and self._running:
            self._receive()
            time.sleep(0.01)
        self._broken = self._team.share(self._broken)
        if self._team.share(self._error is None):
            self._check_total()
        return self._error

    def unreadable(self) -> list[Broken]:
        """Why images could not be read, by their places."""
        return sorted(self._broken)

    def readable(self) -> NDArray[np.bool_]:
        """``(n,)``: the images but those that could not be read."""
        readable = np.ones(len(self._source.ids), np.bool_)
        readable[[broken.place for broken in self._broken]] = False
        return readable

    def _tell(self, reason: Exception) -> None:
        """Before this process ends by an error that is not the user's: the first one would wait for it."""
        self._team.stop()
        if not self._team.is_first:
            told = PpbenchError(f"process {self._team.rank} failed: {type(reason).__name__}: {reason}")
            self._team.send(_Message(error=told, done=True))

    def _compute(self) -> None:
        missing = share(~np.logical_and.reduce(self._done), self._team.rank, self._team.size)
        if not missing.any():
            return
        size = batch_size(self._settings, self._source)
        blocks = self._blocks(missing, size)
        networks = [
            Network(
                subject, self._settings.device, head, precision=self._settings.precision,
                compiled=self._settings.compiled, resize=self._settings.resize, batch=self._forward_batch(),
            )
            for subject, head in zip(self._subjects, self._heads, strict=True)
        ]  # fmt: skip
        with torch.inference_mode():
            for batch in stream(self._source, self._cells, blocks, self._settings.workers, self._settings.device):
                labels = to_device(torch.from_numpy(self._source.labels[batch.places]), self._settings.device)
                for subject, network in enumerate(networks):
                    keep = self._wanted(subject, batch)
                    if keep.any():
                        self._queue.put(_Scored(subject, batch, keep), network.score(batch.images, labels))
                if self._queue.is_due:
                    self._flush()
                if self._team.is_stopped():
                    break
            self._flush(last=True)

    def _forward_batch(self) -> int | None:
        """Images of a forward pass: on a GPU what the user says, whose memory it is; on a CPU always the same."""
        if self._settings.device.type != "cuda":
            return None
        return self._settings.batch_size or (None if self._enough is None else CHUNK)

    def _blocks(self, missing: Missing, size: int) -> list[Block]:
        """All that is missing, in the order in which it is done.

        Where it may end early, images come in their random order with all their cells.
        """
        if self._enough is None:
            return plan_blocks(missing, size, image_major=self._source.image_major, first=self._probe(missing))
        return plan_chunks(missing, size, self._enough.chunks)

    def _probe(self, missing: Missing) -> Missing:
        """What shows early on whether labels and preprocessing are right: some images of the mildest cell."""
        first = np.zeros_like(missing)
        first[self._cells.index(mildest(self._cells))] = spread(missing.shape[1], PROBE)
        return first

    def _wanted(self, subject: int, batch: Batch) -> NDArray[np.bool_]:
        """``(n,)``: which images of a batch are to be counted."""
        wanted = ~self._done[subject][self._cells.index(batch.cell), batch.places]
        for broken in batch.broken:
            wanted &= batch.places != broken.place
        self._untold |= {*batch.broken} - self._broken
        self._broken |= self._untold
        return wanted

    def _keep_what_is_scored(self) -> None:
        """After an error or Ctrl-C: what is on its way counts, unless it is the error."""
        try:
            self._flush(last=True)
        except LostProcessError:
            pass  # what can be kept has been; this is what it ends with, or Ctrl-C
        except PpbenchError as reason:
            self._end_with(reason)

    def _flush(self, *, last: bool = False) -> None:
        """Count what has been scored, and tell."""
        records = [
            (scored.subject, count(scored.batch.cell, scored.batch.places[scored.keep], scores[:, scored.keep]))
            for scored, scores in self._queue.fetch(last=last)
        ]
        for subject, record in records:
            number = self._cells.index(record.cell)
            self._own[subject, number, 0] += np.count_nonzero(record.right)
            self._own[subject, number, 1:] += cast(NDArray[np.int64], record.sums)
        if self._team.is_first:
            self._take(records)
            self._receive()
        elif records or self._untold:
            self._team.send(_Message(records=records, broken=self._untold))
            self._untold = set()

    def _take(self, records: Sequence[tuple[int, Record]]) -> None:
        """In the first process: count and write down what was found."""
        for subject, tally in enumerate(self.tallies):
            new = [record for other, record in records if other == subject]
            for record in new:
                tally.add(record)
            if self._journals and new:
                self._journals[subject].add(new)
            self._plausible.check(self._subjects[subject].name, tally)
        if self._enough is not None and records and self._enough.is_reached(self.tallies, self.readable()):
            self._team.stop()
        for _, record in records:
            self._advance(record.cell, len(record.places))

    def _receive(self) -> None:
        """In the first process: take in what the others have found."""
        for message in self._team.receive():
            self._broken |= message.broken
            self._running -= message.done
            if message.error is not None:
                self._end_with(message.error)
            try:
                self._take(message.records)
            except PpbenchError as reason:
                self._end_with(reason)

    def _end_with(self, reason: PpbenchError) -> None:
        self._error = self._error or reason
        self._team.stop()

    def _check_total(self) -> None:
        """What all processes say they have counted must be what has arrived."""
        everywhere = self._team.total(self._own)
        for tally, before, added in zip(self.tallies, self._before, everywhere, strict=False):
            if not np.array_equal(tally.totals() - before, added):
                raise RuntimeError("the processes' counts do not add up to what has arrived")


class _Message(NamedTuple):
    """From another process to the first."""

    records: Sequence[tuple[int, Record]] = ()
    """With the subjects they are of."""
    broken: Set[Broken] = frozenset()
    error: PpbenchError | None = None
    done: bool = False


class _Scored(NamedTuple):
    """A batch that has been through a network."""

    subject: int
    batch: Batch
    keep: NDArray[np.bool_]
    """``(n,)``: the images that count."""


class _Queue:
    """Scores on their way from the device.

    On a GPU they are fetched one time later than they were asked for, when they have long arrived: so this process
    never waits for the device while there is more to give it.
    """

    def __init__(self, device: torch.device) -> None:
        self._later = device.type == "cuda"
        self._waiting: list[tuple[_Scored, Tensor]] = []
        self._coming: tuple[list[_Scored], Tensor, torch.cuda.Event] | None = None
        self._fetched = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether it is time to fetch."""
        return time.monotonic() - self._fetched > _FLUSH

    def put(self, scored: _Scored, scores: Tensor) -> None:
        """Add a batch with its ``(3, n)`` scores."""
        # Without the images, which would fill the device's memory.
        self._waiting.append((scored._replace(batch=scored.batch._replace(images=_NOTHING)), scores))

    def fetch(self, *, last: bool) -> Iterator[tuple[_Scored, NDArray[np.int64]]]:
        """The batches that have arrived, in order; at the last time, all of them."""
        self._fetched = time.monotonic()
        waiting, self._waiting = self._waiting, []
        if not self._later:
            for scored, scores in waiting:
                yield scored, scores.numpy()
            return
        before = self._coming
        self._coming = self._start(waiting) if waiting else None
        for coming in (before, self._coming) if last else (before,):
            if coming is not None:
                yield from _arrived(*coming)
        if last:
            self._coming = None

    def _start(self, waiting: Sequence[tuple[_Scored, Tensor]]) -> tuple[list[_Scored], Tensor, torch.cuda.Event]:
        scores = torch.cat([scores for _, scores in waiting], dim=1).to("cpu", non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        return [scored for scored, _ in waiting], scores, event


_NOTHING = torch.empty(0, dtype=torch.uint8)


def _arrived(
    batches: Sequence[_Scored], scores: Tensor, event: torch.cuda.Event
) -> Iterator[tuple[_Scored, NDArray[np.int64]]]:
    event.synchronize()
    start = 0
    for scored in batches:
        end = start + len(scored.keep)
        yield scored, scores[:, start:end].numpy()
        start = end


@contextmanager
def _threads_to_spare(settings: Settings, size: int) -> Iterator[None]:
    """One thread for the network where the workers need the cores.

    With small images, reading them costs as much as classifying them, and OpenMP's threads, which spin while they
    wait, would take the workers' time: 32 s against 26 s for the embedded run with 250 images on 2 cores.
    """
    before = torch.get_num_threads()
    if size <= SMALL and settings.workers > 0 and settings.device.type == "cpu":
        torch.set_num_threads(max(1, before - settings.workers))
    try:
        yield
    finally:
        torch.set_num_threads(before)
