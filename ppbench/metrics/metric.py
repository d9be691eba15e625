"""One number with its definition, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ppbench.metrics.intervals import Interval


class Unavailable(Exception):  # noqa: N818 - no failure: it becomes the reason shown in place of a value
    """A metric cannot be computed; the message says why."""


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
    """``%`` or ``nats``."""
    reason: str | None = None
    """Why there is no value; None if there is one."""
    interval: Interval | None = None
    """Of the value, in ``unit``; None if the images it is a mean over are not known one by one."""


def metric(name: str, label: str, unit: str, compute: Callable[[], float]) -> Metric:
    """Compute a metric; where ``compute`` raises `Unavailable`, its message becomes the reason."""
    try:
        return Metric(name, label, compute(), unit)
    except Unavailable as reason:
        return Metric(name, label, None, unit, str(reason))


def ratio(numerator: float, denominator: float, what: str, near_zero: float) -> float:
    """``numerator / denominator`` in percent.

    Args:
        numerator: A fraction.
        denominator: A fraction.
        what: The denominator in words, for the reason.
        near_zero: Smallest size of the denominator; below it the quotient would be noise.

    Raises:
        Unavailable: If the denominator is nearer to zero.
    """
    if abs(denominator) < near_zero:
        raise Unavailable(f"{what} is {100 * denominator:.3g} %, too near zero to divide by")
    return 100 * numerator / denominator
