"""Sequential stopping: visit images in random order and stop once the estimate is precise enough. Free of torch.

Every look at an ordinary interval is a chance to be wrong. The intervals used here hold at all looks at once
(`ppbench.metrics.confidence_sequence`). The interval of a metric covers the value over all images of the dataset, of
which the visited ones are a random, stratified part. The interval of a comparison is about images like these.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppbench.data.source import Source, stratified_order
from ppbench.errors import DataError, UsageError
from ppbench.evaluation.between_passes import BetweenPasses
from ppbench.evaluation.tally import Piece, Tally
from ppbench.lookup import check_name
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.confidence_sequence import ConfidenceSequence, decided
from ppbench.metrics.intervals import Interval
from ppbench.metrics.metric import Unavailable, Weights
from ppbench.metrics.per_image import PerImage
from ppbench.metrics.quantities import MEAN_ERROR, QUANTITIES, case_of, metrics_over_cells
from ppbench.metrics.references import ALEXNET
from ppbench.metrics.without_labels import FLIP_RATE
from ppbench.run import Stopping
from ppbench.tables.numbers import with_interval

CONFIDENCE = 0.95
CHUNK = 128
"""Images between two looks. The looks are at fixed places of the order, so that speed does not change the result."""


class StoppingRule(ABC):
    """A rule for when to stop.

    Args:
        source: The images.
        seed: Seed of their order.
        subjects: Number of models evaluated together; the rule is reached once enough is known of each.
        label: Label of the metric.
        weights: Weights of an image's errors in the metric, by cell.
    """

    def __init__(self, source: Source, seed: int, subjects: int, label: str, weights: Weights) -> None:
        order = stratified_order(source.ids, source.labels, seed)
        self.chunks = [order[start : start + CHUNK] for start in range(0, len(order), CHUNK)]
        """Places of the images, in the order of visits."""
        # The inverse of the order: where in it each image is.
        self._chunk_of = np.argsort(order) // CHUNK
        self._label, self._weights, self._strata = label, weights, source.labels
        self._looks = 0
        self._reached = False
        self._available, self._total = len(order), source.total
        self._sequences = [self._sequence(CONFIDENCE) for _ in range(subjects)]
        self._between: list[BetweenPasses | None] = [None] * subjects

    def share_draws(self, shared: Sequence[bool]) -> None:
        """Say of which models all images of a pass share a draw, before the first look.

        What varies between passes then belongs to their intervals, which are about other passes too.
        """
        half = (1 + CONFIDENCE) / 2
        for number in (number for number, one in enumerate(shared) if one):
            self._sequences[number] = self._sequence(half)
            self._between[number] = BetweenPasses(self._weights, self._chunk_of, half, self._baseline_by_pass())

    def fits(self, piece: Piece) -> bool:
        """Whether all images of a piece are in one chunk, so that the piece counts as a whole or not at all."""
        return len(np.unique(self._chunk_of[piece.places])) == 1

    def is_reached(self, tallies: Sequence[Tally], readable: NDArray[np.bool_] | None = None) -> bool:
        """Look at the chunks that have been finished since the last call, one by one; return whether to stop.

        Args:
            tallies: One per model.
            readable: ``(n,)``: which images could be read; the others are not waited for. None: all.
        """
        # Chunk by chunk, although several may be finished: when this is called must not change where it stops.
        while not self._reached and self._looks < len(self.chunks):
            chunk = self.chunks[self._looks]
            if readable is not None:
                chunk = chunk[readable[chunk]]
            if not all(tally.done[:, chunk].all() for tally in tallies):
                break
            for number, tally in enumerate(tallies) if len(chunk) else ():
                self._sequences[number].add(self._values(tally, chunk), self._strata[chunk])
                if (between := self._between[number]) is not None:
                    between.look(tally, self._looks, len(chunk))
            self._looks += 1
            self._reached = self._has_seen and all(map(self._is_enough, self._intervals()))
        return self._reached

    def visited(self) -> NDArray[np.bool_]:
        """``(n,)``: which images were looked at."""
        return self._chunk_of < self._looks

    def stoppings(self) -> list[Stopping]:
        """Return how it ended, for each model; empty if no image could be read."""
        seen = zip(self._sequences, self._intervals(), strict=True)
        return [self._stopping(interval) for sequence, interval in seen if sequence.n]

    def describe(self) -> str:
        """Return the current estimates and intervals, for people."""
        return ", ".join(with_interval(one.scaled(100)) for one in self._intervals()) if self._has_seen else ""

    def _intervals(self) -> list[Interval]:
        """The current interval of each model."""
        bounds = self._bounds()
        return [
            sequence.interval if between is None else between.widened(sequence.interval, bounds)
            for sequence, between in zip(self._sequences, self._between, strict=True)
        ]

    def _baseline_by_pass(self) -> NDArray[np.float64] | None:
        """What is subtracted from the metric in each pass, a fraction; None: nothing."""
        return None

    @property
    def _has_seen(self) -> bool:
        """Whether any image is known: a look at a chunk of unreadable images adds nothing."""
        return all(sequence.n for sequence in self._sequences)

    @abstractmethod
    def _sequence(self, confidence: float) -> ConfidenceSequence:
        """Make a sequence for the available images."""

    @abstractmethod
    def _is_enough(self, interval: Interval) -> bool: ...

    @abstractmethod
    def _wanted(self) -> str:
        """Return the goal in words."""

    def _of_comparison(self, interval: Interval) -> dict[str, Any]:
        """Return the fields of `Stopping` about a comparison."""
        return {}

    def _values(self, tally: Tally, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """``(k,)``: the contribution of each image to the metric."""
        rows = {cell: row for row, cell in enumerate(tally.cells)}
        return PerImage("this model", tally.errors(places), rows).weighted(self._weights)

    def _bounds(self) -> tuple[float, float]:
        """Return the smallest and largest possible contribution of an image."""
        factors = self._weights.values()
        return sum(min(0.0, weight) for weight in factors), sum(max(0.0, weight) for weight in factors)

    def _stopping(self, interval: Interval) -> Stopping:
        value, low, high = interval
        return Stopping(
            metric=self._label,
            confidence=CONFIDENCE,
            value=100 * value,
            low=100 * low,
            high=100 * high,
            wanted=self._wanted(),
            reached=self._reached,
            **self._of_comparison(interval),
        )


class NarrowEnough(StoppingRule):
    """Stops when the interval of a metric is narrow enough.

    Args:
        half_width: Half-width of the interval, in points.
        more: As for `StoppingRule`.
    """

    def __init__(
        self, half_width: float, source: Source, seed: int, subjects: int, label: str, weights: Weights
    ) -> None:
        if not 0 < half_width < 100:
            raise UsageError(f"--until {half_width:g} is not allowed", "It is a half-width in points, such as 0.5.")
        self._half_width = half_width
        super().__init__(source, seed, subjects, label, weights)

    def _sequence(self, confidence: float) -> ConfidenceSequence:
        return ConfidenceSequence(
            confidence, half_width=self._half_width / 100, available=self._available, total=self._total,
            bounds=self._bounds(),
        )  # fmt: skip

    def _is_enough(self, interval: Interval) -> bool:
        # A sequence meets its plan exactly, but for the last bits.
        return (interval.high - interval.low) / 2 <= self._half_width / 100 * (1 + 1e-9)

    def _wanted(self) -> str:
        return f"half-width {self._half_width:g}"


class DecidedAgainst(StoppingRule):
    """Stops when it is decided whether a model's error exceeds a baseline's by more than is tolerated.

    Args:
        max_drop: Tolerated increase, in points.
        baseline: Errors of the baseline on the same images in the same order.
        weights_sha256: Hash of the baseline's weights; None: not known.
        more: As for `StoppingRule`.
        by_pass: Errors of the baseline by pass, over all its images; None if they are not known, or it has one pass.
        shares: Whether all images of a pass of the baseline share a draw.
    """

    def __init__(
        self, max_drop: float, baseline: PerImage, weights_sha256: str | None, source: Source, seed: int, subjects: int,
        label: str, weights: Weights, by_pass: PerImage | None = None, *, shares: bool = False,
    ) -> None:  # fmt: skip
        if not 0 <= max_drop < 100:
            raise UsageError(f"--max-drop {max_drop:g} is not allowed", "It is in points, 0 or above, such as 0.5.")
        if baseline.n != len(source.ids):
            raise DataError(
                f"the baseline has {baseline.n:,} images, this evaluation {len(source.ids):,}",
                "Give a baseline run of all these images: without --until, with the same --limit and --seed.",
            )
        self._max_drop, self._of_baseline, self._sha256 = max_drop, baseline.weighted(weights), weights_sha256
        self._by_pass, self._shares = None if by_pass is None else by_pass.weighted(weights), shares
        super().__init__(source, seed, subjects, f"{label} above the baseline's", weights)

    def _sequence(self, confidence: float) -> ConfidenceSequence:
        # An interval of half the tolerance separates no drop from too large a drop; without tolerance it is half a
        # point. The sequence has no total: which of two models is better is a question about images like these, which
        # not even all images of this set can answer with certainty.
        half_width = (self._max_drop or 1.0) / 200
        return ConfidenceSequence(confidence, half_width=half_width, available=self._available, bounds=self._bounds())

    def share_draws(self, shared: Sequence[bool]) -> None:
        super().share_draws([one or self._shares for one in shared])

    def _baseline_by_pass(self) -> NDArray[np.float64] | None:
        # Over other images than the visited ones, which moves all passes alike.
        return self._by_pass

    def _bounds(self) -> tuple[float, float]:
        low, high = super()._bounds()
        return low - high, high - low

    def _values(self, tally: Tally, places: NDArray[np.int64]) -> NDArray[np.float64]:
        return super()._values(tally, places) - self._of_baseline[places]

    def _is_enough(self, interval: Interval) -> bool:
        return self._decided(interval) is not None

    def _decided(self, interval: Interval) -> bool | None:
        return decided(interval, self._max_drop / 100)

    def _wanted(self) -> str:
        return f"decided against max drop {self._max_drop:g}"

    def _of_comparison(self, interval: Interval) -> dict[str, Any]:
        decision = {True: "pass", False: "worse than allowed", None: None}[self._decided(interval)]
        return {"baseline": self._sha256, "max_drop": self._max_drop, "decision": decision}


def metric_weights(
    name: str | None, source: Source, corruptions: Sequence[str], severities: Sequence[int], normalizer: str
) -> tuple[str, Weights]:
    """Return the label of a metric and an image's weights in it.

    Args:
        name: A metric over corrupted cells that needs no other run; None: mCE if AlexNet's errors are the customary
            denominators, else the mean error.
        source: The images.
        corruptions: Corruptions of the evaluation.
        severities: Severities of the evaluation.
        normalizer: "alexnet" or "none".

    Raises:
        UsageError: If there is no such metric, or these images do not have it.
    """
    if not source.class_names:
        return _flip_rate_weights(name, source, corruptions, severities)
    choices = metrics_over_cells()
    wanted = "normalizer" if normalizer == "alexnet" else None
    name = name or next(quantity.name for quantity in choices if quantity.reference == wanted)
    check_name("metric", name, [quantity.name for quantity in choices], "ppbench eval --help")
    quantity = QUANTITIES[name]
    # Labels and weights depend on the cells alone: no error is needed.
    model = CellErrors(
        "this model", {}, None, tuple(corruptions), tuple(severities), generated=source.kind != "published"
    )
    case = case_of(model, ALEXNET if quantity.reference == "normalizer" else None)
    try:
        if quantity.needs_clean and not source.has_clean:
            raise Unavailable(f"{source.dataset} has no clean images")
        if case.normalizer and (normalizer != "alexnet" or source.num_classes != ALEXNET.classes):
            raise Unavailable("AlexNet's errors are of ImageNet-C with all its classes")
        return quantity.label(case), quantity.weights(case)
    except Unavailable as reason:
        raise UsageError(
            f"--until-metric {name} cannot be used here: {reason}",
            f"Use the mean error: `--until-metric {MEAN_ERROR.name}`.",
        ) from None


def _flip_rate_weights(
    name: str | None, source: Source, corruptions: Sequence[str], severities: Sequence[int]
) -> tuple[str, Weights]:
    """The label and the weights of the only metric that can be waited for without labels."""
    if name not in (None, FLIP_RATE.name):
        raise UsageError(
            f"--until-metric {name} cannot be used without labels", f"Leave it out: it is {FLIP_RATE.name}."
        )
    generated = source.kind != "published"
    model = CellErrors("this model", {}, None, tuple(corruptions), tuple(severities), generated=generated)
    case = case_of(model)
    return FLIP_RATE.label(case), FLIP_RATE.weights(case)
