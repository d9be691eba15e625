"""What a launcher, such as torchrun or srun, says in the environment of the processes that it starts. Free of torch."""

from __future__ import annotations

import os
from typing import NamedTuple

from ppbench.errors import UsageError


class Launch(NamedTuple):
    """One process of several that work together."""

    rank: int
    """0 is the process that talks and writes."""
    size: int
    """Processes, at least 2."""
    local_rank: int
    """Rank among the processes of its machine."""
    master: str
    """Name of the machine where the processes meet."""


def launched() -> Launch | None:
    """What RANK, WORLD_SIZE, LOCAL_RANK and MASTER_ADDR say; None: this process works alone.

    An empty variable counts as none. Without a RANK, or in a world of 1, a process is alone.

    Raises:
        UsageError: If they contradict each other, or one is missing.
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
    return Launch(rank, size, rank if local is None else local, os.environ["MASTER_ADDR"].strip())


def environment_number(name: str) -> int | None:
    """A variable that is a whole number; None if it is not set, or empty.

    Raises:
        UsageError: If it is something else.
    """
    text = os.environ.get(name, "").strip()
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{name}={text} is not a whole number", _SET_OR_UNSET) from None


_SET_OR_UNSET = (
    "For several processes take `torchrun`, or set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT. "
    "For one: `unset RANK WORLD_SIZE`."
)
