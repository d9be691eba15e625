"""The report of a reproduced table, and of the rows that a table has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ppbench.errors import PpbenchError
from ppbench.metrics.metric import Metric
from ppbench.reproduce.figures import Against, Figure, Results, RowFigures
from ppbench.reproduce.table import Row, Table
from ppbench.tables.numbers import decimals, margin, p_value, percent, reason_notes, signed, with_interval
from ppbench.tables.report import Rows
from ppbench.tables.rows import low_and_high, rounded
from ppbench.tables.sheet import MISSING, NOT_AVAILABLE, Line, Sheet, short_names

_COLUMNS = ("row", "what", "label", "seed", "value", "unit", "low", "high", "p", "reason")
_ROW_COLUMNS = ("row", "label", "model", "augment")


@dataclass(frozen=True)
class ReproduceReport:
    """The measured figures of a table, beside the published ones."""

    results: Results
    failures: Mapping[str, PpbenchError] = field(default_factory=dict)
    """Errors of the trainings that failed, by network."""

    def sheets(self) -> list[Sheet]:
        """The table itself, the differences from the baseline, and each network if a row has several."""
        tables = [_main_sheet(self.results)]
        if any(row.against for row in self.results.rows):
            tables.append(_against_sheet(self.results))
        if self.results.several_seeds:
            tables.append(_seeds_sheet(self.results))
        return tables

    def as_dict(self) -> dict[str, Any]:
        """Everything, in percent and percentage points."""
        table, run = self.results.table, self.results.run
        return {
            "table": table.name,
            "title": table.title,
            "source": table.source,
            "baseline": table.baseline,
            "metrics": list(table.metrics),
            "confidence": self.results.confidence,
            "protocol": run and run.protocol.model_dump(mode="json"),
            "training": table.training.model_dump(mode="json"),
            "protocol_differences": list(table.protocol_differences),
            "rows": [_row_dict(row) for row in self.results.rows],
        }

    def rows(self) -> Rows:
        """One tidy table; rows without a seed are means over seeds."""
        return Rows(_COLUMNS, (line for row in self.results.rows for line in _tidy(row)))


@dataclass(frozen=True)
class RowList:
    """The rows of a table, with their published figures."""

    table: Table
    chosen: Sequence[Row]

    def sheets(self) -> list[Sheet]:
        """One table: ids, labels, models, augmentations, and the published figures if there are any."""
        table, labels = self.table, self._published_labels
        lines = []
        for row in self.chosen:
            augment = (row.augment or "") + (" + JSD" if row.jsd else "")
            lines.append(Line((row.id, row.label, row.model, augment, *(_published(row, label) for label in labels))))
        notes = (f"Published, in percent: {table.source}." if labels else table.source, *table.protocol_differences)
        header = (*_ROW_COLUMNS, *short_names(labels).values())
        return [Sheet(table.title, header, tuple(lines), (0, 1, 2, 3), notes, tuple(labels))]

    def as_dict(self) -> dict[str, Any]:
        """The content of the table's file, with these rows."""
        return {**self.table.model_dump(mode="json"), "rows": [row.model_dump(mode="json") for row in self.chosen]}

    def rows(self) -> Rows:
        """The cells of the table, under full labels."""
        (sheet,) = self.sheets()
        return Rows((*_ROW_COLUMNS, *self._published_labels), (line.cells for line in sheet.lines))

    @property
    def _published_labels(self) -> list[str]:
        """The labels for which a figure is published."""
        return [label for label in self.table.metrics if any(label in row.published for row in self.chosen)]


def _published(row: Row, label: str) -> str:
    return decimals(row.published[label], 2) if label in row.published else MISSING


def _main_sheet(results: Results) -> Sheet:
    published = any(row.row.published for row in results.rows)
    names, header, labels = short_names(results.table.metrics), ["row"], []
    # Labels of measured figures also say how many images were used, if not all were.
    measured = next((row.figures for row in results.rows if row.figures), None)
    own_labels = [figure.metric.label for figure in measured] if measured else results.table.metrics
    for label, own in zip(results.table.metrics, own_labels, strict=True):
        header += [f"{names[label]} published", f"{names[label]} measured"] if published else [names[label]]
        labels += [label, own] if published else [own]
    lines = tuple(Line((row.row.label, *_cells(row, results, published))) for row in results.rows)
    return Sheet(_title(results), tuple(header), lines, notes=tuple(_notes(results, published)), labels=tuple(labels))


