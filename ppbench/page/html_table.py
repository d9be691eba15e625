"""Tables for pages: the numbers of a figure as rows, each cell with its exact number for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ppbench.compare.comparison import Comparison
from ppbench.compare.difference import Difference
from ppbench.figures.content import SeverityCurves, as_metric, severity_name
from ppbench.figures.forest import Forest
from ppbench.figures.markup import attributes, metric_attributes, short_margin
from ppbench.figures.reliability import Reliability
from ppbench.figures.scatter import Scatter
from ppbench.metrics.metric import Metric
from ppbench.metrics.paired import POWER
from ppbench.metrics.without_labels import Wording, capital
from ppbench.tables.numbers import decimals, ends, p_value, percent, signed
from ppbench.tables.rows import rounded
from ppbench.tables.sheet import MISSING, NOT_AVAILABLE, LineKind, Sheet

NO_DATA = Markup()


@dataclass(frozen=True)
class HtmlCell:
    """One cell of a table."""

    text: str
    data: Markup = NO_DATA
    """``data-…`` attributes, escaped: the exact number, and ``data-sort`` where the text does not sort."""


@dataclass(frozen=True)
class HtmlRow:
    """One row of a table; its first cell is its heading."""

    cells: tuple[HtmlCell, ...]
    kind: LineKind = "plain"


@dataclass(frozen=True)
class HtmlTable:
    """A table of a page."""

    title: str
    header: tuple[str, ...]
    rows: tuple[HtmlRow, ...]
    text_columns: tuple[int, ...] = (0,)
    """Columns of words, flush left; the others are numbers."""
    notes: tuple[str, ...] = ()

    @property
    def is_sortable(self) -> bool:
        """Whether its rows mean the same in any order: none belongs below another."""
        return len(self.rows) > 1 and all(row.kind != "group" for row in self.rows)

    @property
    def groups(self) -> list[list[HtmlRow]]:
        """The rows with the heading of each group first; a total stands alone."""
        found: list[list[HtmlRow]] = []
        for row in self.rows:
            if not found or row.kind != "plain" or found[-1][0].kind == "total":
                found.append([])
            found[-1].append(row)
        return found


def sheet_table(sheet: Sheet) -> HtmlTable:
    """A table of the command line, with its notes and the full labels of its metrics."""
    width = len(sheet.header)
    rows = tuple(
        HtmlRow(
            tuple(HtmlCell(text.strip(), _sort(text)) for text in (*line.cells, *[""] * (width - len(line.cells)))),
            line.kind,
        )
        for line in sheet.lines
    )
    notes = (*sheet.notes, *([sheet.in_full] if sheet.in_full else []))
    return HtmlTable(sheet.title, sheet.header, rows, sheet.text_columns, notes)


def curve_table(content: SeverityCurves) -> HtmlTable:
    """The errors of all curves: a row for each run and corruption."""
    rows = []
    for panel in content.panels:
        for curve in panel.curves:
            name = panel.name or "mean"
            cells = [HtmlCell(name), HtmlCell(curve.name)]
            cells += [metric_cell(curve.errors.get(severity)) for severity in content.severities]
            rows.append(HtmlRow(tuple(cells)))
    words = content.words
    header = (words.what, "run", *(f"{words.letter}{s}" if s else severity_name(s) for s in content.severities))
    return HtmlTable(content.title, header, tuple(rows), (0, 1))


def forest_table(content: Forest) -> HtmlTable:
    """Both numbers of each row, the change with its interval, the p-value, and what the images could have shown."""
    rows = []
    for section in content.sections:
        rows.append(HtmlRow((HtmlCell(section.heading), *[HtmlCell("")] * 6), "group"))
        for row in section.rows:
            cells = (HtmlCell(row.name), *_difference_cells(row.difference, row.is_shown))
            rows.append(HtmlRow(cells, "group" if row.kind == "family" else "plain"))
    interval = f"{percent(content.confidence)} interval"
    header = ("%", content.reference, content.other, "change", interval, "p", "shows")
    is_one = len(content.sections) == 1  # a stream, which has no families and corruptions
    many = "" if is_one else f"; by family and by {content.what} adjusted for many tests (Holm)"
    notes = (
        f"Change: {content.other} minus {content.reference}, points, paired by {content.unit}. p: two-sided{many}. "
        f"*: a test finds the difference. Shows: the smallest change that these {'frames' if is_one else 'images'} "
        f"would reveal with {percent(POWER)} probability.",
    )
    return HtmlTable(content.title, header, tuple(rows), notes=notes)


def _difference_cells(difference: Difference, is_shown: bool) -> list[HtmlCell]:
    metric = as_metric(difference)
    values = [HtmlCell(decimals(v, 2), _number(v)) for v in (difference.reference, difference.value)]
    if metric is None or metric.value is None:
        return [*values, HtmlCell(NOT_AVAILABLE, metric_data(metric)), *[HtmlCell(MISSING)] * 3]
    mark = "*" if is_shown else ""
    change = HtmlCell(f"{signed(metric.value, 2)}{mark}", metric_data(metric))
    return [
        *values,
        change,
        HtmlCell(MISSING if difference.points is None else ends(difference.points, 2)),
        HtmlCell(MISSING) if difference.p is None else HtmlCell(p_value(difference.p), _number(difference.p)),
        HtmlCell(MISSING) if difference.detectable is None
        else HtmlCell(decimals(difference.detectable, 2), _number(difference.detectable)),
    ]  # fmt: skip


def scatter_table(content: Scatter) -> HtmlTable:
    """Runs, then published results with their sources."""
    rows = []
    for one in (*content.runs, *content.published):
        numbers = (metric_cell(one.x, 2), metric_cell(one.y, 2))
        rows.append(HtmlRow((HtmlCell(one.name), *numbers, HtmlCell(one.source or "this report"))))
    return HtmlTable(content.title, ("model", content.x_label, content.y_label, "source"), tuple(rows), (0, 3))


def reliability_table(content: Reliability) -> HtmlTable:
    """The bins that have images, by severity."""
    rows = []
    for panel in content.panels:
        known = [one for one in panel.bins if one.confidence is not None]
        for one in known:
            sure = 100 * (one.confidence or 0.0)
            rows.append(HtmlRow((
                HtmlCell(severity_name(panel.severity), _number(panel.severity)),
                HtmlCell(f"{100 * one.low:.0f}–{100 * one.high:.0f}", _number(one.low)),
                HtmlCell(f"{one.n:,}", _number(one.n)),
                HtmlCell(decimals(sure, 1), _number(sure)),
                metric_cell(one.accuracy),
            )))  # fmt: skip
    header = ("severity", "probability, %", "images", "mean probability, %", "accuracy, %")
    return HtmlTable(f"{content.title}, in bins of the highest probability", header, tuple(rows))


@dataclass(frozen=True)
class FamilyRow:
    """One family in all runs."""

    name: str
    members: str
    errors: tuple[Metric | None, ...]
    """By run."""


def families_table(
    comparisons: Sequence[Comparison], names: Sequence[str], rows: Sequence[FamilyRow], words: Wording
) -> HtmlTable:
    """Mean errors by family: a column for each run, the baseline last, then the changes."""
    header = ("family", *names, *(f"{c.other.name}: change" for c in comparisons), f"{words.what}s")
    found = []
    for row in rows:
        changes = [_change(comparison, row.name) for comparison in comparisons]
        cells = (HtmlCell(row.name), *(metric_cell(one, 2) for one in row.errors), *changes, HtmlCell(row.members))
        found.append(HtmlRow(cells))
    notes = [f"Mean {words.of_cell} over the {words.what}s of the family, %."]
    notes += ["Change: points, paired by image; *: a test finds it (Holm over families)."] if comparisons else []
    return HtmlTable(f"{capital(words.mean)} by family", header, tuple(found), (0, len(header) - 1), tuple(notes))


def _change(comparison: Comparison, family: str) -> HtmlCell:
    found = next((d for d in comparison.group("family") if d.name == family), None)
    metric = as_metric(found)
    if found is None or metric is None or metric.value is None:
        return HtmlCell(MISSING, metric_data(metric))
    mark = "*" if found.is_shown(comparison.alpha) else ""
    margin = f" {short_margin(metric)}" if metric.interval else ""
    return HtmlCell(f"{signed(metric.value)}{mark}{margin}", metric_data(metric))


def metric_cell(metric: Metric | None, digits: int = 1) -> HtmlCell:
    """A number with half its interval, or what stands for a missing one."""
    if metric is None or metric.value is None:
        return HtmlCell(MISSING, metric_data(metric))
    margin = f" {short_margin(metric)}" if metric.interval else ""
    return HtmlCell(f"{decimals(metric.value, digits)}{margin}", metric_data(metric))


def metric_data(metric: Metric | None) -> Markup:
    """The exact number, the ends of its interval and its definition, as attributes."""
    found = Markup(metric_attributes(metric))
    return found if metric is None else found + _number(metric.value)


def _number(value: float | None) -> Markup:
    return Markup(attributes({"data-sort": rounded(value)}))


def _sort(text: str) -> Markup:
    """The number that a text begins with."""
    word = text.strip().removeprefix("<").partition(" ")[0].rstrip("*").replace(",", "")
    try:
        return _number(float(word))
    except ValueError:
        return Markup()
