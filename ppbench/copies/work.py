"""The context of the workers, their tasks and the outcomes, for image files and for arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ppbench.copies.naming import cell_key
from ppbench.copies.places import size_of
from ppbench.copies.plan import CopyPlan
from ppbench.copies.records import Failure, SourceRecord
from ppbench.copies.settings import PixelSettings
from ppbench.vocabulary import Cell


@dataclass(frozen=True)
class WorkerContext:
    """Everything that the workers of a job need. Unlike the plan, it can be sent to other processes."""

    root: Path
    """Folder of the sources."""
    dest: Path
    scratch: Path
    settings: PixelSettings
    cells: tuple[Cell, ...]
    device: str
    most_values: int | None
    """Most values of decoded images that are held before they are corrupted; None: all of a batch."""

    @classmethod
    def of(cls, plan: CopyPlan) -> WorkerContext:
        """The context of a plan's workers."""
        return cls(plan.source.root, plan.dest, plan.scratch, plan.settings, plan.cells, plan.device, plan.most_values)

    def file(self, cell: Cell, output: str) -> str:
        """Path of a copy in the folder that is written to."""
        return self.settings.places.file(cell_key(cell), output)


class Task(NamedTuple):
    """One source."""

    name: str
    """Path relative to the root, and the id of an image."""
    output: str
    """Name of its files in each cell."""
    record: SourceRecord | None
    """Its record; None for a new source."""


def begin_sources(plan: CopyPlan, names: Sequence[str]) -> list[Task]:
    """The tasks of some sources. The journal names their files before any of them is written."""
    tasks = [Task(name, plan.output(name), plan.records.get(name)) for name in names]
    outputs = {}
    for name, output, record in tasks:
        known = record["files"] if record else {}
        if not all(plan.settings.places.file(cell_key(cell), output) in known for cell in plan.cells):
            outputs[name] = output
    plan.records.intend(outputs)
    return tasks


@dataclass
class SourceResult:
    """Outcome of one source."""

    name: str
    record: SourceRecord | None = None
    """None: its record does not change."""
    written: int = 0
    """Files."""
    bytes: int = 0
    kept: int = 0
    """Files that were there already."""
    failures: list[Failure] = field(default_factory=list)


class Known(NamedTuple):
    """The existing copies of a source, and the missing ones."""

    files: dict[str, Any]
    """The files of its record that exist, with their sizes and hashes."""
    missing: tuple[Cell, ...]
    kept: int
    """Number of requested cells that exist."""


def known_copies(context: WorkerContext, task: Task, sha256: str) -> Known:
    """Compare a source's record with the files on the disk.

    If the source has changed, all its copies are made again, also in cells that are not requested now.

    Args:
        context: The job.
        task: The source.
        sha256: Hash of its content.
    """
    known = task.record["files"] if task.record else {}
    if task.record is None or task.record["sha256"] != sha256:
        keys = (context.settings.places.found(name)[0].split("/") for name in known)
        before = {(corruption, int(severity)) for corruption, severity in keys}
        return Known({}, tuple(sorted({*context.cells, *before})), 0)
    names = {context.file(cell, task.output): cell for cell in context.cells}
    gone = {name for name in names if name not in known or not has_size(context.dest / name, known[name]["bytes"])}
    there = {name: file for name, file in known.items() if name not in gone}
    return Known(there, tuple(sorted(names[name] for name in gone)), len(names) - len(gone))


def has_size(path: Path, size: int) -> bool:
    """Whether a file exists and has this size: a power failure may have cut it short."""
    return size_of(path) == size
