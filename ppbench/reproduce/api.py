"""Carry out the plan of a table: train what is missing, evaluate, and compute the figures."""

from __future__ import annotations

from collections.abc import Callable

from ppbench.devices import choose_device
from ppbench.reproduce.figures import Results, SeedRun, compute
from ppbench.reproduce.measuring import EvaluationProgress, evaluate_networks
from ppbench.reproduce.networks import Given
from ppbench.reproduce.plan import ReproducePlan
from ppbench.reproduce.report import ReproduceReport
from ppbench.reproduce.training import Failures, TrainingProgress, train_missing


def reproduce_table(
    plan: ReproducePlan,
    *,
    say: Callable[[str], None],
    training_progress: TrainingProgress,
    evaluation_progress: EvaluationProgress,
) -> ReproduceReport:
    """Train the missing networks of a plan, evaluate all that exist, and compute the figures of the table.

    Args:
        plan: The plan.
        say: Receives messages.
        training_progress: Shows the progress of a training.
        evaluation_progress: Shows the progress of the evaluation.

    Returns:
        The figures, and the errors of the trainings that failed.

    Raises:
        UsageError: If a value is not allowed, or another process is writing to the same place.
        DataError: If a checkpoint or images are missing or do not fit.
        KeyboardInterrupt: On Ctrl-C; finished work is kept.
    """
    plan.check()
    request, failures = plan.request, Failures()
    if plan.to_train and request.data is not None:
        failures = train_missing(
            request.table,
            plan.to_train,
            request.data,
            command=request.command,
            say=say,
            progress=training_progress,
            device=choose_device(request.device),
        )
    return ReproduceReport(_results(plan, failures, say, evaluation_progress), failures)


def _results(
    plan: ReproducePlan, failures: Failures, say: Callable[[str], None], progress: EvaluationProgress
) -> Results:
    """Evaluate the networks that exist, and compute the figures of the table."""
    request, there, baseline = plan.request, plan.finished(), plan.baseline()
    found: dict[str, SeedRun] = {}
    if there or baseline:
        found = evaluate_networks(there, baseline, request.evaluation(), request.runs, say=say, progress=progress)
    measured: dict[str, list[SeedRun]] = {}
    given: dict[str, list[Given]] = {}
    for network in (*baseline, *there):
        if network.name in found:
            measured.setdefault(network.row.id, []).append(found[network.name])
        if network.given is not None:
            given.setdefault(network.row.id, []).append(network.given)
    table = request.table
    shown = {row.id for row in request.rows} | ({table.baseline} if baseline else set())
    return compute(
        table,
        [row for row in table.rows if row.id in shown],
        measured,
        # Names are ROW-SEED, and the id of a row may have dashes itself.
        {row.id: {n: e for n, e in failures.items() if n.rpartition("-")[0] == row.id} for row in request.rows},
        request.confidence,
        given,
    )
