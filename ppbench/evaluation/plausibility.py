"""Noticing early that labels are permuted or the preprocessing is wrong. Free of torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ppbench.data.source import Cell
from ppbench.errors import DataError
from ppbench.evaluation.tally import Tally
from ppbench.vocabulary import CLEAN

PROBE = 256
"""Images of the mildest cell that are done before all others."""

_USABLE = 0.1
"""Accuracy in the mildest cell of any model that is worth measuring, where twice chance is less."""
_SURE = 1e-3
"""How improbable so few right answers must be for such a model."""

_MILD = (CLEAN, "brightness", "jpeg_compression", "pixelate", "saturate", "color_quant", "flash")
"""The corruptions that networks mind least, mildest first."""


def mildest(cells: Sequence[Cell]) -> Cell:
    """The cell in which a good model is surely far better than chance."""
    severity = min(cell[1] for cell in cells)
    return next(((name, severity) for name in _MILD if (name, severity) in cells), cells[0])


class Plausibility:
    """Stops an evaluation that measures nothing.

    A model that is right on less than twice as many images as guessing would be, in the mildest cell, has most
    probably labels in another order, or the wrong preprocessing. With few images such a result may be chance: it
    counts once a usable model would hardly ever give it.

    Args:
        classes: Of the images.
        off: Whether to let everything pass.
    """

    def __init__(self, classes: int, *, off: bool) -> None:
        self._chance = 1 / classes
        self._off = off or classes == 1
        self._passed: set[str] = set()

    def check(self, name: str, tally: Tally) -> None:
        """Look at what is known of a model.

        Raises:
            DataError: If it can hardly be better than chance.
        """
        cell = mildest(tally.cells)
        number = tally.cells.index(cell)
        n, right = (int(np.count_nonzero(values[number])) for values in (tally.done, tally.right))
        if self._off or name in self._passed or n < min(PROBE, tally.done.shape[1]):
            return
        self._passed.add(name)
        usable = min(max(2 * self._chance, _USABLE), (1 + self._chance) / 2)
        if right < 2 * self._chance * n and _at_most(right, n, usable) < _SURE:
            raise DataError(
                f"{name} is right on {right} of {n:,} images of {cell[0]}"
                f"{f' at severity {cell[1]}' if cell[1] else ''}, under twice chance "
                f"({200 * self._chance:.3g} %): labels probably permuted or preprocessing wrong",
                "Compare its class order with the dataset's folders, and --mean, --std and --input-size with its "
                "training. `--force` goes on.",
            )


def _at_most(successes: int, trials: int, probability: float) -> float:
    """Probability of at most so many successes of independent trials."""
    return math.fsum(
        math.exp(
            math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
            + k * math.log(probability) + (trials - k) * math.log1p(-probability)
        )
        for k in range(successes + 1)
    )  # fmt: skip
