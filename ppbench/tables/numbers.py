"""How numbers and intervals are written in every table and message."""

from __future__ import annotations

from collections.abc import Iterable

from ppbench.metrics.intervals import Interval
from ppbench.metrics.metric import Metric
from ppbench.tables.sheet import NOT_AVAILABLE, short_name

_WIDE = 10.0
"""Width, in points, from which a lopsided interval has one decimal: of 2.0 to 43.5 nobody needs more."""


def metric_text(metric: Metric | None) -> str:
    """``76.70 ± 0.38``, ``11.1 [2.0, 43.5]``, or the number alone if it has no interval."""
    if metric is None or metric.interval is None:
        return decimals(metric.value if metric else None, 2)
    return with_interval(metric.interval)


def with_interval(interval: Interval, digits: int = 2) -> str:
    """``76.70 ± 0.38``, or ``11.1 [2.0, 43.5]``.

    Args:
        interval: In the unit that is printed.
        digits: Decimals, but of a wide and lopsided interval.
    """
    return f"{decimals(interval.value, _digits(interval, digits))} {margin(interval, digits)}"


def margin(interval: Interval, digits: int = 2, sign: str = "± ") -> str:
    """What stands behind the value, or in a column of its own: ``± 0.38``, or ``[2.0, 43.5]``.

    Args:
        interval: As in `with_interval`.
        digits: As in `with_interval`.
        sign: Before an honest margin; nothing where the column's head has it.
    """
    if interval.is_even(10.0**-digits):
        return f"{sign}{decimals(interval.margin, digits)}"
    digits = _digits(interval, digits)
    return f"[{decimals(interval.low, digits)}, {decimals(interval.high, digits)}]"


def decimals(value: float | None, digits: int) -> str:
    """Rounded as on paper, with no minus before what rounds to zero; ``n/a`` where there is no number."""
    if value is None:
        return NOT_AVAILABLE
    # 1 - 0.6125 is 0.38749…96 in binary, and its percentage still reads 38.8.
    text = f"{round(value, 10):.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def points(interval: Interval, confidence: float, digits: int = 1) -> str:
    """``-1.6 points, 95 % interval -2.1 to -1.1``."""
    return f"{signed(interval.value, digits)} points, {percent(confidence)} interval {ends(interval, digits)}"


def ends(interval: Interval, digits: int = 1) -> str:
    """``-2.1 to -1.1``."""
    return f"{signed(interval.low, digits)} to {signed(interval.high, digits)}"


def percent(confidence: float) -> str:
    """``95 %``."""
    return f"{100 * confidence:g} %"


def signed(value: float, digits: int = 1) -> str:
    """With a sign, and no minus before what rounds to zero."""
    text = f"{round(value, 10):+.{digits}f}"
    return text.replace("-", "+") if float(text) == 0 else text


def p_value(p: float) -> str:
    """``0.012``; ``<0.001`` for the smallest."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def reason_notes(reasons: Iterable[tuple[str, str | None]]) -> list[str]:
    """Why numbers are not available: each reason once, with the names of what it is the reason for.

    Args:
        reasons: Names and reasons; without a reason there is nothing to say.
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
