"""Environment variables by which a launcher, such as torchrun or srun, places each process. Free of torch."""

from __future__ import annotations

import os
from typing import NamedTuple

from ppbench.errors import UsageError


class Launch(NamedTuple):
    """One process of several that work together."""

    rank: int
    """0 is the process that prints and writes."""
    size: int
    """Number of processes, at least 2."""
    local_rank: int
    """Rank among the processes of its machine."""
    master: str
    """Name of the machine where the processes meet."""


def check_environment() -> None:
    """Clean up the launcher's variables before libraries read them; Lightning reads them when it is imported.

    Empty variables are removed. Ranks without a WORLD_SIZE are removed too: they are left over from another program,
    and Lightning would take this process for a helper, which writes nothing.

    Raises:
        UsageError: If a variable is not a whole number.
    """
    for name in (*_RANKS, *_NUMBERS, "MASTER_ADDR"):
        if not os.environ.get(name, "").strip():
            os.environ.pop(name, None)
        elif name != "MASTER_ADDR":
            environment_number(name)
    if "WORLD_SIZE" not in os.environ:
        for name in _RANKS:
            os.environ.pop(name, None)


def launched() -> Launch | None:
    """Return this process's place by RANK, WORLD_SIZE, LOCAL_RANK and MASTER_ADDR; None if it works alone.

    A process without a RANK or in a world of 1 works alone. An empty variable counts as not set.

    Raises:
        UsageError: If the variables contradict each other, or one is missing.
    """
    rank, size = environment_number("RANK"), environment_number("WORLD_SIZE")
    if rank is None or size is None or size == 1:
        return None
    if not 0 <= rank < size:
        raise UsageError(
            f"RANK={rank} and WORLD_SIZE={size} do not fit", f"RANK is 0 to {max(size - 1, 0)}. {_SET_OR_UNSET}"
        )
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name, "").strip()]
    if missing:
        raise UsageError(f"WORLD_SIZE={size} is set, {' and '.join(missing)} not", _SET_OR_UNSET)
    if not 0 < (environment_number("MASTER_PORT") or 0) < 2**16:
        raise UsageError(f"MASTER_PORT={os.environ['MASTER_PORT']} is not a port", "It is 1 to 65535.")
    local = environment_number("LOCAL_RANK")
    if local is not None and local < 0:
        raise UsageError(f"LOCAL_RANK={local} is not a rank", f"It is at least 0. {_SET_OR_UNSET}")
    return Launch(rank, size, rank if local is None else local, os.environ["MASTER_ADDR"].strip())


def environment_number(name: str) -> int | None:
    """Return the value of a variable that is a whole number; None if it is not set, or empty.

    Raises:
        UsageError: If it is not a whole number.
    """
    text = os.environ.get(name, "").strip()
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{name}={text} is not a whole number", f"{_SET} For one: `unset {name}`.") from None


_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK")
"""Set by torchrun and Lightning; they mean nothing without a WORLD_SIZE."""
_NUMBERS = (
    "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_PORT", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_NTASKS",
    "SLURM_STEP_NUM_TASKS", "JSM_NAMESPACE_RANK",
)  # fmt: skip
"""Other variables that ppbench, Lightning and TorchMetrics read as whole numbers."""
_SET = "For several processes take `torchrun`, or set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT."
_SET_OR_UNSET = f"{_SET} For one: `unset RANK WORLD_SIZE`."
