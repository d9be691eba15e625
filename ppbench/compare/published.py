"""Runs beside published results, with a column for every label, so that definitions are never mixed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ppbench.errors import NotComparableError
from ppbench.lookup import check_name
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.metric import Metric
from ppbench.metrics.quantities import QUANTITIES, case_of
from ppbench.metrics.references import ALEXNET, MCE, PUBLISHED
from ppbench.metrics.without_labels import NO_LABELS, has_labels
from ppbench.run import Run
from ppbench.tables.numbers import decimals
from ppbench.tables.report import Rows
from ppbench.tables.rows import rounded
from ppbench.tables.sheet import MISSING, NOT_AVAILABLE, Line, Sheet, short_name

_OWN = "this run"
"""The source of a run's own numbers."""

_Row = tuple[str, dict[str, Metric], str]
"""Name, metrics by label, source."""


@dataclass(frozen=True)
class PublishedReport:
    """The report of published results with the user's runs."""

    name: str
    labels: tuple[str, ...]
    """Columns: first the published labels, then those that only runs have."""
    models: tuple[_Row, ...]

    def sheets(self) -> list[Sheet]:
        """One table, with a note if a run's numbers have columns of their own."""
        lines = []
        for name, metrics, source in self.models:
            cells = [decimals(metrics[label].value, 1) if label in metrics else MISSING for label in self.labels]
            lines.append(Line((name, *cells, source)))
        names = [short_name(label) for label in self.labels]
        # Two definitions have no name in common.
        clear = {label for label, name in zip(self.labels, names, strict=True) if names.count(name) == 1}
        header = ("model", *(f"{short_name(label) if label in clear else label} %" for label in self.labels), "source")
        title, labels = f"Published results: {self.name}", tuple(label for label in self.labels if label in clear)
        return [Sheet(title, header, tuple(lines), (0, len(header) - 1), tuple(self._notes()), labels)]

    def as_dict(self) -> dict[str, Any]:
        """A record for each number."""
        return {"published": self.name, "results": self._records()}

    def rows(self) -> Rows:
        """A row for each number."""
        records = self._records()
        return Rows.of_records(records, list(records[0]))

    def _records(self) -> list[dict[str, Any]]:
        return [
            {"model": name, "label": label, "value": rounded(m.value),
             "unit": m.unit, "source": source, "reason": m.reason}
            for name, metrics, source in self.models
            for label, m in metrics.items()
        ]  # fmt: skip

    def _notes(self) -> Iterator[str]:
        origin = "they come from the READMEs of these GitHub repositories or from the paper"
        yield f"Published figures are for all 50,000 images; {origin}."
        for name, metrics, source in self.models:
            if source == _OWN and MCE not in metrics:
                label = next(iter(metrics))
                yield f"{name}: {label} is not {MCE}, so it has its own column: do not rank the two."
            yield from (f"{name}: {NOT_AVAILABLE}: {m.label}: {m.reason}." for m in metrics.values() if m.reason)


def beside_published(runs: Sequence[tuple[str, Run]], name: str) -> PublishedReport:
    """Set runs beside published results.

    Args:
        runs: Names and runs.
        name: One of `PUBLISHED`.

    Raises:
        UsageError: If there are no such results.
        NotComparableError: If a run is of another dataset.
    """
    check_name("set of published results", name, PUBLISHED, "ppbench compare --help")
    dataset, published = PUBLISHED[name]
    rows: list[_Row] = [
        (
            entry.name,
            {label: Metric(label.partition("[")[0], label, v, "%") for label, v in entry.values.items()},
            entry.source,
        )
        for entry in published
    ]
    for called, run in runs:
        if run.protocol.dataset != dataset:
            raise NotComparableError(
                f"{called} was measured on {run.protocol.dataset}, but {name} is for {dataset}",
                f"Evaluate on {dataset}: `ppbench eval --dataset {dataset}`.",
            )
        if not has_labels(run.protocol):
            raise NotComparableError(
                f"{called} has no errors to set beside published ones: {NO_LABELS}", "Evaluate with the true labels."
            )
        case = case_of(CellErrors.from_run(run), ALEXNET)
        own = [QUANTITIES[metric.name].metric(case) for metric in rows[0][1].values()]
        rows.append((called, {metric.label: metric for metric in own}, _OWN))
    labels = dict.fromkeys(label for _, metrics, _ in rows for label in metrics)
    return PublishedReport(name, tuple(labels), tuple(rows))
