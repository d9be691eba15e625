"""The top-1 errors of one model, cell by cell. All metrics are computed from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ppbench.lookup import counted
from ppbench.metrics.csv_file import has_flips, read_csv, read_flips
from ppbench.metrics.metric import Unavailable, require_cells
from ppbench.run import MICRO, Protocol, Run
from ppbench.vocabulary import C15, CIFAR_P10, CLEAN, P10, SEVERITIES, Cell, in_order, set_label, severity_label

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ppbench.metrics.per_image import PerImage
    from ppbench.run import Predictions, Trials


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


def headline_perturbations(present: Iterable[str], dataset: str = "") -> tuple[str, ...]:
    """The perturbations of headline metrics: the ten of the dataset's kind if all are present, else all."""
    names = in_order(present)
    ten = CIFAR_P10 if dataset.startswith("cifar") else P10
    return in_order(ten) if set(names) >= set(ten) else names


def _lost(run: Run) -> dict[Cell, float] | None:
    """Mean confidence lost by cell, fractions; None if the run has labels, or lacks the probabilities of a cell."""
    sums = {cell.key: cell.label_confidence for cell in run.cells}
    clean = sums.pop((CLEAN, 0), None)
    if clean is None or None in sums.values():
        return None
    return {cell: (clean - known) / MICRO / run.protocol.n for cell, known in sums.items() if known is not None}


def _outputs(run: Run) -> int | None:
    """The number of classes in a card, which may hold anything."""
    known = run.model.card.get("num_classes")
    return known if isinstance(known, int) and not isinstance(known, bool) else None


def _distances(run: Run) -> dict[Cell, float] | None:
    """Mean top-5 distance by cell; None if there are no sequences, or it is not known."""
    found = {cell.key: cell.distance for cell in run.cells if cell.distance is not None}
    return found or None