def _cells(row: RowFigures, results: Results, published: bool) -> Iterator[str]:
    for place, label in enumerate(results.table.metrics):
        if published:
            yield _published(row.row, label)
        yield _with_margin(row.figures[place].metric) if row.figures else MISSING


def _title(results: Results) -> str:
    parts = [results.table.title]
    if results.run is not None:
        protocol = results.run.protocol
        made = (
            "published"
            if protocol.source == "published"
            else f"generated by {protocol.engine}, recipe {protocol.recipe}"
        )
        parts += [protocol.dataset, protocol.images_in_words, made]
    return " · ".join(parts)


def _notes(results: Results, published: bool) -> Iterator[str]:
    table = results.table
    if published:
        yield f"Published: {table.source}."
    yield (
        "All figures are in percent. R_net: error taken off the baseline row, clean and corrupted, in percent of twice "
        "the baseline's clean error."
    )
    if results.run is not None:
        yield (
            f"± or [low, high]: {percent(results.confidence)} interval, for images like these "
            f"{results.run.protocol.n:,}, of the mean over the trained networks as they are; it does not cover what "
            "another training would give."
        )
    yield from _seeds_note(results)
    for row in results.rows:
        if row.failures:
            failed = "; ".join(f"{name} failed ({error.message})" for name, error in row.failures.items())
            yield f"{row.row.label}: {failed}."
    yield from _given(results)
    unfinished = [row.row.label for row in results.rows if not row.figures and not row.failures]
    if unfinished:
        yield f"{MISSING}: not trained or not measured yet: {', '.join(unfinished)}."
    yield from reason_notes((f.column.label, f.metric.reason) for row in results.rows for f in row.figures)
    yield from _overlaps(results)
    if any(row.clean_from_card for row in results.rows):
        yield ("There are no clean images: clean errors come from the checkpoints' cards, without an interval.")
    yield from (
        f"Differs from the publication: {sentence}" if published else sentence
        for sentence in table.protocol_differences
    )


def _seeds_note(results: Results) -> Iterator[str]:
    counts = sorted({len(row.seeds) for row in results.rows if row.seeds})
    if not counts:
        return
    if counts == [1]:
        yield "One training per row: how much another seed would change a figure is not known."
        return
    words = " or ".join(map(str, counts))
    yield (
        f"Means over {words} trainings per row, with different seeds. Their range is in the last table; it is not an "
        "interval."
    )


def _given(results: Results) -> Iterator[str]:
    """The checkpoints that the user gave, and how each differs from its row."""
    for row in results.rows:
        for given in row.given:
            seed = f", seed {given.seed}" if len(row.given) > 1 else ""
            yield f"{row.row.label}{seed}: {given.words}."


def _overlaps(results: Results) -> Iterator[str]:
    """Which rows were trained with augmentations that resemble test corruptions."""
    overlaps = dict.fromkeys(row.trained_on for row in results.rows if row.trained_on)
    for names in overlaps:
        labels = [row.row.label for row in results.rows if row.trained_on == names]
        yield f"{', '.join(labels)}: trained with augmentations like the test corruptions {', '.join(names)}."


def _against_sheet(results: Results) -> Sheet:
    """Differences from the baseline: a column for each error, then for each family of corruptions."""
    base = results.table.row(results.table.baseline).label
    names = list(dict.fromkeys(a.name for row in results.rows for a in row.against))
    overall = next((label for label in _mean_errors(results) if label in names), names[0])
    lines = []
    for row in results.rows:
        if not row.against:
            continue
        found = {against.name: against for against in row.against}
        points = [found[name].points if name in found else None for name in names]
        cells = [MISSING if one is None else f"{signed(one.value, 2)} {margin(one)}" for one in points]
        p = p_value(found[overall].p) if overall in found else MISSING
        lines.append(Line((row.row.label, *cells, p)))
    short = short_names(names)
    notes = (
        "Percentage points; negative means fewer errors. Paired by image; ± as above, for each number by itself.",
        f"p: two-sided test of no difference in {short[overall]}, for images like these, adjusted for the number of "
        "rows (Holm).",
    )
    header = ("row", *short.values(), "p")
    return Sheet(f"Against {base}", header, tuple(lines), notes=notes, labels=tuple(names))


