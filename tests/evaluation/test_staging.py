"""Arrays on their way to a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ppbench.evaluation.transport import Staging, to_device
from tests.evaluation.gpu import RaceError, StandInEvent, on_stand_in

CPU = torch.device("cpu")
VALUES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("values", [VALUES, VALUES.transpose(2, 0, 1), VALUES.astype(np.int64), VALUES[:0]])
def test_what_arrives_is_what_was_sent(values: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    assert np.array_equal(Staging(CPU).send(values).numpy(), values)
    assert np.array_equal(to_device(torch.from_numpy(values.copy()), CPU).numpy(), values)
    with on_stand_in(monkeypatch):
        got = Staging(CPU).send(values)
    assert got.numpy().dtype == values.dtype
    assert np.array_equal(got.numpy(), values)


def test_memory_is_pinned_once_and_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    with on_stand_in(monkeypatch) as gpu:
        staging = Staging(CPU, slots=2)
        for count in (5, 3, 5, 4, 7, 7, 7):
            staging.send(np.zeros(count, np.uint8))
    assert [len(memory) for memory in gpu.kept] == [5, 3, 4, 7, 7]


def test_this_process_waits_only_a_whole_round_later(monkeypatch: pytest.MonkeyPatch) -> None:
    with on_stand_in(monkeypatch) as gpu:
        staging, waits = Staging(CPU, slots=3), []
        for _ in range(5):
            staging.send(VALUES)
            waits.append(gpu.waits)
    assert waits == [0, 0, 0, 1, 2]


def test_a_piece_that_is_overwritten_too_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of the check: without waiting for the copy's event."""

    def go_on(self: Any) -> None: ...

    monkeypatch.setattr(StandInEvent, "synchronize", go_on)
    with on_stand_in(monkeypatch):
        staging = Staging(CPU, slots=2)
        staging.send(VALUES)
        staging.send(VALUES)
        with pytest.raises(RaceError, match="host writes what first uses"):
            staging.send(VALUES)
