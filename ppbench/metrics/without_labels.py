"""The metrics of images without labels, where the label of each image is the model's own clean prediction.

An error is then a prediction that differs from the clean one, so the mean error is the flip rate: the same weights of
the cells, the same intervals, the same tests. What needs true classes (clean error, CE, calibration) does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from ppbench.metrics.cell_errors import CellErrors, mean
from ppbench.metrics.metric import Unavailable, Weights, require_cells
from ppbench.metrics.of_sequences import OF_SEQUENCES
from ppbench.metrics.of_streams import OF_STREAMS
from ppbench.metrics.quantities import MEAN_ERROR, MOST_POINTS, QUANTITIES, Case, MeanError, Quantity
from ppbench.run import Protocol
from ppbench.vocabulary import PREDICTED

if TYPE_CHECKING:
    from ppbench.metrics.per_image import PerImage


class FlipRate(MeanError):  # noqa: N818 - its base is an error rate, no exception
    """Mean share of the images whose prediction differs from the one without corruption."""

    name = name_of_one = "flip_rate"
    formula = "F = mean of F_cs over corruptions c and severities s,  F_cs = images with another prediction / all"
    meaning = "share of images whose prediction differs from the clean one"


class ConfidenceLost(Quantity):
    """Mean loss of the probability that the model gives to its clean prediction."""

    name = name_of_one = "confidence_lost"
    formula = "mean over c and s of P_0 - P_cs,  P = mean probability of the clean prediction"
    meaning = "probability of the clean prediction: on the clean image minus on the corrupted one"
    of_errors = False
    lowest, highest = -100.0, 100.0

    def value(self, case: Case) -> float:
        model = case.model
        if model.lost is None:
            raise Unavailable(f"{model.source} has no probabilities of the clean predictions, as a baseline has none")
        cells = [(name, severity) for name in case.corruptions for severity in case.severities]
        require_cells(model.lost, cells, model.source)
        return 100 * mean(model.lost[cell] for cell in cells)

    def weights(self, case: Case) -> Weights:
        return MEAN_ERROR.weights(case)

    def images(self, errors: CellErrors) -> PerImage | None:
        return errors.lost_by_image

    def largest_change(self, case: Case, value: float) -> float:
        """A probability that goes from 0 to 1 in one model and from 1 to 0 in the other."""
        return 2 * MOST_POINTS


FLIP_RATE = FlipRate()

WITHOUT_LABELS: dict[str, Quantity] = {quantity.name: quantity for quantity in (FLIP_RATE, ConfidenceLost())}
"""The metrics by name, in the order of reports."""


def quantities_of(protocol: Protocol | None) -> Mapping[str, Quantity]:
    """The metrics that a run has, by name; those of images with labels for a CSV, which has no protocol."""
    if protocol is not None and protocol.sequences is not None:
        return OF_SEQUENCES
    if protocol is not None and protocol.stream is not None:
        return OF_STREAMS
    return QUANTITIES if protocol is None or protocol.labels != PREDICTED else WITHOUT_LABELS


def plain_of(protocol: Protocol | None) -> Quantity:
    """The metric that tables have first: the mean error, the flip rate, or the mean flip probability."""
    return next(quantity for quantity in quantities_of(protocol).values() if quantity.is_plain)


def quantity_called(name: str) -> Quantity | None:
    """The metric of this name, or of this name for a single corruption; None if there is none."""
    every = (*QUANTITIES.values(), *WITHOUT_LABELS.values(), *OF_SEQUENCES.values(), *OF_STREAMS.values())
    return next((quantity for quantity in every if name in (quantity.name, quantity.name_of_one)), None)


def has_labels(protocol: Protocol | None) -> bool:
    """Whether errors are errors; otherwise they are predictions that differ from others of the model."""
    return quantities_of(protocol) is QUANTITIES


def has_normalizer(protocol: Protocol | None) -> bool:
    """Whether a run has metrics that divide by another model's, as CE and the flip rate do."""
    return any(quantity.reference == "normalizer" for quantity in quantities_of(protocol).values())


class Wording(NamedTuple):
    """What the numbers of a run are called."""

    kept: str
    """The share of a cell's images that count as right."""
    lost: str
    """The share of those that do not."""
    mean: str
    """The mean of these shares over cells."""
    of_cell: str
    """The share in a single cell, as titles of figures have it."""
    losses: str
    """The plural of `lost`."""
    what: str = "corruption"
    level: str = "severity"
    levels: str = "severities"
    letter: str = "s"
    """The letter of a level in labels and headers: ``s3``."""
    first: str = "mild"
    last: str = "severe"
    """What the lowest and the highest level are."""
    verb: str = "makes"
    made: str = "errors"
    """What a model does when it fails: it makes errors, or changes predictions."""
    shown: str = "corrupted images"
    """What a share is a share of."""
    made_images: str = "corrupted images"
    """What was made of the clean images, or published."""
    do: str = "make"
    """The verb of several models."""
    unit: str = "image"
    """What two runs are paired by."""
    shows_lost: bool = False
    """Whether tables have the share that is lost in a cell, not the one that is kept."""

    @property
    def plural_of_cell(self) -> str:
        """The plural of `of_cell`."""
        return self.losses if self.losses.endswith("ies") else f"{self.of_cell}s"


_WITH = Wording("accuracy", "error", "mean error", "top-1 error", "errors")
_WITHOUT = Wording(
    "agreement", "flip rate", "flip rate", "flip rate", "flip rates", verb="changes", made="predictions", do="change"
)
_SEQUENCES = Wording(
    "stability", "flip probability", "flip probability", "flip probability", "flip probabilities",
    what="perturbation", level="difficulty", levels="difficulties", letter="d", first="easy", last="hard",
    verb="flips", made="predictions", do="flip", shown="compared frames", made_images="frames", shows_lost=True,
)  # fmt: skip


_STREAM = _WITH._replace(mean="stream error", shown="frames", unit="point of the walk")


def wording(protocol: Protocol | None) -> Wording:
    """The words for a run with this protocol; those of images with labels for a CSV."""
    if protocol is not None and protocol.sequences is not None:
        return _SEQUENCES
    if protocol is not None and protocol.stream is not None:
        return _STREAM
    return _WITH if has_labels(protocol) else _WITHOUT


def capital(words: str) -> str:
    """The words at the beginning of a sentence."""
    return f"{words[:1].upper()}{words[1:]}"


NO_LABELS = "the images have no labels (--labels predicted)"
"""Why something that needs true classes is not there."""
NO_CLASSES = "flips of sequences need no labels"
"""The same for perturbation sequences."""
NO_CELLS = "a stream is one cell, without clean images"
"""The same for streams."""


def without_classes(protocol: Protocol | None) -> str:
    """Why something that needs true classes is not there in a run like this."""
    if protocol is not None and protocol.stream is not None:
        return NO_CELLS
    return NO_CLASSES if protocol is not None and protocol.sequences is not None else NO_LABELS
