"""The report of one run, or of several side by side: its tables, and which data it has in JSON and CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from ppbench.metrics.metric import Metric
from ppbench.metrics.quantities import Quantity
from ppbench.metrics.without_labels import Wording, capital, has_labels, plain_of, quantities_of, wording
from ppbench.report.run_data import run_columns, run_dict, tidy_rows
from ppbench.report.side_by_side import comparison_sheet
from ppbench.report.stream_sheet import stream_sheet
from ppbench.report.summary import RunSummary, SummaryRow, absence_notes, accuracy_interval, training_notes, trial_notes
from ppbench.tables.numbers import decimals, longer_half, margin, metric_text, percent, spread_text
from ppbench.tables.report import Rows
from ppbench.tables.sheet import MISSING, NOT_AVAILABLE, Curves, Line, LineKind, Sheet, short_name

if TYPE_CHECKING:
    from ppbench.report.by_image import ByImage

_CURVES = Curves("curve", "Curve: error on the clean images, then by severity")
_CURVES_WITHOUT_LABELS = Curves("curve", "Curve: flip rate by severity")
_CURVES_OF_SEQUENCES = Curves("curve", "Curve: flip probability by difficulty")


@dataclass(frozen=True)
class RunReport:
    """The report of one run or of several side by side."""

    runs: Sequence[RunSummary]
    """One run, or several side by side."""
    formulas: bool = False
    """Whether to add the definitions of the metrics (not in CSV)."""
    intervals: bool = False
    """Whether the tables of one run give every figure its interval; JSON and CSV always do."""
    by_image: ByImage | None = None
    """What is known by class and image of the only run; None if it was not asked for."""

    def sheets(self) -> list[Sheet]:
        """The tables of one run, or one table of several runs side by side."""
        several = len(self.runs) > 1
        tables = [comparison_sheet(self.runs)] if several else run_sheets(self.runs[0], intervals=self.intervals)
        if self.by_image is not None:
            # Computing by image needs numpy: `ppbench show` starts faster without it.
            from ppbench.report.by_image_sheets import by_image_sheets

            tables += by_image_sheets(self.by_image, intervals=self.intervals)
        return [*tables, formula_sheet(self.runs)] if self.formulas else tables

    def as_dict(self) -> dict[str, Any]:
        """`run_dict` of one run, or ``{"runs": [object, …]}`` for several."""
        more: dict[str, Any] = {}
        if self.formulas:
            of = quantities_of(self.runs[0].cell_errors.protocol)
            more["formulas"] = {name: quantity.formula for name, quantity in of.items()}
        if self.by_image is not None:
            from ppbench.report.by_image_data import by_image_dict

            more["by_image"] = by_image_dict(self.by_image)
        objects = [{**run_dict(run), **more} for run in self.runs]
        return objects[0] if len(objects) == 1 else {"runs": objects}

    def rows(self) -> Rows:
        """One tidy table of metrics and accuracies. With several runs its first column has their names."""
        if self.by_image is not None:
            from ppbench.report.by_image_data import BY_IMAGE_COLUMNS, by_image_records

            columns = (*run_columns(self.runs[0]), *BY_IMAGE_COLUMNS)
            own = ((*row, *[""] * len(BY_IMAGE_COLUMNS)) for row in tidy_rows(self.runs[0]))
            records = ([record.get(column, "") for column in columns] for record in by_image_records(self.by_image))
            return Rows(columns, chain(own, records))
        if len(self.runs) == 1:
            return Rows(run_columns(self.runs[0]), tidy_rows(self.runs[0]))
        rows = ((run.cell_errors.source, *row) for run in self.runs for row in tidy_rows(run))
        return Rows(("run", *run_columns(self.runs[0])), rows)


def run_sheets(summary: RunSummary, *, intervals: bool = False) -> list[Sheet]:
    """The tables of one run.

    Args:
        summary: The run.
        intervals: Give every figure of the corruptions its interval, in two tables instead of one.
    """
    of, spreads = _quantities(summary), any(metric.spread is not None for metric in summary.metrics)
    header = ("metric", "value", *(["over passes"] if spreads else []), "what it is")
    lines = tuple(
        Line((short_name(m.name), _with_unit(m), *([_spread(m)] if spreads else []), of[m.name].meaning))
        for m in summary.metrics
    )
    labels = tuple(metric.label for metric in summary.metrics)
    notes = [
        *absence_notes([summary]),
        *summary.interval_notes,
        *trial_notes(summary),
        *training_notes([summary.cell_errors]),
    ]
    words_at = (0, len(header) - 1)
    headline = Sheet(summary.heading, header, lines, text_columns=words_at, notes=tuple(notes), labels=labels)
    with_intervals = intervals and summary.confidence is not None
    if summary.cell_errors.protocol is not None and summary.cell_errors.protocol.stream is not None:
        return [headline, stream_sheet(summary)]
    return [headline, *(_interval_sheets(summary) if with_intervals else [_corruption_sheet(summary)])]


def _quantities(summary: RunSummary) -> Mapping[str, Quantity]:
    return quantities_of(summary.cell_errors.protocol)


def formula_sheet(summaries: Sequence[RunSummary]) -> Sheet:
    """The definitions of all metrics that these runs have."""
    found = {name: quantity for summary in summaries for name, quantity in _quantities(summary).items()}
    lines = tuple(Line((name, quantity.formula)) for name, quantity in found.items())
    return Sheet("Definitions", ("metric", "formula"), lines, text_columns=(0, 1))


def _corruption_sheet(summary: RunSummary) -> Sheet:
    """Accuracies, mean errors and ratios of families and corruptions."""
    ratios, words, columns = _ratios(summary), wording(summary.cell_errors.protocol), _level_columns(summary)

    def cells(row: SummaryRow) -> list[str]:
        interval = row.mean_error.interval
        margins = [MISSING if interval is None else longer_half(interval)] if summary.confidence else []
        values = [decimals(row.metrics[name].value, 2) for name in ratios]
        of_cells = [_share(metric, words) for metric in row.errors.values()] if columns else []
        return [*of_cells, decimals(row.mean_error.value, 2), *margins, *values]

    # Beside a column of margins the long header would break the names of corruptions at 80 columns.
    names = [name.replace("relative", "rel.") if summary.confidence else name for name in ratios.values()]
    margin_column = ("±",) if summary.confidence else ()
    header = (words.what, *columns, words.mean, *margin_column, *names)
    lines, notes = _lines(summary, cells, columns), _notes(summary)
    if summary.confidence and any(cell.startswith("≤") for line in lines for cell in line.cells):
        longer = f"±: half of the {percent(summary.confidence)} interval; ≤: the longer half of a lopsided one"
        notes = (*notes, f"{longer}, whose ends `--intervals` prints.")
    return Sheet(_corruption_title(words, columns, ratios), header, lines, notes=notes, curves=_curves(summary))


def _corruption_title(words: Wording, columns: Sequence[str], ratios: Iterable[str]) -> str:
    if not words.shows_lost:
        return f"{capital(words.kept)} by {_levels(words)} and {words.losses} over {words.levels}, %"
    by = f" by {_levels(words)}" if columns else ""
    places = "; uT5D in places" if "uT5D" in ratios else ""
    return f"{capital(words.losses)}{by}, %{places}"


def _levels(words: Wording) -> str:
    """``severity (s1 mild … s5 severe)``"""
    highest = 5 if words.letter == "s" else 3
    return f"{words.level} ({words.letter}1 {words.first} … {words.letter}{highest} {words.last})"


def _interval_sheets(summary: RunSummary) -> list[Sheet]:
    """Two tables, of accuracies and of errors, with the interval of every figure."""

    def accuracies(row: SummaryRow) -> list[str]:
        cells = []
        for metric in row.errors.values():
            interval = (
                metric.interval and metric.interval.scaled(0.01) if words.shows_lost else accuracy_interval(metric)
            )
            cells.append(_share(metric, words) + (f" {margin(interval.scaled(100), 1, '±')}" if interval else ""))
        return cells

    def errors(row: SummaryRow) -> list[str]:
        return [metric_text(row.metrics[name]) for name in (plain_of(summary.cell_errors.protocol).name, *ratios)]

    ratios, words, columns = _ratios(summary), wording(summary.cell_errors.protocol), _level_columns(summary)
    by_level = f"{capital(words.losses if words.shows_lost else words.kept)} by {_levels(words)}, %"
    places = "; uT5D in places" if "uT5D" in ratios else ""
    over = f"{capital(words.losses)} over {words.levels}, %{places}"
    found = [] if not columns else [Sheet(by_level, (words.what, *columns), _lines(summary, accuracies, columns))]
    errors_of = _lines(summary, errors, columns, mark_worst=False)
    found.append(Sheet(over, (words.what, words.mean, *ratios.values()), errors_of, curves=_curves(summary)))
    return [replace(found[0], notes=_notes(summary)), *found[1:]]


def _curves(summary: RunSummary) -> Curves | None:
    if summary.cell_errors.flips:
        return _CURVES_OF_SEQUENCES if _level_columns(summary) else None
    return _CURVES if has_labels(summary.cell_errors.protocol) else _CURVES_WITHOUT_LABELS


def _ratios(summary: RunSummary) -> dict[str, str]:
    """Metrics that are given by corruption besides the mean error, with the names of their columns.

    Those that are set against one model are left out together if none of them has a value.
    """
    rows, of = (*summary.corruptions, summary.overall), _quantities(summary)
    known = {of[name].reference for row in rows for name, one in row.metrics.items() if one.value is not None}
    return {
        name: short_name(str(of[name].name_of_one))
        for name in summary.overall.metrics
        if not of[name].is_plain and of[name].reference in known and not _is_unknown(summary, name)
    }


def _is_unknown(summary: RunSummary, name: str) -> bool:
    """Whether a run of sequences has no value of a metric, so that its column would be empty."""
    rows = (*summary.corruptions, summary.overall)
    return summary.cell_errors.flips and all(row.metrics[name].value is None for row in rows)


def _level_columns(summary: RunSummary) -> list[str]:
    """``s1``, ``s2``, …; none for sequences of one difficulty, whose mean is the same."""
    letter, levels = wording(summary.cell_errors.protocol).letter, list(summary.overall.errors)
    return [] if summary.cell_errors.flips and len(levels) == 1 else [f"{letter}{level}" for level in levels]


def _lines(
    summary: RunSummary, cells: Callable[[SummaryRow], list[str]], columns: Sequence[str], *, mark_worst: bool = True
) -> tuple[Line, ...]:
    """Families with their corruptions, then the mean.

    Args:
        summary: The run.
        cells: Makes the cells after a row's name. If ``mark_worst``, the accuracies come first.
        columns: Headers of the columns of accuracies.
        mark_worst: Mark the worst cell, and colour each accuracy by its share of the clean accuracy.
    """
    mark_worst = mark_worst and bool(columns)
    marked = summary.worst_cell if mark_worst else None
    best = 1 - (summary.cell_errors.clean or 0.0)

    def line(name: str, row: SummaryRow, kind: LineKind, worst: int | None = None) -> Line:
        kept = {
            place: share / (best or 1.0) for place, share in enumerate(row.accuracies.values(), 1) if share is not None
        }
        errors = tuple(None if m.value is None else m.value / 100 for m in row.errors.values())
        curve = (summary.cell_errors.clean, *errors) if has_labels(summary.cell_errors.protocol) else errors
        return Line((name, *cells(row)), kind, worst, kept if mark_worst else {}, curve)

    lines = []
    for family in summary.families:
        lines.append(line(family.name, family, "group"))
        for row in summary.family(family.name):
            has_worst = marked is not None and marked.corruption == row.name
            worst = 1 + list(row.errors).index(marked.severity) if marked is not None and has_worst else None
            lines.append(line(f"  {row.name}", row, "plain", worst))
    overall = summary.overall
    return (*lines, line(f"mean of {len(overall.corruptions)}", overall, "total"))


def _notes(summary: RunSummary) -> tuple[str, ...]:
    clean = summary.cell_errors.clean
    notes = [] if clean is None else [f"Clean accuracy: {decimals(100 - 100 * clean, 2)} %."]
    if summary.worst_cell is not None:
        notes.append(f"Worst cell: {summary.worst_cell_text}.")
    if summary.calibration:
        notes.append(_calibration_note(summary.calibration))
    return tuple(notes)


def _calibration_note(metrics: Sequence[Metric]) -> str:
    """``From clean to corrupted (c15,s1-5): log loss 0.31 → 1.22 nats; …`` from metrics in pairs."""
    reasons = {metric.reason for metric in metrics}
    if len(reasons) == 1 and None not in reasons:
        return f"Calibration: {NOT_AVAILABLE}: {reasons.pop()}."
    pairs = list(zip(metrics[::2], metrics[1::2], strict=True))
    clean, corrupted = (metric.label.partition("[")[2].removesuffix("]").split(",") for metric in pairs[0])
    cells = ",".join(part for part in corrupted if part not in clean)
    # Both have one unit, which stands once unless the second value is missing.
    values = [
        f"{short_name(a.name)} {_with_unit(a) if b.value is None else metric_text(a)} → {_with_unit(b)}"
        for a, b in pairs
    ]
    return f"From clean to corrupted ({cells}): {'; '.join(values)}."


def _share(error: Metric, words: Wording) -> str:
    """The accuracy of a cell or a mean over cells, ``58.2``; for sequences the flip probability, ``3.41``."""
    if error.value is None:
        return MISSING
    return decimals(error.value, 2) if words.shows_lost else decimals(100 - error.value, 1)


def _spread(metric: Metric) -> str:
    return MISSING if metric.spread is None else f"sd {spread_text(metric)}"


def _with_unit(metric: Metric) -> str:
    return NOT_AVAILABLE if metric.value is None else f"{metric_text(metric)} {metric.unit}"
