"""Runs in a comparison, with distinct names and their errors by cell and by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.passes import by_pass
from ppbench.metrics.per_image import PerImage
from ppbench.metrics.without_labels import wording
from ppbench.run import (
    MeasuredRun,
    Predictions,
    Run,
    expected_cells,
    read_arrays,
    read_predictions,
    read_run,
    trials_if_any,
)
from ppbench.vocabulary import in_order

PART_OF_RUN = "run files hold only sums over all images of a run, not over the images that both runs saw"
"""Why metrics that need these sums are unknown for a part of the images."""


@dataclass(frozen=True, eq=False)
class ComparedRun(MeasuredRun):
    """A run in a comparison. Its errors are computed once, when they are first asked for."""

    name: str = field(kw_only=True)
    """Its name in tables: the model's, or the file's if models share a name."""

    @cached_property
    def cell_errors(self) -> CellErrors:
        """Its errors by cell."""
        predictions = self.predictions if self.run.protocol.labels else None
        return CellErrors.from_run(self.run, predictions=predictions, trials=self.trials)

    @cached_property
    def images(self) -> PerImage:
        """Its errors by image."""
        return PerImage.from_run(self.run, self.bits, self.trials)

    @cached_property
    def by_pass(self) -> PerImage | None:
        """Its errors by pass; None with one pass, for a part of the images, or if there are no passes."""
        return by_pass(self.cell_errors)


def vary_together(one: ComparedRun, other: ComparedRun) -> tuple[PerImage, PerImage] | None:
    """The errors of both by pass, if the variance between passes belongs to their difference.

    It does where all images of a pass share a draw of at least one of the two networks. None too if it is not known.
    """
    if not (one.cell_errors.shares_draws or other.cell_errors.shares_draws):
        return None
    if one.by_pass is None or other.by_pass is None or one.by_pass.n != other.by_pass.n:
        return None
    return one.by_pass, other.by_pass


def read_compared(paths: Sequence[Path]) -> list[ComparedRun]:
    """Read run files with the bits and the images' keys beside them.

    Raises:
        DataError: If a run or its bits are missing or damaged; the message says which.
    """
    runs = [read_run(path) for path in paths]
    names = distinct_names(paths, [run.called for run in runs])
    return [
        ComparedRun(run, *read_arrays(path, run), _predictions(path, run), trials=trials_if_any(path, run), name=name)
        for name, run, path in zip(names, runs, paths, strict=True)
    ]


def _predictions(path: Path, run: Run) -> Predictions | None:
    """The predictions of a run without labels, for the confidence lost; other comparisons do not need them."""
    return None if run.protocol.labels is None or run.predictions is None else read_predictions(path, run)


def distinct_names(paths: Sequence[Path], models: Sequence[str]) -> list[str]:
    """Return the models' names if they are distinct, else the files' names, else the paths."""
    choices = (list(models), [path.stem for path in paths], [str(path) for path in paths])
    return next((names for names in choices if len(set(names)) == len(names)), choices[-1])


def in_common(one: ComparedRun, other: ComparedRun) -> tuple[ComparedRun, ComparedRun]:
    """Restrict both to the corruptions and severities that both were asked for."""
    corruptions = in_order(set(one.run.protocol.corruptions) & set(other.run.protocol.corruptions))
    severities = tuple(s for s in one.run.protocol.severities if s in other.run.protocol.severities)
    return one.restricted(corruptions, severities), other.restricted(corruptions, severities)


def incomplete_text(measured: ComparedRun) -> str | None:
    """``half is incomplete: it lacks 3 of 76 cells (fog s5, …).``; None for a complete run."""
    if not measured.cell_errors.interrupted:
        return None
    protocol = measured.run.protocol
    wanted = expected_cells(protocol.corruptions, protocol.severities)[1 if protocol.sequences else 0 :]
    letter = wording(protocol).letter
    present = {cell.key for cell in measured.run.cells}
    missing = [
        f"{name} {letter}{severity}" if severity else name
        for name, severity in wanted
        if (name, severity) not in present
    ]
    if not missing:
        return None
    named = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
    return f"{measured.name} is incomplete: it lacks {len(missing)} of {len(wanted)} cells ({named})."