def _right_by_pass(run: Run) -> dict[Cell, tuple[int, ...]] | None:
    found = {cell.key: cell.right_by_pass for cell in run.cells if cell.right_by_pass is not None}
    return found if found and len(found) == len(run.cells) else None


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
    outputs: int | None = None
    """Outputs of the model, if its card says so."""
    generated: bool = False
    """Whether the corrupted images are known to differ from the published set."""
    flips: bool = False
    """Whether the errors are flip probabilities, the corruptions perturbations, and the severities difficulties."""
    distances: Mapping[Cell, float] | None = field(default=None, compare=False, repr=False)
    """Mean top-5 distance by cell, 0 to 15, of perturbation sequences; None if it is not known."""
    distances_by_image: PerImage | None = field(default=None, compare=False, repr=False)
    """The same for each image, ``(cells, n)``; None if it is not known."""
    right_by_pass: Mapping[Cell, tuple[int, ...]] | None = field(default=None, compare=False, repr=False)
    """Right images of each pass by cell, the clean one too; None without passes, and for a part of the images."""
    shares_draws: bool = False
    """Whether all images of a pass share random numbers, such as noise on the weights."""

    @classmethod
    def from_errors(cls, source: str, errors: Mapping[Cell, float], clean: float | None) -> CellErrors:
        """Make cell errors without a run, with the severities of the headline corruptions."""
        corruptions = in_order(name for name, _ in errors)
        headline = headline_corruptions(corruptions)
        severities = tuple(s for s in SEVERITIES if any((name, s) in errors for name in headline))
        return cls(source, dict(errors), clean, corruptions, severities)

    @classmethod
    def from_run(
        cls,
        run: Run,
        bits: Mapping[Cell, NDArray[np.bool_]] | None = None,
        predictions: Predictions | None = None,
        trials: Trials | None = None,
    ) -> CellErrors:
        """Take the errors of a run. Metrics over a cell that the run lacks are unavailable.

        Args:
            run: The counts.
            bits: The run's correctness bits (`ppbench.run.read_bits`), for intervals.
            predictions: The run's predictions, for intervals of the confidence lost, where labels are predictions.
            trials: The run's trials, for intervals where images have several; without them the bits give none.
        """
        errors = {cell.key: cell.error for cell in run.cells}
        clean = errors.pop((CLEAN, 0), None)
        protocol = run.protocol
        if protocol.labels is not None:
            clean = None  # no image differs from itself, which is no result
        corruptions = in_order(protocol.corruptions)
        severities = tuple(sorted(protocol.severities))
        images = lost = far = None
        if any(known is not None for known in (bits, predictions, trials)):
            # Only the bits need numpy: `ppbench show` answers sooner without it.
            from ppbench.metrics.per_image import PerImage

            images = None if bits is None or protocol.has_trials else PerImage.from_run(run, bits)
            if trials is not None:
                images, far = PerImage.from_run(run, {}, trials), PerImage.of_distances(run, trials)
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
            outputs=_outputs(run),
            flips=protocol.sequences is not None,
            distances=_distances(run),
            distances_by_image=far,
            right_by_pass=_right_by_pass(run),
            shares_draws=run.model.shared_draws is True,
        )

    @classmethod
    def from_csv(cls, path: Path) -> CellErrors:
        """Read a CSV with the columns corruption, severity, accuracy; others are ignored.

        Accuracies are fractions in [0, 1]. The clean accuracy is optional, in a row ``clean,0,…``. A CSV of flips has
        the columns perturbation, difficulty, flip_probability and perhaps top5_distance (`read_flips`).

        Raises:
            DataError: If the file cannot be read or a row is invalid; the message has the line.
        """
        if has_flips(path):
            found, distances = read_flips(path)
            names, levels = in_order(name for name, _ in found), tuple(sorted({level for _, level in found}))
            return cls(path.stem, found, None, names, levels, flips=True, distances=distances)
        errors = read_csv(path)
        clean = errors.pop((CLEAN, 0), None)
        return cls.from_errors(path.stem, errors, clean)

    @property
    def headline(self) -> tuple[str, ...]:
        """The corruptions that headline metrics are over (`headline_corruptions`, `headline_perturbations`)."""
        if self.flips:
            return headline_perturbations(self.corruptions, self.protocol.dataset if self.protocol else "")
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
    def competing(self) -> int | None:
        """How many classes compete, if the run or the model's card says it; else None."""
        classes = self.protocol and self.protocol.classes
        return classes.competing if classes else self.outputs

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
    def passes(self) -> str | None:
        """``"8 passes"`` if the model saw each image several times, else None."""
        passes = self.protocol and self.protocol.passes
        return counted(passes, "pass", "passes") if passes else None

    @property
    def conditions(self) -> str | None:
        """The end of every label: `subset`, `adaptation`, then `passes`; None without any."""
        return ",".join(filter(None, [self.subset, self.adaptation, self.passes])) or None

    def label(self, name: str, *parts: str, corruptions: Sequence[str], severities: Sequence[int]) -> str:
        """``name[part,…,corruptions,severities,subset]``, the grammar of docs/metrics.md."""
        grid = [set_label(corruptions), self.levels(severities)] if corruptions else [f"no {self.what}s"]
        frames = self.protocol and self.protocol.sequences
        grid += [frames.encoding] if frames else []
        return f"{name}[{','.join([*parts, *grid, *filter(None, [self.conditions])])}]"

    @property
    def what(self) -> str:
        """``corruption``, or ``perturbation`` of sequences."""
        return "perturbation" if self.flips else "corruption"

    def levels(self, severities: Sequence[int]) -> str:
        """``s1-5``; ``d1-3`` for the difficulties of sequences."""
        return severity_label(severities, "d" if self.flips else "s")

    def mean_error(self, corruptions: Sequence[str], severities: Sequence[int]) -> float:
        """Mean error over all of these cells, a fraction.

        Raises:
            Unavailable: If a cell is missing, because the mean of the others would be another metric.
        """
        keys = [(corruption, severity) for corruption in corruptions for severity in severities]
        require_cells(self.errors, keys, self.source, "d" if self.flips else "s")
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
