"""The rows of comparison tables: differences in order, with their names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ppbench.compare.comparison import Comparison
from ppbench.compare.difference import Difference, groups_of
from ppbench.metrics.calibration import MEASURES
from ppbench.metrics.passes import errors_by_pass, spread_over
from ppbench.metrics.quantities import case_of
from ppbench.metrics.without_labels import plain_of, quantities_of, quantity_called, wording
from ppbench.tables.numbers import decimals
from ppbench.tables.sheet import MISSING, Line, LineKind, short_name
from ppbench.vocabulary import family_of, set_label

REFERENCE = "reference"
"""The name of the reference in labels of a table whose title names it."""


_ADAPTED = re.compile(r",?[^,\[\]]+-adapted(?: in batches of [0-9]+)?")


class TableRow(NamedTuple):
    """A row of a table. Without a difference it is the heading of the rows after it."""

    name: str
    kind: LineKind
    difference: Difference | None = None
    label: str = ""
    """The label that the name is short for; empty if the name is complete."""


def main_rows(comparisons: Sequence[Comparison], *, cells: bool = False) -> list[TableRow]:
    """The headline metrics, then mean errors by family and corruption, and by cell on request.

    Args:
        comparisons: Comparisons with one reference. Each difference that any of them has becomes one row.
        cells: Whether to add single cells.
    """
    differences, first = _union(comparisons), comparisons[0]
    headline = _of(differences, "metric")
    names = [difference.name for difference in headline]
    # Two definitions of one metric have no name in common.
    rows = [_named(d.label, first, d, d.in_unit, is_clear=names.count(d.name) == 1) for d in headline]
    return [*rows, *_section(differences, first, "family", "corruption", cells=cells)]


def ratio_rows(comparisons: Sequence[Comparison]) -> list[TableRow]:
    """CE and relative CE by family and corruption; empty without a normaliser."""
    differences, first = _union(comparisons), comparisons[0]
    of = quantities_of(first.reference.run.protocol)
    given = [quantity for quantity in of.values() if quantity.name_of_one and not quantity.is_plain]
    if first.normalizer == "none":
        given = [quantity for quantity in given if quantity.reference != "normalizer"]
    return [row for quantity in given for row in _section(differences, first, *groups_of(quantity))]


def calibration_rows(comparisons: Sequence[Comparison]) -> list[TableRow]:
    """Calibration error, log loss and top-5 error: clean, over all corruptions, by family and corruption."""
    differences, first = _union(comparisons), comparisons[0]
    return [row for name in MEASURES for row in _calibration([d for d in differences if d.metric == name], first)]


def with_spreads(lines: Sequence[Line], found: Sequence[TableRow], comparisons: Sequence[Comparison]) -> list[Line]:
    """Add a line below the headline metrics of a table: the spread of the mean error over passes, if there are several.

    Args:
        lines: The lines of the table, one for each row.
        found: The rows.
        comparisons: Comparisons with one reference, which has the first column.
    """
    first = comparisons[0].reference
    quantity, runs = plain_of(first.run.protocol), [first, *(comparison.other for comparison in comparisons)]
    spreads = [spread_over(errors_by_pass(run.cell_errors), quantity, case_of(run.cell_errors)) for run in runs]
    headline = sum(row.difference is not None and row.difference.group == "metric" for row in found)
    if not headline or all(spread is None for spread in spreads):
        return list(lines)
    texts = (MISSING if spread is None else decimals(spread, 2) for spread in spreads)
    spread = Line((f"sd of the {wording(first.run.protocol).mean} over passes", *texts))
    return [*lines[:headline], spread, *lines[headline:]]


def _union(comparisons: Sequence[Comparison]) -> list[Difference]:
    found: dict[object, Difference] = {}
    for difference in (d for comparison in comparisons for d in comparison.differences):
        found.setdefault(identity(difference), difference)
    return list(found.values())


def identity(difference: Difference) -> tuple[tuple[str, str, str], str]:
    """The key that matches rows of several comparisons: the same number with the same definition."""
    return difference.key, difference.label


def _named(
    label: str, first: Comparison, difference: Difference | None = None, suffix: str = "", *, is_clear: bool = True
) -> TableRow:
    """A row with the short name of its metric, unless two definitions would share it."""
    is_clear = is_clear and _has_one_definition(label)
    name = short_name(label.partition(" / ")[0]) if is_clear else _without_title(label, first)
    kind: LineKind = "group" if difference is None else "plain"
    return TableRow(f"{name}{suffix}", kind, difference, label if is_clear else "")


def _has_one_definition(label: str) -> bool:
    """Whether both runs have one definition; an adaptation does not count, for it is in the heading of its column."""
    return len({_ADAPTED.sub("", part).replace("[]", "") for part in label.split(" / ")}) == 1


def _without_title(label: str, comparison: Comparison) -> str:
    """A label without the number of images and the name of the reference, which the title has."""
    errors = comparison.reference.cell_errors
    if errors.subset:
        label = label.replace(f"[{errors.subset}]", "").replace(f",{errors.subset}]", "]")
        label = label.replace(f"[{errors.subset},", "[").replace(f",{errors.subset},", ",")
    quantity = quantity_called(label.partition("[")[0])
    if comparison.normalizer_is_reference or (quantity and quantity.reference == "baseline"):
        label = label.replace(f"[{errors.source},", f"[{REFERENCE},")
    return label


def _section(
    differences: Sequence[Difference], first: Comparison, family: str, corruption: str, *, cells: bool = False
) -> Iterator[TableRow]:
    """A heading with the common definition of its rows, then families with their corruptions."""
    members = _of(differences, corruption)
    if not members:
        return
    # In the main table the metric already has its own row.
    yield _named(_common_label(members[0]), first, suffix=" by family" if family == "family" else members[0].in_unit)
    letter = wording(first.reference.run.protocol).letter
    yield from _by_family(differences, family, corruption, cells=cells, letter=letter)


def _by_family(
    differences: Sequence[Difference], family: str, corruption: str, *, cells: bool = False, letter: str = "s"
) -> Iterator[TableRow]:
    for whole in _of(differences, family):
        yield TableRow(whole.name, "group", whole)
        for part in _of(differences, corruption):
            if family_of(part.name) != whole.name:
                continue
            yield TableRow(f"  {part.name}", "plain", part)
            own = [d for d in _of(differences, "cell") if cells and d.name.startswith(f"{part.name}/")]
            yield from (TableRow(f"    {letter}{cell.name.rpartition('/')[2]}", "plain", cell) for cell in own)


def _calibration(differences: Sequence[Difference], first: Comparison) -> Iterator[TableRow]:
    members = _of(differences, "calibration_corruption")
    if not members:
        return
    yield _named(_common_label(members[0]), first, suffix=members[0].in_unit)
    yield from (TableRow(d.name, "plain", d) for d in _of(differences, "calibration"))
    yield from _by_family(differences, "calibration_family", "calibration_corruption")


def _common_label(difference: Difference) -> str:
    """``CE[alexnet,s1-5]`` from ``CE[alexnet,fog,s1-5]``, for each of two definitions."""
    parts = difference.label.split(" / ")
    return " / ".join(part.replace(f"{set_label([difference.name])},", "", 1) for part in parts)


def _of(differences: Sequence[Difference], group: str) -> list[Difference]:
    return [difference for difference in differences if difference.group == group]
