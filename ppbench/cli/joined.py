"""One evaluation in several processes, as ``torchrun`` starts them: they begin together and end as one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from ppbench.cli.loading import downloading
from ppbench.errors import PpbenchError
from ppbench.files import check_writable
from ppbench.launch import launched

if TYPE_CHECKING:
    from ppbench.evaluation.plan import EvalPlan
    from ppbench.evaluation.processes import Processes
    from ppbench.evaluation.request import EvalRequest


@contextmanager
def joined(request: EvalRequest) -> Iterator[tuple[Processes, EvalRequest]]:
    """Join the other processes, if there are any; yield them, and the request with the device of this process.

    The first process tells the user about an error. The others end silently with its exit code, unless they learn that
    the first one died before it could tell.
    """
    from ppbench.evaluation.processes import LaunchedProcesses, LostProcessError, Processes, own_device

    launch = launched()
    if launch is None:
        yield Processes(), request
        return
    mine = replace(request, device=own_device(request.device, launch))
    processes = LaunchedProcesses(mine.device, launch)
    try:
        yield processes, mine
    except PpbenchError as error:
        # Whether the others can still be reached changes nothing about this error.
        with suppress(LostProcessError):
            processes.close()
        if processes.is_first or (isinstance(error, LostProcessError) and not error.is_told):
            raise
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        processes.leave()
        if processes.is_first:
            raise
        raise typer.Exit(130) from None
    processes.close()


def prepare_in_all(request: EvalRequest, processes: Processes) -> EvalPlan:
    """Open models and images and test the output; if one process fails, all end with its error, which is told once."""
    from ppbench.evaluation.inference import keep_freed_memory
    from ppbench.evaluation.plan import prepare

    keep_freed_memory()
    plan, failure = None, None
    try:
        with downloading() as on_download:
            plan = prepare(request, on_download if processes.is_first else None)
        if processes.is_first and (target := request.output) is not None:
            check_writable(target if target.suffix == ".json" else target / "run.json")
    except PpbenchError as error:
        failure = error
    failures = [error for error in processes.gather(failure) if error is not None]
    if plan is None or failures:
        raise failure or failures[0]
    return plan
