"""One number with its definition, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass

from ppbench.metrics.intervals import Interval
from ppbench.vocabulary import CLEAN, Cell

Weights = Mapping[Cell, float]
"""Weights of cells by (corruption, severity); ``("clean", 0)`` is the uncorrupted images.

Let e be 1 if an image is wrong in a cell and 0 if not. The sum of weight times e over cells is the image's part in a
metric.
"""


class Unavailable(Exception):  # noqa: N818 - no failure: it becomes the reason shown in place of a value
    """A metric cannot be computed; the message says why."""

    @classmethod
    def for_cells(cls, source: str, missing: Sequence[Cell], wanted: int, letter: str = "s") -> Unavailable:
        """The reason for a mean over cells of which some are missing: ``net lacks 2 of 75 cells: fog s1, fog s2``."""
        named = ", ".join(f"{corruption} {letter}{severity}" for corruption, severity in missing[:3])
        if wanted == 1:
            return cls(f"{source} lacks {'the clean images' if missing[0][0] == CLEAN else f'the cell {named}'}")
        return cls(f"{source} lacks {len(missing)} of {wanted} cells: {named}{', …' if len(missing) > 3 else ''}")


@dataclass(frozen=True)
class Metric:
    """A value that says exactly what it is."""

    name: str
    """``mCE``"""
    label: str
    """``mCE[alexnet,c15,s1-5]``: the name with normaliser or baseline, corruptions, severities and subset."""
    value: float | None
    """In ``unit``; None if it cannot be computed, never infinite or NaN."""
    unit: str
    """``%``, ``nats`` or ``places``."""
    reason: str | None = None
    """Why there is no value; None if there is one."""
    interval: Interval | None = None
    """Interval of the value, in ``unit``; None if per-image results are not available."""
    spread: float | None = None
    """Standard deviation over the passes of a stochastic model, in ``unit``; None without several passes."""


def metric(name: str, label: str, unit: str, compute: Callable[[], float]) -> Metric:
    """Compute a metric; where ``compute`` raises `Unavailable`, its message becomes the reason."""
    try:
        return Metric(name, label, compute(), unit)
    except Unavailable as reason:
        return Metric(name, label, None, unit, str(reason))


def require_cells(present: Container[Cell], cells: Sequence[Cell], source: str = "the run", letter: str = "s") -> None:
    """Check that all cells of a mean are present.

    Raises:
        Unavailable: If one is missing, or there are none; the message names the first of them.
    """
    if not cells:
        raise Unavailable(f"{source} has no corrupted cells")
    missing = [cell for cell in cells if cell not in present]
    if missing:
        raise Unavailable.for_cells(source, missing, len(cells), letter)


def over_corruptions(
    factors: Mapping[str, float], severities: Sequence[int], *, above_clean: bool = False
) -> dict[Cell, float]:
    """The weights of a sum over corruptions of a factor times the mean error over the severities.

    Args:
        factors: Factor by corruption.
        severities: At least one.
        above_clean: Subtract the clean error from each mean error.

    Raises:
        Unavailable: If there are no cells.
    """
    if not factors or not severities:
        raise Unavailable("there are no corrupted cells")
    weights = {(name, s): factor / len(severities) for name, factor in factors.items() for s in severities}
    return {**weights, (CLEAN, 0): -sum(factors.values())} if above_clean else weights
