"""Error consistency of compared models: whether they get the same images wrong. See `ppbench.metrics.consistency`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ppbench.compare.comparison import Comparison
from ppbench.metrics.consistency import ErrorConsistency, error_consistency
from ppbench.metrics.metric import Unavailable
from ppbench.tables.numbers import decimals, percent, reason_notes, with_interval
from ppbench.tables.rows import low_and_high, rounded
from ppbench.tables.sheet import MISSING, NOT_AVAILABLE, Line, LineKind, Sheet
from ppbench.vocabulary import CLEAN, cell_in_words, family_of

NAME = "error_consistency"
"""The name of the metric, of its group in CSV and of its key in JSON."""


@dataclass(frozen=True)
class Consistency:
    """The error consistency of two models over some cells, or the reason why it is not known."""

    name: str
    """``clean``, ``mean``, a family or a corruption."""
    kind: LineKind
    label: str
    """``error_consistency[fog,s1-5]``"""
    found: ErrorConsistency | None
    reason: str | None
    """Why there is no kappa; None if there is one."""

    @property
    def key(self) -> tuple[str, str]:
        """Unique within a comparison. A family of one corruption has the label of that corruption."""
        return self.name, self.label

    @property
    def is_part(self) -> bool:
        """Whether it is a corruption, which tables show below its family."""
        return self.kind == "plain" and self.name not in (CLEAN, "mean")


def consistencies(comparison: Comparison) -> Iterator[Consistency]:
    """On the clean images, over the headline corruptions, then by family and corruption."""
    errors = comparison.reference.cell_errors
    conditions = f",{errors.conditions}" if errors.conditions else ""
    yield _of(comparison, CLEAN, "plain", f"{NAME}[{CLEAN}{conditions}]", ())
    parts: list[tuple[str, LineKind, tuple[str, ...]]] = [("mean", "plain", errors.headline)]
    for family, members in groupby(errors.corruptions, family_of):
        names = tuple(members)
        parts += [(family, "group", names), *((name, "plain", (name,)) for name in names)]
    for name, kind, corruptions in parts:
        label = errors.label(NAME, corruptions=corruptions, severities=errors.severities)
        yield _of(comparison, name, kind, label, corruptions)


def _of(comparison: Comparison, name: str, kind: LineKind, label: str, corruptions: tuple[str, ...]) -> Consistency:
    one, other = comparison.reference, comparison.other
    severities = one.cell_errors.severities
    cells = [(corruption, severity) for corruption in corruptions for severity in severities]
    cells = [(CLEAN, 0)] if name == CLEAN else cells
    try:
        found = error_consistency(one.bits, other.bits, cells, comparison.confidence)
    except Unavailable as reason:
        return Consistency(name, kind, label, None, str(reason))
    if found.kappa is not None:
        return Consistency(name, kind, label, found, None)
    where = ", ".join(map(cell_in_words, found.undefined[:3])) + (", …" if len(found.undefined) > 3 else "")
    return Consistency(name, kind, label, found, f"both models are right, or both wrong, on every image ({where})")


def consistency_sheet(comparisons: Sequence[Comparison]) -> Sheet:
    """The table of one pair, with the shares that kappa is made of, or of several runs with the kappa of each."""
    columns = [{one.key: one for one in consistencies(comparison)} for comparison in comparisons]
    first, is_pair = comparisons[0], len(comparisons) == 1
    # A run may lack a corruption that another has: each row comes once, where it comes first.
    every: dict[tuple[str, str], Consistency] = {}
    for one in (one for own in columns for one in own.values()):
        every.setdefault(one.key, one)
    rows = list(every.values())
    lines = []
    for row in rows:
        values = [_kappa(own.get(row.key)) for own in columns]
        values += _shares(row) if is_pair else []
        lines.append(Line((f"  {row.name}" if row.is_part else row.name, *values), row.kind))
    names = [comparison.other.name for comparison in comparisons]
    of = f"{names[0]} and {first.reference.name}" if is_pair else f"each run and {first.reference.name}"
    notes = [
        "Kappa: (observed - expected) / (1 - expected), where observed is the share of images that both get right or "
        "both get wrong, and expected is that share for independent models of the same accuracy; over several cells "
        "the mean of their kappas. 0: as independent models; 1: exactly the same errors. ± or [low, high]: "
        f"{percent(first.confidence)} interval, over images.",
        *reason_notes((one.label, one.reason) for own in columns for one in own.values()),
    ]
    header = ("", "kappa", "observed", "expected") if is_pair else ("kappa", *names)
    title, models = f"Error consistency of {of}", () if is_pair else tuple(range(1, len(header)))
    return Sheet(title, header, tuple(lines), notes=tuple(notes), labels=(rows[1].label,), names=models)


def _kappa(one: Consistency | None) -> str:
    if one is None:
        return MISSING
    if one.found is None or one.found.interval is None:
        return decimals(one.found and one.found.kappa, 2)
    return with_interval(one.found.interval)


def _shares(one: Consistency) -> list[str]:
    if one.found is None:
        return [NOT_AVAILABLE, NOT_AVAILABLE]
    return [f"{decimals(100 * share, 1)} %" for share in (one.found.observed, one.found.expected)]


def consistency_dict(comparison: Comparison) -> dict[str, Any]:
    """The JSON object: shares are fractions, as kappa is."""
    clean, mean, *parts = consistencies(comparison)
    return {
        CLEAN: _part_dict(clean),
        "mean": _part_dict(mean),
        "families": [{"family": one.name, **_part_dict(one)} for one in parts if one.kind == "group"],
        "corruptions": [{"corruption": one.name, **_part_dict(one)} for one in parts if one.kind != "group"],
    }


def _part_dict(one: Consistency) -> dict[str, Any]:
    found = one.found
    return {
        "label": one.label,
        "kappa": rounded(found and found.kappa),
        **low_and_high(found and found.interval),
        "observed": rounded(found and found.observed),
        "expected": rounded(found and found.expected),
        "undefined": [list(cell) for cell in found.undefined] if found else [],
        "reason": one.reason,
    }


def consistency_records(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """Rows of the CSV of differences, by column: the kappa of both runs is the value, and nothing is subtracted."""
    for one in consistencies(comparison):
        yield {
            "group": NAME,
            "name": one.name,
            "value": rounded(one.found and one.found.kappa),
            **low_and_high(one.found and one.found.interval),
            "label": one.label,
            "reason": one.reason,
            "metric": NAME,
            "unit": "kappa",
        }
