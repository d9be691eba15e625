"""JSON and CSV of what is known by class and by image. Errors and shares are in percent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ppbench.metrics.by_class import AddedConfusion, ClassError
from ppbench.metrics.flips import FlipShares
from ppbench.metrics.intervals import Interval
from ppbench.report.by_image import CLASSES, CONFUSIONS, FLIPS, ByImage
from ppbench.tables.rows import low_and_high, rounded

BY_IMAGE_COLUMNS = ("class", "predicted", "images", "p")
"""Columns that CSV has besides those of every run."""


def by_image_dict(found: ByImage) -> dict[str, Any]:
    """The JSON object. A part that is missing is null and has a reason."""
    rows = found.flip_rows
    flips = {
        "mean": None if found.overall is None else _shares_dict(found.overall),
        "families": [{"family": family, **_shares_dict(flips)} for family, name, flips in rows if family and not name],
        "corruptions": [{"corruption": name, **_shares_dict(flips)} for _, name, flips in rows if name],
    }
    return {
        "label": found.label("class_error"),
        "confidence": found.confidence,
        CLASSES: None if CLASSES in found.reasons else [_class_dict(found, one) for one in found.classes],
        CONFUSIONS: None if CONFUSIONS in found.reasons else [_pair_dict(found, pair) for pair in found.confusions],
        FLIPS: flips if rows else None,
        "reasons": dict(found.reasons),
    }


def _class_dict(found: ByImage, one: ClassError) -> dict[str, Any]:
    return {
        "class": found.names[one.number],
        "number": one.number,
        "images": one.n,
        "clean_error": one.clean and _percent_dict(one.clean),
        "mean_error": _percent_dict(one.interval or one.error),
        "p": one.p,
    }


def _pair_dict(found: ByImage, pair: AddedConfusion) -> dict[str, Any]:
    return {
        "class": found.names[pair.label],
        "number": pair.label,
        "predicted": found.names[pair.predicted],
        "predicted_number": pair.predicted,
        "images": pair.n,
        "clean": rounded(100 * pair.clean),
        "corrupted": rounded(100 * pair.corrupted),
        "added": _percent_dict(pair.added),
        "p": pair.p,
    }


def _shares_dict(flips: FlipShares) -> dict[str, Any]:
    first = {f"s{severity}": _percent_dict(share) for severity, share in flips.first.items()}
    return {
        "images": flips.n,
        **first,
        "never": _percent_dict(flips.never),
        "returned": _percent_dict(flips.returned),
    }


def _percent_dict(share: Interval | float) -> dict[str, float | None]:
    if isinstance(share, Interval):
        return {"value": rounded(100 * share.value), **low_and_high(share.scaled(100))}
    return {"value": rounded(100 * share), **low_and_high(None)}


def by_image_records(found: ByImage) -> Iterator[dict[str, Any]]:
    """Rows of the CSV of a run, by column. Columns that are not among the keys are empty."""
    for one in found.classes:
        of = {"class": found.names[one.number], "images": one.n}
        if one.clean is not None:
            yield _record(found, "class_clean_error", one.clean, **of)
        yield _record(found, "class_error", one.interval or one.error, **of, p=one.p)
    for pair in found.confusions:
        of = {"class": found.names[pair.label], "predicted": found.names[pair.predicted], "images": pair.n}
        yield _record(found, "confusion_clean", pair.clean, **of)
        yield _record(found, "confusion", pair.corrupted, **of)
        yield _record(found, "added_confusion", pair.added, **of, p=pair.p)
    for family, corruption, flips in found.flip_rows:
        of = {"family": family, "corruption": corruption, "images": flips.n}
        for severity, share in flips.first.items():
            yield _record(found, "first_flip", share, **of, severity=severity)
        yield _record(found, "never_flips", flips.never, **of)
        yield _record(found, "flips_back", flips.returned, **of)


_ON_CLEAN_IMAGES = {"class_clean_error", "confusion_clean"}


def _record(found: ByImage, name: str, share: Interval | float, **columns: Any) -> dict[str, Any]:
    errors = found.cell_errors
    conditions = f"[{errors.conditions}]" if errors.conditions else ""
    return {
        "metric": name,
        "unit": "%",
        "label": f"{name}{conditions}" if name in _ON_CLEAN_IMAGES else found.label(name),
        **_percent_dict(share),
        "confidence": found.confidence if isinstance(share, Interval) else None,
        **columns,
    }