def _seeds_sheet(results: Results) -> Sheet:
    """The figures of each network, their range, and the difference from the baseline with the same seed."""
    seeds = sorted({seed for row in results.rows for seed in row.seeds})
    overall = next(_mean_errors(results), None)
    names, header = short_names(results.table.metrics), ["row"]
    for label in results.table.metrics:
        header += [names[label], "range"]
    if overall:
        header.append(f"difference in {names[overall]}")
    lines = tuple(Line((row.row.label, *_singles(row, seeds, overall))) for row in results.rows if row.figures)
    note = (
        "Each network by itself; R_net and difference are against the network with the same seed. The range of two or "
        "three trainings shows how much the seed matters; it is not an interval."
    )
    title = f"By seed: {', '.join(map(str, seeds))}"
    return Sheet(title, tuple(header), lines, notes=(note,), labels=results.table.metrics)


def _mean_errors(results: Results) -> Iterator[str]:
    """The labels of the columns of mean errors."""
    return (column.label for column in results.table.columns() if column.quantity.is_plain)


def _singles(row: RowFigures, seeds: Sequence[int], overall: str | None) -> Iterator[str]:
    """The cells of a row, after its label."""
    for figure in row.figures:
        yield _by_seed({seed: decimals(value, 2) for seed, value in figure.by_seed.items()}, seeds)
        yield MISSING if figure.range is None else decimals(figure.range, 2)
    if overall:
        changes = next((against.by_seed for against in row.against if against.name == overall), {})
        yield _by_seed({seed: signed(value, 2) for seed, value in changes.items()}, seeds)


def _by_seed(values: Mapping[int, str], seeds: Sequence[int]) -> str:
    """``32.30 / 32.87``, or a dash where there are none."""
    return " / ".join(values.get(seed, MISSING) for seed in seeds) if values else MISSING


def _with_margin(metric: Metric) -> str:
    """``32.30 ± 1.12``, ``11.1 [2.0, 43.5]``, or the number alone if it has no interval."""
    if metric.value is None:
        return NOT_AVAILABLE
    return decimals(metric.value, 2) if metric.interval is None else with_interval(metric.interval)


def _row_dict(row: RowFigures) -> dict[str, Any]:
    return {
        "row": row.row.id,
        "label": row.row.label,
        "model": row.row.model,
        "augment": row.row.augment,
        "jsd": row.row.jsd,
        "seeds": list(row.seeds),
        "published": dict(row.row.published),
        "measured": [_figure_dict(figure) for figure in row.figures],
        "against_baseline": [_against_dict(against) for against in row.against],
        "trained_on_corruptions": list(row.trained_on),
        "given": [
            {"seed": given.seed, "checkpoint": str(given.path), "differences": list(given.differences)}
            for given in row.given
        ],
        "failures": {name: str(error) for name, error in row.failures.items()},
    }


def _figure_dict(figure: Figure) -> dict[str, Any]:
    metric = figure.metric
    return {
        "column": figure.column.label,
        "label": metric.label,
        "value": rounded(metric.value),
        "unit": metric.unit,
        "reason": metric.reason,
        **low_and_high(metric.interval),
        "by_seed": _rounded(figure.by_seed),
        "range_over_seeds": rounded(figure.range),
    }


def _against_dict(against: Against) -> dict[str, Any]:
    return {
        "name": against.name,
        "points": rounded(against.points.value),
        **low_and_high(against.points),
        "p": against.p,
        "by_seed": _rounded(against.by_seed),
    }


def _tidy(row: RowFigures) -> Iterator[tuple[Any, ...]]:
    """Rows of `_COLUMNS`."""
    name = row.row.id
    for given in row.given:
        yield name, "given", str(given.path), given.seed, "", "", "", "", "", "; ".join(given.differences)
    for label, value in row.row.published.items():
        yield name, "published", label, "", value, "%", "", "", "", ""
    for figure in row.figures:
        metric = figure.metric
        ends = low_and_high(metric.interval)
        yield name, "measured", metric.label, "", rounded(metric.value), metric.unit, *ends.values(), "", metric.reason
        for seed, value in figure.by_seed.items():
            yield name, "measured", metric.label, seed, rounded(value), metric.unit, "", "", "", ""
    for against in row.against:
        ends = low_and_high(against.points)
        points = rounded(against.points.value)
        yield name, "difference", against.name, "", points, "points", *ends.values(), against.p, ""
        for seed, value in against.by_seed.items():
            yield name, "difference", against.name, seed, rounded(value), "points", "", "", "", ""


def _rounded(values: Mapping[int, float]) -> dict[str, float | None]:
    return {str(seed): rounded(value) for seed, value in values.items()}
