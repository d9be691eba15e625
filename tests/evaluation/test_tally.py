"""From logits to counts, against a plain loop over images."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ppbench.errors import DataError
from ppbench.evaluation.inference import score
from ppbench.evaluation.tally import Piece, Tally, count
from ppbench.run import CALIBRATION_BINS, CellCounts

KEY = ("fog", 3)


def counts_by_hand(logits: list[list[float]], labels: list[int]) -> dict[str, float]:
    """Top-1, top-5, log loss and calibration of one image after another, in double precision."""
    totals: dict[str, float] = {"top1": 0, "top5": 0, "nll": 0.0}
    bins = [[0, 0, 0.0] for _ in range(CALIBRATION_BINS)]
    for row, label in zip(logits, labels, strict=True):
        order = sorted(range(len(row)), key=lambda c: (-row[c], c))
        peak = max(row)
        probabilities = [math.exp(v - peak) for v in row]
        confidence = max(probabilities) / sum(probabilities)
        totals["top1"] += order[0] == label
        totals["top5"] += label in order[:5]
        totals["nll"] -= math.log(probabilities[label] / sum(probabilities))
        place = next(b for b in range(CALIBRATION_BINS) if confidence <= (b + 1) / CALIBRATION_BINS + 1e-9)
        bins[place][0] += 1
        bins[place][1] += order[0] == label
        bins[place][2] += confidence
    return totals | {f"bin{b}_{name}": bins[b][i] for b in range(CALIBRATION_BINS) for i, name in enumerate("nrc")}


def random_batch(seed: int, number: int, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    # Multiples of a quarter make ties frequent.
    logits = torch.from_numpy(rng.integers(-12, 12, (number, classes)) / 4).float()
    return logits, torch.from_numpy(rng.integers(0, classes, number))


def tally_of(logits: torch.Tensor, labels: torch.Tensor, pieces: int) -> Tally:
    tally = Tally([KEY], len(labels))
    for places in np.array_split(np.arange(len(labels)), pieces):
        tally.add(count(KEY, places, score(logits[places], labels[places]).numpy()))
    return tally


def cell_of(logits: torch.Tensor, labels: torch.Tensor, pieces: int) -> CellCounts:
    return tally_of(logits, labels, pieces).cell(KEY)


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(2, 12))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_counts_equal_those_by_hand(seed: int, number: int, classes: int) -> None:
    logits, labels = random_batch(seed, number, classes)
    cell = cell_of(logits, labels, 1)
    expected = counts_by_hand(logits.tolist(), labels.tolist())
    assert (cell.n, cell.top1, cell.top5) == (number, expected["top1"], expected["top5"])
    assert cell.nll_micronats / 1e6 == pytest.approx(expected["nll"], abs=2e-6 * number)
    assert cell.bin_n is not None
    assert cell.bin_top1 is not None
    assert list(cell.bin_n) == [expected[f"bin{b}_n"] for b in range(CALIBRATION_BINS)]
    assert list(cell.bin_top1) == [expected[f"bin{b}_r"] for b in range(CALIBRATION_BINS)]
    confidences = [expected[f"bin{b}_c"] for b in range(CALIBRATION_BINS)]
    assert np.array(cell.bin_confidence) / 1e6 == pytest.approx(confidences, abs=2e-6 * number)


@given(st.integers(0, 10_000), st.integers(2, 7))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_counts_do_not_depend_on_how_images_are_batched(seed: int, pieces: int) -> None:
    logits, labels = random_batch(seed, 42, 10)
    assert cell_of(logits, labels, 1) == cell_of(logits, labels, pieces)


def test_top1_is_what_argmax_says() -> None:
    logits, labels = random_batch(3, 500, 6)
    right = tally_of(logits, labels, 3).bits(KEY)
    assert np.array_equal(right, (logits.numpy().argmax(1) == labels.numpy()))


def test_predictions_are_argmax_and_its_probability_in_255ths() -> None:
    logits, labels = random_batch(4, 300, 6)
    predictions = tally_of(logits, labels, 5).predictions(labels.numpy(), "abcdef")
    assert predictions is not None
    assert predictions.confidences is not None
    assert np.array_equal(predictions.classes[KEY], logits.numpy().argmax(1))
    steps = logits.double().softmax(1).amax(1).numpy() * 255
    assert np.abs(predictions.confidences[KEY] - steps).max() <= 0.5 + 1e-3
    right = predictions.classes[KEY] == predictions.labels
    assert np.array_equal(right, tally_of(logits, labels, 1).bits(KEY))


def test_there_are_no_predictions_if_a_part_of_them_is_unknown() -> None:
    logits, labels = random_batch(4, 30, 6)
    tally = Tally([KEY], 30)
    piece = count(KEY, np.arange(30), score(logits, labels).numpy())
    tally.add(piece.part(np.arange(30) < 20))  # type: ignore[arg-type]
    rest = piece.part(np.arange(30) >= 20)
    assert rest is not None
    tally.add(rest._replace(predicted=None))
    assert tally.predictions(labels.numpy(), "abcdef") is None


def test_fewer_than_five_classes_are_all_in_the_top_five() -> None:
    logits, labels = random_batch(0, 30, 3)
    assert cell_of(logits, labels, 1).top5 == 30


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_outputs_that_are_not_finite_are_an_error(bad: float) -> None:
    logits, labels = random_batch(0, 8, 4)
    logits[2, 1] = bad
    with pytest.raises(DataError, match="1 outputs that are not finite at fog/3"):
        cell_of(logits, labels, 1)


def test_half_precision_logits_are_scored_in_single() -> None:
    logits, labels = random_batch(1, 20, 5)
    for dtype in (torch.float16, torch.bfloat16):
        assert torch.equal(score(logits.to(dtype), labels)[0], score(logits, labels)[0])  # quarters are exact in both


def test_an_image_is_never_counted_twice() -> None:
    tally = Tally([KEY], 4)
    tally.add(Piece(KEY, np.array([1, 2]), np.array([True, False]), None))
    with pytest.raises(RuntimeError, match="counted twice"):
        tally.add(Piece(KEY, np.array([2]), np.array([True]), None))
    assert tally.finished() == []
    tally.add(Piece(KEY, np.array([0, 3]), np.array([True, True]), None))
    cell = tally.cell(KEY)
    assert (cell.n, cell.top1, cell.top5, cell.nll_micronats, cell.bin_n) == (4, 3, None, None, None)
