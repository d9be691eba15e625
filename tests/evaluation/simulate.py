"""Repeated synthetic evaluations that end once they are decided against a baseline."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from ppbench.data.source import stratified_order
from ppbench.evaluation import stopping
from ppbench.evaluation.stopping import DecidedAgainst
from ppbench.evaluation.tally import Piece, Tally
from ppbench.metrics.metric import over_corruptions
from tests.metrics.synthetic import SAME, THREE, draw, mean_of, per_image, truth

LEVELS = (1, 3, 5)


class Decisions(NamedTuple):
    """Rates of what was decided."""

    within: float
    """The drop is no larger than what is tolerated."""
    beyond: float
    """It is larger."""
    images: float
    """Mean number, all of them where nothing was decided."""


def decisions(
    runs: int, drop: float, max_drop: float, *, images: int = 2560, same: float = SAME, seed: int = 0
) -> Decisions:
    """Evaluate models against baselines, as ``ppbench eval --until-decided BASELINE --max-drop``.

    Args:
        runs: Repetitions.
        drop: True one, in points of mean error.
        max_drop: What is tolerated, in points.
        images: Of the dataset.
        same: As in `draw`.
        seed: Of all draws.
    """
    random = np.random.default_rng(seed)
    old = truth(THREE, LEVELS)
    new = {key: value + drop / 100 for key, value in old.items()}
    assert abs(mean_of(new, THREE, LEVELS) - mean_of(old, THREE, LEVELS) - drop / 100) < 1e-9
    cells, weights = list(old), over_corruptions({name: 1 / len(THREE) for name in THREE}, LEVELS)
    source: Any = SimpleNamespace(
        ids=[str(place) for place in range(images)], labels=np.arange(images) % 20, total=images
    )
    order = stratified_order(source.ids, source.labels, 0)  # that of all runs
    within = beyond = visited = 0
    for _ in range(runs):
        of_old, of_new = draw(random, [old, new], images, same=same)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stopping, "stratified_order", lambda *_: order)
            enough = DecidedAgainst(max_drop, per_image(cells, of_old), "0" * 64, source, 0, 1, "mean_error", weights)
        tally = Tally(cells, images)
        for cell, wrong in zip(cells, of_new, strict=True):
            tally.add(Piece(cell, np.arange(images), ~wrong, None))
        reached = enough.is_reached([tally])
        (found,) = enough.stoppings()
        within += reached and found.high <= max_drop
        beyond += reached and found.low > max_drop
        visited += int(enough.visited().sum())
    return Decisions(within / runs, beyond / runs, visited / runs)
