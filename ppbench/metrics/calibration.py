"""Calibration error, log loss and top-5 error, from the integer counts of a run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ppbench.metrics.cell_errors import CellErrors, mean
from ppbench.metrics.metric import Metric, Unavailable, metric
from ppbench.run import MICRO, CellCounts, Run
from ppbench.vocabulary import CLEAN, Cell

NO_PROBABILITIES = "no probabilities: the predictions were labels, or this is a baseline, which keeps only top-1 counts"
"""Why only the top-1 results of a cell are known."""

TOP5_SAYS_NOTHING = "five classes or fewer compete, or the five highest outputs are unknown"
"""Why a cell with probabilities has no top-5 error."""


def expected_calibration_error(cell: CellCounts) -> float:
    """Expected calibration error, a fraction: mean over images of |accuracy - confidence| of their bin.

    15 equal-width bins of the highest probability; Guo et al., "On Calibration of Modern Neural
    Networks", ICML 2017.

    Raises:
        Unavailable: If there were no probabilities.
    """
    if cell.bin_top1 is None or cell.bin_confidence is None:
        raise Unavailable(NO_PROBABILITIES)
    pairs = zip(cell.bin_top1, cell.bin_confidence, strict=True)
    # Not divided by the images of each bin: its weight is their number, which cancels.
    return sum(abs(right - confidence / MICRO) for right, confidence in pairs) / cell.n


def log_loss(cell: CellCounts) -> float:
    """Mean negative log probability of the label, in nats.

    Raises:
        Unavailable: If there were no probabilities.
    """
    if cell.nll_micronats is None:
        raise Unavailable(NO_PROBABILITIES)
    return cell.nll_micronats / MICRO / cell.n


def top5_error(cell: CellCounts) -> float:
    """Fraction of the images whose label is not among the five highest logits.

    Raises:
        Unavailable: If these are unknown.
    """
    if cell.top5 is None:
        raise Unavailable(NO_PROBABILITIES if cell.nll_micronats is None else TOP5_SAYS_NOTHING)
    return 1 - cell.top5 / cell.n


MEASURES: dict[str, tuple[str, Callable[[CellCounts], float]]] = {
    "expected_calibration_error": ("%", lambda cell: 100 * expected_calibration_error(cell)),
    "log_loss": ("nats", log_loss),
    "top5_error": ("%", lambda cell: 100 * top5_error(cell)),
}
"""Unit and value of one cell, by metric name."""


def calibration_metrics(run: Run) -> tuple[Metric, ...]:
    """Each measure on the clean images, then its mean over the headline corruptions and all severities."""
    errors = CellErrors.from_run(run)
    grid = [(name, severity) for name in errors.headline for severity in errors.severities]
    label = partial(errors.label, corruptions=errors.headline, severities=errors.severities)
    conditions = f",{errors.conditions}" if errors.conditions else ""
    metrics = []
    for name, (unit, measure) in MEASURES.items():
        metrics += [
            metric(name, f"{name}[{CLEAN}{conditions}]", unit, partial(_mean_over, run, [(CLEAN, 0)], measure)),
            metric(name, label(name), unit, partial(_mean_over, run, grid, measure)),
        ]
    return tuple(metrics)


def _mean_over(run: Run, keys: list[Cell], measure: Callable[[CellCounts], float]) -> float:
    """Mean over cells; `Unavailable` if there are none, or one of them is missing or lacks what is measured."""
    cells = {cell.key: cell for cell in run.cells}
    missing = [key for key in keys if key not in cells]
    if missing or not keys:
        raise Unavailable(f"{run.model.name} lacks {len(missing)} of {len(keys)} cells")
    return mean(measure(cells[key]) for key in keys)
