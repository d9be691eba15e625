"""The text of numbers and intervals in every table and message."""

from __future__ import annotations

from collections.abc import Iterable

from ppbench.metrics.intervals import Interval
from ppbench.metrics.metric import Metric
from ppbench.tables.sheet import MISSING, NOT_AVAILABLE, short_name

_WIDE = 10.0
"""Width in points from which the ends of a lopsided interval have one decimal: 2.0 to 43.5 needs no more."""


def metric_text(metric: Metric | None) -> str:
    """``76.70 ± 0.38``, ``11.1 [2.0, 43.5]``, or the number alone if it has no interval."""
    if metric is None or metric.interval is None:
        return decimals(metric.value if metric else None, 2)
    return with_interval(metric.interval)


def spread_text(metric: Metric) -> str:
    """The standard deviation of a metric from pass to pass, ``0.42``; a dash if it has none."""
    return MISSING if metric.spread is None else decimals(metric.spread, 2)


def with_interval(interval: Interval, digits: int = 2) -> str:
    """``76.70 ± 0.38``, or ``11.1 [2.0, 43.5]``.

    Args:
        interval: In the unit that is printed.
        digits: Decimals, except in a wide and lopsided interval.
    """
    return f"{decimals(interval.value, _digits(interval, digits))} {margin(interval, digits)}"


def longer_half(interval: Interval, digits: int = 2) -> str:
    """The text in a column that is headed ±: ``0.38``, or ``≤4.72`` if the other half is shorter."""
    return f"{'' if interval.is_even(10.0**-digits) else '≤'}{decimals(interval.margin, digits)}"


def margin(interval: Interval, digits: int = 2, sign: str = "± ") -> str:
    """The text after the value: ``± 0.38`` or ``[2.0, 43.5]``.

    Args:
        interval: As in `with_interval`.
        digits: As in `with_interval`.
        sign: Text before a margin.
    """
    if interval.is_even(10.0**-digits):
        return f"{sign}{decimals(interval.margin, digits)}"
    digits = _digits(interval, digits)
    return f"[{decimals(interval.low, digits)}, {decimals(interval.high, digits)}]"


def decimals(value: float | None, digits: int) -> str:
    """Round as on paper, without a minus sign before zero. None becomes ``n/a``."""
    if value is None:
        return NOT_AVAILABLE
    # 1 - 0.6125 is 0.38749…96 in binary, and its percentage still reads 38.8.
    text = f"{round(value, 10):.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def points(interval: Interval, confidence: float, digits: int = 1, unit: str = "points") -> str:
    """``-1.6 points, 95 % interval -2.1 to -1.1``."""
    return f"{signed(interval.value, digits)} {unit}, {percent(confidence)} interval {ends(interval, digits)}"


def ends(interval: Interval, digits: int = 1) -> str:
    """``-2.1 to -1.1``."""
    return f"{signed(interval.low, digits)} to {signed(interval.high, digits)}"


def percent(confidence: float) -> str:
    """``95 %``."""
    return f"{100 * confidence:g} %"


def signed(value: float, digits: int = 1) -> str:
    """Write a number with its sign; zero has a plus sign."""
    text = f"{round(value, 10):+.{digits}f}"
    return text.replace("-", "+") if float(text) == 0 else text


def p_value(p: float) -> str:
    """``0.012``, or ``<0.001`` for smaller values."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def reason_notes(reasons: Iterable[tuple[str, str | None]]) -> list[str]:
    """Notes on why numbers are not available, each reason once, with the metrics that it applies to.

    Args:
        reasons: Names of metrics and reasons. Those without a reason are skipped.
    """
    names: dict[str, dict[str, None]] = {}
    for name, reason in reasons:
        if reason is not None:
            names.setdefault(reason, {})[short_name(name)] = None
    return [
        f"{NOT_AVAILABLE}: {', '.join(of)}: {reason}{'' if reason.endswith('…') else '.'}"
        for reason, of in names.items()
    ]


def _digits(interval: Interval, digits: int) -> int:
    wide = interval.high - interval.low >= _WIDE and not interval.is_even(10.0**-digits)
    return min(digits, 1) if wide else digits
