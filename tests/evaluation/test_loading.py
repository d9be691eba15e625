"""Images from worker processes: through a pipe on a CPU, through shared memory for a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ppbench.data.catalog import EMBEDDED
from ppbench.data.opening import open_source
from ppbench.data.slots import Slots
from ppbench.data.source import Geometry, Source
from ppbench.evaluation import feed, transport
from ppbench.evaluation.feed import load_all
from tests.evaluation.gpu import StandInGpu

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def embedded() -> Source:
    return open_source(EMBEDDED, None, Geometry(28, None), limit=9)


def loaded(source: Source, workers: int) -> np.ndarray:
    """All images, three at a time, each block copied before the next is asked for."""
    tasks = iter([("clean", 0, np.arange(start, start + 3)) for start in (0, 3, 6)])
    return np.concatenate([read.pixels.copy() for read in load_all(source, tasks, workers, 3, CPU)])  # type: ignore[union-attr]


@pytest.mark.parametrize("is_full", [False, True])
def test_shared_memory_holds_what_a_pipe_brings(
    embedded: Source, is_full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without enough of it, a pipe does."""
    made: list[tuple[int, int]] = []

    def slots(count: int, size: int) -> Slots:
        made.append((count, size))
        if is_full:
            raise OSError("no space left")
        return Slots(count, size)

    monkeypatch.setattr(feed, "gpu_of", lambda device: StandInGpu())
    monkeypatch.setattr(transport, "Slots", slots)
    assert np.array_equal(loaded(embedded, 1), embedded.load("clean", 0, np.arange(9)).pixels)
    assert made == [(4, 3 * 28 * 28)]


def test_without_workers_or_a_gpu_there_is_none(embedded: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Slots:
        raise AssertionError("no slots are needed")

    monkeypatch.setattr(transport, "Slots", refuse)
    expected = embedded.load("clean", 0, np.arange(9)).pixels
    assert np.array_equal(loaded(embedded, 0), expected)
    monkeypatch.setattr(feed, "gpu_of", lambda device: StandInGpu())
    assert np.array_equal(loaded(embedded, 0), expected)
