"""What stands below comparison tables: the verdict, what the columns are, what is missing and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ppbench.compare.comparison import Comparison
from ppbench.compare.difference import Difference
from ppbench.compare.measured import ComparedRun
from ppbench.compare.verdict import verdict_text
from ppbench.report.sheets import training_notes
from ppbench.run import expected_cells
from ppbench.tables.numbers import percent
from ppbench.tables.sheet import NOT_AVAILABLE

BETTER = "Of errors less is better, of R_net more."
ADJUSTED_WORDS = "of families and of corruptions adjusted for their number (Holm)"


def pair_notes(comparison: Comparison, shown: Sequence[Difference]) -> list[str]:
    """Below the table of one pair; the verdict first: it is what one reads."""
    columns = (
        f"Change and interval in points, paired by image, each interval for itself; p: two-sided, {ADJUSTED_WORDS}; "
        f"shows: the smallest change that these images show four times out of five. {BETTER}"
    )
    return [verdict_text(comparison), columns, *_conditions([comparison]), *reasons([comparison], shown)]


def common_notes(comparisons: Sequence[Comparison], shown: Sequence[Difference]) -> list[str]:
    """Below the table of several runs: a verdict for each."""
    first = comparisons[0]
    level = f"p < {first.alpha:.3g}, two-sided, {ADJUSTED_WORDS}, each run for itself"
    columns = (
        f"Beside each value its change from {first.reference.name} ± half the width of the "
        f"{percent(first.confidence)} interval, in points, paired by image; *: shown to differ ({level}). {BETTER}"
    )
    return [*map(verdict_text, comparisons), columns, *_conditions(comparisons), *reasons(comparisons, shown)]


def _conditions(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """What differs on purpose, what is taken as exact, and which runs are not finished; each once."""
    first = comparisons[0]
    if any(comparison.normalizer_is_exact for comparison in comparisons):
        yield f"Intervals of CE take the errors of {first.normalizer} as exact."
    yield from dict.fromkeys(note for comparison in comparisons for note in comparison.rough)
    remarks = [remark for comparison in comparisons for remark in comparison.remarks]
    yield from (f"Note: {remark}." for remark in dict.fromkeys(remarks))
    allowed = [words for comparison in comparisons for words in comparison.allowed]
    if allowed:
        yield f"Allowed to differ: {'; '.join(dict.fromkeys(allowed))}."
    runs = {measured.name: measured for c in comparisons for measured in (c.reference, c.other)}
    yield from training_notes([replace(measured.accuracies, source=name) for name, measured in runs.items()])
    absent = [words for measured in runs.values() if (words := _incomplete(measured))]
    if absent:
        yield f"{' '.join(absent)} Only cells that both runs have are compared; means over a missing one are n/a."


def _incomplete(measured: ComparedRun) -> str | None:
    """``half is incomplete: it lacks 3 of 76 cells (fog s5, …).``; None of a complete run."""
    if not measured.accuracies.interrupted:
        return None
    protocol = measured.run.protocol
    wanted = expected_cells(protocol.corruptions, protocol.severities)
    present = {cell.key for cell in measured.run.cells}
    missing = [
        f"{name} s{severity}" if severity else name for name, severity in wanted if (name, severity) not in present
    ]
    if not missing:
        return None
    named = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
    return f"{measured.name} is incomplete: it lacks {len(missing)} of {len(wanted)} cells ({named})."


def reasons(comparisons: Sequence[Comparison], shown: Sequence[Difference]) -> Iterator[str]:
    """Why rows have no difference or no interval, each reason once, with the metrics it is of."""
    runs = {m.accuracies.source: m for c in comparisons for m in (c.reference, c.other) if _incomplete(m)}
    absent = [d for d in shown if d.group != "cell" and d.reason is not None]
    # A note on incomplete runs has said it.
    absent = [d for d in absent if not any(str(d.reason).startswith(f"{name} lacks ") for name in runs)]
    for reason in dict.fromkeys(d.reason for d in absent):
        names = dict.fromkeys(d.metric for d in absent if d.reason == reason)
        yield f"{NOT_AVAILABLE}: {', '.join(names)}: {reason}."
