"""What all ways of evaluating share: where batches come from, and where scores go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ppbench.evaluation.clean_store import keep_clean
from ppbench.evaluation.collector import Arrivals, Counting, Keeper
from ppbench.evaluation.feed import Feed
from ppbench.evaluation.flips import count_trials
from ppbench.evaluation.nvjpeg import decoder_for
from ppbench.evaluation.passes import count_passes
from ppbench.evaluation.plan import EvalPlan
from ppbench.evaluation.processes import Processes
from ppbench.evaluation.profile import Trace, phase
from ppbench.evaluation.tally import count


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
        decoder = decoder_for(request.decode, plan.source, device)
        self.feed = Feed(
            plan.source, plan.cells, plan.settings.workers, device,
            decoder=decoder, leave_out=keeper.leave_out, trace=self.trace,
        )  # fmt: skip

    def keep_clean(self, images: int) -> None:
        """Keep clean images on the GPU if all that this process needs fit; call it when the networks are there."""
        self.feed.store = keep_clean(self._plan.source, images, self._plan.settings.device, self.say)

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
