"""What the plain and the adapted evaluation share: batches come, scores go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ppbench.evaluation.clean_store import CleanStore, keep_clean
from ppbench.evaluation.collector import Arrivals, Counting, Keeper
from ppbench.evaluation.feed import Batch, ImageBlock, stream
from ppbench.evaluation.flips import count_trials
from ppbench.evaluation.nvjpeg import decoder_for
from ppbench.evaluation.passes import count_passes
from ppbench.evaluation.plan import EvalPlan
from ppbench.evaluation.processes import Processes
from ppbench.evaluation.profile import Trace, phase
from ppbench.evaluation.tally import count
from ppbench.evaluation.transport import lanes_of


class Work:
    """One process's part of an evaluation.

    Args:
        plan: What is evaluated.
        keeper: Receives what is scored.
        processes: Processes that share the work.
        say: Called with lines for people.
    """

    def __init__(self, plan: EvalPlan, keeper: Keeper, processes: Processes, say: Callable[[str], None]) -> None:
        self._plan, self.say = plan, say
        self.keeper, self.processes = keeper, processes
        self.arrivals = Arrivals(plan.settings.device, _counting(plan))
        request, device = plan.settings.request, plan.settings.device
        self.trace: Trace[Any] = Trace(request.profile if processes.is_first else None, device)
        self._store: CleanStore | None = None
        self._lanes = lanes_of(device)
        self._decoder = decoder_for(request.decode, plan.source, device)

    def keep_clean(self, images: int) -> None:
        """Keep clean images on the GPU if all that this process needs fit; call it when the networks are there."""
        self._store = keep_clean(self._plan.source, images, self._plan.settings.device, self.say)

    def batches(self, blocks: Sequence[ImageBlock]) -> Iterator[Batch]:
        """Yield the images of some blocks. Images that cannot be read are noted."""
        plan, settings = self._plan, self._plan.settings
        batches = stream(
            plan.source, plan.cells, blocks, settings.workers, settings.device, self._store, self._decoder, self._lanes
        )
        for batch in self.trace.follow(batches, sum(len(block.cells) for block in blocks)):
            self.keeper.leave_out(batch.broken)
            yield batch

    def fetch_if_due(self) -> None:
        """Fetch scores if the last time is long ago."""
        if self.arrivals.are_due:
            self.fetch()

    def fetch(self, *, last: bool = False) -> None:
        """Fetch scores, and keep them; the last call waits for all.

        Raises:
            DataError: If a network gave a logit that is not a finite number, or the predictions are not plausible.
            LostProcessError: If another process died.
        """
        with phase("fetch"):
            pieces = self.arrivals.fetch(last=last)
        with phase("write"):
            self.keeper.take(pieces)
        self.trace.fetched()


def _counting(plan: EvalPlan) -> Counting:
    """Return what counts the scores of this evaluation."""
    if plan.settings.request.passes is not None:
        return count_passes
    return count if plan.sequences is None else count_trials
