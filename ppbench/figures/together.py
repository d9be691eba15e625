"""Which runs may be in one figure, and under which names."""

from __future__ import annotations

from collections.abc import Sequence

from ppbench.compare.comparability import SAID, require_comparable
from ppbench.errors import NotComparableError, UsageError
from ppbench.figures.colours import MOST_LINES
from ppbench.report.side_by_side import told_apart
from ppbench.report.summary import RunSummary


def distinct(summaries: Sequence[RunSummary], names: Sequence[str] | None = None, most: int = MOST_LINES) -> list[str]:
    """The names of runs, by default those of their models; a name that is not the first of its kind gets a number.

    Args:
        summaries: The runs.
        names: Their names, if not the models'.
        most: How many runs the figure can tell apart.

    Raises:
        UsageError: If there are no runs, or more than a figure can tell apart.
    """
    if not 1 <= len(summaries) <= most:
        raise UsageError(f"{len(summaries)} runs in one figure are not allowed", f"It can have 1 to {most}.")
    return told_apart([summary.cell_errors.source for summary in summaries] if names is None else names)


def require_drawn_together(summaries: Sequence[RunSummary], names: Sequence[str], allow: Sequence[str] = ()) -> None:
    """Check that runs were measured in the same way; an adapted run has another name, and may be beside a plain one.

    Args:
        summaries: The runs.
        names: Their names, for the message.
        allow: Fields of the protocol that may differ.

    Raises:
        NotComparableError: If they differ, or if only some of them are CSVs, of which the protocol is unknown.
    """
    first = summaries[0].cell_errors.protocol
    for summary, name in zip(summaries[1:], names[1:], strict=True):
        other = summary.cell_errors.protocol
        if first is not None and other is not None:
            require_comparable(first, other, (names[0], name), allow, said=SAID)
        elif first is not other:
            bare = names[0] if first is None else name
            raise NotComparableError(
                f"{bare} is a CSV, so nobody knows whether it was measured like the others",
                "Draw run files together, or CSVs together.",
            )
