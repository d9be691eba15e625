"""Differences between two models on the same images, with intervals and tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product

import numpy as np
from numpy.typing import NDArray

from ppbench.compare.calibration import calibration_differences
from ppbench.compare.difference import Difference, groups_of, is_adjusted
from ppbench.compare.measured import PART_OF_RUN, ComparedRun, in_common, vary_together
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.covariance import are_of_same_images, paired_images, rough_ratios
from ppbench.metrics.metric import Unavailable
from ppbench.metrics.of_streams import size_of_sample
from ppbench.metrics.paired import Differences, cell_test, holm, paired_interval, paired_test, smallest_shown
from ppbench.metrics.per_image import FEWEST, PerImage
from ppbench.metrics.quantities import Case, Quantity, case_of
from ppbench.metrics.references import Normalizer
from ppbench.metrics.without_labels import has_labels, plain_of, quantities_of
from ppbench.vocabulary import family_of


@dataclass(frozen=True)
class Comparison:
    """A model against a reference."""

    reference: ComparedRun
    other: ComparedRun
    confidence: float
    normalizer: str
    normalizer_is_reference: bool
    normalizer_is_exact: bool
    """Whether the intervals treat the errors of a measured normaliser as exact."""
    differences: tuple[Difference, ...]
    allowed: tuple[str, ...] = ()
    """Allowed differences between the protocols, in words."""
    remarks: tuple[str, ...] = ()
    """Remarks on the images and the prompts (`ppbench.compare.pairing.Pair`)."""
    rough: tuple[str, ...] = ()
    """Notes on ratios whose denominators are near 0 (`ppbench.metrics.covariance.rough_ratios`)."""

    def group(self, group: str) -> list[Difference]:
        """The differences of one group, in canonical order."""
        return [difference for difference in self.differences if difference.group == group]

    def metric(self, name: str) -> Difference:
        """A headline metric."""
        return next(difference for difference in self.group("metric") if difference.name == name)

    @property
    def plain(self) -> Difference:
        """The difference in the mean error, or in the flip rate, which need no normaliser."""
        return self.metric(plain_of(self.reference.run.protocol).name)

    @property
    def alpha(self) -> float:
        """The probability of finding a difference if there is none."""
        return 1 - self.confidence

    @property
    def same_weights(self) -> bool:
        """Whether both are known to be the same model."""
        return self.reference.run.model.has_weights_of(self.other.run.model.weights_sha256)

    @property
    def is_alike(self) -> bool:
        """Whether both are right on exactly the same images in all cells that both have."""
        one, other = (found.trials.failures if found.trials else found.bits for found in (self.reference, self.other))
        keys = {cell.key for cell in self.reference.run.cells} & {cell.key for cell in self.other.run.cells}
        return all(bool((one[key] == other[key]).all()) for key in keys)


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
        reference: The run that is subtracted.
        other: The run that it is subtracted from.
        normalizer: Denominators of CE. Its errors count as estimated from these images (delta method) if it is the
            reference, or another run on the same images with its bits. Otherwise they count as exact.
        confidence: Confidence of each interval.
        allowed: Allowed differences between the protocols, in words.
        remarks: Remarks on the images and the prompts.
    """
    own = normalizer is reference.cell_errors
    first, second = in_common(reference, other)
    divisor = first.cell_errors if own else normalizer
    found = [_difference(what, first, second, divisor, confidence) for what in _compared(first.cell_errors)]
    dividing = first.images if divisor is first.cell_errors else paired_images(first.cell_errors, divisor)
    with_sums = has_labels(first.run.protocol) and not first.run.protocol.has_trials
    of_sums = calibration_differences(first, second) if with_sums else ()
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
        rough=tuple(rough_ratios(dividing, case_of(first.cell_errors)) if dividing else ()),
    )


@dataclass(frozen=True)
class _Compared:
    """A number to compare: a metric over some cells, and its name in tables."""

    group: str
    name: str
    quantity: Quantity
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    is_cell: bool = False
    """Whether it is the error in a single cell, as the clean error is."""

    @property
    def called(self) -> str:
        """The name of the metric. It may have another name for a single corruption."""
        of_one = self.group.endswith(("corruption", "cell")) and self.quantity.name_of_one
        return of_one or self.quantity.name


def _compared(errors: CellErrors) -> Iterator[_Compared]:
    """All numbers of one comparison: headline metrics, mean errors down to single cells, ratios to the normaliser."""
    names, severities, of = errors.corruptions, errors.severities, quantities_of(errors.protocol).values()
    families = [(family, tuple(members)) for family, members in groupby(names, family_of)]
    for quantity in of:
        yield _Compared("metric", quantity.name, quantity, errors.headline, severities, not quantity.over_cells)
    for quantity in of:
        if quantity.name_of_one is None:  # it has no parts
            continue
        of_families, of_corruptions = groups_of(quantity)
        for family, members in families:
            yield _Compared(of_families, family, quantity, members, severities)
        for corruption in names:
            yield _Compared(of_corruptions, corruption, quantity, (corruption,), severities)
        if quantity.is_plain:
            for corruption, severity in product(names, severities):
                yield _Compared("cell", f"{corruption}/{severity}", quantity, (corruption,), (severity,), True)


