"""The content of heat maps and severity curves: numbers of a report, put where a drawing has them.

Nothing is measured here. Every number is a `Metric` of a `RunSummary` or a `Difference` of a `Comparison`, so a figure
cannot disagree with the tables, JSON and CSV of `ppbench show` and `ppbench compare`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ppbench.compare.comparison import Comparison
from ppbench.compare.difference import Difference
from ppbench.figures.scales import ColourScale, ticks
from ppbench.figures.together import distinct, require_drawn_together
from ppbench.metrics.metric import Metric
from ppbench.metrics.references import ALEXNET
from ppbench.metrics.without_labels import Wording, capital, has_labels, plain_of, quantities_of, wording
from ppbench.report.summary import RunSummary, SummaryRow
from ppbench.tables.sheet import short_name
from ppbench.vocabulary import CLEAN, family_of

RowKind = Literal["family", "corruption", "mean"]


@dataclass(frozen=True)
class HeatColumn:
    """One column of a heat map."""

    key: str
    """``s1`` … ``s5``, or the name of a quantity."""
    heading: str
    is_coloured: bool = True
    """Whether its numbers are on the map's scale."""


@dataclass(frozen=True)
class HeatRow:
    """One row of a heat map."""

    name: str
    kind: RowKind
    family: str
    """The family of a corruption, or its own name; empty for the mean."""
    cells: tuple[Metric | None, ...]
    """By column; None where the report has no such number."""
    shown: tuple[bool, ...]
    """By column: whether a test finds this difference; all False in maps of one run."""


