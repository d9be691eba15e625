"""The stream of corrupted images: made in worker processes, in a fixed order, a little ahead of the network."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.data.source import Pixels, Source
from ppbench.errors import PpbenchError


class Piece(NamedTuple):
    """Some images of one cell."""

    corruption: str
    severity: int
    places: NDArray[np.int64]
    """``(n,)`` places in the source."""


def plan_pieces(cells: Sequence[tuple[str, int]], images: int, size: int) -> list[Piece]:
    """Cut every cell into pieces of at most ``size`` images, one cell after another."""
    parts = [np.arange(start, min(start + size, images)) for start in range(0, images, size)]
    return [Piece(corruption, severity, part) for corruption, severity in cells for part in parts]


def stream(source: Source, pieces: Sequence[Piece], workers: int) -> Iterator[tuple[Piece, Pixels]]:
    """Yield every piece with its images, in order.

    Args:
        source: The images.
        pieces: What to load.
        workers: Processes that make images; 0: this one does it.

    Raises:
        DataError: What the source raises; also if a worker process is killed.
    """
    if workers == 0:
        for piece in pieces:
            yield piece, source.load(*piece)
        return
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(source,)
    )
    waiting: deque[tuple[Piece, Future[Pixels]]] = deque()
    try:
        for piece in pieces:
            with _interrupts_ignored():  # any submission may start a process
                waiting.append((piece, pool.submit(_load, piece)))
            if len(waiting) > 2 * workers:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    except BrokenProcessPool as error:
        raise PpbenchError("a worker process was killed (out of memory?)", "Try fewer: `--workers 1`.") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _first(waiting: deque[tuple[Piece, Future[Pixels]]]) -> tuple[Piece, Pixels]:
    piece, future = waiting.popleft()
    return piece, future.result()


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


_source: Source


def _start_worker(source: Source) -> None:
    """Keep the source; one thread per worker, since there is a worker per core."""
    global _source
    _source = source
    import cv2

    cv2.setNumThreads(1)


def _load(piece: Piece) -> Pixels:
    return _source.load(*piece)
