"""The document: all that is reported of one run, computed once, so that no two formats can disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

from ppbench.metrics.accuracy import Accuracies, WorstCell
from ppbench.metrics.calibration import calibration_metrics
from ppbench.metrics.corruption_error import (
    headline_metrics,
    mean_corruption_error,
    mean_error,
    relative_mean_corruption_error,
)
from ppbench.metrics.metric import Metric
from ppbench.metrics.normalizers import Normalizer
from ppbench.run import Run
from ppbench.vocabulary import SEVERITIES, family_of


@dataclass(frozen=True)
class Row:
    """The results over one corruption, or over several of them."""

    name: str
    """A corruption, a family, or ``mean`` for the headline corruptions."""
    corruptions: tuple[str, ...]
    errors: Mapping[int, Metric]
    """Mean error by severity."""
    mean_error: Metric
    ce: Metric
    relative_ce: Metric

    @property
    def accuracies(self) -> dict[int, float | None]:
        """Mean accuracy by severity, fractions; None where a cell is missing."""
        values = {severity: metric.value for severity, metric in self.errors.items()}
        return {severity: None if value is None else 1 - value / 100 for severity, value in values.items()}


@dataclass(frozen=True)
class Document:
    """What is reported of one run."""

    accuracies: Accuracies
    normalizer: str
    """Name, or ``none``."""
    baseline: str | None
    metrics: tuple[Metric, ...]
    """The headline."""
    corruptions: tuple[Row, ...]
    families: tuple[Row, ...]
    """One for each family of which a corruption is present; ``other`` has those of no published set."""
    overall: Row
    """Over the headline corruptions."""
    severities: Mapping[int, Metric]
    """Mean error over the headline corruptions by severity."""
    worst_cell: WorstCell | None
    calibration: tuple[Metric, ...]
    """Empty for a CSV, which has no counts."""

    def family(self, name: str) -> list[Row]:
        """The corruptions of a family."""
        return [row for row in self.corruptions if family_of(row.name) == name]


def build_document(
    results: Accuracies | Run, normalizer: Normalizer | None = None, baseline: Accuracies | None = None
) -> Document:
    """Compute everything that is reported.

    Args:
        results: A run, or bare accuracies (which have no calibration).
        normalizer: The denominators of CE; None leaves CE and mCE out.
        baseline: The model that R_net compares with.
    """
    accuracies = Accuracies.from_run(results) if isinstance(results, Run) else results
    names = accuracies.corruptions
    # In canonical order the members of a family stand together.
    families = [(family, tuple(members)) for family, members in groupby(names, family_of)]
    return Document(
        accuracies=accuracies,
        normalizer=normalizer.source if normalizer else "none",
        baseline=baseline.source if baseline else None,
        metrics=headline_metrics(accuracies, normalizer, baseline),
        corruptions=tuple(_row(accuracies, normalizer, name, (name,)) for name in names),
        families=tuple(_row(accuracies, normalizer, family, members) for family, members in families),
        overall=_row(accuracies, normalizer, "mean", accuracies.headline),
        severities={s: mean_error(accuracies, severities=(s,)) for s in accuracies.severities},
        worst_cell=accuracies.worst_cell(),
        calibration=calibration_metrics(results) if isinstance(results, Run) else (),
    )


def _row(accuracies: Accuracies, normalizer: Normalizer | None, name: str, corruptions: tuple[str, ...]) -> Row:
    name_of_ce = "CE" if corruptions == (name,) else "mCE"
    return Row(
        name=name,
        corruptions=corruptions,
        errors={severity: mean_error(accuracies, corruptions, (severity,)) for severity in _columns(accuracies)},
        mean_error=mean_error(accuracies, corruptions),
        ce=mean_corruption_error(accuracies, normalizer, corruptions, name_of_ce),
        relative_ce=relative_mean_corruption_error(accuracies, normalizer, corruptions, f"relative_{name_of_ce}"),
    )


def _columns(accuracies: Accuracies) -> list[int]:
    """Severities at which any cell stands: the extra corruptions may have more than the headline ones."""
    present = {severity for _, severity in accuracies.errors} | set(accuracies.severities)
    return [severity for severity in SEVERITIES if severity in present]
