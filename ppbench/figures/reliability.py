"""The content of reliability diagrams: how often predictions of a confidence are right, by severity.

The calibration error of a panel is that of the report (`ppbench.metrics.calibration`): the mean over cells. The bins of
a panel pool the images of its cells, from the counts in the run file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ppbench.metrics.calibration import NO_PROBABILITIES, calibration_metrics
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.intervals import wilson
from ppbench.metrics.metric import Metric
from ppbench.run import CALIBRATION_BINS, MICRO, CellCounts, Run
from ppbench.vocabulary import CLEAN

_ERROR = "expected_calibration_error"


FEW_IMAGES = 10
"""A bin with fewer images is drawn faded: its accuracy is mostly chance."""


@dataclass(frozen=True)
class ReliabilityBin:
    """The images whose highest probability is above ``low`` and at most ``high``."""

    low: float
    high: float
    """Ends, fractions."""
    n: int
    """Images, over all cells of the panel."""
    confidence: float | None
    """Mean of their highest probabilities, a fraction; None without images."""
    accuracy: Metric
    """Percent. It has an interval only in a single cell: the images of several are the same ones, several times."""

    @property
    def is_faded(self) -> bool:
        """Whether it has too few images to say much."""
        return self.n < FEW_IMAGES


@dataclass(frozen=True)
class ReliabilityPanel:
    """One severity."""

    severity: int
    """0 is the clean images."""
    cells: int
    """Cells whose counts are pooled; 0 if the report has no calibration error."""
    bins: tuple[ReliabilityBin, ...]
    """Empty if the counts are not known."""
    error: Metric
    """Expected calibration error, mean over the cells; its reason says what is missing."""

    @property
    def n(self) -> int:
        """Images, over all cells."""
        return sum(one.n for one in self.bins)


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy of one run, on the clean images and at each severity."""

    title: str
    run: str
    panels: tuple[ReliabilityPanel, ...]

    @property
    def has_values(self) -> bool:
        """Whether any panel has bins; otherwise the reasons of the panels say what is missing."""
        return any(panel.bins for panel in self.panels)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why panels are empty, each reason once."""
        return tuple(dict.fromkeys(panel.error.reason for panel in self.panels if panel.error.reason))

    @classmethod
    def of(cls, run: Run, name: str | None = None, confidence: float = 0.95) -> Reliability:
        """Pool the counts of a run by severity, over its headline corruptions.

        Args:
            run: The run.
            name: Its name, if not the model's.
            confidence: Confidence of the intervals of a single cell's bins.
        """
        called = run.called if name is None else name
        headline = CellErrors.from_run(run).headline
        severities = sorted(run.protocol.severities)
        panels = [_panel(run, [(CLEAN, 0)], calibration_metrics(run)[0:2], confidence)]
        for severity in severities:
            protocol = run.protocol.model_copy(update={"severities": (severity,)})
            part = run.model_copy(update={"protocol": protocol})
            keys = [(corruption, severity) for corruption in headline]
            panels.append(_panel(run, keys, calibration_metrics(part)[0:2], confidence))
        return cls(f"Confidence and accuracy of {called}", called, tuple(panels))


def _panel(run: Run, keys: Sequence[tuple[str, int]], errors: Sequence[Metric], confidence: float) -> ReliabilityPanel:
    """One panel; ``errors`` are the calibration error on the clean images and that over the corruptions."""
    severity = keys[0][1] if keys else 0
    error = errors[0] if severity == 0 else errors[1]
    assert error.name == _ERROR
    if error.value is None:
        return ReliabilityPanel(severity, 0, (), error)
    cells = [cell for cell in run.cells if cell.key in set(keys)]
    bins = tuple(_bin(cells, place, confidence) for place in range(CALIBRATION_BINS))
    return ReliabilityPanel(severity, len(cells), bins, error)


def _bin(cells: Sequence[CellCounts], place: int, confidence: float) -> ReliabilityBin:
    counts = [_counts(cell, place) for cell in cells]
    n, right, sure = (sum(values) for values in zip(*counts, strict=True))
    low, high = place / CALIBRATION_BINS, (place + 1) / CALIBRATION_BINS
    label = f"accuracy[confidence {place}/{CALIBRATION_BINS} to {place + 1}/{CALIBRATION_BINS}]"
    if n == 0:
        return ReliabilityBin(low, high, 0, None, Metric("accuracy", label, None, "%", "no image is in this bin"))
    interval = wilson(right, n, confidence).scaled(100) if len(cells) == 1 else None
    return ReliabilityBin(
        low, high, n, sure / n / MICRO, Metric("accuracy", label, 100 * right / n, "%", interval=interval)
    )


def _counts(cell: CellCounts, place: int) -> tuple[int, int, int]:
    """Images, right ones, and the sum of their highest probabilities in millionths."""
    if cell.bin_n is None or cell.bin_top1 is None or cell.bin_confidence is None:
        raise RuntimeError(f"a calibration error is known of a cell with {NO_PROBABILITIES}")
    return cell.bin_n[place], cell.bin_top1[place], cell.bin_confidence[place]
