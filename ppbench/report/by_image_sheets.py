"""The tables of worst classes, added confusions and first flips."""

from __future__ import annotations

from collections.abc import Callable

from ppbench.metrics.flips import FlipShares
from ppbench.metrics.intervals import Interval
from ppbench.metrics.per_image import FEWEST
from ppbench.metrics.without_labels import has_labels
from ppbench.report.by_image import CLASSES, CONFUSIONS, FLIPS, PARTS, ByImage
from ppbench.tables.numbers import decimals, p_value, percent, with_interval
from ppbench.tables.sheet import MISSING, NOT_AVAILABLE, Line, LineKind, Sheet
from ppbench.vocabulary import severity_label

MOST_ROWS = 10
"""Classes and confusions in a table. JSON and CSV have more."""

_TITLES = {CLASSES: "Worst classes", CONFUSIONS: "Confusions that corruptions add", FLIPS: "First flips"}


def by_image_sheets(found: ByImage, *, intervals: bool = False) -> list[Sheet]:
    """The tables, and one that says which of them are missing and why.

    Args:
        found: What is known.
        intervals: Give all shares of flips their intervals.
    """
    sheets = [_class_sheet(found)] if found.classes else []
    sheets += [_confusion_sheet(found)] if CONFUSIONS not in found.reasons and found.classes else []
    sheets += [_flip_sheet(found, intervals)] if found.flip_rows else []
    parts: dict[str, list[str]] = {}
    for part in PARTS:
        if part in found.reasons:
            parts.setdefault(found.reasons[part], []).append(_TITLES[part].lower())
    if parts:
        lines = tuple(Line((", ".join(names), reason)) for reason, names in parts.items())
        sheets.append(Sheet("By class and image: not available", ("table", "why not"), lines, text_columns=(0, 1)))
    return sheets


def _class_sheet(found: ByImage) -> Sheet:
    shown, all_images = found.classes[:MOST_ROWS], sum(one.n for one in found.classes)
    lines = [
        Line((found.names[one.number], str(one.n), _text(one.clean), _text(one.interval or one.error), _p(one.p)))
        for one in shown
    ]
    clean = [one.clean.value * one.n for one in found.classes if one.clean is not None]
    means = [
        sum(clean) / all_images if len(clean) == len(found.classes) else None,
        sum(one.error * one.n for one in found.classes) / all_images,
    ]
    total = ("all classes", str(all_images), *map(_text, means), "")
    count = f"{len(shown)} of {len(found.classes)}" if len(shown) < len(found.classes) else f"all {len(shown)}"
    return Sheet(
        f"{_TITLES[CLASSES]}, {count}, errors in %",
        ("class", "images", "clean error", "mean error", "p"),
        (*lines, Line(total, "total")),
        notes=(
            f"± or [low, high]: {percent(found.confidence)} interval of this class alone, for images of the class like "
            "these. The highest of many errors are in part high by chance. p: that the class has the mean error of "
            f"all others, adjusted over the {len(found.classes)} classes (Holm).",
        ),
        labels=(found.label("mean_error"),),
    )


def _confusion_sheet(found: ByImage) -> Sheet:
    title = f"{_TITLES[CONFUSIONS]}, % of the images of the class"
    lines = [
        Line(
            (
                found.names[pair.label],
                found.names[pair.predicted],
                *(_text(value) for value in (pair.clean, pair.corrupted, pair.added)),
                _p(pair.p),
            )
        )
        for pair in found.confusions[:MOST_ROWS]
    ]
    notes = [
        f"Corrupted: mean over {found.label('cells').partition('[')[2].removesuffix(']')}. Added: corrupted minus "
        f"clean, paired by image, with the {percent(found.confidence)} interval of this pair of classes alone. p: that "
        "nothing is added, adjusted over all pairs of classes (Bonferroni)."
    ]
    if not lines:
        notes = ["No class is taken for another one more often than without corruption."]
    if any(one.n < FEWEST for one in found.classes):
        notes.append("Classes of a single image are left out.")
    header = ("class", "predicted as", "clean", "corrupted", "added", "p")
    return Sheet(title, header, tuple(lines), text_columns=(0, 1), notes=tuple(notes))


_FLIP_WORDS = (
    "an image is wrong. Never: right at all of them. Returned: wrong at one severity and right again at a higher one."
)
_FLIP_WORDS_WITHOUT_LABELS = (
    "an image gets another prediction than without corruption. Never: the same at all of them. Returned: another one "
    "at one severity and the same again at a higher one."
)


def _flip_sheet(found: ByImage, intervals: bool) -> Sheet:
    text: Callable[[Interval], str] = _text if intervals else lambda share: decimals(100 * share.value, 1)
    levels = found.cell_errors.severities

    def line(name: str, flips: FlipShares | None, kind: LineKind) -> Line:
        if flips is None:
            return Line((name, *[MISSING] * (len(levels) + 2)), kind)
        first = [text(flips.first[severity]) for severity in levels]
        return Line((name, *first, _text(flips.never), text(flips.returned)), kind)

    lines = []
    for family, corruption, flips in found.flip_rows:
        if corruption:
            lines.append(line(f"  {corruption}", flips, "plain"))
        elif family:
            lines.append(line(family, flips, "group"))
    lines.append(line(f"mean of {len(found.cell_errors.headline)}", found.overall, "total"))
    n = next(flips.n for _, _, flips in found.flip_rows)
    with_labels = has_labels(found.cell_errors.protocol)
    words = _FLIP_WORDS if with_labels else _FLIP_WORDS_WITHOUT_LABELS
    return Sheet(
        f"{_TITLES[FLIPS]}, % of the {n} images{' that are right without corruption' if with_labels else ''}",
        ("corruption", *(f"s{severity}" for severity in levels), "never", "returned"),
        tuple(lines),
        notes=(
            f"{severity_label(levels)}: the first severity at which {words} "
            f"± or [low, high]: {percent(found.confidence)} interval, for images like these.",
        ),
    )


def _text(share: Interval | float | None) -> str:
    if share is None:
        return NOT_AVAILABLE
    return with_interval(share.scaled(100), 1) if isinstance(share, Interval) else decimals(100 * share, 1)


def _p(p: float | None) -> str:
    return MISSING if p is None else p_value(p)
