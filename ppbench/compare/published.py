"""Runs beside published results, with a column for every label, so that definitions are never mixed.

What a run has under another label stands in a table of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ppbench.errors import NotComparableError, UsageError
from ppbench.lookup import did_you_mean
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.metric import Metric
from ppbench.metrics.published import Published, PublishedSet, published_sets
from ppbench.metrics.quantities import case_of
from ppbench.metrics.references import ALEXNET, Normalizer
from ppbench.metrics.without_labels import NO_LABELS, has_normalizer, quantities_of
from ppbench.run import Run
from ppbench.tables.numbers import decimals
from ppbench.tables.report import Rows
from ppbench.tables.rows import rounded
from ppbench.tables.sheet import MISSING, NOT_AVAILABLE, Line, Sheet, short_name, short_names

_OWN = "this run"
"""The source of a run's own numbers."""

ALL = "all"
"""Stands for all sets of the runs' dataset."""


class _Row(NamedTuple):
    """A published result or a run."""

    name: str
    metrics: dict[str, Metric]
    """By label."""
    source: str
    link: str | None = None
    accuracies: Mapping[str, Sequence[float]] | None = None

    def shown(self, label: str) -> str:
        """A figure in words: a published one with the digits it was published with, at most two."""
        if label not in self.metrics:
            return MISSING
        value = self.metrics[label].value
        return decimals(value, 1) if self.link is None or value is None else repr(round(value, 2))


@dataclass(frozen=True)
class PublishedReport:
    """The report of published results with the user's runs."""

    name: str
    images: str
    """Which images the published results are for."""
    labels: tuple[str, ...]
    """Columns: first the published labels, then those that only runs have."""
    models: tuple[_Row, ...]

    def sheets(self) -> list[Sheet]:
        """The published table with those runs that have one of its labels, and a table of what has another label."""
        theirs = self._published()
        lines = [
            Line((row.name, *(row.shown(label) for label in theirs), row.source))
            for row in self.models
            if any(label in theirs for label in row.metrics)
        ]
        names = _column_names(theirs)
        header = ("model", *(f"{names[label]} %" for label in theirs), "source")
        sheet = Sheet(f"Published results: {self.name}", header, tuple(lines), (0, len(header) - 1), (), theirs)
        apart = self._apart(theirs)
        notes = tuple(self._sources())
        return [replace(sheet, notes=notes), apart] if apart else [replace(sheet, notes=(*notes, *self._reasons()))]

    def as_dict(self) -> dict[str, Any]:
        """A record for each number."""
        return {"published": self.name, "results": self.records()}

    def rows(self) -> Rows:
        """A row for each number."""
        records = self.records()
        return Rows.of_records(records, list(records[0]))

    def records(self) -> list[dict[str, Any]]:
        """A record for each number."""
        return [
            {"model": row.name, "label": label, "value": rounded(m.value), "unit": m.unit, "source": row.source,
             "reason": m.reason, "link": row.link}
            for row in self.models
            for label, m in row.metrics.items()
        ]  # fmt: skip

    def cells(self) -> list[dict[str, Any]]:
        """The accuracies of single cells, fractions, where a source has them."""
        return [
            {"model": row.name, "corruption": corruption, "accuracies": list(values)}
            for row in self.models
            for corruption, values in (row.accuracies or {}).items()
        ]

    def _published(self) -> tuple[str, ...]:
        published = {label for row in self.models if row.link for label in row.metrics}
        return tuple(label for label in self.labels if label in published)

    def _apart(self, theirs: Sequence[str]) -> Sheet | None:
        """What runs measured by another definition; None: nothing."""
        found = [
            Line((row.name, label, row.shown(label)))
            for row in self.models
            for label in row.metrics
            if label not in theirs
        ]
        others = [row for row in self.models if row.source == _OWN and next(iter(row.metrics), None) not in theirs]
        note = [f"{row.name}: {next(iter(row.metrics))} is not {theirs[0]}: do not rank the two." for row in others]
        title = f"Of your runs, what has another label than {self.name}"
        header = ("run", "label", "%")
        return Sheet(title, header, tuple(found), (0, 1), (*note, *self._reasons())) if found else None

    def _sources(self) -> Iterator[str]:
        sources = dict.fromkeys(row.source.partition(",")[0] for row in self.models if row.link)
        yield (
            f"{self.images}; they come from these repositories on GitHub, linked in `--format json`: "
            f"{', '.join(sources)}."
        )

    def _reasons(self) -> Iterator[str]:
        for row in self.models:
            yield from (
                f"{row.name}: {NOT_AVAILABLE}: {m.label}: {m.reason}." for m in row.metrics.values() if m.reason
            )


