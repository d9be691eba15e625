"""The C-bar corruptions against their oracles, both given the draws of the published law."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.kernels import disabled
from tests.oracles.bar import oracle, random_draws, strength
from tests.trees import photographs

SIDES = {"imagenet-c-bar": 224, "cifar-c-bar": 32}


@lru_cache
def photograph(side: int) -> NDArray[np.uint8]:
    """A photograph with a white sky, where sums of 255 alone must stay 255."""
    image = photographs(side, 2)[1].copy()
    image[: side // 4] = 255
    return image


def check(name: str, recipe: str, side: int | None = None) -> None:
    """Every severity: at most 0.5 % of the values differ from the oracle's, by one level; kernel and definition."""
    image = photograph(side or SIDES[recipe])
    for severity in range(1, 6):
        drawn = random_draws(name, strength(recipe, name, severity), len(image), np.random.RandomState(severity))
        expected = oracle(image, name, severity, recipe, drawn).astype(int)
        given = {what: np.asarray(value)[None] for what, value in drawn.items()}
        made = [corrupt(image, name, severity, recipe=recipe, draws=given)]
        if severity in (1, 5):
            with disabled():
                made.append(corrupt(image, name, severity, recipe=recipe, draws=given))
        for form in made:
            difference = np.abs(form - expected)
            assert difference.max() <= 1, (severity, difference.max(), (difference > 1).mean())
            assert (difference > 0).mean() <= 0.005, (severity, (difference > 0).mean())
