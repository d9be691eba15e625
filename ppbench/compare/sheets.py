"""Comparisons as tables of text, for Rich, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from ppbench.compare.comparison import Comparison
from ppbench.compare.difference import Difference
from ppbench.compare.notes import common_notes, pair_notes, reasons
from ppbench.compare.rows import REFERENCE, Row, calibration_rows, identity, main_rows, ratio_rows
from ppbench.tables.numbers import decimals, ends, p_value, percent, signed
from ppbench.tables.sheet import MISSING, NOT_AVAILABLE, Line, Sheet


def sheets(
    comparisons: Sequence[Comparison], *, cells: bool = False, all_metrics: bool = False, pairs: bool = False
) -> list[Sheet]:
    """The table of two runs; of more on the same images, one with a column for each run, then each pair's if wanted.

    Pairs over other images have other figures of the reference: these have a table each, and none in common.

    Args:
        comparisons: With one reference.
        cells: Single cells too.
        all_metrics: Tables of CE and relative CE, and of calibration, by family and corruption too.
        pairs: Each pair's own tables, where there are several.
    """
    if len(comparisons) == 1:
        return _pair_sheets(comparisons[0], cells=cells, all_metrics=all_metrics)
    images = {comparison.reference.run.protocol.ids_sha256 for comparison in comparisons}
    pairs = pairs or len(images) > 1
    of_pairs = [s for c in comparisons for s in _pair_sheets(c, cells=cells, all_metrics=all_metrics)] if pairs else []
    if len(images) > 1:
        return of_pairs
    return [*_common_sheets(comparisons, cells=cells, all_metrics=all_metrics), *of_pairs]


def _pair_sheets(comparison: Comparison, *, cells: bool, all_metrics: bool) -> list[Sheet]:
    names = f"{comparison.other.name} against {comparison.reference.name}"
    title = " · ".join([names, *_conditions(comparison)])
    main = main_rows([comparison], cells=cells)
    made = [_pair_sheet(comparison, title, main, pair_notes(comparison, _differences(main)))]
    for words, found in _more_rows([comparison], all_metrics=all_metrics):
        title = f"{words}: {names}"
        made.append(_pair_sheet(comparison, title, found, list(reasons([comparison], _differences(found)))))
    return made


def _more_rows(comparisons: Sequence[Comparison], *, all_metrics: bool) -> list[tuple[str, list[Row]]]:
    """What stands in tables of its own: the words of its title, and its rows."""
    found = [("CE", ratio_rows(comparisons)), ("Calibration", calibration_rows(comparisons))] if all_metrics else []
    return [(words, rows) for words, rows in found if rows]


def _pair_sheet(comparison: Comparison, title: str, found: Sequence[Row], notes: Sequence[str]) -> Sheet:
    header = ["%", comparison.reference.name, comparison.other.name, "change"]
    # Of calibration nothing has an interval: columns of n/a would say no more than the note does.
    tested = any(difference.points is not None for difference in _differences(found))
    header += [f"{percent(comparison.confidence)} interval", "p", "shows"] if tested else []
    lines = [Line((row.name, *_pair_cells(row.difference)[: len(header) - 1]), row.kind) for row in found]
    return Sheet(title, tuple(header), tuple(lines), notes=tuple(notes))


def _conditions(comparison: Comparison) -> list[str]:
    """What the labels of the table leave out."""
    accuracies, protocol = comparison.reference.accuracies, comparison.reference.run.protocol
    images = accuracies.images or f"all {protocol.total}"
    normalizer = f"the {REFERENCE}" if comparison.normalizer_is_reference else comparison.normalizer
    classes = [accuracies.classes] if accuracies.classes else []
    lost = f", {accuracies.unreadable:,} could not be read" if accuracies.unreadable else ""
    return [protocol.dataset, *classes, f"{images} images{lost}", f"normaliser {normalizer}"]


def _pair_cells(difference: Difference | None) -> list[str]:
    if difference is None:
        return []
    values = [_number(difference.reference, difference.unit), _number(difference.value, difference.unit)]
    if difference.change is None:
        return [*values, NOT_AVAILABLE, "", "", ""]
    change = _change(difference)
    if difference.points is None or difference.p is None or difference.detectable is None:
        return [*values, change, NOT_AVAILABLE, MISSING, MISSING]
    interval = ends(difference.points, 2)
    return [*values, change, interval, p_value(difference.p), decimals(difference.detectable, 2)]


def _common_sheets(comparisons: Sequence[Comparison], *, cells: bool, all_metrics: bool) -> list[Sheet]:
    """Several runs side by side: a column for each."""
    first = comparisons[0]
    names = f"Side by side, {REFERENCE} {first.reference.name}"
    title = " · ".join([names, *_conditions(first)])
    main = main_rows(comparisons, cells=cells)
    made = [_common_sheet(comparisons, title, main, common_notes(comparisons, _all_of(comparisons, main)))]
    for words, found in _more_rows(comparisons, all_metrics=all_metrics):
        notes = list(reasons(comparisons, _all_of(comparisons, found)))
        made.append(_common_sheet(comparisons, f"{words}: {names[0].lower()}{names[1:]}", found, notes))
    return made


def _common_sheet(comparisons: Sequence[Comparison], title: str, found: Sequence[Row], notes: Sequence[str]) -> Sheet:
    first = comparisons[0]
    values = [_reference_cell(row.difference) for row in found]
    known = [_by_identity(comparison) for comparison in comparisons]
    columns = [_aligned([_parts(row.difference, own, first.alpha) for row in found]) for own in known]
    lines = [
        Line((row.name,) if row.difference is None else (row.name, value, *cells), row.kind)
        for row, value, *cells in zip(found, values, *columns, strict=True)
    ]
    header = ("%", first.reference.name, *(comparison.other.name for comparison in comparisons))
    return Sheet(title, header, tuple(lines), notes=tuple(notes))


def _all_of(comparisons: Sequence[Comparison], found: Sequence[Row]) -> list[Difference]:
    """What all of the comparisons have in these rows."""
    known = [_by_identity(comparison) for comparison in comparisons]
    wanted = [identity(difference) for difference in _differences(found)]
    return [own[key] for own in known for key in wanted if key in own]


def _by_identity(comparison: Comparison) -> dict[object, Difference]:
    return {identity(difference): difference for difference in comparison.differences}


def _reference_cell(difference: Difference | None) -> str:
    return "" if difference is None else _number(difference.reference, difference.unit)


def _parts(wanted: Difference | None, known: dict[object, Difference], alpha: float) -> tuple[str, str, str]:
    """Value, change with its mark, and half the width of the interval; empty where a run has none."""
    if wanted is None:
        return "", "", ""
    difference = known.get(identity(wanted))
    if difference is None:
        return MISSING, "", ""
    value = _number(difference.value, difference.unit)
    if difference.change is None:
        return value, "", ""
    mark = "*" if difference.is_shown(alpha) else " "
    half = "" if difference.points is None else f"{difference.points.margin:.2f}"
    return value, f"{_change(difference)}{mark}", half


def _aligned(parts: Sequence[tuple[str, str, str]]) -> list[str]:
    """``17.55 -1.28* ± 1.05``, the parts below each other where the column is flush right."""
    _, change_width, half_width = (max(map(len, texts), default=0) for texts in zip(*parts, strict=True))
    return [
        f"{value} {change:>{change_width}} {'±' if half else ' '} {half:>{half_width}}".rstrip() if change else value
        for value, change, half in parts
    ]


def _differences(found: Sequence[Row]) -> list[Difference]:
    return [row.difference for row in found if row.difference is not None]


def _number(value: float | None, unit: str) -> str:
    return NOT_AVAILABLE if value is None else f"{round(value, 10):.{_digits(unit)}f}"


def _change(difference: Difference) -> str:
    assert difference.change is not None
    return signed(difference.change, _digits(difference.unit))


def _digits(unit: str) -> int:
    """A hundredth of a percent, a thousandth of a nat."""
    return 2 if unit == "%" else 3
