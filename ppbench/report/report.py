"""The report of one run, or of several side by side: its tables, and which data it has in JSON and CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.metric import Metric
from ppbench.metrics.quantities import Quantity
from ppbench.metrics.without_labels import capital, has_labels, plain_of, quantities_of, wording
from ppbench.report.run_data import RUN_COLUMNS, run_dict, tidy_rows
from ppbench.report.summary import RunSummary, SummaryRow, accuracy_interval
from ppbench.tables.numbers import decimals, longer_half, margin, metric_text, percent, reason_notes
from ppbench.tables.report import Rows
from ppbench.tables.sheet import MISSING, NOT_AVAILABLE, Curves, Line, LineKind, Sheet, short_name
from ppbench.vocabulary import SEVERITIES, set_label

if TYPE_CHECKING:
    from ppbench.report.by_image import ByImage

_CURVES = Curves("curve", "Curve: error on the clean images, then by severity")
_CURVES_WITHOUT_LABELS = Curves("curve", "Curve: flip rate by severity")


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

            columns = (*RUN_COLUMNS, *BY_IMAGE_COLUMNS)
            own = ((*row, *[""] * len(BY_IMAGE_COLUMNS)) for row in tidy_rows(self.runs[0]))
            records = ([record.get(column, "") for column in columns] for record in by_image_records(self.by_image))
            return Rows(columns, chain(own, records))
        if len(self.runs) == 1:
            return Rows(RUN_COLUMNS, tidy_rows(self.runs[0]))
        rows = ((run.cell_errors.source, *row) for run in self.runs for row in tidy_rows(run))
        return Rows(("run", *RUN_COLUMNS), rows)


def run_sheets(summary: RunSummary, *, intervals: bool = False) -> list[Sheet]:
    """The tables of one run.

    Args:
        summary: The run.
        intervals: Give every figure of the corruptions its interval, in two tables instead of one.
    """
    header = ("metric", "value", "what it is")
    of = _quantities(summary)
    lines = tuple(Line((short_name(m.name), _with_unit(m), of[m.name].meaning)) for m in summary.metrics)
    labels = tuple(metric.label for metric in summary.metrics)
    notes = (*_reasons([summary]), *summary.interval_notes, *training_notes([summary.cell_errors]))
    headline = Sheet(summary.heading, header, lines, text_columns=(0, 2), notes=notes, labels=labels)
    with_intervals = intervals and summary.confidence is not None
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
    ratios = _ratios(summary)

    def cells(row: SummaryRow) -> list[str]:
        interval = row.mean_error.interval
        margins = [MISSING if interval is None else longer_half(interval)] if summary.confidence else []
        values = [decimals(row.metrics[name].value, 2) for name in ratios]
        return [*map(_accuracy, row.errors.values()), decimals(row.mean_error.value, 2), *margins, *values]

    # Beside a column of margins the long header would break the names of corruptions at 80 columns.
    names = [name.replace("relative", "rel.") if summary.confidence else name for name in ratios.values()]
    margin_column = ("±",) if summary.confidence else ()
    words = wording(summary.cell_errors.protocol)
    header = ("corruption", *_severity_columns(summary), words.mean, *margin_column, *names)
    title = f"{capital(words.kept)} by severity (s1 mild … s5 severe) and {words.lost}s over severities, %"
    lines, notes = _lines(summary, cells), _notes(summary)
    if summary.confidence and any(cell.startswith("≤") for line in lines for cell in line.cells):
        longer = f"±: half of the {percent(summary.confidence)} interval; ≤: the longer half of a lopsided one"
        notes = (*notes, f"{longer}, whose ends `--intervals` prints.")
    return Sheet(title, header, lines, notes=notes, curves=_curves(summary))


def _interval_sheets(summary: RunSummary) -> list[Sheet]:
    """Two tables, of accuracies and of errors, with the interval of every figure."""

    def accuracies(row: SummaryRow) -> list[str]:
        cells = []
        for metric in row.errors.values():
            interval = accuracy_interval(metric)
            cells.append(_accuracy(metric) + (f" {margin(interval.scaled(100), 1, '±')}" if interval else ""))
        return cells

    def errors(row: SummaryRow) -> list[str]:
        return [metric_text(row.metrics[name]) for name in (plain_of(summary.cell_errors.protocol).name, *ratios)]

    ratios, words = _ratios(summary), wording(summary.cell_errors.protocol)
    titles = (
        f"{capital(words.kept)} by severity (s1 mild … s5 severe), %",
        f"{capital(words.lost)}s over severities, %",
    )
    headers = ("corruption", *_severity_columns(summary)), ("corruption", words.mean, *ratios.values())
    return [
        Sheet(titles[0], headers[0], _lines(summary, accuracies), notes=_notes(summary)),
        Sheet(titles[1], headers[1], _lines(summary, errors, mark_worst=False), curves=_curves(summary)),
    ]


def _curves(summary: RunSummary) -> Curves:
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
        if not of[name].is_plain and of[name].reference in known
    }


def _severity_columns(summary: RunSummary) -> list[str]:
    return [f"s{severity}" for severity in summary.overall.errors]


def _lines(
    summary: RunSummary, cells: Callable[[SummaryRow], list[str]], *, mark_worst: bool = True
) -> tuple[Line, ...]:
    """Families with their corruptions, then the mean.

    Args:
        summary: The run.
        cells: Makes the cells after a row's name. If ``mark_worst``, the accuracies come first.
        mark_worst: Mark the worst cell, and colour each accuracy by its share of the clean accuracy.
    """
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
        notes.append(f"Worst cell: {_worst_cell(summary)}.")
    if summary.calibration:
        notes.append(_calibration_note(summary.calibration))
    return tuple(notes)


def _worst_cell(summary: RunSummary) -> str:
    if summary.worst_cell is None:
        return NOT_AVAILABLE
    corruption, severity, accuracy = summary.worst_cell
    kept = wording(summary.cell_errors.protocol).kept
    return f"{corruption} at severity {severity}, {kept} {decimals(100 * accuracy, 1)} %"


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


def comparison_sheet(summaries: Sequence[RunSummary]) -> Sheet:
    """The headline metrics and the mean errors by family and severity, with one column per run.

    If the label of a metric differs between runs, for example by the baseline, its row has all labels as its name.
    """
    metrics = list(zip(*(summary.metrics for summary in summaries), strict=True))
    # Runs in which a metric has no value may lack what its label names.
    labels = [_each_once(one.label for one in of if one.value is not None) or [of[0].label] for of in metrics]
    # Two definitions have no name in common.
    names = [short_name(of[0]) if len(of) == 1 else " / ".join(of) for of in labels]
    lines = [Line((name, *map(metric_text, of))) for name, of in zip(names, metrics, strict=True)]
    mean = wording(summaries[0].cell_errors.protocol).mean
    lines.append(Line((f"{mean} by family",), "group"))
    lines += _family_lines(summaries)
    lines.append(Line((f"{mean} by severity",), "group"))
    for severity in (s for s in SEVERITIES if any(s in summary.severities for summary in summaries)):
        lines.append(Line((f"  s{severity}", *(metric_text(one.severities.get(severity)) for one in summaries))))
    runs = [summary.cell_errors.source for summary in summaries]
    conditions = [summary.conditions for summary in summaries]
    common = [part for part in conditions[0] if all(part in others for others in conditions)]
    own = [[part for part in parts if part not in common] for parts in conditions]
    notes = [f"{name}: {' · '.join(parts)}." for name, parts in zip(runs, own, strict=True) if parts]
    notes += [*_reasons(summaries), *_interval_notes(summaries)]
    notes += [f"Worst cell of {one.cell_errors.source}: {_worst_cell(one)}." for one in summaries if one.worst_cell]
    notes += training_notes([summary.cell_errors for summary in summaries])
    shortened = tuple(of[0] for of in labels if len(of) == 1)
    title = " · ".join(["Side by side", *common])
    return Sheet(title, ("%", *runs), tuple(lines), notes=tuple(notes), labels=shortened)


def _family_lines(summaries: Sequence[RunSummary]) -> Iterator[Line]:
    """The mean error of each family in every run. A family lists its corruptions if they differ between runs."""
    for family in _each_once(row.name for summary in summaries for row in summary.families):
        rows = [next((row for row in one.families if row.name == family), None) for one in summaries]
        members = _each_once(set_label(row.corruptions) for row in rows if row)
        differing = f" ({' / '.join(members)})" if len(members) > 1 else ""
        yield Line((f"  {family}{differing}", *(metric_text(row.mean_error if row else None) for row in rows)))


def _interval_notes(summaries: Sequence[RunSummary]) -> list[str]:
    """The notes on intervals, with the run's name if they differ between runs."""
    first = summaries[0].interval_notes
    if all(summary.interval_notes == first for summary in summaries):
        return list(first)
    return [f"{summary.cell_errors.source}: {note}" for summary in summaries for note in summary.interval_notes]


def _reasons(summaries: Sequence[RunSummary]) -> list[str]:
    return reason_notes((metric.name, metric.reason) for summary in summaries for metric in summary.metrics)


def training_notes(results: Sequence[CellErrors]) -> list[str]:
    """Notes on conversions from a plain network, and on test corruptions that overlap with training augmentations.

    With several results, each note begins with the model's name.
    """
    notes = []
    for one in results:
        found = [] if one.conversion is None else [one.conversion]
        if one.trained_on:
            found.append(f"trained on augmentations that overlap with: {', '.join(one.trained_on)}")
        several = len(results) > 1
        notes += [f"{one.source}: {words}." if several else f"{words[0].upper()}{words[1:]}." for words in found]
    return notes


def _accuracy(error: Metric) -> str:
    """The accuracy of a cell or a mean over cells, ``58.2``."""
    return MISSING if error.value is None else decimals(100 - error.value, 1)


def _with_unit(metric: Metric) -> str:
    return NOT_AVAILABLE if metric.value is None else f"{metric_text(metric)} {metric.unit}"


def _each_once(values: Iterable[str]) -> list[str]:
    """Distinct values in the order of first appearance."""
    return list(dict.fromkeys(values))
