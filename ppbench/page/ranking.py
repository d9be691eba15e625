"""Rankings of runs: only runs with the same protocol and the same label are in one, and ranks say how sure they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from ppbench.compare.comparability import FIELDS, differing
from ppbench.metrics.intervals import Interval
from ppbench.metrics.metric import Metric
from ppbench.metrics.of_sequences import FLIP_PROBABILITY
from ppbench.metrics.of_streams import STREAM_ERROR
from ppbench.metrics.quantities import MEAN_ERROR
from ppbench.metrics.without_labels import FLIP_RATE
from ppbench.report.summary import RunSummary
from ppbench.run import Run
from ppbench.tables.rows import rounded

RANKED_BY = (MEAN_ERROR.name, FLIP_RATE.name, FLIP_PROBABILITY.name, STREAM_ERROR.name)
"""The metrics of rankings, of which every run has one: they need no normaliser."""


@dataclass(frozen=True)
class Entry:
    """One run of a folder."""

    file: str
    """Its path in the folder, with slashes."""
    copies: tuple[str, ...]
    """Other files with the same run, such as a page that holds it."""
    run: Run
    summary: RunSummary
    page: str
    """Place of its report in the site; empty if there is none."""
    no_page: str = ""
    """Why there is none."""

    @property
    def ranked_by(self) -> Metric:
        """The metric of the ranking."""
        return next(metric for metric in self.summary.metrics if metric.name in RANKED_BY)


@dataclass(frozen=True)
class Place:
    """The place of a run in a ranking."""

    entry: Entry
    rank: int
    """1 for the lowest error; runs with the same error share a rank."""
    best: int | None
    """The best rank that the intervals allow; None without an interval."""
    worst: int | None

    @property
    def reach(self) -> str:
        """``1``, ``1 to 3``, or empty if there is no interval."""
        if self.best is None:
            return ""
        return f"{self.best}" if self.best == self.worst else f"{self.best} to {self.worst}"


@dataclass(frozen=True)
class Ranking:
    """Runs that may be compared, the best first."""

    key: str
    """A name for links, made of the protocol and the label."""
    label: str
    """The full label of the metric."""
    places: tuple[Place, ...]
    unranked: tuple[Entry, ...]
    """Runs of this protocol without a value, such as interrupted ones."""

    @property
    def entries(self) -> list[Entry]:
        """All runs, those without a rank last."""
        return [*(place.entry for place in self.places), *self.unranked]


def rankings(entries: Sequence[Entry]) -> list[Ranking]:
    """Group runs by protocol and label, and rank each group.

    Returns:
        The groups with the most runs first, then by dataset and label.
    """
    groups: list[list[Entry]] = []
    for entry in entries:
        group = next((group for group in groups if _belong_together(group[0], entry)), None)
        if group is None:
            groups.append([entry])
        else:
            group.append(entry)
    found = [_ranking(group) for group in groups]
    return sorted(found, key=lambda one: (-len(one.entries), one.entries[0].run.protocol.dataset, one.label, one.key))


def _belong_together(one: Entry, other: Entry) -> bool:
    same_label = one.ranked_by.label == other.ranked_by.label
    return same_label and not differing(one.run.protocol, other.run.protocol)


def _ranking(group: Sequence[Entry]) -> Ranking:
    first = group[0]
    protocol = first.run.protocol.model_dump(mode="json")
    # Of what the group has in common, so that links stay valid when runs are added.
    named = json.dumps(
        [first.ranked_by.label, {name: protocol[name] for name in FIELDS if name in protocol}], sort_keys=True
    )
    key = f"protocol-{hashlib.sha256(named.encode()).hexdigest()[:12]}"
    with_value = [entry for entry in group if entry.ranked_by.value is not None]
    without = tuple(entry for entry in group if entry.ranked_by.value is None)
    return Ranking(key, first.ranked_by.label, tuple(placed(with_value)), without)


def placed(entries: Sequence[Entry]) -> list[Place]:
    """Rank runs by their error, with the ranks that their intervals allow.

    A run is surely better than another if its whole interval lies below the other's. Intervals are those of each run
    alone; `ppbench compare` pairs two runs by image and can be surer.
    """
    # Rounded as in JSON: the last bits of a sum must not part two ranks.
    values = [rounded(entry.ranked_by.value) or 0.0 for entry in entries]
    intervals = [entry.ranked_by.interval for entry in entries]
    found = []
    for entry, value, own in zip(entries, values, intervals, strict=True):
        rank = 1 + sum(other < value for other in values)
        best = worst = None
        if own is not None:
            best = 1 + sum(_is_below(other, own) for other in intervals)
            worst = len(entries) - sum(_is_below(own, other) for other in intervals)
        found.append(Place(entry, rank, best, worst))
    return sorted(found, key=lambda place: (place.rank, place.entry.run.model.name, place.entry.file))


def _is_below(one: Interval | None, other: Interval | None) -> bool:
    """Whether an interval is known to lie below another."""
    return one is not None and other is not None and one.high < other.low
