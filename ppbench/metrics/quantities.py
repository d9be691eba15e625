"""The metrics, each defined once: `QUANTITIES` is the table that reports, comparisons, rules and stopping ask.

With fixed denominators, every metric is a constant plus a weighted sum of the errors in cells. An interval, a paired
test, a stopping rule and a mean over several networks need only these weights, so a new metric is one class here and
one entry in the table. docs/metrics.md has the formulas.

CE, mCE and their relative forms follow Hendrycks & Dietterich, ICLR 2019. R_net follows Bennabhaktula et al.,
"PushPull-Net", ICPR 2024, as reconstructed from their table. All values are in percent; weights apply to fractions.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from ppbench.metrics.cell_errors import CellErrors, mean
from ppbench.metrics.comparable import require_same_pixels, require_same_task
from ppbench.metrics.metric import Metric, Unavailable, Weights, metric, over_corruptions
from ppbench.metrics.references import Normalizer, PublishedErrors
from ppbench.vocabulary import CLEAN, Cell

if TYPE_CHECKING:
    from ppbench.metrics.per_image import PerImage

Role = Literal["normalizer", "baseline"]
"""The roles of another model in a metric."""

NEAR_ZERO = 1e-3
"""Denominators below a tenth of a percentage point are noise: 50,000 images have a standard error of 0.2."""

MOST_POINTS = 100.0
"""The largest difference of two errors of an image, in percentage points."""


class Case(NamedTuple):
    """The inputs of a metric: the model's errors, the cells, and the models that it is set against."""

    model: CellErrors
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    normalizer: Normalizer | None = None
    """The model whose errors CE divides by."""
    baseline: CellErrors | None = None
    """The model that R_net compares with."""


def case_of(
    model: CellErrors,
    normalizer: Normalizer | None = None,
    baseline: CellErrors | None = None,
    corruptions: Sequence[str] | None = None,
    severities: Sequence[int] | None = None,
) -> Case:
    """Make a case, by default over the model's headline corruptions and all its severities."""
    names = model.headline if corruptions is None else tuple(corruptions)
    levels = model.severities if severities is None else tuple(severities)
    return Case(model, names, levels, normalizer, baseline)


class Quantity(ABC):
    """A metric: its name, its value, and the weights of the cells in it."""

    name: str
    formula: str
    meaning: str
    """The definition in words."""
    name_of_one: str | None = None
    """Its name for a single corruption; None if it is given only for the headline corruptions."""
    rule: str | None = None
    """The rule of ``ppbench check`` that watches it, if any; only a mean over cells has one."""
    reference: Role | None = None
    """The role of the other model that it is set against."""
    over_cells: bool = True
    """Whether it is a mean over corrupted cells."""
    needs_clean: bool = False
    """Whether the error on uncorrupted images is a part of it."""
    higher_is_better: bool = False
    of_errors: bool = True
    """Whether its weights are of errors; otherwise they are of another number of each image (`images`)."""
    unit: str = "%"
    scale: float = 100.0
    """The value of a whole error: errors are fractions, values in percent."""
    lowest: float = -math.inf
    highest: float = math.inf
    """Bounds of the value, percent. Intervals end there; with bounds 0 and 100 they are intervals of a proportion."""

    @property
    def is_plain(self) -> bool:
        """Whether it is the plain mean that tables have first and comparisons give down to single cells."""
        # With labels, without, of sequences, and of streams.
        return self.name in ("mean_error", "flip_rate", "mFP", "stream_error")

    @abstractmethod
    def value(self, case: Case) -> float:
        """The value in percent.

        Raises:
            Unavailable: If cells are missing, or a denominator is too near zero.
        """

    @abstractmethod
    def weights(self, case: Case) -> Weights:
        """The weights of the model's errors. The errors themselves need not be known.

        Raises:
            Unavailable: If there are no cells, or a denominator is unknown.
        """

    def images(self, errors: CellErrors) -> PerImage | None:
        """The numbers of each image that the weights are of; None if they are not known."""
        return errors.per_image

    def reference_weights(self, case: Case) -> Weights:
        """The weights of the reference's errors if they are estimated from the same images (delta method).

        They are derivatives at the values: the weighted sum of both models' errors is 0, not the value.
        """
        return {}

    def constant(self, case: Case) -> float:
        """The constant to which the model's weighted errors are added, a fraction."""
        return 0.0

    def largest_change(self, case: Case, value: float) -> float:
        """The points by which a single image may change the ``value`` that a case has."""
        return MOST_POINTS

    def label(self, case: Case, name: str | None = None) -> str:
        """``mCE[alexnet,c15,s1-5]``, the grammar of docs/metrics.md.

        Args:
            case: The inputs.
            name: `name_of_one`, if there is a single corruption.
        """
        return case.model.label(name or self.name, *self._label_parts(case), corruptions=case[1], severities=case[2])

    def _label_parts(self, case: Case) -> list[str]:
        """The parts of a label before the cells."""
        return []

    def metric(self, case: Case, name: str | None = None) -> Metric:
        """The value with its label, or the reason why there is none."""
        return metric(name or self.name, self.label(case, name), self.unit, lambda: self.value(case))


