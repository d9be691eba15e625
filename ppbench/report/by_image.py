"""What a run's images and predictions say beyond its counts: worst classes, confusions, and where images flip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ppbench.metrics.by_class import AddedConfusion, ClassError, added_confusions, class_errors, worst_classes
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.flips import FlipShares, flip_shares
from ppbench.metrics.metric import Unavailable
from ppbench.metrics.without_labels import NO_CELLS, NO_CLASSES, NO_LABELS, has_labels
from ppbench.run import Run
from ppbench.vocabulary import Cell, family_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ppbench.run import Predictions

MOST_CONFUSIONS = 100
"""The number of confusions in JSON and CSV."""

CLASSES, CONFUSIONS, FLIPS = "class_errors", "added_confusions", "first_flips"
PARTS = (CLASSES, CONFUSIONS, FLIPS)
"""The parts, as their keys in JSON."""


@dataclass(frozen=True)
class ByImage:
    """Errors by class, added confusions and first flips of one run. Each part may be missing for a reason."""

    cell_errors: CellErrors
    confidence: float
    names: Mapping[int, str] = field(default_factory=dict)
    """Names of all classes that occur, by number."""
    classes: tuple[ClassError, ...] = ()
    """All classes with images, that with the highest error first."""
    confusions: tuple[AddedConfusion, ...] = ()
    """The largest, at most `MOST_CONFUSIONS`."""
    flips: Mapping[str, FlipShares] = field(default_factory=dict)
    """By corruption. Those with missing cells are left out."""
    families: Mapping[str, FlipShares] = field(default_factory=dict)
    overall: FlipShares | None = None
    """Over the headline corruptions."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why a part is missing, by the part."""

    @property
    def flip_rows(self) -> list[tuple[str, str, FlipShares]]:
        """Family, corruption and shares: of the mean (both empty), then of families, each with its corruptions."""
        rows = [("", "", self.overall)] if self.overall is not None else []
        for family, members in groupby(self.cell_errors.corruptions, family_of):
            whole = self.families.get(family)
            rows += [(family, "", whole)] if whole is not None else []
            rows += [(family, name, self.flips[name]) for name in members if name in self.flips]
        return rows

    def label(self, name: str) -> str:
        """``name[c15,s1-5]``, over the headline corruptions."""
        errors = self.cell_errors
        return errors.label(name, corruptions=errors.headline, severities=errors.severities)


def by_image(
    run: Run,
    bits: Mapping[Cell, NDArray[np.bool_]] | None,
    predictions: Predictions | None,
    confidence: float = 0.95,
    no_bits: str | None = None,
    no_predictions: str | None = None,
) -> ByImage:
    """Compute what bits and predictions say. A part that cannot be computed is empty and has a reason.

    Args:
        run: The counts.
        bits: The run's correctness bits; without them there are no flips.
        predictions: The run's predictions; without them there are neither errors by class nor confusions.
        confidence: Confidence of each interval.
        no_bits: Why there are no bits.
        no_predictions: Why there are no predictions.
    """
    errors = CellErrors.from_run(run)
    reasons: dict[str, str] = {}
    found: dict[str, Any] = {"reasons": reasons}
    if run.protocol.has_trials:
        reasons |= dict.fromkeys(PARTS, _several_trials(run))
        return ByImage(errors, confidence, **found)
    if run.protocol.stream is not None:
        reasons |= dict.fromkeys(PARTS, NO_CELLS)
        return ByImage(errors, confidence, **found)
    if not has_labels(run.protocol):
        reasons |= dict.fromkeys((CLASSES, CONFUSIONS), NO_LABELS)
    elif predictions is not None:
        found |= _of_classes(errors, predictions, confidence, reasons)
    else:
        reasons |= dict.fromkeys((CLASSES, CONFUSIONS), no_predictions or "the run has no predictions")
    if bits is not None:
        found |= _of_flips(errors, bits, confidence, reasons)
    else:
        reasons[FLIPS] = no_bits or "the run has no correctness bits"
    return ByImage(errors, confidence, **found)


def _several_trials(run: Run) -> str:
    """Why a run whose images have several trials has nothing by class and image."""
    if run.protocol.sequences is not None:
        return NO_CLASSES
    return f"each image has the predictions of {run.protocol.passes} passes, of which only the failures are kept"


def _of_classes(
    errors: CellErrors, predictions: Predictions, confidence: float, reasons: dict[str, str]
) -> dict[str, Any]:
    cells = [(name, severity) for name in errors.headline for severity in errors.severities]
    labels, classes = predictions.labels, predictions.classes
    right = {cell: own == labels for cell, own in classes.items()}
    found: dict[str, Any] = {}
    try:
        each = class_errors(labels, right, cells, confidence)
        found["classes"] = tuple(worst_classes(each, len(each)))
    except Unavailable as reason:
        reasons[CLASSES] = str(reason)
    try:
        n_classes = len(predictions.class_names)
        confusions = added_confusions(labels, classes, cells, n_classes, MOST_CONFUSIONS, confidence)
        found["confusions"] = tuple(confusions)
    except Unavailable as reason:
        reasons[CONFUSIONS] = str(reason)
    numbers = {one.number for one in found.get("classes", ())}
    numbers |= {number for pair in found.get("confusions", ()) for number in (pair.label, pair.predicted)}
    return {**found, "names": {number: predictions.class_name(number) for number in sorted(numbers)}}


def _of_flips(
    errors: CellErrors, bits: Mapping[Cell, NDArray[np.bool_]], confidence: float, reasons: dict[str, str]
) -> dict[str, Any]:
    def shares(corruptions: Sequence[str]) -> FlipShares | None:
        try:
            return flip_shares(bits, corruptions, errors.severities, confidence)
        except Unavailable as reason:
            reasons.setdefault(FLIPS, str(reason))
            return None

    overall = shares(errors.headline)
    families = {family: shares(tuple(names)) for family, names in groupby(errors.corruptions, family_of)}
    flips = {name: shares((name,)) for name in errors.corruptions}
    return {
        "overall": overall,
        "families": {name: found for name, found in families.items() if found is not None},
        "flips": {name: found for name, found in flips.items() if found is not None},
    }
