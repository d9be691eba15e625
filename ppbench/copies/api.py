"""Make the copies of a plan; ``ppbench.corrupt_folder``."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ppbench.copies.arrays import copy_array
from ppbench.copies.images import copy_images
from ppbench.copies.naming import cell_key
from ppbench.copies.plan import CopyPlan, opened_plan
from ppbench.copies.records import Failure
from ppbench.copies.request import CopyRequest
from ppbench.copies.sources import ImageArray
from ppbench.copies.work import SourceResult
from ppbench.scalars import integer_of, plain


@dataclass
class CopyReport:
    """Outcome of a job."""

    dest: Path
    images: int
    cells: int
    recipe: str
    sequences: bool = False
    """Whether sequences of image files were made: then they are counted, each a file or a folder of frames."""
    written: int = 0
    bytes: int = 0
    kept: int = 0
    """Those that were there already."""
    outdated: int = 0
    """Files of earlier jobs that are kept although their sources are gone or can no longer be read."""
    failures: list[Failure] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    """Number of files and folders left out of the source folder, by kind: ``{".heic": 2}``."""
    longer: dict[str, str] = field(default_factory=dict)
    """Source -> longer name of its copies, if another source's copies have the usual one."""

    @property
    def ignored(self) -> int:
        """Number of files and folders left out of the source folder."""
        return sum(self.left_out.values())

    def add(self, source: SourceResult) -> None:
        """Add the outcome of one source."""
        self.written += source.written
        self.bytes += source.bytes
        self.kept += source.kept
        self.failures += source.failures


def make_copies(plan: CopyPlan, advance: Callable[[int], None] = lambda images: None) -> CopyReport:
    """Make all missing copies.

    Args:
        plan: The copies to make; its folder is claimed.
        advance: Called with the number of images just finished.

    Raises:
        DataError: If the folder cannot be written, or the disk is full.
    """
    source, records = plan.source, plan.records
    report = CopyReport(plan.dest, len(source), len(plan.cells), plan.settings.recipe)
    report.longer, report.left_out = plan.longer, dict(source.left_out)
    report.sequences = plan.settings.sequences and not isinstance(source, ImageArray)
    records.begin(plan.header, [cell_key(cell) for cell in plan.cells])
    results = copy_array(plan, source, advance) if isinstance(source, ImageArray) else copy_images(plan, advance)
    for result in results:
        if result.record is not None:
            records.add(result.name, result.record)
        report.add(result)
    report.failures.sort(key=lambda failure: (failure.source, failure.cell or ""))  # independent of the batches
    report.outdated = _outdated(plan, report.failures)
    records.finish(_failed(plan, report.failures))
    return report


def _outdated(plan: CopyPlan, failures: list[Failure]) -> int:
    """Number of recorded files that exist although their source is gone, or could not be read now."""
    unread = {failure.source for failure in failures if failure.cell is None}
    taken, count = set(plan.source.names), 0
    for name in plan.records.sources():
        if name in unread or (name not in taken and not os.path.lexists(plan.source.root / name)):
            record = plan.records.get(name) or {"files": {}}
            count += sum((plan.dest / file).exists() for file in record["files"])
    return count


def _failed(plan: CopyPlan, failures: list[Failure]) -> list[dict[str, str | None]]:
    """The manifest's list: what failed now, and what failed in earlier jobs and was not tried now."""
    names, cells = set(plan.source.names), {None, *(cell_key(cell) for cell in plan.cells)}
    earlier = [old for old in plan.records.failed if old["source"] not in names or old["cell"] not in cells]
    entries = [*earlier, *(failure.entry() for failure in failures)]
    return sorted(entries, key=lambda entry: (str(entry["source"]), entry["cell"] or "", str(entry["reason"])))


def corrupt_folder(
    src: str | Path,
    dest: str | Path | None = None,
    *,
    corruptions: str | Sequence[str] = "c15",
    severities: str | int | Sequence[str | int] = "1-5",
    perturbations: str | Sequence[str] | None = None,
    difficulties: str | int | Sequence[str | int] = 1,
    recipe: str | None = None,
    backend: str = "ppbench",
    seed: int = 0,
    format: str = "same",
    size: int | None = None,
    scale: str | float | None = None,
    device: str = "auto",
    workers: int = 0,
    batch_size: int | None = None,
    overwrite: bool = False,
    advance: Callable[[int], None] = lambda images: None,
) -> CopyReport:
    """Corrupt a folder of images, an image or an array: ``dest/<corruption>/<severity>/<same relative path>``.

    Files appear complete or not at all. Called again after an interruption, it resumes and ends with the same bytes.
    Called with further corruptions, severities or images, it adds them.

    Args:
        src: A folder of any depth, an image file, or a ``.npy`` file of images.
        dest: Folder to write to; by default ``src``, or the folder of an image, with ``-c`` at its end, or ``-p`` for
            perturbations.
        corruptions: Names, families ("noise") and sets ("c15"), and your own functions as "pkg.mod:function"; "clean":
            the images themselves, cut to ``size``, as ``clean/0``.
        severities: 1 to 5, or ranges ("1-3").
        perturbations: Perturbation sequences to make in place of corruptions: names and sets ("p10"). They lie as the
            published ones do: ``dest/<perturbation>/<same relative path>``, see docs/sequences.md.
        difficulties: 1 to 3, or ranges, of noise; other sequences have the same frames for all.
        recipe: One of ``ppbench list recipes``, for sequences ``imagenet-p`` and others of docs/sequences.md; None:
            chosen by image size.
        backend: "ppbench", or "imagecorruptions" for the package of that name.
        seed: Seed of all random draws.
        format: "same" (JPEG stays JPEG, all else becomes PNG), "jpeg" (quality 85), "png" or "npy". Of sequences:
            "same" or "png" (a folder of frames), "npy", or "mp4" (H.264; extra `video`).
        size: Side in pixels of the square cut from each image after resizing its shorter side to 256/224 of it;
            None: images as they are.
        scale: Factor of the recipe's lengths in pixels, at least 1, for images larger than the recipe is made for;
            "auto": each image's shorter side divided by the recipe's size; None: 1.
        device: "auto", "cpu", "cuda", "cuda:1".
        workers: Processes; a script that uses them needs ``if __name__ == "__main__"``.
        batch_size: Images of one size corrupted in one call; it never changes a byte. None: by image size.
        overwrite: Remove what an earlier job made in ``dest``, and replace files that are in the way.
        advance: Called with the number of images just finished.

    Returns:
        What was written, and what could not be made (`CopyReport.failures`). A broken image does not stop the others.

    Raises:
        UsageError: If a value is not allowed, or ``dest`` was made with other settings.
        DataError: If there are no images, or ``dest`` cannot be written.
    """
    given = {"seed": seed, "size": size, "workers": workers, "batch_size": batch_size}
    numbers: Any = {name: value if value is None else integer_of(name, value) for name, value in given.items()}
    request = CopyRequest(
        Path(src), None if dest is None else Path(dest), corruptions, severities, perturbations, difficulties,
        recipe=recipe, backend=backend, format=format, scale=plain(scale), device=device, overwrite=overwrite,
        **numbers,
    )  # fmt: skip
    with opened_plan(request) as plan:
        return make_copies(plan, advance)
