"""The top-1 errors of one model, cell by cell. All metrics are computed from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ppbench.metrics.csv_file import read_csv
from ppbench.metrics.metric import Unavailable, require_cells
from ppbench.run import MICRO, Protocol, Run
from ppbench.vocabulary import C15, CLEAN, SEVERITIES, Cell, in_order, set_label, severity_label

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ppbench.metrics.per_image import PerImage
    from ppbench.run import Predictions


class WorstCell(NamedTuple):
    """The cell with the highest error."""

    corruption: str
    severity: int
    accuracy: float
    """Fraction."""


def mean(values: Iterable[float]) -> float:
    """Arithmetic mean. The sum is exact, so that the order of the values does not matter."""
    values = list(values)
    return math.fsum(values) / len(values)


def headline_corruptions(present: Iterable[str]) -> tuple[str, ...]:
    """The corruptions of headline metrics: c15 if all of it is present, else everything that is present."""
    names = in_order(present)
    return C15 if set(names) >= set(C15) else names


def _lost(run: Run) -> dict[Cell, float] | None:
    """Mean confidence lost by cell, fractions; None if the run has labels, or lacks the probabilities of a cell."""
    sums = {cell.key: cell.label_confidence for cell in run.cells}
    clean = sums.pop((CLEAN, 0), None)
    if clean is None or None in sums.values():
        return None
    return {cell: (clean - known) / MICRO / run.protocol.n for cell, known in sums.items() if known is not None}


@dataclass(frozen=True)
class CellErrors:
    """The top-1 errors of one model per cell."""

    source: str
    """The model's name, or the file's: labels carry it where the model is a normaliser or baseline."""
    errors: Mapping[Cell, float]
    """Top-1 error, a fraction, by (corruption, severity 1 to 5)."""
    clean: float | None
    """Top-1 error on the uncorrupted images, a fraction; None if unknown."""
    corruptions: tuple[str, ...]
    """The requested corruptions in canonical order; their cells may be missing from ``errors``."""
    severities: tuple[int, ...]
    """The requested severities, ascending."""
    protocol: Protocol | None = None
    """The protocol of the run; None for a CSV."""
    interrupted: bool = False
    """Whether the run was stopped before its last cell."""
    per_image: PerImage | None = field(default=None, compare=False, repr=False)
    """Which images it got wrong, for intervals; None if that is not known."""
    trained_on: tuple[str, ...] = ()
    """The corruptions that resemble augmentations used in training."""
    conversion: str | None = None
    """How the model was converted from a plain network, in words; None if it was not."""
    lost: Mapping[Cell, float] | None = field(default=None, compare=False, repr=False)
    """Mean confidence lost, a fraction, by cell, where the labels are clean predictions; None if it is not known."""
    lost_by_image: PerImage | None = field(default=None, compare=False, repr=False)
    """The same for each image, ``(cells, n)``; None if it is not known."""
    generated: bool = False
    """Whether the corrupted images are known to differ from the published set."""

    @classmethod
    def from_errors(cls, source: str, errors: Mapping[Cell, float], clean: float | None) -> CellErrors:
        """Make cell errors without a run, with the severities of the headline corruptions."""
        corruptions = in_order(name for name, _ in errors)
        headline = headline_corruptions(corruptions)
        severities = tuple(s for s in SEVERITIES if any((name, s) in errors for name in headline))
        return cls(source, dict(errors), clean, corruptions, severities)

    @classmethod
    def from_run(
        cls, run: Run, bits: Mapping[Cell, NDArray[np.bool_]] | None = None, predictions: Predictions | None = None
    ) -> CellErrors:
        """Take the errors of a run. Metrics over a cell that the run lacks are unavailable.

        Args:
            run: The counts.
            bits: The run's correctness bits (`ppbench.run.read_bits`), for intervals.
            predictions: The run's predictions, for intervals of the confidence lost, where labels are predictions.
        """
        errors = {cell.key: cell.error for cell in run.cells}
        clean = errors.pop((CLEAN, 0), None)
        protocol = run.protocol
        if protocol.labels is not None:
            clean = None  # no image differs from itself, which is no result
        corruptions = in_order(protocol.corruptions)
        severities = tuple(sorted(protocol.severities))
        images = lost = None
        if bits is not None or predictions is not None:
            # Only the bits need numpy: `ppbench show` answers sooner without it.
            from ppbench.metrics.per_image import PerImage

            images = None if bits is None else PerImage.from_run(run, bits)
            lost = None if predictions is None else PerImage.of_confidence(run, predictions)
        return cls(
            run.called,
            errors,
            clean,
            corruptions,
            severities,
            protocol,
            generated=protocol.source != "published",
            interrupted=run.status == "interrupted",
            per_image=images,
            lost=_lost(run),
            lost_by_image=lost,
            trained_on=tuple(name for name in corruptions if name in run.model.trained_on_corruptions),
            conversion=run.model.conversion,
        )

    @classmethod
    def from_csv(cls, path: Path) -> CellErrors:
        """Read a CSV with the columns corruption, severity, accuracy; others are ignored.

        Accuracies are fractions in [0, 1]. The clean accuracy is optional, in a row ``clean,0,…``.

        Raises:
            DataError: If the file cannot be read or a row is invalid; the message has the line.
        """
        errors = read_csv(path)
        clean = errors.pop((CLEAN, 0), None)
        return cls.from_errors(path.stem, errors, clean)

    @property
    def headline(self) -> tuple[str, ...]:
        """The corruptions that headline metrics are over (`headline_corruptions`)."""
        return headline_corruptions(self.corruptions)

    @property
    def classes(self) -> str | None:
        """The classes in words; None if the model has outputs for exactly the dataset's classes.

        ``"200 classes"`` if the model has no other outputs, ``"200 classes masked"`` if its other outputs do not
        compete, ``"200 of 1000 classes"`` if they do.
        """
        classes = self.protocol and self.protocol.classes
        if not classes:
            return None
        words = {"own": "{n} classes", "masked": "{n} classes masked", "all": "{n} of {outputs} classes"}
        return words[classes.logits].format(n=classes.n, outputs=classes.outputs)

    @property
    def images(self) -> str | None:
        """``"500 of 2000"`` if only some of the images were evaluated, else None."""
        if self.protocol is None or self.protocol.n == self.protocol.total:
            return None
        return f"{self.protocol.n} of {self.protocol.total}"

    @property
    def unreadable(self) -> int:
        """The number of images that could not be read; every cell leaves them out."""
        return len(self.protocol.unreadable or ()) if self.protocol is not None else 0

    @property
    def subset(self) -> str | None:
        """``"200 classes masked,500 of 2000"``: `classes` and `images` as labels carry them; None without either.

        ``"9 of 11 images"`` where some could not be read.
        """
        images = f"{self.images} images" if self.unreadable else self.images
        return ",".join(filter(None, [self.classes, images])) or None

    @property
    def adaptation(self) -> str | None:
        """``"batchnorm-adapted"`` if the network was adapted to each cell, else None."""
        adaptation = self.protocol and self.protocol.adaptation
        return adaptation.label if adaptation else None

    @property
    def conditions(self) -> str | None:
        """The end of every label: `subset`, then `adaptation`; None without either."""
        return ",".join(filter(None, [self.subset, self.adaptation])) or None

    def label(self, name: str, *parts: str, corruptions: Sequence[str], severities: Sequence[int]) -> str:
        """``name[part,…,corruptions,severities,subset]``, the grammar of docs/metrics.md."""
        grid = (set_label(corruptions), severity_label(severities)) if corruptions else ("no corruptions",)
        return f"{name}[{','.join([*parts, *grid, *filter(None, [self.conditions])])}]"

    def mean_error(self, corruptions: Sequence[str], severities: Sequence[int]) -> float:
        """Mean error over all of these cells, a fraction.

        Raises:
            Unavailable: If a cell is missing, because the mean of the others would be another metric.
        """
        keys = [(corruption, severity) for corruption in corruptions for severity in severities]
        require_cells(self.errors, keys, self.source)
        return mean(self.errors[key] for key in keys)

    def clean_error(self) -> float:
        """Error on the uncorrupted images, a fraction.

        Raises:
            Unavailable: If it is unknown.
        """
        if self.clean is None:
            raise Unavailable(f"{self.source} has no clean accuracy (a CSV has it in a row `clean,0,…`)")
        return self.clean

    def worst_cell(self) -> WorstCell | None:
        """The cell with the highest error, the first of equals; None if there are no corrupted cells."""
        # All severities, because extra corruptions may have more of them than the headline ones.
        grid = [(corruption, severity) for corruption in self.corruptions for severity in SEVERITIES]
        present = [key for key in grid if key in self.errors]
        if not present:
            return None
        worst = max(present, key=lambda key: self.errors[key])
        return WorstCell(*worst, 1 - self.errors[worst])
