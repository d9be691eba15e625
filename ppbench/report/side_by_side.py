"""Several runs side by side in one table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ppbench.metrics.without_labels import wording
from ppbench.report.summary import RunSummary, absence_notes, training_notes
from ppbench.tables.numbers import metric_text, spread_text
from ppbench.tables.sheet import Line, Sheet, short_name
from ppbench.vocabulary import SEVERITIES, set_label


def comparison_sheet(summaries: Sequence[RunSummary]) -> Sheet:
    """The headline metrics and the mean errors by family and severity, with one column per run.

    If the label of a metric differs between runs, for example by the baseline, its row has all labels as its name.
    """
    metrics = list(zip(*(summary.metrics for summary in summaries), strict=True))
    # Runs in which a metric has no value may lack what its label names.
    labels = [_each_once(one.label for one in of if one.value is not None) or [of[0].label] for of in metrics]
    # Two definitions have no name in common.
    names = [short_name(of[0]) if len(of) == 1 else " / ".join(of) for of in labels]
    units = ["" if of[0].unit == "%" else f", {of[0].unit}" for of in metrics]
    lines = []
    for name, unit, of in zip(names, units, metrics, strict=True):
        lines.append(Line((f"{name}{unit}", *map(metric_text, of))))
        if any(one.spread is not None for one in of):
            lines.append(Line(("  sd over passes", *map(spread_text, of))))
    words = wording(summaries[0].cell_errors.protocol)
    mean = words.mean
    lines.append(Line((f"{mean} by family",), "group"))
    lines += _family_lines(summaries)
    lines.append(Line((f"{mean} by {words.level}",), "group"))
    for severity in (s for s in SEVERITIES if any(s in summary.severities for summary in summaries)):
        lines.append(
            Line((f"  {words.letter}{severity}", *(metric_text(one.severities.get(severity)) for one in summaries)))
        )
    runs = [summary.cell_errors.source for summary in summaries]
    conditions = [summary.conditions for summary in summaries]
    common = [part for part in conditions[0] if all(part in others for others in conditions)]
    own = [[part for part in parts if part not in common] for parts in conditions]
    notes = [f"{name}: {' · '.join(parts)}." for name, parts in zip(runs, own, strict=True) if parts]
    notes += [*absence_notes(summaries), *_interval_notes(summaries)]
    notes += [f"Worst cell of {one.cell_errors.source}: {one.worst_cell_text}." for one in summaries if one.worst_cell]
    notes += training_notes([summary.cell_errors for summary in summaries])
    shortened = tuple(of[0] for of in labels if len(of) == 1)
    title = " · ".join(["Side by side", *common])
    return Sheet(title, ("%", *runs), tuple(lines), notes=tuple(notes), labels=shortened)


def told_apart(names: Sequence[str]) -> list[str]:
    """The names; one that is not the first of its kind gets a number: ``net``, ``net (2)``."""
    found: list[str] = []
    for name in names:
        number, free = 1, name
        while free in found:
            number += 1
            free = f"{name} ({number})"
        found.append(free)
    return found


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


def _each_once(values: Iterable[str]) -> list[str]:
    """Distinct values in the order of first appearance."""
    return list(dict.fromkeys(values))
