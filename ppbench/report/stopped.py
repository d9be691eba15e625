"""How an evaluation that was to stop early ended, in words, and which of its intervals holds."""

from __future__ import annotations

from collections.abc import Sequence

from ppbench.metrics.metric import Metric
from ppbench.run import Run, Stopping
from ppbench.vocabulary import older_set_label, set_label


def how_it_ended(stopping: Stopping, n: int, total: int) -> str:
    """Say how an evaluation that was to stop early ended after ``n`` images of ``total``.

    ``half-width 0.5 after 512 of 2,000 images``, ``half-width 0.5: not reached with all 500 images``,
    ``decided against max drop 3 after 512 of 2,000 images: pass``
    """
    if not stopping.reached:
        images = "images" if stopping.max_drop is None and stopping.baseline is None else "images that both have"
        return f"{stopping.wanted}: not reached with all {n:,} {images}"
    ended = f"{stopping.wanted} after {n:,} of {total:,} images"
    return ended if stopping.decision is None else f"{ended}: {stopping.decision}"


def stopping_notes(run: Run, confidence: float | None) -> list[str]:
    """A note: ordinary intervals are too narrow if the number of images was chosen by looking at the results."""
    stopping = run.stopping
    if stopping is None:
        return []
    ends = f"{stopping.value:.2f} [{stopping.low:.2f}, {stopping.high:.2f}]"
    too_sure = confidence is not None and confidence > stopping.confidence
    absent = "; there is none at a higher confidence" if too_sure else ""
    return [
        f"Early stopping: {how_it_ended(stopping, run.protocol.n, run.protocol.total)}. The interval of "
        f"{stopping.metric}, {ends}, holds at every look ({100 * stopping.confidence:g} %{absent}). The other "
        "intervals assume a fixed number of images."
    ]


def as_labelled_now(stopping: Stopping, headline: Sequence[str]) -> Stopping:
    """Replace the label of an older run file, which could stand for more than one set (`older_set_label`)."""
    older, now = (f"{label(headline)},s" for label in (older_set_label, set_label))
    return stopping.model_copy(update={"metric": stopping.metric.replace(older, now)})


def is_waited_for(stopping: Stopping, metric: Metric) -> bool:
    """Whether an evaluation waited for this metric. Its label may add the number of images."""
    return metric.label == stopping.metric or metric.label.startswith(stopping.metric.removesuffix("]") + ",")
