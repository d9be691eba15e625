"""The figures of a table from the runs of its networks: means over seeds with intervals over images, and differences.

A figure is uncertain for two reasons. The images are a sample: intervals are over the images, for the mean over the
seeds' networks as they are. The trainings are a sample too: these have only the single figures and their range, because
two or three seeds do not make an interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ppbench.errors import PpbenchError
from ppbench.metrics.cell_errors import CellErrors, headline_corruptions, mean
from ppbench.metrics.covariance import ErrorCovariance
from ppbench.metrics.intervals import Interval
from ppbench.metrics.metric import Metric, Weights
from ppbench.metrics.paired import holm, paired_interval, paired_test
from ppbench.metrics.per_image import FEWEST, PerImage
from ppbench.metrics.quantities import MEAN_ERROR, Case, case_of
from ppbench.reproduce.columns import Column
from ppbench.reproduce.networks import Given
from ppbench.reproduce.table import Row, Table
from ppbench.run import MeasuredRun, Run
from ppbench.vocabulary import Cell, family_of


@dataclass(frozen=True, eq=False)
class SeedRun:
    """The run of a row's network that was trained with one seed."""

    seed: int
    measured: MeasuredRun

    @cached_property
    def errors(self) -> CellErrors:
        """The errors by cell."""
        return CellErrors.from_run(self.measured.run)

    @cached_property
    def images(self) -> PerImage:
        """The errors image by image."""
        return PerImage.from_run(self.measured.run, self.measured.bits, self.measured.trials)

    @property
    def clean(self) -> float | None:
        """Clean error, a fraction; for a set without clean images it comes from the checkpoint's card."""
        if self.errors.clean is not None:
            return self.errors.clean
        in_card = self.measured.run.model.card.get("clean_accuracy")
        return None if in_card is None else 1 - float(in_card)


@dataclass(frozen=True, eq=False)
class Seeds:
    """The networks of a row, at least one; all runs are of the same images."""

    name: str
    """Id of the row, which is part of labels."""
    networks: tuple[SeedRun, ...]

    @cached_property
    def errors(self) -> CellErrors:
        """The mean errors over the networks."""
        return mean_errors(self.name, self.networks)

    def one(self, network: SeedRun) -> CellErrors:
        """The errors of one network, under the row's name."""
        return mean_errors(self.name, [network])

    def have_bits(self, cells: Iterable[Cell]) -> bool:
        """Whether these cells are known image by image; a clean error from a card is not."""
        cells = tuple(cells)
        return all(cell in network.images.cells for network in self.networks for cell in cells)

    def per_image(self, weights: Weights) -> NDArray[np.float64]:
        """Return each image's part in a weighted sum of errors, averaged over the networks: ``(n,)``."""
        return np.mean([network.images.weighted(weights) for network in self.networks], axis=0)


@dataclass(frozen=True)
class Figure:
    """The figure of a row in one column."""

    column: Column
    metric: Metric
    """The mean over seeds, with the interval over images."""
    by_seed: Mapping[int, float]
    """The values of the single networks, in percent; empty if the metric cannot be computed."""

    @property
    def range(self) -> float | None:
        """Distance from the lowest to the highest value of the seeds; None for one seed."""
        values = list(self.by_seed.values())
        return max(values) - min(values) if len(values) > 1 else None


@dataclass(frozen=True)
class Against:
    """Difference of a row's errors from the baseline's on the same images, as means over seeds."""

    name: str
    """``clean_error``, a mean error's label, or a family."""
    points: Interval
    """Row minus baseline, percentage points."""
    p: float
    """Two-sided p-value of no difference, adjusted for the number of rows (Holm)."""
    by_seed: Mapping[int, float]
    """Differences of the networks with the same seed, percentage points."""


