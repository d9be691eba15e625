"""The metrics as functions of cell errors, for use from Python."""

from __future__ import annotations

from collections.abc import Sequence

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.metric import Metric
from ppbench.metrics.quantities import QUANTITIES, case_of
from ppbench.metrics.references import Normalizer
from ppbench.metrics.without_labels import quantities_of


def clean_error(errors: CellErrors) -> Metric:
    """Top-1 error on the uncorrupted images, %."""
    return QUANTITIES["clean_error"].metric(case_of(errors))


def mean_error(
    errors: CellErrors, corruptions: Sequence[str] | None = None, severities: Sequence[int] | None = None
) -> Metric:
    """Mean top-1 error over cells, %; by default over the headline corruptions at all severities."""
    return QUANTITIES["mean_error"].metric(case_of(errors, None, None, corruptions, severities))


def mean_corruption_error(
    errors: CellErrors, normalizer: Normalizer | None, corruptions: Sequence[str] | None = None, name: str = "mCE"
) -> Metric:
    """Mean over corruptions (by default the headline's) of the error divided by the normaliser's, %.

    For one corruption this is its CE, which has the name ``CE``.
    """
    return QUANTITIES["mCE"].metric(case_of(errors, normalizer, None, corruptions), name)


def relative_mean_corruption_error(
    errors: CellErrors,
    normalizer: Normalizer | None,
    corruptions: Sequence[str] | None = None,
    name: str = "relative_mCE",
) -> Metric:
    """Like `mean_corruption_error`, with each model's own clean error subtracted from its errors, %."""
    return QUANTITIES["relative_mCE"].metric(case_of(errors, normalizer, None, corruptions), name)


def net_robustness(errors: CellErrors, baseline: CellErrors | None) -> Metric:
    """R_net: reduction of the baseline's clean and mean error, divided by twice its clean error, %."""
    return QUANTITIES["R_net"].metric(case_of(errors, None, baseline))


def headline_metrics(
    errors: CellErrors, normalizer: Normalizer | None, baseline: CellErrors | None
) -> tuple[Metric, ...]:
    """Compute the metrics at the top of a report, in its order."""
    case = case_of(errors, normalizer, baseline)
    return tuple(quantity.metric(case) for quantity in quantities_of(errors.protocol).values())
