"""Results that are kept for the next call."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ppbench.corruptions.kept import kept_within


def test_the_latest_used_results_are_kept_while_they_fit() -> None:
    made: list[int] = []

    @kept_within(2400)
    def table(size: int) -> tuple[np.ndarray, torch.Tensor]:
        made.append(size)
        return np.zeros(size), torch.zeros(size, dtype=torch.float64)  # 16 bytes a place

    first = table(50)
    assert table(50) is first
    table(60), table(50), table(70)  # the last one takes the room of 60, which was not used since
    assert made == [50, 60, 70]
    assert table(50) is first
    table(60)
    assert made == [50, 60, 70, 60]


def test_a_result_larger_than_the_room_is_made_again_and_displaces_nothing() -> None:
    made: list[int] = []

    @kept_within(1000)
    def table(size: int) -> np.ndarray:
        made.append(size)
        return np.zeros(size)

    table(100)
    assert table(200).size == table(200).size == 200
    table(100)
    assert made == [100, 200, 200]


def test_results_go_when_they_are_told_to() -> None:
    @kept_within(1000)
    def table(size: int) -> np.ndarray:
        return np.zeros(size)

    first = table(9)
    table.cache_clear()  # type: ignore[attr-defined]
    assert table(9) is not first


def test_errors_are_not_kept() -> None:
    @kept_within(1000)
    def table(size: int) -> np.ndarray:
        raise ValueError(size)

    for _ in range(2):
        with pytest.raises(ValueError, match="7"):
            table(7)