@dataclass(frozen=True)
class RowFigures:
    """A row with all its figures."""

    row: Row
    figures: tuple[Figure, ...]
    """One per column; empty if there is no network."""
    against: tuple[Against, ...]
    """Empty for the baseline itself, and if the baseline is not measured."""
    seeds: tuple[int, ...]
    """The seeds that were measured."""
    failures: Mapping[str, PpbenchError]
    """Errors of the trainings that failed, by network. A network that is not trained yet has no entry."""
    trained_on: tuple[str, ...] = ()
    """Corruptions that the training augmentations overlap with."""
    clean_from_card: bool = False
    """Whether the clean error comes from the checkpoint's card."""
    given: tuple[Given, ...] = ()
    """Checkpoints that the user gave for the row."""


@dataclass(frozen=True)
class Results:
    """A table with its figures."""

    table: Table
    rows: tuple[RowFigures, ...]
    confidence: float
    run: Run | None
    """One of the runs, which all have the same protocol; None if there are none."""

    @property
    def several_seeds(self) -> bool:
        """Whether any row was trained more than once."""
        return any(len(row.seeds) > 1 for row in self.rows)


def compute(
    table: Table,
    rows: Sequence[Row],
    measured: Mapping[str, Sequence[SeedRun]],
    failures: Mapping[str, Mapping[str, PpbenchError]],
    confidence: float = 0.95,
    given: Mapping[str, Sequence[Given]] | None = None,
) -> Results:
    """Compute all figures of a table.

    Args:
        table: The table.
        rows: The rows to show.
        measured: By row, the networks that were measured, all on the same images.
        failures: By row and network, the errors of trainings that failed.
        confidence: Level of the intervals.
        given: By row, the checkpoints that ppbench did not train for the table.
    """
    seeds = {name: Seeds(name, tuple(networks)) for name, networks in measured.items() if networks}
    base = seeds.get(table.baseline)
    found = [
        replace(
            _row(table, row, seeds.get(row.id), base, failures.get(row.id, {}), confidence),
            given=tuple((given or {}).get(row.id, ())),
        )
        for row in rows
    ]
    run = next((networks.networks[0].measured.run for networks in seeds.values()), None)
    return Results(table, tuple(_adjusted(found)), confidence, run)


def mean_errors(name: str, networks: Sequence[SeedRun]) -> CellErrors:
    """Average the errors over networks, in the cells that all of them have."""
    first = networks[0].errors
    cells = [key for key in first.errors if all(key in network.errors.errors for network in networks)]
    errors = {key: mean(network.errors.errors[key] for network in networks) for key in cells}
    clean = [network.clean for network in networks if network.clean is not None]
    # The mean over some of the networks would be another figure.
    whole = mean(clean) if len(clean) == len(networks) else None
    return replace(first, source=name, errors=errors, clean=whole, per_image=None)


def _row(
    table: Table,
    row: Row,
    own: Seeds | None,
    base: Seeds | None,
    failures: Mapping[str, PpbenchError],
    confidence: float,
) -> RowFigures:
    if own is None:
        return RowFigures(row, (), (), (), failures)
    is_baseline = row.id == table.baseline
    columns = table.columns()
    return RowFigures(
        row=row,
        figures=tuple(_figure(column, own, base, confidence) for column in columns),
        against=() if base is None or is_baseline else tuple(_against(columns, own, base, confidence)),
        seeds=tuple(network.seed for network in own.networks),
        failures=failures,
        trained_on=tuple(own.networks[0].measured.run.model.card.get("trained_on_corruptions") or ()),
        clean_from_card=own.networks[0].errors.clean is None and own.errors.clean is not None,
    )


def _figure(column: Column, own: Seeds, base: Seeds | None, confidence: float) -> Figure:
    whole = _metric(column, own.errors, base.errors if base else None)
    by_seed: dict[int, float] = {}
    for network in own.networks:
        other = _same_seed(base, network.seed)
        single = _metric(column, own.one(network), base.one(other) if base and other else None)
        if single.value is not None:
            by_seed[network.seed] = single.value
    return Figure(column, _with_interval(whole, column, own, base, confidence), by_seed)


