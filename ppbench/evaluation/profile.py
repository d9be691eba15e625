"""A trace of some batches of an evaluation, with named phases, in Chrome's format."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Generic, TypeVar

import torch

from ppbench.errors import PpbenchError, UsageError
from ppbench.files import atomic_write, check_writable

TRACED_PHASES = ("read", "to device", "corrupt", "network", "score", "fetch", "write")
"""Parts of the loop. A trace calls them ``ppbench: read``, ….

    read       wait for decoded images, or decode them
    to device  copy clean images, or images of a published set, to the device
    corrupt    make a cell of clean images
    network    normalise images and run the network
    score      ranks and probabilities from logits
    fetch      bring scores from the device, and count them
    write      journal, progress, stopping rule
"""

FEWEST_TRACED, MOST_TRACED = 16, 256
"""Batches of a trace. It ends after the fewest if scores were fetched among them, otherwise at the next fetch."""

SKIPPED_BEFORE = 24
"""Batches before it: in the first ones kernels are chosen or compiled and memory is allocated."""

_OPTION = "--profile FILE.json"

_Batch = TypeVar("_Batch")


def phase(name: str) -> AbstractContextManager[object]:
    """Name a part of the loop, one of `TRACED_PHASES`, in the trace; does nothing while there is none."""
    if not torch.autograd.profiler._is_profiler_enabled:
        return nullcontext()
    return torch.profiler.record_function(f"ppbench: {name}")


def check_trace_file(path: Path) -> None:
    """Make sure, before the evaluation, that a trace can be written, and that it replaces nothing but a trace.

    Raises:
        UsageError: If there is another file.
        DataError: If nothing can be written there.
    """
    check_writable(path, _OPTION)
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as file:
            if b"schemaVersion" not in file.read(256):
                raise UsageError(f"{_OPTION.split()[0]} {path} is a file that is no trace", "Choose another name.")


class Trace(Generic[_Batch]):
    """A trace of an evaluation's steady batches: what this machine and its GPU do, and when. It changes no result.

    Args:
        path: File to write; None: there is no trace.
        device: Device of the evaluation.
    """

    def __init__(self, path: Path | None, device: torch.device) -> None:
        self._path, self._device = path, device
        self._first: int | None = None
        self._seen, self._fetches = 0, 0
        self._running: torch.profiler.profile | None = None
        self._content: bytes | None = None

    def follow(self, batches: Iterator[_Batch], count: int) -> Iterator[_Batch]:
        """Yield batches, and trace some of them.

        Args:
            batches: A generator.
            count: How many there are.
        """
        with closing(batches):  # type: ignore[type-var]
            if self._path is None:
                yield from batches
                return
            if self._first is None:  # of few batches the last ones are traced, of very few all
                self._first = min(SKIPPED_BEFORE, max(0, count - FEWEST_TRACED))
            while True:
                self._begin()
                try:
                    batch = next(batches)
                except StopIteration:
                    return
                yield batch
                self._seen += 1
                if self._running is not None and self._has_enough():
                    self._end()

    def fetched(self) -> None:
        """Note that scores were fetched and written."""
        if self._running is not None:
            self._fetches += 1

    def finish(self, say: Callable[[str], None]) -> None:
        """Write the file, and say so in one line. The evaluation goes on if that fails."""
        if self._path is None:
            return
        if self._running is not None:
            self._end()
        if self._content is None:
            why = (
                "nothing was left to compute"
                if self._first is None
                else "the evaluation ended before its batches were traced"
            )
            say(f"no trace in {self._path}: {why}")
            return
        try:
            atomic_write(self._path, self._content, _OPTION)
        except PpbenchError as error:
            say(f"warning: {error.message}")
            return
        say(f"wrote {self._path}, a trace to open in https://ui.perfetto.dev or chrome://tracing")

    def _begin(self) -> None:
        if self._running is not None or self._content is not None or self._seen < (self._first or 0):
            return
        # Otherwise the profiler's library talks on stderr, and more so on machines without a GPU.
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")
        activities = [torch.profiler.ProfilerActivity.CPU]
        if self._device.type == "cuda":
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        self._running = torch.profiler.profile(activities=activities)
        self._running.start()
        self._seen = 0

    def _has_enough(self) -> bool:
        return self._seen >= (FEWEST_TRACED if self._fetches else MOST_TRACED)

    def _end(self) -> None:
        assert self._running is not None
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)  # what was started belongs to it
        self._running.stop()
        with tempfile.TemporaryDirectory(prefix="ppbench-") as folder:
            file = Path(folder) / "trace.json"
            self._running.export_chrome_trace(str(file))
            self._content = file.read_bytes()
        self._running = None
