"""The metrics of perturbation sequences against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppbench.errors import UsageError
from ppbench.metrics import flip_probability, top5_distance, zipf_distance
from ppbench.metrics.sequences import flips, top5_distances


def compared(frames: int, noise: bool, difficulty: int) -> list[tuple[int, int]]:
    """Pairs (reference, frame), as the published script walks through them."""
    if noise:
        return [(0, j) for j in range(1, frames)]
    return [(j - difficulty, j) for first in range(difficulty) for j in range(first + difficulty, frames, difficulty)]


def ranked(logits: np.ndarray) -> list[int]:
    return sorted(range(len(logits)), key=lambda c: (-logits[c], c))


def flips_plainly(predictions: np.ndarray, noise: bool, difficulty: int) -> float:
    pairs = compared(predictions.shape[1], noise, difficulty)
    return float(np.mean([np.mean([s[i] != s[j] for i, j in pairs]) for s in predictions]))


def top5_plainly(logits: np.ndarray, noise: bool, difficulty: int) -> float:
    total = []
    for sequence in logits:
        for i, j in compared(len(sequence), noise, difficulty):
            new = ranked(sequence[j])
            total.append(sum(abs(k - min(new.index(c) + 1, 6)) for k, c in enumerate(ranked(sequence[i])[:5], start=1)))
    return float(np.mean(total))


def zipf_plainly(logits: np.ndarray, noise: bool, difficulty: int) -> float:
    total = []
    for sequence in logits:
        for i, j in compared(len(sequence), noise, difficulty):
            new = ranked(sequence[j])
            total.append(
                sum(abs(1 / k - 1 / (new.index(c) + 1)) / k for k, c in enumerate(ranked(sequence[i]), start=1))
            )
    return float(np.mean(total))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6), sequences=st.integers(1, 4), frames=st.integers(4, 9), classes=st.integers(5, 12),
    noise=st.booleans(), difficulty=st.sampled_from([1, 2, 3]),
)  # fmt: skip
def test_metrics_are_those_of_plain_loops(
    seed: int, sequences: int, frames: int, classes: int, noise: bool, difficulty: int
) -> None:
    # Few different values, so that many logits are equal.
    logits = np.random.default_rng(seed).integers(0, 6, (sequences, frames, classes)) / 2
    predictions = logits.argmax(-1)
    how = {"noise": noise, "difficulty": difficulty}
    assert flip_probability(predictions, **how) == pytest.approx(flips_plainly(predictions, noise, difficulty))
    assert top5_distance(logits, **how) == pytest.approx(top5_plainly(logits, noise, difficulty))
    assert zipf_distance(logits, **how) == pytest.approx(zipf_plainly(logits, noise, difficulty))
    assert flips(predictions, **how).mean() == pytest.approx(flip_probability(predictions, **how))
    assert top5_distances(logits, **how).shape == (sequences,)


def test_a_difficulty_pools_all_first_frames() -> None:
    predictions = np.array([[0, 0, 1, 1, 2]])
    assert flip_probability(predictions, noise=False) == 2 / 4
    assert flip_probability(predictions, noise=False, difficulty=2) == 3 / 3
    assert flip_probability(predictions, noise=True, difficulty=3) == 3 / 4


def test_the_top_five_turned_round_is_twelve_and_replaced_is_fifteen() -> None:
    logits = -np.arange(12.0)
    turned, replaced = logits.copy(), logits.copy()
    turned[:5] = logits[4::-1]
    replaced[:5] -= 100
    assert top5_distance(np.stack([logits, turned])[None], noise=True) == 12
    assert top5_distance(np.stack([logits, replaced])[None], noise=True) == 15


def test_it_is_not_symmetric() -> None:
    logits = -np.arange(8.0)
    other = logits.copy()
    other[0] = -6.5  # the first goes out of the top five, and the others move up
    there = top5_distance(np.stack([logits, other])[None], noise=False)
    back = top5_distance(np.stack([other, logits])[None], noise=False)
    assert (there, back) == (9, 5)


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (np.zeros(4), {}), (np.zeros((0, 4)), {}), (np.zeros((2, 1)), {}), (np.zeros((2, 3)), {"difficulty": 3}),
        (np.zeros((2, 9)), {"difficulty": 4}), (np.zeros((2, 9)), {"difficulty": True}),
    ],
)  # fmt: skip
def test_bad_predictions_are_refused(values: np.ndarray, options: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        flip_probability(values, noise=False, **options)


@pytest.mark.parametrize("values", [np.zeros((2, 3)), np.zeros((2, 3, 4)), np.full((2, 3, 6), np.nan)])
def test_bad_logits_are_refused(values: np.ndarray) -> None:
    with pytest.raises(UsageError):
        top5_distance(values, noise=False)
