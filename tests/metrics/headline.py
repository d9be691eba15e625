"""What the headline metrics of a model are called, and why some have no value."""

from ppbench.metrics import (
    headline_metrics,
)


def labels_of(accuracies, normalizer):
    """Labels of mean error, mCE and relative mCE."""
    return [metric.label for metric in headline_metrics(accuracies, normalizer, None)[1:4]]


def reasons(accuracies, normalizer=None, baseline=None):
    """By name, why metrics without a value have none."""
    metrics = headline_metrics(accuracies, normalizer, baseline)
    assert all((metric.value is None) == (metric.reason is not None) for metric in metrics)
    return {metric.name: metric.reason for metric in metrics if metric.value is None}
