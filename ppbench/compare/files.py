"""Comparing run files: against the first of them, or beside published results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ppbench.compare.comparability import SAID, check_allowed
from ppbench.compare.comparison import Comparison, compare
from ppbench.compare.measured import distinct_names, read_compared
from ppbench.compare.pairing import pair
from ppbench.compare.published import PublishedReport, PublishedReports, beside_published
from ppbench.errors import UsageError
from ppbench.files import is_same_file
from ppbench.metrics.intervals import quantile
from ppbench.metrics.without_labels import has_normalizer
from ppbench.report.load import customary_normalizer, load_normalizer, refuse_normalizer
from ppbench.run import read_run


def compare_files(
    paths: Sequence[Path], normalizer: str | None, confidence: float, allow: Sequence[str]
) -> list[Comparison]:
    """Compare all but the first run with the first.

    Raises:
        UsageError: If an option's value is not allowed, there is only one run, or a run is given twice.
        DataError: If a file is missing or damaged, or has no bits.
        NotComparableError: If protocols differ in what is not allowed.
    """
    if len(paths) < 2:
        raise UsageError("compare needs at least two runs", "For example `ppbench compare OLD.json NEW.json`.")
    quantile(confidence)  # refuses what is none
    check_allowed(allow)
    for place, path in enumerate(paths):
        if any(is_same_file(path, earlier) for earlier in paths[:place]):
            raise UsageError(f"{path} is given twice: a run does not differ from itself", "Give each run once.")
    reference, *others = read_compared(paths)
    if not has_normalizer(reference.run.protocol):
        refuse_normalizer(normalizer)
        divisor = None
    elif normalizer is None:
        divisor = customary_normalizer(reference.run, reference.cell_errors)
    else:
        divisor = reference.cell_errors if is_same_file(Path(normalizer), paths[0]) else load_normalizer(normalizer)
    comparisons = []
    for other in others:
        first, second, allowed, remarks = pair(reference, other, allow, SAID)
        own = first.cell_errors if divisor is reference.cell_errors else divisor
        comparisons.append(compare(first, second, own, confidence, allowed, remarks))
    return comparisons


def files_beside_published(
    paths: Sequence[Path], name: str, normalizer: str | None = None
) -> PublishedReport | PublishedReports:
    """Set runs beside the published results of this name; see `beside_published` and `load_normalizer`."""
    runs = [read_run(path) for path in paths]
    names = distinct_names(paths, [run.called for run in runs])
    return beside_published(list(zip(names, runs, strict=True)), name, load_normalizer(normalizer or "alexnet"))