class CleanError(Quantity):
    """Top-1 error on the uncorrupted images."""

    name = "clean_error"
    formula = "E_0 = wrong / all, uncorrupted images"
    meaning = "top-1 error on the uncorrupted images"
    rule = CLEAN
    over_cells, needs_clean = False, True
    lowest, highest = 0.0, 100.0

    def value(self, case: Case) -> float:
        return 100 * case.model.clean_error()

    def weights(self, case: Case) -> Weights:
        return {(CLEAN, 0): 1.0}

    def label(self, case: Case, name: str | None = None) -> str:
        conditions = case.model.conditions
        return f"{self.name}[{conditions}]" if conditions else self.name


class MeanError(Quantity):
    """Mean top-1 error over cells, not normalised."""

    name = name_of_one = "mean_error"
    formula = "M = mean of E_cs over corruptions c and severities s"
    meaning = "top-1 error, mean over all corruptions and severities"
    rule = "mean"
    lowest, highest = 0.0, 100.0

    def value(self, case: Case) -> float:
        return 100 * case.model.mean_error(case.corruptions, case.severities)

    def weights(self, case: Case) -> Weights:
        return over_corruptions({name: 1 / len(case.corruptions) for name in case.corruptions}, case.severities)


class CorruptionError(Quantity):
    """Mean over corruptions of the error over severities, divided by the normaliser's."""

    name, name_of_one = "mCE", "CE"
    formula = "mean over c of CE_c;  CE_c = sum_s E_cs / sum_s A_cs,  A = the normaliser's errors"
    meaning = "error / normaliser's error, mean over corruptions"
    divided = ("error", "errors")
    reference = "normalizer"
    lowest = 0.0

    def value(self, case: Case) -> float:
        model, normalizer = case.model, case.normalizer
        if normalizer is None:
            # AlexNet's errors are of ImageNet's images; the images of a CSV are not known.
            of_imagenet = not model.protocol or model.protocol.normalizer == "alexnet"
            alexnet = "alexnet, " if of_imagenet and not model.flips else ""
            raise Unavailable(f"no normaliser (--normalizer {alexnet}RUN or CSV)")
        if isinstance(normalizer, CellErrors):
            require_same_task(model, normalizer, case.corruptions)
        if isinstance(normalizer, PublishedErrors) and model.classes:
            whole = f"all {normalizer.classes} classes"
            raise Unavailable(f"{normalizer.source} is published only over {whole}, not for {model.classes}")
        # First over all corruptions: then the reason counts all missing cells and not only one corruption's.
        self.mean_of(model, case.corruptions, case.severities)
        self.mean_of(normalizer, case.corruptions, case.severities)
        errors = self._excess(model, case)
        # Ratios of means, which equal ratios of sums over the same severities.
        return mean(100 * errors[name] / below for name, below in self._denominators(case).items())

    def weights(self, case: Case) -> Weights:
        found = self._denominators(case)
        factors = {name: 1 / (len(found) * below) for name, below in found.items()}
        return over_corruptions(factors, case.severities, above_clean=self.needs_clean)

    def reference_weights(self, case: Case) -> Weights:
        errors, found = self._excess(case.model, case), self._denominators(case)
        # A ratio N / D changes by dN / D - (N / D) dD / D; this is the mean of the second part.
        factors = {name: -(errors[name] / below) / (len(found) * below) for name, below in found.items()}
        return over_corruptions(factors, case.severities, above_clean=self.needs_clean)

    def largest_change(self, case: Case, value: float) -> float:
        """A change of 100 points, divided like the value by the normaliser."""
        undivided = 100 * self.mean_of(case.model, case.corruptions, case.severities)
        if self.needs_clean:
            undivided -= 100 * case.model.clean_error()
        return MOST_POINTS * max(1.0, value / undivided) if undivided > 0 else MOST_POINTS

    def denominator_weights(self, case: Case, corruption: str) -> Weights:
        """The weights of the normaliser's errors in the denominator of one corruption."""
        return over_corruptions({corruption: 1.0}, case.severities, above_clean=self.needs_clean)

    def _excess(self, model: Normalizer, case: Case) -> dict[str, float]:
        """The model's numerators or denominators: mean errors by corruption, fractions."""
        clean = model.clean_error() if self.needs_clean else 0.0
        return {name: self.mean_of(model, [name], case.severities) - clean for name in case.corruptions}

    def mean_of(self, model: Normalizer, corruptions: Sequence[str], severities: Sequence[int]) -> float:
        """What is divided, and what divides: the mean error over cells, a fraction."""
        return model.mean_error(corruptions, severities)

    def _denominators(self, case: Case) -> dict[str, float]:
        if case.normalizer is None:
            raise Unavailable("no normaliser")
        found = self._excess(case.normalizer, case)
        above = " above clean" if self.needs_clean else ""
        for name, below in found.items():
            _require_not_near_zero(
                below, f"the {self.divided[0]} of {case.normalizer.source} on {name}{above}", self.of_errors
            )
        return found

    def _label_parts(self, case: Case) -> list[str]:
        """Published denominators are of the published images, so the label says if the numerators are not."""
        generated = isinstance(case.normalizer, PublishedErrors) and case.model.generated
        return [_name_of(case.normalizer), *(["generated"] if generated else [])]


