"""The metrics of perturbation sequences, each defined once: flip probability and top-5 distance, plain and normalised.

An error is here a flip: a prediction that differs from that for the frame it is compared with. The mean error of a cell
is then the flip probability, so the flip rate is CE with other counts: the same weights, intervals and tests.

Source: Hendrycks & Dietterich, ICLR 2019, section 4.3. The paper divides by AlexNet's values, which are in no readable
source; the normaliser is a run or a CSV of the user's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ppbench.metrics.cell_errors import CellErrors, mean
from ppbench.metrics.metric import Unavailable, Weights, require_cells
from ppbench.metrics.quantities import MEAN_ERROR, MOST_POINTS, Case, CorruptionError, MeanError, Quantity
from ppbench.metrics.references import Normalizer, PublishedErrors
from ppbench.run import LARGEST_DISTANCE

if TYPE_CHECKING:
    from ppbench.metrics.per_image import PerImage

FEW_CLASSES = 10
"""With at most so many classes the first five places are half of them or more, and their order says little."""


class FlipProbability(MeanError):  # noqa: N818 - no exception
    """Mean flip probability over perturbations and difficulties, not normalised."""

    name, name_of_one = "mFP", "FP"
    formula = "mean over p and d of FP_pd,  FP_pd = pairs of frames with different predictions / all pairs"
    meaning = "flip probability, mean over perturbations"


class NormalisedFlips(CorruptionError):  # noqa: N818 - no exception
    """Flip rate: flip probability divided by the normaliser's, mean over perturbations."""

    name, name_of_one = "mFR", "FR"
    formula = "mean over p of FR_p;  FR_p = sum_d FP_pd / sum_d A_pd,  A = the normaliser's flip probabilities"
    meaning = "flip probability / normaliser's, mean over perturbations"
    divided = ("flip probability", "flip probabilities")

    def value(self, case: Case) -> float:
        refuse_published(case)
        return super().value(case)


class TopFiveDistance(Quantity):
    """Mean top-5 distance over perturbations and difficulties, not normalised."""

    name = name_of_one = "uT5D"
    formula = "mean over p and d of uT5D_pd,  of a pair: sum over i = 1..5 of |i - min(new place of class i, 6)|"
    meaning = "top-5 distance of compared frames, 0 to 15, mean over perturbations"
    of_errors = False
    rule = name
    unit, scale = "places", 1.0
    lowest, highest = 0.0, float(LARGEST_DISTANCE)

    def value(self, case: Case) -> float:
        return mean_distance(case.model, case.corruptions, case.severities)

    def weights(self, case: Case) -> Weights:
        return MEAN_ERROR.weights(case)

    def images(self, errors: CellErrors) -> PerImage | None:
        return errors.distances_by_image

    def largest_change(self, case: Case, value: float) -> float:
        return float(LARGEST_DISTANCE)


class NormalisedDistance(CorruptionError):  # noqa: N818 - no exception
    """Top-5 distance divided by the normaliser's, mean over perturbations."""

    name, name_of_one = "mT5D", "T5D"
    formula = "mean over p of T5D_p;  T5D_p = sum_d uT5D_pd / sum_d D_pd,  D = the normaliser's top-5 distances"
    meaning = "top-5 distance / normaliser's, mean over perturbations"
    divided = ("top-5 distance", "top-5 distances")
    of_errors = False

    def value(self, case: Case) -> float:
        refuse_published(case)
        return super().value(case)

    def images(self, errors: CellErrors) -> PerImage | None:
        return errors.distances_by_image

    def mean_of(self, model: Normalizer, corruptions: Sequence[str], severities: Sequence[int]) -> float:
        return mean_distance(model, corruptions, severities)

    def largest_change(self, case: Case, value: float) -> float:
        own = self.mean_of(case.model, case.corruptions, case.severities)
        return LARGEST_DISTANCE * value / own if own > 0 else LARGEST_DISTANCE * MOST_POINTS


FLIP_PROBABILITY = FlipProbability()

OF_SEQUENCES: Mapping[str, Quantity] = {
    quantity.name: quantity
    for quantity in (FLIP_PROBABILITY, NormalisedFlips(), TopFiveDistance(), NormalisedDistance())
}
"""The metrics by name, in the order of reports."""


def refuse_published(case: Case) -> None:
    """Raise `Unavailable` for errors on corrupted images as the normaliser, as AlexNet's are."""
    if isinstance(case.normalizer, PublishedErrors):
        raise Unavailable(
            f"{case.normalizer.source}'s errors are no flips, and its flips are in no source that could be read "
            "(--normalizer RUN or CSV)"
        )


def mean_distance(model: Normalizer, perturbations: Sequence[str], difficulties: Sequence[int]) -> float:
    """Return the mean top-5 distance over all of these cells, 0 to 15.

    Raises:
        Unavailable: If it is not known, or a cell is missing.
    """
    if not isinstance(model, CellErrors) or model.distances is None:
        raise Unavailable(
            f"{model.source} has no top-5 distances: its model has fewer than 5 classes, or a file lacks them"
        )
    cells = [(perturbation, difficulty) for perturbation in perturbations for difficulty in difficulties]
    require_cells(model.distances, cells, model.source, "d")
    return mean(model.distances[cell] for cell in cells)
