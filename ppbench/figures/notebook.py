"""Runs in notebooks: drawn by `Run.plot`, and shown as a small table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ppbench.errors import UsageError
from ppbench.extras import import_extra
from ppbench.figures.kinds import Content, PlotRequest, RunOrFile
from ppbench.figures.markup import escaped
from ppbench.lookup import check_name
from ppbench.report.load import load_summary
from ppbench.run import Run
from ppbench.tables.numbers import metric_text
from ppbench.tables.sheet import NOT_AVAILABLE, short_name

if TYPE_CHECKING:
    from ppbench.figures.paper import PaperFigure

_CONFIDENCE = 0.95


def plot(
    runs: RunOrFile | str | Sequence[RunOrFile | str],
    kind: str = "heatmap",
    *,
    baseline: RunOrFile | str | None = None,
    normalizer: str | None = None,
    confidence: float = _CONFIDENCE,
    allow: Sequence[str] = (),
    quantity: str | None = None,
    width: str = "single",
) -> PaperFigure:
    """Draw runs as `ppbench plot` does.

    Args:
        runs: A run, a path of a run file, or several of these.
        kind: ``heatmap``, ``severity``, ``forest``, ``reliability``, ``scatter`` or ``stream``.
        baseline: The run that differences start from; severity curves have it in grey.
        normalizer: Denominators of CE: ``alexnet``, ``none`` or a path; None for the customary ones.
        confidence: Confidence of the intervals.
        allow: Fields of the protocol that may differ.
        quantity: ``error``, ``CE`` or ``difference`` of a heat map, ``mCE`` or ``mean_error`` of a scatter plot.
        width: ``single`` or ``double`` column of a paper.

    Returns:
        A matplotlib figure, which a notebook shows. ``figure.savefig("figure.pdf")`` writes it.

    Raises:
        UsageError: If a value is not allowed, or matplotlib is not installed.
        DataError: If a file is missing or damaged, or has no bits where they are needed.
        NotComparableError: If the runs were not measured in the same way.
    """
    given = [runs] if isinstance(runs, (str, Path, Run)) else list(runs)
    import_extra("matplotlib", "plots", "`plot`")
    request = PlotRequest(
        kind, tuple(map(_source, given)), None if baseline is None else _source(baseline),
        normalizer, confidence, tuple(allow), quantity,
    )  # fmt: skip
    return paper_figure(request.content(), width)


def _source(given: RunOrFile | str) -> RunOrFile:
    if not isinstance(given, (str, Path, Run)):
        raise UsageError(f"a run is of type {type(given).__name__}", "Give runs, or paths of run files.")
    return Path(given) if isinstance(given, str) else given


def paper_figure(content: Content, width: str = "single") -> PaperFigure:
    """Draw any content for a paper, ``single`` or ``double`` column wide."""
    from ppbench.figures.content import HeatMap, SeverityCurves
    from ppbench.figures.over_time import OverTime
    from ppbench.figures.paper import WIDTHS, paper_style
    from ppbench.figures.paper_plots import draw_curves, draw_reliability, draw_scatter
    from ppbench.figures.paper_stream import draw_over_time
    from ppbench.figures.paper_tables import draw_forest, draw_heat_map
    from ppbench.figures.reliability import Reliability

    check_name("width", width, WIDTHS, "ppbench plot --help")
    inches = WIDTHS[width]
    with paper_style():
        if isinstance(content, HeatMap):
            return draw_heat_map(content, inches)
        if isinstance(content, SeverityCurves):
            return draw_curves(content, inches)
        if isinstance(content, Reliability):
            return draw_reliability(content, inches)
        if isinstance(content, OverTime):
            return draw_over_time(content, inches)
        if isinstance(content, tuple):
            return draw_forest(content, inches)
        return draw_scatter(content, inches)


def run_table(run: Run) -> str:
    """A run as an HTML table of its headline metrics, for notebooks."""
    summary = load_summary(run, None, None, _CONFIDENCE)
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{escaped(short_name(metric.name))}</th>'
        f'<td style="text-align:right">{metric_text(metric)} {escaped(metric.unit)}</td>'
        f'<td style="text-align:left"><code>{escaped(metric.label)}</code></td></tr>'
        for metric in summary.metrics
        if metric.value is not None
    )
    absent = [short_name(metric.name) for metric in summary.metrics if metric.value is None]
    notes = [*summary.interval_notes, *([f"{NOT_AVAILABLE}: {', '.join(absent)}."] if absent else [])]
    return (
        f"<table><caption>{escaped(summary.heading)}</caption><tbody>{rows}</tbody></table>"
        f"{''.join(f'<p>{escaped(note)}</p>' for note in notes)}"
    )
