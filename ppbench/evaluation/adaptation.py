"""Scoring with batch-norm statistics of each cell: its images are streamed twice, first to estimate, then to score.

A cell is estimated and scored by one process, and its images pass in fixed groups. What is estimated therefore depends
neither on the batch size nor on the number of processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import numpy as np
import torch
from numpy.typing import NDArray

from ppbench.data.source import Source, stratified_order
from ppbench.evaluation.feed import Batch, ImageBlock, block_size, plan_blocks, still_wanted
from ppbench.evaluation.inference import Inference
from ppbench.evaluation.labels import GivenLabels
from ppbench.evaluation.plan import EvalPlan
from ppbench.evaluation.transport import Staging
from ppbench.evaluation.work import Work
from ppbench.models.batch_norms import BatchNorms, Moments, Statistics
from ppbench.run import Adaptation

ROUND = 5
"""Cells between two readings of the images: a kill costs at most these, and their images are decoded once a pass."""

_Observed = dict[tuple[int, int], list[Moments]]
"""Sums at each batch norm, by subject and cell."""


def groups(source: Source, seed: int, batch: int) -> list[NDArray[np.int64]]:
    """Divide all images into groups of nearly the same size, at most ``batch``, in a random order of the ids.

    The order does not know the labels: the classes of a group are as mixed as those of all images.

    Returns:
        Places in the source, ascending in each group.
    """
    n = len(source.ids)
    order = stratified_order(source.ids, np.zeros(n, np.int64), seed)
    return [np.sort(part) for part in np.array_split(order, -(-n // batch))]


def compute_adapted(
    plan: EvalPlan,
    adaptation: Adaptation,
    networks: Sequence[Inference],
    work: Work,
) -> None:
    """Score this process's share of the unfinished cells. The networks have their own statistics again at the end."""
    processes = work.processes
    done = np.array([finished.all(1) for finished in work.keeper.done])
    cells = np.flatnonzero(~done.all(0))[processes.rank :: processes.size].tolist()
    divided = groups(plan.source, plan.settings.request.seed, adaptation.batch)
    norms = [BatchNorms(network.subject.model, adaptation, len(plan.source.ids)) for network in networks]
    with ExitStack() as stack:
        for one in norms:
            stack.enter_context(one.replaceable())
        stack.enter_context(torch.inference_mode())
        work.keep_clean(len(plan.source.ids) if cells else 0)
        rounds = _Rounds(plan, networks, norms, done, work)
        for start in range(0, len(cells), ROUND):
            rounds.run(tuple(cells[start : start + ROUND]), divided)
        work.fetch(last=True)


class _Rounds:
    """The two passes over the images, for some cells at a time."""

    def __init__(
        self, plan: EvalPlan, networks: Sequence[Inference], norms: Sequence[BatchNorms], done: NDArray[np.bool_],
        work: Work,
    ) -> None:  # fmt: skip
        self._plan, self._networks, self._norms, self._done = plan, networks, norms, done
        self._work, self._staging = work, Staging(plan.settings.device, 64)
        self._labels = GivenLabels(plan.source.labels, plan.settings.device)

    def run(self, cells: tuple[int, ...], divided: Sequence[NDArray[np.int64]]) -> None:
        """Estimate and score some cells."""
        observed: _Observed = {}
        for batch in self._stream([ImageBlock(places, cells) for places in divided]):
            self._observe(batch, observed)
        if self._work.processes.is_stopped():
            return
        found = {key: [of.statistics() if of.count else None for of in moments] for key, moments in observed.items()}
        missing = np.zeros((len(self._plan.cells), len(self._plan.source.ids)), np.bool_)
        missing[list(cells)] = True
        size = block_size(self._plan.settings, self._plan.source)
        for batch in self._stream(plan_blocks(missing, size, image_major=self._plan.source.image_major)):
            self._score(batch, found)

    def _observe(self, batch: Batch, observed: _Observed) -> None:
        cell = self._plan.cells.index(batch.cell)
        self._work.keeper.begin(batch.cell)
        # An image that cannot be read is black, and no image of the cell.
        readable = still_wanted(batch, np.zeros(len(self._plan.source.ids), np.bool_))
        if not readable.any():
            return
        images = batch.images
        if not readable.all():
            images = images.index_select(0, self._staging.send(np.flatnonzero(readable)))
            images = images.contiguous(memory_format=torch.channels_last)
        for subject, (network, norms) in enumerate(zip(self._networks, self._norms, strict=True)):
            if not self._done[subject, cell]:
                with norms.observing(observed.setdefault((subject, cell), norms.new_moments())):
                    network.observe(images)

    def _score(self, batch: Batch, found: dict[tuple[int, int], list[Statistics | None]]) -> None:
        cell = self._plan.cells.index(batch.cell)
        for subject, (network, norms) in enumerate(zip(self._networks, self._norms, strict=True)):
            wanted = still_wanted(batch, self._work.keeper.done[subject][cell])
            if wanted.any():
                norms.use(found[subject, cell])
                scores = network.score(batch.images, self._labels.of(subject, batch))
                self._work.arrivals.put(subject, batch.cell, batch.places, wanted, scores)

    def _stream(self, blocks: Sequence[ImageBlock]) -> Iterator[Batch]:
        """Yield the images of some blocks until a process asks all to stop; fetch scores on the way."""
        for batch in self._work.feed.batches(blocks):
            if self._work.processes.is_stopped():
                return
            yield batch
            self._work.fetch_if_due()
