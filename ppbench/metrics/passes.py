"""The metrics of each pass of a stochastic model, and how far they spread.

The value of a metric is over all passes. The spread says how much it depends on which pass was taken. The interval is
made from each image's share of failed passes, which covers other passes if each image draws for itself. What all images
of a pass share, such as noise on weights, moves them together and is not seen in differences between images: the
variance between passes is then added.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.metric import Metric, Unavailable
from ppbench.metrics.quantities import Case, Quantity
from ppbench.vocabulary import CLEAN

if TYPE_CHECKING:
    from ppbench.metrics.per_image import PerImage


def errors_by_pass(errors: CellErrors) -> list[CellErrors]:
    """Return the errors of each pass alone; none if they are not known."""
    if errors.right_by_pass is None or errors.protocol is None:
        return []
    n, found = errors.protocol.n, []
    for right in zip(*errors.right_by_pass.values(), strict=True):
        of_pass = {cell: 1 - count / n for cell, count in zip(errors.right_by_pass, right, strict=True)}
        clean = of_pass.pop((CLEAN, 0), None)
        found.append(replace(errors, errors=of_pass, clean=None if errors.clean is None else clean))
    return found


def by_pass(errors: CellErrors) -> PerImage | None:
    """Return the errors in each pass, with passes in place of images; None with one pass, or if they are not known."""
    if errors.right_by_pass is None or errors.protocol is None or errors.protocol.passes == 1:
        return None
    import numpy as np  # only intervals need it: `ppbench show` starts faster without

    from ppbench.metrics.per_image import PerImage

    right = np.array(list(errors.right_by_pass.values()), np.float64)
    return PerImage(
        errors.source, 1 - right / errors.protocol.n, {key: i for i, key in enumerate(errors.right_by_pass)}
    )


def spread_over(passes: Sequence[CellErrors], quantity: Quantity, case: Case) -> float | None:
    """The standard deviation of a metric over passes (`errors_by_pass`), in its unit; None if it has none.

    It takes two passes or more, and a metric of errors that has a value in each.
    """
    if len(passes) < 2 or not quantity.of_errors:
        return None
    try:
        return statistics.stdev(quantity.value(case._replace(model=one)) for one in passes)
    except Unavailable:
        return None


def with_spread(metric: Metric, quantity: Quantity, case: Case) -> Metric:
    """Add the standard deviation of a metric over the passes, if there are two or more."""
    if metric.value is None:
        return metric
    return replace(metric, spread=spread_over(errors_by_pass(case.model), quantity, case))


SHARED_IS_ADDED = "all images of a pass share a draw, so the variance between passes is added"


def passes_note(errors: CellErrors, *, spread: bool) -> str:
    """The note below tables of several passes: what the values are, and what the intervals are about.

    Args:
        errors: Those of the run.
        spread: Whether the spread over passes is known.
    """
    if not spread:
        return "The intervals are about other images, not about other passes: all images of a pass share a draw."
    note = (
        f"Values are means over {errors.passes} of each image. sd: the standard deviation of the metric from pass to "
        "pass. The intervals are about other images and other passes"
    )
    if errors.shares_draws:
        return f"{note}; {SHARED_IS_ADDED}."
    return f"{note}."