class RelativeCorruptionError(CorruptionError):
    """mCE with each model's own clean error subtracted from its errors."""

    name, name_of_one = "relative_mCE", "relative_CE"
    formula = "mean over c of sum_s (E_cs - E_0) / sum_s (A_cs - A_0)"
    meaning = "the same with each model's own clean error subtracted"
    needs_clean = True
    # A corruption may reduce the error below the clean one, so there is no lowest ratio.
    lowest = -math.inf


class NetRobustness(Quantity):
    """Reduction of the baseline's clean and mean error, divided by twice its clean error."""

    name = "R_net"
    formula = "((B_0 - E_0) + (B - M)) / (2 B_0),  B_0 and B = the baseline's clean and mean error"
    meaning = "reduction of the baseline's error, clean and corrupted"
    reference = "baseline"
    needs_clean = higher_is_better = True

    def value(self, case: Case) -> float:
        model, baseline = case.model, case.baseline
        if baseline is None:
            raise Unavailable("no baseline given (--baseline RUN)")
        require_same_pixels(model, baseline, case.corruptions)
        saved = baseline.clean_error() - model.clean_error()
        saved += baseline.mean_error(case.corruptions, case.severities) - model.mean_error(*case[1:3])
        _require_not_near_zero(baseline.clean_error(), f"the clean error of {baseline.source}")
        return 100 * saved / baseline.clean_error() / 2

    def weights(self, case: Case) -> Weights:
        size = self._size(case)
        return {cell: -size * weight for cell, weight in self._both(case).items()}

    def reference_weights(self, case: Case) -> Weights:
        size, value = self._size(case), self.value(case) / 100
        weights = {cell: size * weight for cell, weight in self._both(case).items()}
        # The baseline's clean error divides, too.
        weights[CLEAN, 0] -= 2 * size * value
        return weights

    def constant(self, case: Case) -> float:
        baseline = _known(case.baseline)
        return self._size(case) * (baseline.clean_error() + baseline.mean_error(case.corruptions, case.severities))

    def largest_change(self, case: Case, value: float) -> float:
        return MOST_POINTS / _known(case.baseline).clean_error()

    def _size(self, case: Case) -> float:
        return 1 / (2 * _known(case.baseline).clean_error())

    def _both(self, case: Case) -> dict[Cell, float]:
        return {**MEAN_ERROR.weights(case), (CLEAN, 0): 1.0}

    def _label_parts(self, case: Case) -> list[str]:
        return [_name_of(case.baseline)]


MEAN_ERROR = MeanError()

QUANTITIES: dict[str, Quantity] = {
    quantity.name: quantity
    for quantity in (CleanError(), MEAN_ERROR, CorruptionError(), RelativeCorruptionError(), NetRobustness())
}
"""The metrics by name, in the order of reports."""


def metrics_over_cells() -> list[Quantity]:
    """The metrics that an evaluation may wait for, those with a normaliser first: means over the corrupted cells."""
    means = [quantity for quantity in QUANTITIES.values() if quantity.name_of_one]
    return sorted(means, key=lambda quantity: quantity.reference is None)


def _require_not_near_zero(denominator: float, what: str, is_share: bool = True) -> None:
    if abs(denominator) < NEAR_ZERO:
        size = f"{100 * denominator:.3g} %" if is_share else f"{denominator:.3g}"
        raise Unavailable(f"{what} is {size}, too near zero to divide by")


def _known(baseline: CellErrors | None) -> CellErrors:
    if baseline is None:
        raise Unavailable("no baseline")
    return baseline


def _name_of(model: Normalizer | None) -> str:
    return "none" if model is None else model.source
