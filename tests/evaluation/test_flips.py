"""Flips and distances on the device are those of the metrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ppbench.errors import DataError, UsageError
from ppbench.evaluation.flips import count_trials, ranked, trial_scores
from ppbench.metrics.sequences import flips, top5_distances

CELLS = [("shot_noise", 3), *(("rotate", difficulty) for difficulty in (1, 2, 3))]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("classes", [5, 12])
def test_they_equal_the_metrics_exactly_also_where_logits_are_equal(cell: tuple[str, int], classes: int) -> None:
    # Few different values, so that many logits are equal.
    logits = np.random.default_rng(classes).integers(-3, 3, (40, 9, classes)).astype(np.float32) / 2
    scores = trial_scores(ranked(torch.from_numpy(logits)), cell).numpy()
    how = {"noise": "noise" in cell[0], "difficulty": cell[1]}
    pairs = 8 if how["noise"] else 9 - cell[1]
    assert (scores[0] == pairs).all()
    assert (scores[1] == np.rint(pairs * flips(logits.argmax(-1), **how))).all()
    assert (scores[2] == np.rint(pairs * top5_distances(logits, **how))).all()
    assert len(np.unique(scores[1])) > 1
    assert len(np.unique(scores[2])) > 1


def test_pieces_hold_a_count_for_each_image() -> None:
    logits = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0]] * 3])
    piece = count_trials(("tilt", 1), np.array([4, 7]), trial_scores(ranked(logits), ("tilt", 1)).numpy())
    assert piece.right.tolist() == [False, True]
    assert piece.trials is not None
    assert (piece.trials.each, piece.trials.failures.tolist(), piece.trials.distances) == (2, [2, 0], None)
    assert piece.totals()[[0, -2, -1]].tolist() == [1, 2, 0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_outputs_that_are_not_finite_are_an_error(bad: float) -> None:
    logits = torch.zeros(3, 4, 6)
    logits[1, 2, 3] = bad
    scores = trial_scores(ranked(logits), ("snow", 1)).numpy()
    assert scores[1].tolist() == [0, -1, 0]
    with pytest.raises(DataError, match="not finite for 1 sequences of snow at severity 1"):
        count_trials(("snow", 1), np.arange(3), scores)


@pytest.mark.parametrize("classes", [4, 5])
def test_five_classes_are_the_fewest_with_a_distance(classes: int) -> None:
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 6, classes)))
    far = trial_scores(ranked(logits), ("rotate", 2))[2].tolist()
    if classes < 5:
        assert far == [-1, -1, -1]
        with pytest.raises(UsageError, match="at least 5"):
            top5_distances(logits.numpy(), noise=False, difficulty=2)
    else:
        assert far == pytest.approx((top5_distances(logits.numpy(), noise=False, difficulty=2) * 4).tolist())
        assert min(far) > 0
