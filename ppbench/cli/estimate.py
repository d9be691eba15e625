"""What an evaluation will take, as ``ppbench eval --dry-run`` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ppbench.cli import output
from ppbench.cli.progress import duration
from ppbench.lookup import counted

if TYPE_CHECKING:
    from ppbench.evaluation.plan import EvalPlan
    from ppbench.tables.report import Facts


def what_it_takes(plan: EvalPlan, processes: int) -> Facts:
    """Measure a little of an evaluation and estimate all of it.

    Args:
        plan: Models, images and settings.
        processes: How many processes share the work.
    """
    from ppbench.evaluation.estimate import estimate_evaluation
    from ppbench.tables.report import Facts

    for note in plan.source.notes:
        output.say(note)
    with output.stdout_for_data():
        found = estimate_evaluation(plan, processes)
    what = "image" if plan.sequences is None else "frame"
    lines = [
        ("images", f"{found.images:,} in {counted(found.cells, 'cell')}"),
        (
            "passes",
            f"{counted(found.passes, what)} through {counted(len(plan.subjects), 'network')}",
        ),
        ("read", f"{found.gigabytes:,.2g} GB"),
        (
            "time",
            f"about {duration(60 * found.minutes)} (h:mm:ss) in {counted(found.processes, 'process', 'processes')}",
        ),
    ]
    return Facts("What the evaluation will take", lines, found._asdict())
