"""Failures of a run that several processes share: all of them stop, and the first one tells why."""

from __future__ import annotations

from torch import distributed

from ppbench.errors import PpbenchError


def several_processes() -> bool:
    """Whether this process trains together with others."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def raise_together(error: PpbenchError | None) -> None:
    """Stop all processes if one of them has met an error; all have to call this at the same point.

    A process that stopped alone would leave the others waiting for it, until they end with an error of the network.

    Args:
        error: What this process has met; None: nothing.

    Raises:
        PpbenchError: In the first process, or the only one: the error of the first process that has one.
        SystemExit: In the others, with its exit code, so that the error is told once.
    """
    if not several_processes():
        met: list[PpbenchError | None] = [error]
    else:
        met = [None] * distributed.get_world_size()
        distributed.all_gather_object(met, error)
    first = next((one for one in met if one is not None), None)
    if first is None:
        return
    if several_processes() and distributed.get_rank() > 0:
        raise SystemExit(first.exit_code)
    raise first
