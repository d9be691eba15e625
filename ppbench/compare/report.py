"""The report of comparisons: their tables, the notes below them, their JSON and their CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ppbench.compare.comparison import Comparison
from ppbench.compare.consistency import consistency_dict, consistency_records, consistency_sheet
from ppbench.compare.difference import Difference
from ppbench.compare.measured import incomplete_text
from ppbench.compare.rows import REFERENCE, TableRow, calibration_rows, identity, main_rows, ratio_rows, with_spreads
from ppbench.compare.verdict import verdict_text
from ppbench.metrics.of_streams import stream_in_words
from ppbench.metrics.without_labels import has_labels, has_normalizer, quantities_of, quantity_called, wording
from ppbench.report.summary import exact_note, training_notes
from ppbench.tables.numbers import decimals, ends, p_value, percent, reason_notes, signed
from ppbench.tables.report import Rows
from ppbench.tables.rows import low_and_high, rounded
from ppbench.tables.sheet import MISSING, NOT_AVAILABLE, Line, Sheet, Tone

_COLUMNS = (
    "reference_run", "run", "group", "name", "reference", "value", "difference", "low", "high", "confidence", "p",
    "detectable", "label", "reason", "metric", "unit",
)  # fmt: skip
"""Values are in percent and differences in points, or both in nats."""


@dataclass(frozen=True)
class ComparisonReport:
    """The report of comparisons of one or more models with the same reference. JSON and CSV are always complete."""

    comparisons: Sequence[Comparison]
    cells: bool = False
    """Whether tables have rows for single cells."""
    all_metrics: bool = False
    """Whether there are tables of CE and relative CE, and of calibration, by family and corruption."""
    pairs: bool = False
    """Whether each of several pairs has its own tables."""

    def sheets(self) -> list[Sheet]:
        """The table of two runs. Several runs have one table with a column each, and each pair's table on request.

        If pairs are over different images, the reference has different figures in each. Then there are only the tables
        of pairs.
        """
        if len(self.comparisons) == 1:
            return self._pair_sheets(self.comparisons[0])
        images = {comparison.reference.run.protocol.ids_sha256 for comparison in self.comparisons}
        pairs = self.pairs or len(images) > 1
        of_pairs = [sheet for one in self.comparisons for sheet in self._pair_sheets(one)] if pairs else []
        return of_pairs if len(images) > 1 else [*self._common_sheets(), *of_pairs]

    def _pair_sheets(self, comparison: Comparison) -> list[Sheet]:
        names = f"{comparison.other.name} against {comparison.reference.name}"
        title = " · ".join([names, *_conditions(comparison)])
        main = main_rows([comparison], cells=self.cells)
        made = [_pair_sheet(comparison, title, main, _pair_notes(comparison, _differences(main)))]
        for words, found in self._more_rows([comparison]):
            notes = _reasons([comparison], _differences(found))
            made.append(_pair_sheet(comparison, f"{words}: {names}", found, notes))
        return [*made, consistency_sheet([comparison])] if self._has_consistency else made

    def _common_sheets(self) -> list[Sheet]:
        """Several runs side by side: a column for each."""
        several, first = self.comparisons, self.comparisons[0]
        names = f"ide by side, {REFERENCE} {first.reference.name}"
        main = main_rows(several, cells=self.cells)
        title = " · ".join([f"S{names}", *_conditions(first)])
        made = [_common_sheet(several, title, main, _common_notes(several, _all_of(several, main)))]
        for words, found in self._more_rows(several):
            notes = _reasons(several, _all_of(several, found))
            made.append(_common_sheet(several, f"{words}: s{names}", found, notes))
        return [*made, consistency_sheet(several)] if self._has_consistency else made

    @property
    def _has_consistency(self) -> bool:
        return self.all_metrics and _have_consistency(self.comparisons[0])

    def _more_rows(self, comparisons: Sequence[Comparison]) -> list[tuple[str, list[TableRow]]]:
        """The title words and rows of the further tables."""
        if not self.all_metrics:
            return []
        flips = comparisons[0].reference.cell_errors.flips
        ratios = "FR and top-5 distance" if flips else "CE" if _have_labels(comparisons[0]) else "Confidence lost"
        found = [(ratios, ratio_rows(comparisons)), ("Calibration", calibration_rows(comparisons))]
        return [(words, rows) for words, rows in found if rows]

    def as_dict(self) -> dict[str, Any]:
        """Values in percent, differences in points; log loss in nats."""
        return {"comparisons": [_comparison_dict(comparison) for comparison in self.comparisons]}

    def rows(self) -> Rows:
        """A row for each difference, then one for each error consistency."""
        records = []
        for comparison in self.comparisons:
            of = {
                "reference_run": comparison.reference.name,
                "run": comparison.other.name,
                "confidence": comparison.confidence,
            }
            more = consistency_records(comparison) if _have_consistency(comparison) else ()
            found = [*map(_difference_dict, comparison.differences), *more]
            records += [{**dict.fromkeys(_COLUMNS), **of, **record} for record in found]
        return Rows.of_records(records, _COLUMNS)


def _comparison_dict(comparison: Comparison) -> dict[str, Any]:
    protocol = comparison.reference.run.protocol
    return {
        "reference": comparison.reference.name,
        "run": comparison.other.name,
        "dataset": protocol.dataset,
        "n": protocol.n,
        "total": protocol.total,
        "normalizer": comparison.normalizer,
        "normalizer_is_exact": comparison.normalizer_is_exact,
        "confidence": comparison.confidence,
        "allowed": list(comparison.allowed),
        "remarks": list(comparison.remarks),
        "same_weights": comparison.same_weights,
        "verdict": verdict_text(comparison),
        "differences": [_difference_dict(difference) for difference in comparison.differences],
        "error_consistency": consistency_dict(comparison) if _have_consistency(comparison) else None,
    }


def _have_labels(comparison: Comparison) -> bool:
    return has_labels(comparison.reference.run.protocol)


def _have_consistency(comparison: Comparison) -> bool:
    """Whether error consistency, which is about single right predictions, can be computed."""
    return _have_labels(comparison) and not comparison.reference.run.protocol.has_trials


def _difference_dict(difference: Difference) -> dict[str, Any]:
    return {
        "group": difference.group,
        "name": difference.name,
        "label": difference.label,
        "reference": rounded(difference.reference),
        "value": rounded(difference.value),
        "difference": rounded(difference.change),
        **low_and_high(difference.points),
        "p": difference.p,
        "detectable": rounded(difference.detectable),
        "reason": difference.reason,
        "metric": difference.metric,
        "unit": difference.unit,
    }


def _conditions(comparison: Comparison) -> list[str]:
    """The conditions that the labels of the table leave out."""
    errors, protocol = comparison.reference.cell_errors, comparison.reference.run.protocol
    lost = f", {errors.unreadable:,} could not be read" if errors.unreadable else ""
    normalizer = f"the {REFERENCE}" if comparison.normalizer_is_reference else comparison.normalizer
    without = stream_in_words(protocol) or "labels: each model's own clean predictions"
    last = f"normaliser {normalizer}" if has_normalizer(protocol) else without
    frames = str(protocol.sequences or "")
    parts = [protocol.dataset, errors.classes, f"{protocol.images_in_words}{lost}", frames, errors.passes, last]
    return [part for part in parts if part]


def _pair_sheet(comparison: Comparison, title: str, found: Sequence[TableRow], notes: Sequence[str]) -> Sheet:
    header = ["%", comparison.reference.name, comparison.other.name, "change"]
    # No calibration metric has an interval. Columns full of n/a would add nothing to the note.
    tested = any(difference.points is not None for difference in _differences(found))
    header += [f"{percent(comparison.confidence)} interval", "p", "detects"] if tested else []
    lines = [
        Line((row.name, *_pair_cells(row.difference)[: len(header) - 1]), row.kind, tones=_tones(row, [comparison], 3))
        for row in found
    ]
    lines = with_spreads(lines, found, [comparison])
    return Sheet(title, tuple(header), tuple(lines), notes=tuple(notes), labels=_labels(found), names=(1, 2))


def _pair_cells(difference: Difference | None) -> list[str]:
    if difference is None:
        return []
    digits = _digits(difference)
    values = [decimals(difference.reference, digits), decimals(difference.value, digits)]
    if difference.change is None:
        return [*values, NOT_AVAILABLE, "", "", ""]
    change = signed(difference.change, digits)
    if difference.points is None or difference.p is None:
        return [*values, change, NOT_AVAILABLE, MISSING, MISSING]
    return [*values, change, ends(difference.points, 2), p_value(difference.p), decimals(difference.detectable, 2)]


def _common_sheet(
    comparisons: Sequence[Comparison], title: str, found: Sequence[TableRow], notes: Sequence[str]
) -> Sheet:
    first = comparisons[0].reference.name
    references = ["" if (d := row.difference) is None else decimals(d.reference, _digits(d)) for row in found]
    columns = [_column(comparison, found) for comparison in comparisons]
    lines = [
        Line((row.name,) if row.difference is None else (row.name, *cells), row.kind, tones=_tones(row, comparisons, 2))
        for row, *cells in zip(found, references, *columns, strict=True)
    ]
    header = ("%", first, *(comparison.other.name for comparison in comparisons))
    names = tuple(range(1, len(header)))
    lines = with_spreads(lines, found, comparisons)
    return Sheet(title, header, tuple(lines), notes=tuple(notes), labels=_labels(found), names=names)


def _tones(row: TableRow, comparisons: Sequence[Comparison], first: int) -> dict[int, Tone]:
    """Colours of the changes that are shown, by column from ``first`` on."""
    tones: dict[int, Tone] = {}
    for place, comparison in enumerate(comparisons, first):
        difference = row.difference and _by_identity(comparison).get(identity(row.difference))
        if difference and difference.change and _is_marked(difference, comparison.alpha):
            quantity = quantity_called(difference.metric)
            higher_is_better = quantity is not None and quantity.higher_is_better
            tones[place] = "better" if (difference.change > 0) is higher_is_better else "worse"
    return tones


def _labels(found: Sequence[TableRow]) -> tuple[str, ...]:
    return tuple(row.label for row in found if row.label)


def _column(comparison: Comparison, found: Sequence[TableRow]) -> list[str]:
    """``17.55 -1.28* ± 1.05``, padded so that the parts align in a column that is flush right."""
    known = _by_identity(comparison)
    parts = [_parts(row.difference, known, comparison.alpha) for row in found]
    _, change_width, half_width = (max(map(len, texts), default=0) for texts in zip(*parts, strict=True))
    return [
        f"{value} {change:>{change_width}} {'±' if half else ' '} {half:>{half_width}}".rstrip() if change else value
        for value, change, half in parts
    ]


def _parts(wanted: Difference | None, known: dict[object, Difference], alpha: float) -> tuple[str, str, str]:
    """Value, change with its mark, and half the width of the interval; empty where a run has none."""
    if wanted is None:
        return "", "", ""
    difference = known.get(identity(wanted))
    if difference is None:
        return MISSING, "", ""
    digits = _digits(difference)
    value = decimals(difference.value, digits)
    if difference.change is None:
        return value, "", ""
    mark = "*" if _is_marked(difference, alpha) else " "
    half = "" if difference.points is None else decimals(difference.points.margin, 2)
    return value, f"{signed(difference.change, digits)}{mark}", half


def _is_marked(difference: Difference, alpha: float) -> bool:
    """Whether a change is marked as shown; one that is printed as zero never is, however sure it is."""
    printed = signed(difference.change or 0.0, _digits(difference))
    return difference.is_shown(alpha) and float(printed) != 0


def _digits(difference: Difference) -> int:
    """Decimals: hundredths of a percent or of a place, thousandths of a nat."""
    return 3 if difference.unit == "nats" else 2


def _differences(found: Sequence[TableRow]) -> list[Difference]:
    return [row.difference for row in found if row.difference is not None]


def _by_identity(comparison: Comparison) -> dict[object, Difference]:
    return {identity(difference): difference for difference in comparison.differences}


def _all_of(comparisons: Sequence[Comparison], found: Sequence[TableRow]) -> list[Difference]:
    """The differences of all comparisons in these rows."""
    known = [_by_identity(comparison) for comparison in comparisons]
    wanted = [identity(difference) for difference in _differences(found)]
    return [own[key] for own in known for key in wanted if key in own]


def _pair_notes(comparison: Comparison, shown: Sequence[Difference]) -> list[str]:
    """The notes below the table of one pair. The verdict, which most readers look for, comes first."""
    columns = (
        f"Change: in {_points(comparison)}, paired by {_unit(comparison)}; each interval is for its row alone. p: "
        f"{_adjusted(comparison)}. Detects: the smallest change that these {_sample(comparison)} would reveal "
        f"with 80 % probability. {_which_is_better(comparison)}"
    )
    return [verdict_text(comparison), columns, *_remarks([comparison]), *_reasons([comparison], shown)]


def _common_notes(comparisons: Sequence[Comparison], shown: Sequence[Difference]) -> list[str]:
    """The notes below the table of several runs, with a verdict for each."""
    first = comparisons[0]
    columns = (
        f"Beside each value: its change from {first.reference.name} ± half the width of the "
        f"{percent(first.confidence)} interval, in {_points(first)}, paired by {_unit(first)}. *: a difference is "
        f"shown (p < {first.alpha:.3g}, {_adjusted(first)}, separately for each run). {_which_is_better(first)}"
    )
    alike = any(d.is_shown(first.alpha) and not _is_marked(d, first.alpha) for d in shown)
    columns += " A change that rounds to zero has no *." if alike else ""
    return [*map(verdict_text, comparisons), columns, *_remarks(comparisons), *_reasons(comparisons, shown)]


def _unit(comparison: Comparison) -> str:
    return wording(comparison.reference.run.protocol).unit


def _sample(comparison: Comparison) -> str:
    return "frames" if comparison.reference.run.protocol.stream else "images"


def _adjusted(comparison: Comparison) -> str:
    if comparison.reference.run.protocol.stream is not None:
        return "two-sided"  # a stream has no families and corruptions whose tests add up
    return f"two-sided, adjusted over the families and over the {comparison.reference.cell_errors.what}s (Holm)"


def _points(comparison: Comparison) -> str:
    return "points (uT5D: places)" if comparison.reference.cell_errors.flips else "points"


def _which_is_better(comparison: Comparison) -> str:
    of = quantities_of(comparison.reference.run.protocol)
    names = [quantity.name for quantity in of.values() if quantity.higher_is_better]
    exceptions = f", except for {' and '.join(names)}, where higher is better" if names else ""
    return f"Lower is better{exceptions}."


def _remarks(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Notes on exact normalisers, images, allowed differences, training and unfinished runs, each once."""
    first = comparisons[0]
    if any(comparison.normalizer_is_exact for comparison in comparisons):
        yield exact_note(first.normalizer, flips=first.reference.cell_errors.flips)
    yield from dict.fromkeys(note for comparison in comparisons for note in comparison.rough)
    remarks = [remark for comparison in comparisons for remark in comparison.remarks]
    yield from (f"Note: {remark}." for remark in dict.fromkeys(remarks))
    allowed = [words for comparison in comparisons for words in comparison.allowed]
    if allowed:
        yield f"Allowed to differ: {'; '.join(dict.fromkeys(allowed))}."
    runs = {measured.name: measured for c in comparisons for measured in (c.reference, c.other)}
    yield from training_notes([replace(measured.cell_errors, source=name) for name, measured in runs.items()])
    absent = [words for measured in runs.values() if (words := incomplete_text(measured))]
    if absent:
        yield f"{' '.join(absent)} Only cells that both runs have are compared; means over a missing one are n/a."


def _reasons(comparisons: Sequence[Comparison], shown: Sequence[Difference]) -> list[str]:
    """Why rows have no difference or no interval."""
    runs = {m.cell_errors.source for c in comparisons for m in (c.reference, c.other) if incomplete_text(m)}
    # The note on incomplete runs already names their missing cells.
    said = tuple(f"{name} lacks " for name in runs)
    absent = [d for d in shown if d.group != "cell" and not str(d.reason).startswith(said)]
    return reason_notes((difference.metric, difference.reason) for difference in absent)