def _same_seed(base: Seeds | None, seed: int) -> SeedRun | None:
    return next((network for network in base.networks if network.seed == seed), None) if base else None


def _case(column: Column, own: CellErrors, base: CellErrors | None) -> Case:
    return Case(own, column.corruptions, column.severities, baseline=base)


def _metric(column: Column, own: CellErrors, base: CellErrors | None) -> Metric:
    """The metric of a column, in percent, from errors averaged over networks."""
    if column.baseline is not None and base is None:
        return Metric(column.quantity.name, column.label, None, "%", f"the row {column.baseline} is not measured")
    return column.quantity.metric(_case(column, own, base))


def _with_interval(metric: Metric, column: Column, own: Seeds, base: Seeds | None, confidence: float) -> Metric:
    """The metric with its interval over images, if per-image results are available."""
    if metric.value is None or own.networks[0].images.n < FEWEST:
        return metric
    case = _case(column, own.errors, base.errors if base else None)
    weights = [(own, column.quantity.weights(case))]
    if column.baseline is not None:
        # The baseline's errors are estimated from the same images; against itself the metric is 0 on any images.
        if base is None or own is base:
            return metric
        weights.append((base, column.quantity.reference_weights(case)))
    if not all(seeds.have_bits(cells) for seeds, cells in weights):
        return metric
    images = [network.images for seeds, _ in weights for network in seeds.networks]
    # Each network has its share of the mean over seeds.
    divided = [
        {cell: weight / len(seeds.networks) for cell, weight in cells.items()}
        for seeds, cells in weights
        for _ in seeds.networks
    ]
    interval = ErrorCovariance(images).interval(column.quantity, metric.value, divided, confidence)
    return replace(metric, interval=interval)


def _against(columns: Sequence[Column], own: Seeds, base: Seeds, confidence: float) -> list[Against]:
    """Differences in the errors among the columns, then in each family of the measured corruptions."""
    if own.networks[0].images.n < FEWEST:
        return []
    errors = [column for column in columns if column.quantity.reference is None]
    compared = [(column.label, column.quantity.weights(_case(column, own.errors, None))) for column in errors]
    compared = [(name, weights) for name, weights in compared if own.have_bits(weights) and base.have_bits(weights)]
    names = headline_corruptions(own.errors.corruptions)
    families = [(family, tuple(members)) for family, members in groupby(names, family_of)]
    if len(families) > 1:
        compared += [
            (family, MEAN_ERROR.weights(case_of(own.errors, corruptions=members))) for family, members in families
        ]
    return [_difference(name, weights, own, base, confidence) for name, weights in compared]


def _difference(name: str, weights: Weights, own: Seeds, base: Seeds, confidence: float) -> Against:
    points = 100 * (own.per_image(weights) - base.per_image(weights))
    by_seed: dict[int, float] = {}
    for network in own.networks:
        other = _same_seed(base, network.seed)
        if other is not None:
            change = network.images.weighted(weights).mean() - other.images.weighted(weights).mean()
            by_seed[network.seed] = 100 * float(change)
    return Against(name, paired_interval(points, confidence), paired_test(points), by_seed)


def _adjusted(rows: Sequence[RowFigures]) -> list[RowFigures]:
    """The rows with the p-values of each column adjusted for the number of rows."""
    names = dict.fromkeys(against.name for row in rows for against in row.against)
    adjusted: dict[tuple[str, str], float] = {}
    for name in names:
        tested = [(row.row.id, a.p) for row in rows for a in row.against if a.name == name]
        for (row_id, _), p in zip(tested, holm([p for _, p in tested]), strict=True):
            adjusted[row_id, name] = p
    return [
        replace(row, against=tuple(replace(a, p=adjusted[row.row.id, a.name]) for a in row.against)) for row in rows
    ]