def _difference(
    what: _Compared, reference: ComparedRun, other: ComparedRun, normalizer: Normalizer | None, confidence: float
) -> Difference:
    quantity = what.quantity
    cases = [
        Case(measured.cell_errors, what.corruptions, what.severities, normalizer, reference.cell_errors)
        for measured in (reference, other)
    ]
    before, after = (quantity.metric(case, what.called) for case in cases)
    bare = Difference(
        what.group,
        what.name,
        before.name,
        " / ".join(dict.fromkeys([before.label, after.label])),
        before.value,
        after.value,
        before.unit,
        reason=before.reason or after.reason,
    )
    if before.value is None or after.value is None:
        return bare
    if reference.images.n < FEWEST:
        return replace(bare, reason=f"{size_of_sample(reference.run.protocol, reference.images.n)} has no interval")
    divisor = _reference_images(quantity, reference, normalizer)
    try:
        first, second = (
            _influence(quantity, case, _images_of(quantity, measured), divisor)
            for case, measured in zip(cases, (reference, other), strict=True)
        )
    except Unavailable as reason:
        return replace(bare, reason=str(reason))
    # Parts are known up to a constant: shift their mean to the difference of the two numbers in the table.
    points = quantity.scale * (second - first)
    points += after.value - before.value - points.mean()
    seen = Differences.of(points).over_passes(_by_pass(quantity, cases, reference, other, divisor))
    largest = quantity.largest_change(cases[0], before.value)
    if what.is_cell and reference.run.protocol.is_by_image:
        (cell,) = quantity.weights(cases[0])
        p = cell_test(reference.bits[cell], other.bits[cell])
    else:
        p = paired_test(seen, largest)
    shown = smallest_shown(seen, 1 - confidence, largest)
    return replace(
        bare,
        points=paired_interval(seen, confidence, largest),
        p=p,
        detectable=shown if shown <= quantity.highest - quantity.lowest else None,
    )


def _by_pass(
    quantity: Quantity, cases: Sequence[Case], reference: ComparedRun, other: ComparedRun, divisor: PerImage | None
) -> NDArray[np.float64] | None:
    """``(passes,)``: the difference in each pass, up to a constant; None where passes add no variance."""
    both = vary_together(reference, other)
    if both is None or not quantity.of_errors:
        return None
    own = both[0] if divisor is reference.images else None  # any other divisor is the same in all passes
    first, second = (_influence(quantity, case, of, own) for case, of in zip(cases, both, strict=True))
    return quantity.scale * (second - first)


def _reference_images(quantity: Quantity, reference: ComparedRun, normalizer: Normalizer | None) -> PerImage | None:
    """The results by image of the model that a metric is set against, if they are of the reference's images."""
    if quantity.reference is None:
        return None
    if not quantity.of_errors:
        same = isinstance(normalizer, CellErrors) and are_of_same_images(reference.cell_errors, normalizer)
        return quantity.images(normalizer) if same and isinstance(normalizer, CellErrors) else None
    if quantity.reference == "baseline" or normalizer is reference.cell_errors:
        return reference.images
    return paired_images(reference.cell_errors, normalizer)


def _images_of(quantity: Quantity, measured: ComparedRun) -> PerImage:
    """What a metric is a mean of, image by image.

    Raises:
        Unavailable: If it is not the errors, and the run has no such numbers by image.
    """
    if quantity.of_errors:
        return measured.images
    images = quantity.images(measured.cell_errors)
    if images is None:
        what = "top-5 distances" if measured.cell_errors.flips else "predictions, whose probabilities"
        raise Unavailable(f"{measured.name} has no {what} image by image it takes")
    return images


def _influence(quantity: Quantity, case: Case, images: PerImage, divisor: PerImage | None) -> NDArray[np.float64]:
    """``(n,)``: each image's part in a metric, a fraction, up to a constant."""
    if images is divisor:
        return np.zeros(images.n)  # against itself a metric does not depend on the images
    parts = images.weighted(quantity.weights(case))
    return parts if divisor is None else parts + divisor.weighted(quantity.reference_weights(case))


def _adjusted(differences: Sequence[Difference]) -> Iterator[Difference]:
    """Adjust the p-values within each group of many tests."""
    for group, members in groupby(differences, lambda difference: difference.group):
        if not is_adjusted(group):
            yield from members
            continue
        tested = list(members)
        values = iter(holm([difference.p for difference in tested if difference.p is not None]))
        yield from (d if d.p is None else replace(d, p=next(values)) for d in tested)
