"""Early detection of permuted labels and wrong preprocessing. Free of torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ppbench.errors import DataError
from ppbench.evaluation.tally import Tally
from ppbench.vocabulary import CLEAN, Cell

PROBE = 256
"""Images of the mildest cell that are computed before all others."""

_USABLE = 0.1
"""Accuracy in the mildest cell of any model that is worth measuring, if twice chance is less."""
_SURE = 1e-3
"""Probability below which so few right answers are not chance. It is low, since results are checked repeatedly."""

_MILD = (CLEAN, "brightness", "jpeg_compression", "pixelate", "saturate", "color_quant", "flash")
"""The corruptions that harm networks least, mildest first."""


def mildest(cells: Sequence[Cell]) -> Cell:
    """Return the cell in which a good model is surely far better than chance."""
    severity = min(cell[1] for cell in cells)
    return next(((name, severity) for name in _MILD if (name, severity) in cells), cells[0])


def doubtful(tally: Tally, classes: int) -> str | None:
    """Return a warning about a model that is hardly better than chance in the mildest cell; None if it is better."""
    cell, n, right = _known(tally)
    if classes <= 1 or n == 0 or right >= (limit := _limit(classes)) * n:
        return None
    images = f"images of {cell[0]} at severity {cell[1]}" if cell[1] else f"{cell[0]} images"
    return (
        f"is right on {right:,} of {n:,} {images} ({100 * right / n:.3g} %). Chance is {100 / classes:.3g} %, "
        f"and at least {100 * limit:.3g} % was expected: labels probably permuted or preprocessing wrong"
    )


class Plausibility:
    """Stops an evaluation that measures nothing.

    If a model is right on less than twice as many images of the mildest cell as a guess, most probably its labels are
    in another order or its preprocessing is wrong. With few images such a result may be chance: it counts once a
    usable model would hardly ever give it.

    Args:
        classes: Number of classes of the images.
        off: Whether to let everything pass.
    """

    def __init__(self, classes: int, *, off: bool) -> None:
        self._classes, self._off = classes, off or classes <= 1

    def check(self, name: str, tally: Tally) -> None:
        """Check what is known of a model.

        Raises:
            DataError: If it can hardly be better than twice chance.
        """
        if self._off or (doubt := doubtful(tally, self._classes)) is None:
            return
        _, n, right = _known(tally)
        limit = _limit(self._classes)
        if n >= min(PROBE, tally.done.shape[1]) and _at_most(right, n, max(limit, _USABLE)) < _SURE:
            raise DataError(
                f"{name} {doubt}",
                "Compare its class order with the dataset's folders, and --mean, --std and --input-size with its "
                "training. `--force` continues.",
            )


def _known(tally: Tally) -> tuple[Cell, int, int]:
    """Return the mildest cell, and how many of its images are done and right, on average over passes."""
    cell = mildest(tally.cells)
    return cell, *tally.known(cell)


def _limit(classes: int) -> float:
    """Return twice chance. With few classes chance is high: a quarter of the way from chance to certainty is less."""
    return min(2 / classes, (1 + (classes - 1) / 4) / classes)


def _at_most(successes: int, trials: int, probability: float) -> float:
    """Return the probability of at most this many successes of independent trials."""
    # By logarithms: the binomial coefficients of thousands of images exceed floating point numbers.
    return math.fsum(
        math.exp(
            math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
            + k * math.log(probability) + (trials - k) * math.log1p(-probability)
        )
        for k in range(successes + 1)
    )  # fmt: skip
