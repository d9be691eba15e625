"""Worker processes: tasks go in, results come out in the same order. Free of torch."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from ppbench.errors import PpbenchError

T = TypeVar("T")
R = TypeVar("R")


def ordered_map(
    start: Callable[[], Callable[[T], R]], tasks: Iterable[T], workers: int, ahead: int = 2
) -> Generator[R, None, None]:
    """Yield the results of tasks in the tasks' order, worked on a little ahead of what was asked for.

    Worker processes ignore Ctrl-C: this one gets it and ends them. They also end, at once, when this process dies in
    whatever way, so that none is left behind.

    Args:
        start: Called once in each process that works; returns the function for the tasks. It can be pickled.
        tasks: They can be pickled, as can the results; taken one by one, so there may be any number of them.
        workers: Processes; 0: this one does it.
        ahead: Tasks handed out, per worker, before the first result is waited for.

    Raises:
        PpbenchError: If a worker process is killed.
        Exception: What the function raises.
    """
    if workers == 0:
        yield from map(start(), tasks)
        return
    context = multiprocessing.get_context("spawn")
    watched, held = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(start, watched))
    waiting: deque[Future[R]] = deque()
    try:
        for task in tasks:
            with _interrupts_ignored():  # any submission may start a process
                waiting.append(pool.submit(_run, task))
            if len(waiting) > ahead * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise PpbenchError("a worker process was killed (out of memory?)", "Try fewer: `--workers 1`.") from error
    finally:
        # What is left here is not wanted: after an error, Ctrl-C, or where the reader stopped early.
        if waiting:
            held.close()
        pool.shutdown(wait=True, cancel_futures=True)
        held.close()
        watched.close()


def usable_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes started in here ignore Ctrl-C from their first instruction on: the parent ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_function: Callable[[Any], Any]


def _start_worker(start: Callable[[], Callable[[Any], Any]], watched: Connection) -> None:
    global _function
    threading.Thread(target=_end_with_the_parent, args=(watched,), daemon=True).start()
    use_one_thread()
    _function = start()


def _run(task: Any) -> Any:
    return _function(task)


def _end_with_the_parent(watched: Connection) -> None:
    """Wait for the other end, which the parent alone holds, to be closed: by it, or by its death."""
    try:
        watched.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


def use_one_thread() -> None:
    """One thread for every library in this process, loaded or yet to come: there is a worker per core."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
        os.environ[name] = "1"
    for module, setter in (("torch", "set_num_threads"), ("cv2", "setNumThreads")):
        if module in sys.modules:
            getattr(sys.modules[module], setter)(1)