def _column_names(labels: Sequence[str]) -> dict[str, str]:
    """Short names by label. Of labels that share one, the only one without parts of its own is the plain one."""
    names = short_names(labels)
    whole = [label for label, name in names.items() if name == label]
    for label in whole:
        if not any(short_name(other) == short_name(label) for other in whole if other != label):
            names[label] = short_name(label)
    return names


@dataclass(frozen=True)
class PublishedReports:
    """Several sets of published results, each with the user's runs."""

    parts: tuple[PublishedReport, ...]

    def sheets(self) -> list[Sheet]:
        """A table for each set."""
        return [sheet for part in self.parts for sheet in part.sheets()]

    def as_dict(self) -> dict[str, Any]:
        """A record for each number, and the accuracies of single cells where there are any."""
        return {
            "results": [{"set": part.name} | record for part in self.parts for record in part.records()],
            "cells": [{"set": part.name} | record for part in self.parts for record in part.cells()],
        }

    def rows(self) -> Rows:
        """A row for each number."""
        records = self.as_dict()["results"]
        return Rows.of_records(records, list(records[0]))


def beside_published(
    runs: Sequence[tuple[str, Run]], name: str, normalizer: Normalizer | None = ALEXNET
) -> PublishedReport | PublishedReports:
    """Set runs beside published results.

    Args:
        runs: Names and runs.
        name: A set's name, or `ALL` for all sets of the runs' dataset.
        normalizer: What the runs' errors or flips are divided by; None: nothing. AlexNet's flips are not known.

    Raises:
        UsageError: If there is no such set.
        NotComparableError: If a run is of another dataset, or of one without published results.
    """
    sets = published_sets()
    if name in sets:
        return _beside(runs, name, sets[name], normalizer)
    if name != ALL:
        allowed = [*sets, ALL]
        hint = f"{did_you_mean(name, allowed)}allowed: {', '.join(allowed)} (`ppbench list published`)"
        raise UsageError(f"unknown set of published results {name!r}", hint)
    datasets = {run.protocol.dataset for _, run in runs}
    parts = tuple(_beside(runs, name, one, normalizer) for name, one in sets.items() if one.dataset in datasets)
    if not parts:
        known = ", ".join(sorted({one.dataset for one in sets.values()}))
        raise NotComparableError(
            f"no results are published for {', '.join(sorted(datasets))}", f"There are some for {known}."
        )
    return PublishedReports(parts)


def all_published() -> PublishedReports:
    """All published results, without runs."""
    return PublishedReports(tuple(_beside([], name, one, ALEXNET) for name, one in published_sets().items()))


def _beside(
    runs: Sequence[tuple[str, Run]], name: str, published: PublishedSet, normalizer: Normalizer | None
) -> PublishedReport:
    dataset = published.dataset
    rows = [_row(entry) for entry in published.rows]
    wanted = dict.fromkeys(label.partition("[")[0] for label in published.labels)
    for called, run in runs:
        if run.protocol.dataset != dataset:
            raise NotComparableError(
                f"{called} was measured on {run.protocol.dataset}, but {name} is for {dataset}",
                f"Evaluate on {dataset}: `ppbench eval --dataset {dataset}`.",
            )
        if not has_normalizer(run.protocol):
            raise NotComparableError(
                f"{called} has no errors to set beside published ones: {NO_LABELS}", "Evaluate with the true labels."
            )
        case, of = case_of(CellErrors.from_run(run), normalizer), quantities_of(run.protocol)
        own = [of[quantity].metric(case) for quantity in wanted if quantity in of]
        rows.append(_Row(called, {metric.label: metric for metric in own}, _OWN))
    labels = dict.fromkeys(label for row in rows for label in row.metrics)
    return PublishedReport(name, published.images, tuple(labels), tuple(rows))


def _row(entry: Published) -> _Row:
    return _Row(entry.name, entry.metrics, entry.source, entry.link, entry.accuracies)
