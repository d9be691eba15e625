"""Calibration error, log loss and top-5 error of two models. Run files hold only their sums over images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from ppbench.compare.difference import Difference
from ppbench.compare.measured import ComparedRun
from ppbench.metrics.calibration import calibration_metrics
from ppbench.metrics.metric import Metric
from ppbench.vocabulary import family_of

NO_INTERVAL = "run files hold only sums over images, not each image's part, so nothing can be paired"
"""Why these differences have neither interval nor p-value."""


def calibration_differences(reference: ComparedRun, other: ComparedRun) -> Iterator[Difference]:
    """Each measure on the clean images and over all corruptions, then by family and corruption."""
    names, severities = reference.cell_errors.corruptions, reference.cell_errors.severities
    before, after = calibration_metrics(reference.run), calibration_metrics(other.run)
    # They come in pairs: on the clean images, over corruptions.
    yield from _differences("calibration", "clean", before[::2], after[::2])
    yield from _differences("calibration", "mean", before[1::2], after[1::2])
    parts: list[tuple[str, str, tuple[str, ...]]] = [
        ("calibration_family", family, tuple(members)) for family, members in groupby(names, family_of)
    ]
    parts += [("calibration_corruption", name, (name,)) for name in names]
    for group, name, corruptions in parts:
        of = [calibration_metrics(m.restricted(corruptions, severities).run)[1::2] for m in (reference, other)]
        yield from _differences(group, name, *of)


def _differences(group: str, name: str, before: Sequence[Metric], after: Sequence[Metric]) -> Iterator[Difference]:
    for one, two in zip(before, after, strict=True):
        label = " / ".join(dict.fromkeys([one.label, two.label]))
        reason = one.reason or two.reason or NO_INTERVAL
        yield Difference(group, name, one.name, label, one.value, two.value, one.unit, reason=reason)
