"""What differs between two models on the same images, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from ppbench.compare.calibration import calibration_differences
from ppbench.compare.difference import ADJUSTED, Difference, Group
from ppbench.compare.intervals import cell_test, paired_interval, paired_test, smallest_shown
from ppbench.compare.measured import PART_OF_RUN, ComparedRun, in_common
from ppbench.compare.quantities import Quantity, normalizer_images, quantities
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.margins import rough_ratios
from ppbench.metrics.metric import Unavailable
from ppbench.metrics.paired import holm
from ppbench.metrics.pairing import FEWEST
from ppbench.metrics.references import Normalizer


@dataclass(frozen=True)
class Comparison:
    """A model against a reference."""

    reference: ComparedRun
    other: ComparedRun
    confidence: float
    normalizer: str
    normalizer_is_reference: bool
    normalizer_is_exact: bool
    """Whether intervals take the errors of a normaliser that was measured as exact."""
    differences: tuple[Difference, ...]
    allowed: tuple[str, ...] = ()
    """What differs between the protocols and was allowed to, in words."""
    remarks: tuple[str, ...] = ()
    """What a reader must know of the images (`ppbench.compare.pairing.Pair`)."""
    rough: tuple[str, ...] = ()
    """Notes on ratios whose denominators are near 0 (`ppbench.metrics.margins.rough_ratios`)."""

    def group(self, group: Group) -> list[Difference]:
        """The differences of one group, in canonical order."""
        return [difference for difference in self.differences if difference.group == group]

    def metric(self, name: str) -> Difference:
        """A headline metric."""
        return next(difference for difference in self.group("metric") if difference.name == name)

    @property
    def alpha(self) -> float:
        """The probability of a difference where there is none."""
        return 1 - self.confidence

    @property
    def same_weights(self) -> bool:
        """Whether both are known to be one model."""
        return self.reference.run.model.has_weights_of(self.other.run.model.weights_sha256)

    @property
    def is_alike(self) -> bool:
        """Whether both are right on the very same images in all cells that both have."""
        keys = {cell.key for cell in self.reference.run.cells} & {cell.key for cell in self.other.run.cells}
        return all(bool((self.reference.bits[key] == self.other.bits[key]).all()) for key in keys)


def compare(
    reference: ComparedRun,
    other: ComparedRun,
    normalizer: Normalizer | None,
    confidence: float = 0.95,
    allowed: Sequence[str] = (),
    remarks: Sequence[str] = (),
) -> Comparison:
    """Compare two runs of the same images over the cells that both were asked for.

    Args:
        reference: What differences are from.
        other: What they are to.
        normalizer: Denominators of CE. Its errors count as estimated from these images (delta method) where it is the
            reference or another run on the same images with its bits, as in `ppbench.metrics.margins`; any others are
            taken as exact.
        confidence: Of each interval.
        allowed: What differs between their protocols, in words.
        remarks: What a reader must know of the images.
    """
    own = normalizer is reference.accuracies
    first, second = in_common(reference, other)
    divisor = first.accuracies if own else normalizer
    found = [_difference(quantity, first, second, confidence) for quantity in quantities(first, divisor)]
    dividing = normalizer_images(first, divisor)
    of_sums = calibration_differences(first, second)
    found += (replace(difference, reason=PART_OF_RUN) for difference in of_sums) if first.is_part else of_sums
    return Comparison(
        first,
        second,
        confidence,
        normalizer=divisor.source if divisor else "none",
        normalizer_is_reference=own,
        normalizer_is_exact=isinstance(divisor, CellErrors) and dividing is None,
        differences=tuple(_adjusted(found)),
        allowed=tuple(allowed),
        remarks=tuple(remarks),
        rough=tuple(rough_ratios(dividing, first.accuracies.headline, first.accuracies.severities) if dividing else ()),
    )


def _difference(quantity: Quantity, reference: ComparedRun, other: ComparedRun, confidence: float) -> Difference:
    before, after = quantity.metric(reference), quantity.metric(other)
    bare = Difference(
        quantity.group,
        quantity.name,
        before.name,
        " / ".join(dict.fromkeys([before.label, after.label])),
        before.value,
        after.value,
        reason=before.reason or after.reason,
    )
    if before.value is None or after.value is None:
        return bare
    if reference.images.n < FEWEST:
        return replace(bare, reason=f"{reference.images.n} image has no interval")
    try:
        points = 100 * (quantity.influence(other.images) - quantity.influence(reference.images))
    except Unavailable as reason:
        return replace(bare, reason=str(reason))
    # Influences are up to a constant: their mean becomes the difference of the two numbers in the table.
    points += after.value - before.value - points.mean()
    largest = quantity.largest(reference, before.value)
    if quantity.cell is not None:
        p = cell_test(reference.bits[quantity.cell], other.bits[quantity.cell])
    else:
        p = paired_test(points, largest)
    return replace(
        bare,
        points=paired_interval(points, confidence, largest),
        p=p,
        detectable=smallest_shown(points, 1 - confidence, largest),
    )


def _adjusted(differences: Sequence[Difference]) -> Iterator[Difference]:
    """The same with the p-values of each group of many tests adjusted."""
    for group, members in groupby(differences, lambda difference: difference.group):
        if group not in ADJUSTED:
            yield from members
            continue
        tested = list(members)
        values = iter(holm([difference.p for difference in tested if difference.p is not None]))
        yield from (d if d.p is None else replace(d, p=next(values)) for d in tested)
