"""The metrics of a run; docs/metrics.md has the definitions.

The package needs neither torch nor pandas, and numpy only for what is computed image by image.
"""

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.functions import (
    clean_error,
    headline_metrics,
    mean_corruption_error,
    mean_error,
    net_robustness,
    relative_mean_corruption_error,
)
from ppbench.metrics.metric import Metric
from ppbench.metrics.references import ALEXNET
from ppbench.metrics.sequences import flip_probability, top5_distance, zipf_distance

Accuracies = CellErrors
"""The name that `CellErrors` had before."""

__all__ = [
    "ALEXNET",
    "Accuracies",
    "CellErrors",
    "Metric",
    "clean_error",
    "flip_probability",
    "headline_metrics",
    "mean_corruption_error",
    "mean_error",
    "net_robustness",
    "relative_mean_corruption_error",
    "top5_distance",
    "zipf_distance",
]
