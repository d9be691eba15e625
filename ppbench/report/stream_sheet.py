"""The table of a run on a stream: accuracy by part of the stream, in order."""

from __future__ import annotations

from ppbench.metrics.cell_errors import CellErrors
from ppbench.report.summary import RunSummary
from ppbench.tables.numbers import decimals, longer_half, percent
from ppbench.tables.sheet import MISSING, Line, Sheet

_PARTS = 10


def stream_sheet(summary: RunSummary) -> Sheet:
    """Accuracy in ten parts of the stream, each of whole points of the walk; without bits, of all of it alone."""
    errors = summary.cell_errors
    mean = summary.metrics[0]
    total = Line((_frames(errors), "" if mean.value is None else decimals(mean.value, 1), _margin(summary)), "total")
    lines = (*_parts(summary), total)
    half = f"±: half of the {percent(summary.confidence)} interval over points" if summary.confidence else ""
    half += "; ≤: the longer half of a lopsided one" if any(line.cells[2].startswith("≤") for line in lines) else ""
    notes = (f"{half}. Parts of fewer than 8 points have none.",) if half else ()
    return Sheet("Accuracy over the stream, %", ("frames", "accuracy", "±"), lines, notes=notes)


def _frames(errors: CellErrors) -> str:
    return "all" if errors.protocol is None else f"all {errors.protocol.n:,}"


def _margin(summary: RunSummary) -> str:
    interval = summary.metrics[0].interval
    return MISSING if interval is None else longer_half(interval, 1)


def _parts(summary: RunSummary) -> list[Line]:
    errors, images = summary.cell_errors, summary.cell_errors.per_image
    if images is None or errors.protocol is None or errors.protocol.stream is None or summary.confidence is None:
        return []
    import numpy as np  # only the bits need it: `ppbench show` starts faster without

    from ppbench.metrics.points import interval_of_points

    values, speed, lines = images.errors[0].astype(np.float64), errors.protocol.stream.speed, []
    for part in np.array_split(np.arange(len(values)), min(_PARTS, len(values))):
        first, last = int(part[0]) * speed, min((int(part[-1]) + 1) * speed, errors.protocol.n)
        mean = min(1.0, max(0.0, float(values[part].mean())))
        interval = interval_of_points(values[part], mean, summary.confidence)
        reach = MISSING if interval is None else longer_half(interval.scaled(100), 1)
        lines.append(Line((f"{first:,}-{last - 1:,}", decimals(100 - 100 * mean, 1), reach)))
    return lines
