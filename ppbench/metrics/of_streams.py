"""The metrics of a stream of continually changing corruptions: accuracy over all its frames, and over parts of it.

Frames that follow each other are alike: those of a point of the walk share their corruptions, and those of a batch the
statistics of an adapted network. The sample of every interval and test is therefore the points of the walk, not the
frames. Frames of one point count together, and points count as drawn independently of each other from all that there
could be: other corruptions and severities, and other images. That neighbours are alike, and that a long stream shows
the same images again and again, is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping

from ppbench.lookup import counted
from ppbench.metrics.metric import Weights
from ppbench.metrics.quantities import Case, MeanError, Quantity
from ppbench.run import Protocol


class StreamError(MeanError):
    """Top-1 error over all frames of a stream."""

    name = "stream_error"
    name_of_one = None  # type: ignore[assignment]  # it has no parts
    formula = "E = wrong / all, over the frames of the stream"
    meaning = "top-1 error over the frames of the stream"

    def label(self, case: Case, name: str | None = None) -> str:
        return stream_label(case, name or self.name)


class StreamAccuracy(Quantity):
    """Top-1 accuracy over all frames of a stream, which the authors of CCC report."""

    name = "stream_accuracy"
    formula = "A = right / all, over the frames of the stream"
    meaning = "top-1 accuracy over the frames of the stream"
    higher_is_better = True
    lowest, highest = 0.0, 100.0

    def value(self, case: Case) -> float:
        return 100 - 100 * case.model.mean_error(case.corruptions, case.severities)

    def weights(self, case: Case) -> Weights:
        return {cell: -weight for cell, weight in STREAM_ERROR.weights(case).items()}

    def constant(self, case: Case) -> float:
        return 1.0

    def label(self, case: Case, name: str | None = None) -> str:
        return stream_label(case, name or self.name)


STREAM_ERROR = StreamError()

OF_STREAMS: Mapping[str, Quantity] = {quantity.name: quantity for quantity in (StreamAccuracy(), STREAM_ERROR)}
"""The metrics by name, in the order of reports."""


def stream_in_words(protocol: Protocol | None) -> str | None:
    """``stream ccc:medium,1000 a point,calibration 1a2b3c4d, seed 43``; None if a run is of no stream."""
    if protocol is None or protocol.stream is None:
        return None
    return f"stream {protocol.stream}, seed {protocol.seed}"


def sample_in_words(protocol: Protocol | None, n: int) -> str:
    """What intervals over ``n`` are about: images like these, or points that are drawn again."""
    is_stream = protocol is not None and protocol.stream is not None
    if not is_stream:
        return f"for images like these {n}"
    return f"over the {size_of_sample(protocol, n)}, as if they were drawn again"


def size_of_sample(protocol: Protocol | None, n: int) -> str:
    """``40 points of the walk``, or ``400 images``: what a sample of ``n`` is."""
    if protocol is not None and protocol.stream is not None:
        return counted(n, "point of the walk", "points of the walk")
    return counted(n, "image")


def too_few(case: Case) -> str | None:
    """Why a run whose images are known one by one has no intervals; None if they are not known."""
    images = case.model.per_image
    return None if images is None else f"the run has {size_of_sample(case.model.protocol, images.n)} alone"


def stream_label(case: Case, name: str) -> str:
    """``stream_accuracy[ccc:medium,1000 a point,calibration 1a2b3c4d,seed 43,50000 of 7500000]``."""
    protocol = case.model.protocol
    parts = [] if protocol is None or protocol.stream is None else [protocol.stream.label, f"seed {protocol.seed}"]
    return f"{name}[{','.join([*parts, *filter(None, [case.model.conditions])])}]"
