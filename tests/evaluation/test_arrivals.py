"""Scores on their way from the device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ppbench.errors import DataError
from ppbench.evaluation import arrivals
from ppbench.evaluation.arrivals import Arrivals
from ppbench.evaluation.inference import NOT_FINITE, score

CPU = torch.device("cpu")
FOG, SNOW = ("fog", 3), ("snow", 1)


def scores(*ranks: int) -> torch.Tensor:
    return torch.tensor([ranks, [10] * len(ranks), [500_000] * len(ranks)])


def test_pieces_come_in_order_with_the_images_that_are_wanted() -> None:
    coming = Arrivals(CPU)
    coming.put(0, FOG, np.array([4, 7, 9]), np.array([True, False, True]), scores(0, 0, 2))
    coming.put(1, SNOW, np.array([1]), np.array([True]), scores(0))
    (first, fog), (second, snow) = coming.fetch()
    assert (first, fog.cell, fog.places.tolist(), fog.right.tolist()) == (0, FOG, [4, 9], [True, False])
    assert (second, snow.cell, snow.places.tolist(), snow.right.tolist()) == (1, SNOW, [1], [True])
    assert coming.fetch(last=True) == []


def test_they_are_due_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    coming = Arrivals(CPU)
    assert not coming.are_due
    monkeypatch.setattr(arrivals, "_FLUSH", -1.0)
    assert coming.are_due


def test_logits_that_are_not_finite_are_an_error_when_they_arrive() -> None:
    logits = torch.tensor([[1.0, float("nan")]])
    given = score(logits, torch.tensor([0]))
    assert given[0].tolist() == [NOT_FINITE]
    coming = Arrivals(CPU)
    coming.put(0, FOG, np.array([0]), np.array([True]), given)
    with pytest.raises(DataError, match="1 outputs that are not finite at fog/3"):
        coming.fetch()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_they_arrive_one_time_later() -> None:
    coming = Arrivals(torch.device("cuda"))
    coming.put(0, FOG, np.array([4, 7]), np.array([True, True]), scores(0, 1).cuda())
    assert coming.fetch() == []
    coming.put(0, SNOW, np.array([4]), np.array([True]), scores(0).cuda())
    assert [piece.cell for _, piece in coming.fetch()] == [FOG]
    assert [piece.cell for _, piece in coming.fetch(last=True)] == [SNOW]
