"""The metrics of each pass of a stochastic model, and how far they spread.

The value of a metric is over all passes. The spread says how much it depends on which pass was taken; the interval is
about other images and other passes, since it is made from each image's share of failed passes.
"""

from __future__ import annotations

import statistics
from dataclasses import replace

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.metric import Metric, Unavailable
from ppbench.metrics.quantities import Case, Quantity
from ppbench.vocabulary import CLEAN


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


def with_spread(metric: Metric, quantity: Quantity, case: Case) -> Metric:
    """Add the standard deviation of a metric over the passes, if there are two or more."""
    passes = errors_by_pass(case.model)
    if metric.value is None or len(passes) < 2 or not quantity.of_errors:
        return metric
    try:
        values = [quantity.value(case._replace(model=one)) for one in passes]
    except Unavailable:
        return metric
    return replace(metric, spread=statistics.stdev(values))
