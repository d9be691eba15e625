"""Worker processes that return the results of tasks in the tasks' order. Free of torch."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import starmap
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar, TypeVarTuple

from ppbench.errors import PpbenchError

_Task = TypeVarTuple("_Task")
_R = TypeVar("_R")


AHEAD = 2
"""Tasks per worker that are handed out before the first result is waited for, unless told otherwise."""


def ordered_map(
    start: Callable[[], Callable[[*_Task], _R]], tasks: Iterable[tuple[*_Task]], workers: int, ahead: int = AHEAD
) -> Generator[_R, None, None]:
    """Yield the results of tasks in the tasks' order, computed a little ahead of the consumer.

    Worker processes ignore Ctrl-C: this process receives it and ends them. If this process dies in any way, they end at
    once, so that none is left behind.

    Args:
        start: Called once in each worker; returns the function for the tasks. It must be picklable.
        tasks: The arguments of the function for each task, taken one by one; there may be any number of them. They and
            the results must be picklable.
        workers: Number of worker processes; 0: this process does the work.
        ahead: Tasks per worker that are handed out before the first result is waited for.

    Raises:
        PpbenchError: If a worker process is killed, or cannot start.
        Exception: What the function raises.
    """
    if workers == 0:
        yield from starmap(start(), tasks)
        return
    if _is_starting():
        os._exit(_NO_GUARD)  # otherwise each worker would start as many again
    # Not fork: it copies locks that other threads hold at that moment, and CUDA does not survive it.
    context = multiprocessing.get_context("spawn")
    watched, held = context.Pipe(duplex=False)
    try:
        pool = ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(start, watched))
    except OSError as error:  # its locks lie in /dev/shm
        raise PpbenchError(
            f"worker processes cannot be started ({error.strerror or error}; is /dev/shm full?)",
            "Try without: `--workers 0`.",
        ) from error
    waiting: deque[Future[_R]] = deque()
    processes: set[BaseProcess] = set()
    try:
        for task in tasks:
            with _interrupts_ignored():  # any submission may start a process
                waiting.append(pool.submit(_run, *task))
            # The pool starts its processes one by one, and forgets them when one dies; their exit codes say why it did.
            if len(processes) < workers:
                processes.update(multiprocessing.active_children())
            if len(waiting) > ahead * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        held.close()  # the workers do not heed SIGTERM, with which the pool would end them
        pool.shutdown(wait=True)
        raise _why([process.exitcode for process in processes]) from error
    finally:
        # Tasks are left after an error, after Ctrl-C, or if the consumer stopped early; nobody needs them.
        if waiting:
            held.close()
        pool.shutdown(wait=True, cancel_futures=True)
        held.close()
        watched.close()


def _is_starting() -> bool:
    """Whether this is a worker process that is still importing the script that started it."""
    return bool(getattr(multiprocessing.current_process(), "_inheriting", False))


def _why(codes: Collection[int | None]) -> PpbenchError:
    """Make the error that explains why a worker process ended, from the exit codes of all."""
    if _NO_GUARD in codes:
        return PpbenchError(
            "worker processes import the script that starts them, and this script starts the work when it is imported",
            'Put the call under `if __name__ == "__main__":`. Or take no workers: `workers=0`.',
        )
    if any(code is not None and code < 0 and code != -signal.SIGTERM for code in codes):
        return PpbenchError("a worker process was killed (out of memory?)", "Try fewer: `--workers 1`.")
    return PpbenchError(
        "a worker process ended unexpectedly; its output is above",
        'Try without: `--workers 0`. A script needs `if __name__ == "__main__":`, and has to be a file.',
    )


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Make processes that are started meanwhile ignore Ctrl-C from their first instruction: the parent ends them."""
    # Python lets only the main thread set handlers of signals.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_NO_GUARD = 97
"""Exit code of a worker process that was about to start workers of its own."""

_function: Callable[[Any], Any]


def _start_worker(start: Callable[[], Callable[[Any], Any]], watched: Connection) -> None:
    global _function
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the parent receives it too, and ends its workers
    threading.Thread(target=_end_with_the_parent, args=(watched,), daemon=True).start()
    use_one_thread()
    _function = start()


def _run(*task: Any) -> Any:
    return _function(*task)


def _end_with_the_parent(watched: Connection) -> None:
    """Wait until the other end of the pipe closes. Only the parent holds it: it closes it, or dies."""
    try:
        watched.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


def use_one_thread() -> None:
    """Limit every library in this process to one thread, loaded or not yet: there is a worker per core."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
        os.environ[name] = "1"
    for module, setter in (("torch", "set_num_threads"), ("cv2", "setNumThreads")):
        if module in sys.modules:
            getattr(sys.modules[module], setter)(1)
