"""Files of predictions scored in place of a model, for ``ppbench eval --predictions``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ppbench.cli import output
from ppbench.errors import UsageError

if TYPE_CHECKING:
    from ppbench.evaluation.request import EvalRequest
    from ppbench.run import MeasuredRun


def score_all(request: EvalRequest, *, dry_run: bool) -> list[MeasuredRun]:
    """Score files of predictions and write their runs. It takes seconds: under torchrun only the first process does."""
    from ppbench.evaluation.predictions import measure_predictions
    from ppbench.launch import launched

    if dry_run:
        raise UsageError("--dry-run is not for --predictions", "Scoring them takes seconds.")
    launch = launched()
    if launch is not None and launch.rank > 0:
        return []
    runs = []
    for path in request.predictions:
        run, where = measure_predictions(path, request, output.say)
        output.say(f"wrote {where}")
        runs.append(run)
    return runs
