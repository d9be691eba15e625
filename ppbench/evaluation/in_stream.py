"""Scoring a stream with batch-norm statistics of consecutive frames: each batch by its own, in order."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import torch
from numpy.typing import NDArray

from ppbench.evaluation.feed import Batch, ImageBlock, still_wanted
from ppbench.evaluation.inference import Inference
from ppbench.evaluation.labels import GivenLabels
from ppbench.evaluation.plan import EvalPlan
from ppbench.evaluation.transport import Staging
from ppbench.evaluation.work import Work
from ppbench.models.batch_norms import BatchNorms
from ppbench.run import Adaptation


def compute_in_stream(
    plan: EvalPlan, adaptation: Adaptation, networks: Sequence[Inference], work: Work
) -> None:  # fmt: skip
    """Score the batches that are not finished. The networks have their own statistics again at the end.

    The batches are those of the stream from its first frame on, wherever an interrupted evaluation had ended.
    """
    if not work.processes.is_first:
        return
    frames = np.arange(len(plan.source.ids))
    batches = np.split(frames, np.arange(adaptation.batch, len(frames), adaptation.batch))
    missing = ~np.logical_and.reduce(work.keeper.done)[0]
    blocks = [ImageBlock(batch, (0,)) for batch in batches if missing[batch].any()]
    adapted = [_InStream(network, adaptation, batches) for network in networks]
    staging, labels = Staging(plan.settings.device, 64), GivenLabels(plan.source.labels, plan.settings.device)
    with ExitStack() as stack:
        for one in adapted:
            stack.enter_context(one.norms[adaptation.batch].replaceable())
        stack.enter_context(torch.inference_mode())
        for batch in work.feed.batches(blocks):
            wanted = [still_wanted(batch, done[0]) for done in work.keeper.done]
            readable = still_wanted(batch, np.zeros(len(frames), np.bool_))
            for subject, one in enumerate(adapted):
                if wanted[subject].any():
                    one.estimate(batch, readable, staging)
                    scores = one.network.score(batch.images, labels.of(subject, batch))
                    work.arrivals.put(subject, batch.cell, batch.places, wanted[subject], scores)
            work.fetch_if_due()
            if work.processes.is_stopped():
                break
        work.fetch(last=True)


class _InStream:
    """A network whose batch norms have the statistics of the batch before it is scored."""

    def __init__(self, network: Inference, adaptation: Adaptation, batches: Sequence[NDArray[np.int64]]) -> None:
        self.network, self._batch = network, adaptation.batch
        # One for each number of frames, which weighs them against the network's own statistics.
        sizes = {adaptation.batch, *(len(batch) for batch in batches)}
        self.norms = {size: BatchNorms(network.subject.model, adaptation, size) for size in sizes}

    def estimate(self, batch: Batch, readable: NDArray[np.bool_], staging: Staging) -> None:
        """Let the network have the statistics of a batch. Frames that cannot be read have no part in them."""
        images = batch.images
        if not readable.all():
            images = images.index_select(0, staging.send(np.flatnonzero(readable)))
            images = images.contiguous(memory_format=torch.channels_last)
        norms = self.norms[len(batch.places)]
        moments = norms.new_moments()
        with norms.observing(moments):
            self.network.observe(images)
        norms.use([of.statistics() if of.count else None for of in moments])
