"""What a report is made of: runs with all that is computed from them, and their comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ppbench.compare.comparability import IDS, check_allowed
from ppbench.compare.comparison import Comparison
from ppbench.compare.files import compare_files
from ppbench.compare.measured import distinct_names
from ppbench.errors import UsageError
from ppbench.figures.colours import MOST_LINES
from ppbench.figures.together import require_drawn_together
from ppbench.files import is_same_file
from ppbench.report.load import load_summary, load_with_images
from ppbench.report.summary import RunSummary, summarise
from ppbench.run import Run, read_run

if TYPE_CHECKING:
    from ppbench.report.by_image import ByImage


@dataclass(frozen=True)
class PageRun:
    """One run of a report."""

    path: Path
    name: str
    """Distinct in the report."""
    run: Run
    summary: RunSummary
    by_image: ByImage | None
    """None for a baseline."""


@dataclass(frozen=True)
class PageInputs:
    """The runs of a report, all of one protocol."""

    runs: tuple[PageRun, ...]
    baseline: PageRun | None
    """The run that the others are compared with, if one was named."""
    comparisons: tuple[Comparison, ...]
    """Of each run with the baseline; without one, of each later run with the first. Empty if there is none."""
    no_comparison: str | None
    """Why runs that were to be compared are not."""
    confidence: float
    allow: tuple[str, ...]
    """Fields of the protocol that may differ."""
    normalizer: str | None = None
    """As it was given; None for the customary one."""

    @property
    def drawn_baseline(self) -> PageRun | None:
        """The baseline as figures show it beside the runs: over their images.

        If it has others too, because a run stopped early, its summary is over the runs' images alone. None if that is
        not possible: the runs have images that it has not.
        """
        if self.baseline is None or not self.comparisons:
            return self.baseline
        ids = {run.run.protocol.ids_sha256 for run in self.runs}
        paired = self.comparisons[0].reference
        if ids != {paired.run.protocol.ids_sha256}:
            return None
        if not paired.is_part:
            return self.baseline
        found = summarise(paired.run, bits=paired.bits, trials=paired.trials, confidence=self.confidence)
        return replace(self.baseline, summary=found)

    @property
    def reference(self) -> PageRun | None:
        """The run that others are compared with."""
        several = len(self.runs) > 1
        return self.baseline or (self.runs[0] if several else None)


def read_inputs(
    paths: Sequence[Path],
    baseline: Path | None = None,
    normalizer: str | None = None,
    confidence: float = 0.95,
    allow: Sequence[str] = (),
) -> PageInputs:
    """Read runs and compute all numbers of their report.

    Args:
        paths: One to six run files, or pages that hold a run.
        baseline: The run that they are compared with; None for the first of several.
        normalizer: As `ppbench.report.load.load_normalizer` takes it; None for the customary one.
        confidence: Confidence of all intervals.
        allow: Fields of the protocol that may differ.

    Raises:
        UsageError: If there are too many runs, one is given twice, or a value is not allowed.
        DataError: If a file is missing or damaged.
        NotComparableError: If protocols differ.
    """
    check_allowed(allow)
    if len(paths) > MOST_LINES:
        raise UsageError(f"{len(paths)} runs in one report are not allowed", f"It can have 1 to {MOST_LINES}.")
    all_paths = [*([baseline] if baseline else []), *paths]
    for place, path in enumerate(all_paths):
        if any(is_same_file(path, earlier) for earlier in all_paths[:place]):
            raise UsageError(f"{path} is given twice: a run does not differ from itself", "Give each run once.")
    runs = [read_run(path) for path in all_paths]
    names = distinct_names(all_paths, [run.called for run in runs])
    against = str(all_paths[0]) if len(all_paths) > 1 else None
    made = []
    for path, name, run in zip(all_paths, names, runs, strict=True):
        if path is baseline:
            made.append(PageRun(path, name, run, load_summary(path, normalizer, against, confidence), None))
        else:
            made.append(PageRun(path, name, run, *load_with_images(path, normalizer, against, confidence)))
    comparisons, reason = _compared(made, normalizer, confidence, allow)
    first = made.pop(0) if baseline else None
    return PageInputs(tuple(made), first, tuple(comparisons), reason, confidence, tuple(allow), normalizer)


def _compared(
    runs: Sequence[PageRun], normalizer: str | None, confidence: float, allow: Sequence[str]
) -> tuple[list[Comparison], str | None]:
    """The comparisons with the first run, or why there are none."""
    if len(runs) < 2:
        return [], None
    bare = [run.name for run in runs if run.run.bits is None]
    if not bare:
        return compare_files([run.path for run in runs], normalizer, confidence, allow), None
    # Without bits nothing is paired, but runs that were not measured alike must not be in one report either.
    fields = [field for field in allow if field != IDS]
    require_drawn_together([run.summary for run in runs], [run.name for run in runs], fields)
    return [], f"Pairing runs by image needs the correctness bits of both, and {' and '.join(bare)} has none."