@dataclass(frozen=True)
class HeatMap:
    """Corruptions by severity, grouped by family."""

    quantity: Literal["error", "flip_rate", "flip_probability", "CE", "difference"]
    title: str
    columns: tuple[HeatColumn, ...]
    rows: tuple[HeatRow, ...]
    """A row for each family before its corruptions, and the mean at the end."""
    scale: ColourScale
    unit: str
    """``%`` or ``points``."""
    confidence: float | None
    """Confidence of the intervals; None if there are none."""
    lines: tuple[str, ...]
    """The title in lines for a narrow place: what is shown, and the names, which may be shortened."""
    what: str = "corruption"
    """What a row is of: a corruption, or a perturbation of sequences."""

    @property
    def made(self) -> str:
        """What ratios are of: errors, or flips."""
        return "errors" if self.what == "corruption" else "flips"

    @property
    def has_values(self) -> bool:
        """Whether there is any number; otherwise the reasons of the cells say what is missing."""
        return any(cell.value is not None for row in self.rows for cell in row.cells if cell)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why numbers are missing, each reason once."""
        found = (cell.reason for row in self.rows for cell in row.cells if cell and cell.reason)
        return tuple(dict.fromkeys(found))

    @classmethod
    def of_errors(cls, summary: RunSummary) -> HeatMap:
        """Errors, flip rates or flip probabilities in percent, their means over levels, and CE or FR if known."""
        protocol = summary.cell_errors.protocol
        words, rate = wording(protocol), "mFR" if summary.cell_errors.flips else "mCE"
        columns = [HeatColumn(f"{words.letter}{level}", f"{words.letter}{level}") for level in summary.overall.errors]
        columns.append(HeatColumn(plain_of(protocol).name, "mean"))
        ratios = [row.metrics[rate] for row in (*summary.corruptions, summary.overall) if rate in row.metrics]
        has_ratios = any(ratio.value is not None for ratio in ratios)
        columns += [HeatColumn(rate, rate[1:], is_coloured=False)] if has_ratios else []

        def cells(row: SummaryRow) -> tuple[Metric | None, ...]:
            return (*row.errors.values(), row.mean_error, *([row.metrics[rate]] if has_ratios else []))

        rows = tuple(
            HeatRow(name, kind, family, cells(row), (False,) * len(columns))
            for name, kind, family, row in _rows_of(summary)
        )
        name = summary.cell_errors.source
        what, by = capital(words.of_cell), f"by {words.what} and {words.level}"
        title = f"{what} of {name} {by}, %"
        lines = (f"{what} {by}, %", name)
        return cls(
            "error" if has_labels(protocol) else "flip_probability" if summary.cell_errors.flips else "flip_rate",
            title,
            tuple(columns),
            rows,
            ColourScale(),
            "%",
            summary.confidence,
            lines,
            words.what,
        )

    @classmethod
    def of_ratios(cls, summary: RunSummary) -> HeatMap:
        """CE and relative CE in percent of the normaliser's errors; 100 has no colour.

        Without a normaliser there are no values, and `reasons` says so. Runs without labels have no CE.
        """
        of = quantities_of(summary.cell_errors.protocol)
        names = [q.name for q in of.values() if q.reference == "normalizer" and q.name_of_one]
        columns = tuple(HeatColumn(name, short_name(str(of[name].name_of_one))) for name in names)
        rows = tuple(
            HeatRow(name, kind, family, tuple(row.metrics[one] for one in names), (False,) * len(names))
            for name, kind, family, row in _rows_of(summary)
        )
        values = [cell.value for row in rows for cell in row.cells if cell and cell.value is not None]
        what = "Flips" if summary.cell_errors.flips else "Errors"
        lines = (f"{what} of {summary.cell_errors.source}", f"in percent of those of {summary.normalizer}")
        scale = ColourScale.around(100.0, values)
        row_of = summary.cell_errors.what
        return cls("CE", " ".join(lines), columns, rows, scale, "%", summary.confidence, lines, row_of)

    @classmethod
    def of_differences(cls, comparison: Comparison) -> HeatMap:
        """Differences of errors in points; a negative number is a better model."""
        errors = comparison.reference.cell_errors
        words = wording(errors.protocol)
        columns = [HeatColumn(f"{words.letter}{level}", f"{words.letter}{level}") for level in errors.severities]
        plain = plain_of(errors.protocol).name
        columns.append(HeatColumn(plain, "mean"))
        found = {(d.group, d.name): d for d in comparison.differences if d.metric == plain}

        def row(kind: RowKind, name: str) -> HeatRow:
            of_cells = [found.get(("cell", f"{name}/{s}")) if kind == "corruption" else None for s in errors.severities]
            group = "metric" if kind == "mean" else kind
            whole = found.get((group, plain if kind == "mean" else name))
            all_of_it = (*of_cells, whole)
            shown = tuple(d is not None and d.is_shown(comparison.alpha) for d in all_of_it)
            called = f"mean of {len(errors.headline)}" if kind == "mean" else name
            family = family_of(name) if kind == "corruption" else name if kind == "family" else ""
            return HeatRow(called, kind, family, tuple(map(as_metric, all_of_it)), shown)

        rows = []
        for family in comparison.group("family"):
            rows.append(row("family", family.name))
            of_family = [name for name in errors.corruptions if family_of(name) == family.name]
            rows += [row("corruption", name) for name in of_family]
        rows.append(row("mean", ""))
        values = [cell.value for one in rows for cell in one.cells if cell and cell.value is not None]
        names = comparison.other.name, comparison.reference.name
        title = f"{capital(words.lost)} of {names[0]} minus {words.lost} of {names[1]}, points"
        lines = (f"Difference of {words.plural_of_cell}, points", names[0], f"minus {names[1]}")
        scale = ColourScale.around(0.0, values)
        row_of = errors.what
        return cls(
            "difference", title, tuple(columns), tuple(rows), scale, "points", comparison.confidence, lines, row_of
        )


def as_metric(difference: Difference | None) -> Metric | None:
    """A difference as a number with its interval, in points or nats."""
    if difference is None:
        return None
    unit = "points" if difference.unit == "%" else difference.unit
    reason = difference.reason if difference.change is None else None
    return Metric(difference.metric, difference.label, difference.change, unit, reason, difference.points)


def _rows_of(summary: RunSummary) -> Iterator[tuple[str, RowKind, str, SummaryRow]]:
    """Name, kind, family and numbers of each row of a map of one run."""
    for family in summary.families:
        yield family.name, "family", family.name, family
        for row in summary.family(family.name):
            yield row.name, "corruption", family.name, row
    yield f"mean of {len(summary.overall.corruptions)}", "mean", "", summary.overall


@dataclass(frozen=True)
class Curve:
    """The errors of one run by severity."""

    name: str
    errors: Mapping[int, Metric]
    """Percent, by severity; 0 is the clean images. A severity that was not asked for is absent."""
    is_reference: bool = False
    """Whether it is a baseline or a published result, which is drawn in grey."""


@dataclass(frozen=True)
class CurvePanel:
    """The curves of one corruption."""

    name: str
    family: str
    """Empty for the mean over corruptions."""
    curves: tuple[Curve, ...]
    """References first, so that runs are drawn over them."""


@dataclass(frozen=True)
class SeverityCurves:
    """The error by severity of one or more runs: a panel for the mean and one for each corruption.

    Runs without labels have flip rates, which have no clean value.
    """

    title: str
    runs: tuple[str, ...]
    references: tuple[str, ...]
    severities: tuple[int, ...]
    """Ascending, with 0 if a curve has a clean error."""
    panels: tuple[CurvePanel, ...]
    confidence: float | None
    """Confidence of the bands; None if no run has any."""
    top: float
    """The upper end of all axes, percent."""
    words: Wording
    """What the errors are called."""

    @classmethod
    def of(
        cls,
        summaries: Sequence[RunSummary],
        names: Sequence[str] | None = None,
        baseline: RunSummary | None = None,
        allow: Sequence[str] = (),
    ) -> SeverityCurves:
        """Put the curves of runs into panels.

        Args:
            summaries: One to six runs of one protocol.
            names: Their names, if not the models'.
            baseline: A run of the same protocol that is drawn in grey.
            allow: Fields of the protocol that may differ.

        Raises:
            UsageError: If there are too many runs.
            NotComparableError: If protocols differ.
        """
        called = distinct(summaries, names)
        grey = [] if baseline is None else [baseline]
        require_drawn_together([*summaries, *grey], [*called, *(one.cell_errors.source for one in grey)], allow)
        rows = {one.name: family_of(one.name) for summary in summaries for one in summary.corruptions}
        references = [(f"{one.cell_errors.source} (baseline)", one) for one in grey]
        panels = [
            CurvePanel(name, family, (
                *_published(name, summaries),
                *(_curve(of, one, name, is_reference=True) for of, one in references),
                *(_curve(of, one, name) for of, one in zip(called, summaries, strict=True)),
            ))
            for name, family in [("", ""), *rows.items()]
        ]  # fmt: skip
        curves = [curve for panel in panels for curve in panel.curves]
        severities = sorted({severity for curve in curves for severity in curve.errors})
        words = wording(summaries[0].cell_errors.protocol)
        return cls(
            title=f"{capital(words.of_cell)} by {words.level}, %",
            runs=tuple(called),
            references=tuple(dict.fromkeys(curve.name for curve in curves if curve.is_reference)),
            severities=tuple(severities),
            panels=tuple(panels),
            confidence=next((one.confidence for one in summaries if one.confidence is not None), None),
            top=ticks(0, max([10.0, *_highest(curves)]), 4)[-1],
            words=words,
        )


def _curve(name: str, summary: RunSummary, corruption: str, *, is_reference: bool = False) -> Curve:
    """The curve of a corruption, or of the mean for an empty name."""
    row = next((row for row in summary.corruptions if row.name == corruption), None)
    errors = summary.severities if not corruption else row.errors if row else {}
    clean = next((metric for metric in summary.metrics if metric.name == "clean_error"), None)
    return Curve(name, dict(errors) if clean is None else {0: clean, **errors}, is_reference)


def _published(corruption: str, summaries: Sequence[RunSummary]) -> list[Curve]:
    """AlexNet's published errors, if those of all runs are of the same images and classes, and so have its label."""
    for summary in summaries:
        errors, protocol = summary.cell_errors, summary.cell_errors.protocol
        is_same = protocol is not None and protocol.dataset == "imagenet-c" and not errors.generated
        if not is_same or errors.subset or corruption not in ALEXNET.by_severity:
            return []
    model = summaries[0].cell_errors
    values = {0: ALEXNET.clean, **dict(zip(ALEXNET.severities, ALEXNET.by_severity[corruption], strict=True))}
    labels = {s: model.label("mean_error", corruptions=(corruption,), severities=(s,)) for s in ALEXNET.severities}
    name = f"{ALEXNET.source} (published)"
    metrics = {
        s: Metric("mean_error" if s else "clean_error", labels.get(s, "clean_error"), 100 * value, "%")
        for s, value in values.items()
    }
    return [Curve(name, metrics, is_reference=True)]


def _highest(curves: Sequence[Curve]) -> Iterator[float]:
    for curve in curves:
        for metric in curve.errors.values():
            if metric.value is not None:
                yield metric.interval.high if metric.interval else metric.value


def severity_name(severity: int) -> str:
    """``clean`` for 0, else the severity."""
    return str(severity) if severity else CLEAN
