"""Comparisons as tables of text, for Rich, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ppbench.compare.comparison import ADJUSTED, Comparison, Difference
from ppbench.compare.words import detectable_words, ends, in_words, p_value, percent, signed
from ppbench.report.sheets import NOT_AVAILABLE, Kind, Line, Sheet
from ppbench.vocabulary import family_of


def sheets(comparisons: Sequence[Comparison], *, cells: bool = False) -> list[Sheet]:
    """A table for each model that is compared with the reference."""
    return [_sheet(comparison, cells) for comparison in comparisons]


def _sheet(comparison: Comparison, cells: bool) -> Sheet:
    reference, other = comparison.reference, comparison.other
    header = ("%", reference.name, other.name, "change", f"{percent(comparison.confidence)} interval", "p", "shows")
    return Sheet(_title(comparison), header, tuple(_lines(comparison, cells)), notes=tuple(_notes(comparison)))


def _title(comparison: Comparison) -> str:
    protocol = comparison.reference.run.protocol
    images = comparison.reference.accuracies.images or f"all {protocol.total}"
    parts = [protocol.dataset, f"{images} images", f"normaliser {comparison.normalizer}"]
    return " · ".join([f"{comparison.other.name} against {comparison.reference.name}", *parts])


def _lines(comparison: Comparison, cells: bool) -> Iterator[Line]:
    yield from (_line(difference, difference.label) for difference in comparison.group("metric"))
    yield Line(("mean error",), "group")
    for family in comparison.group("family"):
        yield _line(family, family.name, "group")
        for corruption in comparison.group("corruption"):
            if family_of(corruption.name) != family.name:
                continue
            yield _line(corruption, f"  {corruption.name}")
            if cells:
                own = [c for c in comparison.group("cell") if c.name.startswith(f"{corruption.name}/")]
                yield from (_line(cell, f"    s{cell.name.rpartition('/')[2]}") for cell in own)


def _line(difference: Difference, name: str, kind: Kind = "plain") -> Line:
    values = [_number(difference.reference), _number(difference.value)]
    if difference.points is None or difference.p is None or difference.detectable is None:
        return Line((name, *values, *[NOT_AVAILABLE] * 4), kind)
    change = (signed(difference.points.value, 2), ends(difference.points, 2))
    return Line((name, *values, *change, p_value(difference.p), detectable_words(difference.detectable)), kind)


def _number(value: float | None) -> str:
    return NOT_AVAILABLE if value is None else f"{round(value, 10):.2f}"


def _notes(comparison: Comparison) -> Iterator[str]:
    """The verdict first: it is what one reads."""
    yield in_words(comparison)
    yield (
        "Change and interval in points, paired by image, each interval for itself; p: two-sided, of families and of "
        "corruptions adjusted for their number (Holm); shows: the smallest change that these images show four times "
        "out of five."
    )
    if comparison.allowed:
        yield f"Allowed to differ: {'; '.join(comparison.allowed)}."
    absent = [d for d in comparison.differences if d.group != "cell" and d.reason is not None]
    for reason in dict.fromkeys(d.reason for d in absent):
        names = ", ".join(d.name for d in absent if d.reason == reason and d.group not in ADJUSTED)
        yield f"{NOT_AVAILABLE}: {names or 'some rows'}: {reason}."
