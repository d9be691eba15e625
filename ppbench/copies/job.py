"""A whole job: a folder, an image or an array, to a folder per corruption and severity."""

from __future__ import annotations

import ctypes
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ppbench.copies.arrays import corrupt_array
from ppbench.copies.claim import claimed
from ppbench.copies.encode import ImageFormat, output_name
from ppbench.copies.outputs import longer_names
from ppbench.copies.records import Failure, Records
from ppbench.copies.settings import LARGEST_SCALE, Scale, Settings, check_same, made_with
from ppbench.copies.sources import ImageArray, ImageFiles, Source, open_source
from ppbench.copies.worker import Done, Task, Work, cell_key, file_name, start_worker
from ppbench.corruptions.backends import BACKENDS
from ppbench.data.image_file import endings
from ppbench.data.walk import MANIFEST, SCRATCH, ending
from ppbench.errors import UsageError
from ppbench.pool import ordered_map, usable_cores
from ppbench.vocabulary import CLEAN, Cell, expand_corruptions, expand_severities, severity_texts

_STARTING_PAYS = 4000 * 224 * 224
"""Pixels to be made from which on worker processes, which take seconds to start, are worth it."""

_MOST_ON_A_GPU = 8
"""Worker processes by default where each takes some of a GPU's memory."""


@dataclass(frozen=True)
class Request:
    """What is asked for; see `corrupt_folder`."""

    src: Path
    dest: Path | None = None
    corruptions: Sequence[str] = ("c15",)
    severities: Sequence[str] = ("1-5",)
    recipe: str | None = None
    backend: str = "ppbench"
    seed: int = 0
    format: str = "same"
    size: int | None = None
    scale: str | float | None = None
    device: str = "auto"
    workers: int | None = 0
    """None: as many as pay."""
    batch_size: int | None = None
    """None: by size."""
    overwrite: bool = False


@dataclass
class CopyReport:
    """What a job did."""

    dest: Path
    images: int
    cells: int
    recipe: str
    written: int = 0
    """Files."""
    bytes: int = 0
    kept: int = 0
    """Files that were there already."""
    outdated: int = 0
    """Files of earlier jobs that stay although their sources are gone or can no longer be read."""
    failures: list[Failure] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    """How many files and folders of each kind in the source folder were not taken: ``{".heic": 2}``."""

    longer: dict[str, str] = field(default_factory=dict)
    """What the copies of some sources are called, since another source's have the usual name."""

    @property
    def ignored(self) -> int:
        """How many files and folders in the source folder were not taken."""
        return sum(self.left_out.values())

    def add(self, done: Done) -> None:
        """Take in what became of one source."""
        self.written += done.written
        self.bytes += done.bytes
        self.kept += done.kept
        self.failures += done.failures


@dataclass
class Job:
    """A request, checked and with its defaults filled in; nothing has been made yet."""

    source: Source
    dest: Path
    cells: tuple[Cell, ...]
    settings: Settings
    engine: str
    device: str
    workers: int
    batch_size: int
    most_values: int | None
    """Values of images held at a time by a worker; None: those of a batch."""
    sizes: list[tuple[int, int]]
    records: Records
    longer: dict[str, str]
    """Sources whose copies have a longer name than usual, since another source's have that: see `longer_names`."""

    def output(self, name: str) -> str:
        """What the copies of a source are called in each cell."""
        return self.longer.get(name) or output_name(name, self.settings.format)

    def missing(self) -> dict[Cell, int]:
        """How many images are to be made in each cell, as far as the record tells."""
        if isinstance(self.source, ImageArray):
            new = 0 if self.source.path.name in self.records else len(self.source)
        else:
            new = sum(name not in self.records for name in self.source.names)
        known = self.records.cells
        return {cell: new if cell_key(cell) in known else len(self.source) for cell in self.cells}

    def run(self, scratch: Path, advance: Callable[[int], None] = lambda images: None) -> CopyReport:
        """Make all that is missing.

        Args:
            scratch: The claimed folder's scratch folder.
            advance: Told how many more images are done.

        Raises:
            DataError: If the folder cannot be written, or the disk is full.
        """
        report = CopyReport(self.dest, len(self.source), len(self.cells), self.settings.recipe)
        report.longer = self.longer
        report.left_out = dict(self.source.left_out) if isinstance(self.source, ImageFiles) else {}
        self.records.begin(self.header(), [cell_key(cell) for cell in self.cells])
        for done in self._all_done(scratch, advance):
            if done.record is not None:
                self.records.add(done.name, done.record)
            report.add(done)
        report.failures.sort(key=lambda failure: (failure.source, failure.cell or ""))  # whatever the batches
        report.outdated = self._outdated(report.failures)
        self.records.finish(self._failed(report.failures))
        return report

    def header(self) -> dict[str, dict[str, object]]:
        """What the record says of how files are made."""
        return {"settings": self.settings.record(), "made_with": dict(made_with(self.engine))}

    def _all_done(self, scratch: Path, advance: Callable[[int], None]) -> Iterator[Done]:
        root = self.source.root if isinstance(self.source, ImageFiles) else self.source.path.parent
        work = Work(root, self.dest, scratch, self.settings, self.cells, self.device, self.most_values)
        if isinstance(self.source, ImageArray):
            path, layout = self.source.path, self.source.layout
            record = self.records.get(path.name)
            self._intend([Task(path.name, path.name, record)])
            yield corrupt_array(work, path, layout, record, self.batch_size, self.workers, advance)
            return
        batches = self._batches(self.source.names)
        with closing(ordered_map(partial(start_worker, work), batches, self.workers, ahead=4)) as results:
            for batch in results:
                yield from batch
                advance(len(batch))

    def _batches(self, names: list[str]) -> Iterator[list[Task]]:
        """The sources, in the journal before anything is written of them."""
        for start in range(0, len(names), self.batch_size):
            batch = names[start : start + self.batch_size]
            tasks = [Task(name, self.output(name), self.records.get(name)) for name in batch]
            self._intend(tasks)
            yield tasks

    def _intend(self, tasks: list[Task]) -> None:
        """Write down which files may be written that no record names yet."""
        outputs = {}
        for name, output, record in tasks:
            known = record["files"] if record else {}
            if not all(file_name(cell, output) in known for cell in self.cells):
                outputs[name] = output
        self.records.intend(outputs)

    def _outdated(self, failures: list[Failure]) -> int:
        """How many recorded files have a source that is gone, or that could not be read now."""
        root = self.source.root if isinstance(self.source, ImageFiles) else self.source.path.parent
        unread = {failure.source for failure in failures if failure.cell is None}
        taken = set(self.source.names) if isinstance(self.source, ImageFiles) else {self.source.path.name}
        count = 0
        for name in self.records.sources():
            if name in unread or (name not in taken and not os.path.lexists(root / name)):
                record = self.records.get(name) or {"files": {}}
                count += sum((self.dest / file).exists() for file in record["files"])
        return count

    def _failed(self, failures: list[Failure]) -> list[dict[str, str | None]]:
        """The manifest's list: what failed now, and what failed in earlier jobs and was not tried now."""
        names = {self.source.path.name} if isinstance(self.source, ImageArray) else set(self.source.names)
        cells = {None, *(cell_key(cell) for cell in self.cells)}
        earlier = [old for old in self.records.failed if old["source"] not in names or old["cell"] not in cells]
        entries = [*earlier, *(failure.entry() for failure in failures)]
        return sorted(entries, key=lambda entry: (str(entry["source"]), entry["cell"] or "", str(entry["reason"])))


@contextmanager
def opened(request: Request, *, claim: bool = True) -> Iterator[tuple[Job, Path]]:
    """Check a request and take possession of its folder.

    Args:
        request: What is asked for.
        claim: Whether anything may be written; else the folder, made or not, is left as it is.

    Yields:
        The job and the scratch folder to run it with.

    Raises:
        UsageError: If a value is not allowed, or the folder was made otherwise.
        DataError: If there are no images, or the folder cannot be written.
    """
    cells = _cells(request)
    form = _format(request.format)
    dest = request.dest or default_dest(request.src)
    _check_apart(request.src, dest, cells)
    source = open_source(request.src, dest, form, request.size)
    if not claim:
        records = Records(dest, dest / SCRATCH)
        try:
            if request.overwrite:
                records.ignore()
            yield _plan(replace(request, dest=dest), source, cells, form, records), dest / SCRATCH
        finally:
            records.close()
        return
    with claimed(dest) as scratch:
        records = Records(dest, scratch)
        try:
            if request.overwrite:
                records.forget()
            job = _plan(replace(request, dest=dest), source, cells, form, records)
            yield job, scratch
        finally:
            records.close()


def default_dest(src: Path) -> Path:
    """``photos-c`` beside ``photos``, for an image in ``photos`` too: its copies never lie in its own folder.

    Raises:
        UsageError: If the folder has no name.
    """
    if ending(src.name) in endings() and not src.is_dir():
        src = src.parent
    named = src if src.name not in ("", "..") else src.resolve()
    if not named.name:
        raise UsageError(f"{src} has no name to make another of", "Give the folder to write to as well.")
    return named.with_name(f"{named.name}-c")


def _plan(request: Request, source: Source, cells: tuple[Cell, ...], form: ImageFormat, records: Records) -> Job:
    dest = request.dest or default_dest(request.src)
    before = {} if request.overwrite else records.header.get("settings", {})
    backend = BACKENDS[request.backend]
    sizes = [(request.size, request.size)] if request.size else source.sizes() or [(224, 224)]
    height, width = sizes[len(sizes) // 2]
    recipe = backend.recipe(request.recipe, height, width)
    if request.recipe is None and before.get("backend") == backend.name:
        recipe = str(before.get("recipe"))
    device = _device(request.device, request.backend, before.get("device"))
    scale = _scale(request)
    settings = Settings(recipe, backend.name, request.seed, form, request.size, device.partition(":")[0], scale)
    longer = longer_names(source.names, form, records) if isinstance(source, ImageFiles) else {}
    job = Job(source, dest, cells, settings, backend.version(), device, 0, 1, None, sizes, records, longer)
    if before:
        check_same(records.header, job.header(), str(dest))
    if not request.overwrite:
        _check_free(dest, cells, records)
    job.workers = _workers(request.workers, job, height * width)
    job.batch_size = request.batch_size or _batch_size(job, height * width * 3)
    job.most_values = None if request.batch_size else _most_values(job)
    return job


def _cells(request: Request) -> tuple[Cell, ...]:
    """In the order of the corruptions' table; the clean images first."""
    for name, value, least in (
        ("--size", request.size, 8),
        ("--workers", request.workers, 0),
        ("--batch-size", request.batch_size, 1),
    ):
        if value is not None and value < least:
            raise UsageError(f"{name} {value} is not allowed", f"It is at least {least}.")
    wanted = [value for value in request.corruptions if value.strip().lower() != CLEAN]
    corruptions, severities = expand_corruptions(wanted), expand_severities(request.severities)
    clean = ((CLEAN, 0),) if len(wanted) < len(request.corruptions) else ()
    return (*clean, *((corruption, severity) for corruption in corruptions for severity in severities))


def _scale(request: Request) -> Scale | None:
    """The scale asked for; a factor of 1 is none."""
    wanted = request.scale
    if wanted is None or str(wanted).strip().lower() == "auto":
        scale: Scale | None = None if wanted is None else "auto"
    else:
        try:
            scale = float(wanted)
        except ValueError:
            scale = math.nan
        if not 1 <= scale <= LARGEST_SCALE:
            raise UsageError(
                f"--scale {wanted} is not allowed", f"It is a number from 1 to {LARGEST_SCALE:g}, or auto."
            )
    if scale not in (None, 1) and not BACKENDS[request.backend].on_device:
        raise UsageError(f"--scale {wanted} is not for --backend {request.backend}", "Leave one of the two out.")
    return None if scale == 1 else scale


def _format(name: str) -> ImageFormat:
    try:
        return ImageFormat(name.lower())
    except ValueError as error:
        raise UsageError(f"--format {name} is not allowed", f"allowed: {', '.join(ImageFormat)}") from error


def _device(name: str, backend: str, before: str | None) -> str:
    """The device to compute on; "auto" goes on as it was begun."""
    if not BACKENDS[backend].on_device:
        if name not in ("auto", "cpu"):
            raise UsageError(f"--device {name} is not for --backend {backend}", "It computes on the CPU alone.")
        return "cpu"
    if name == "cpu" or (name == "auto" and (before == "cpu" or not _has_cuda_driver())):
        return "cpu"
    from ppbench.devices import choose_device

    return str(choose_device(name))


def _has_cuda_driver() -> bool:
    """Whether it is worth loading torch, which takes seconds, to look for a GPU."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _check_free(dest: Path, cells: Sequence[Cell], records: Records) -> None:
    """Refuse to write among files that no record tells to be ppbench's."""
    known = {cell.partition("/")[0] for cell in records.cells}
    for cell in cells:
        path = dest / cell_key(cell) if cell[0] in known else dest / cell[0]
        if cell_key(cell) not in records.cells and path.exists():
            raise UsageError(
                f"{path} is there already, and {dest / MANIFEST} {'does not know it' if known else 'is not'}",
                "Give another folder, or replace what is there: `--overwrite`.",
            )


def _check_apart(src: Path, dest: Path, cells: Sequence[Cell]) -> None:
    """Refuse to write into the folder that is read, or into one around it."""
    real = src.resolve()
    for corruption in dict.fromkeys(corruption for corruption, _ in cells):
        if (dest / corruption).resolve() in (real, *real.parents):
            raise UsageError(f"{src} lies in {dest / corruption}, which would be written to", "Give another folder.")


def _workers(wanted: int | None, job: Job, pixels: int) -> int:
    """As many as asked for; else one per core, or none where starting them would take longer than the work."""
    if wanted is not None:
        return wanted
    if sum(job.missing().values()) * pixels < _STARTING_PAYS and not BACKENDS[job.settings.backend].is_slow:
        return 0
    cores = usable_cores()
    return cores if job.device == "cpu" else min(cores, _MOST_ON_A_GPU)


def _batch_size(job: Job, values: int) -> int:
    """Images of one size that are corrupted in one call: enough to make calls cheap, few enough for all workers."""
    if isinstance(job.source, ImageArray):
        return max(1, min(2 ** (21 if job.device == "cpu" else 25) // values, -(-len(job.source) // 16)))
    fair = -(-len(job.source) // (4 * max(1, job.workers)))
    return max(1, min(64, _most_values(job) // values, fair))


def _most_values(job: Job) -> int:
    """Values of images that are corrupted in one call: a batch of mixed sizes is cut where it has more."""
    return 2 ** (18 if job.device == "cpu" else 25)


def corrupt_folder(
    src: str | Path,
    dest: str | Path | None = None,
    *,
    corruptions: str | Sequence[str] = "c15",
    severities: str | int | Sequence[str | int] = "1-5",
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

    Files appear whole or not at all. Called again after an interruption, it goes on where it was and ends with the
    same bytes; called with further corruptions, severities or images, it adds them.

    Args:
        src: A folder of any depth, an image file, or a ``.npy`` file of images.
        dest: Folder to write to; by default ``src``, or the folder of an image, with ``-c`` at its end.
        corruptions: Names, families ("noise") and sets ("c15"); "clean": the images themselves, cut to ``size``, as
            ``clean/0``.
        severities: 1 to 5, or ranges ("1-3").
        recipe: One of ``ppbench list recipes``; None: the one that suits the images' size.
        backend: What corrupts: "ppbench", or "imagecorruptions" for the package of that name.
        seed: Key of all draws.
        format: "same" (JPEG stays JPEG, all else becomes PNG), "jpeg" (quality 85), "png" or "npy".
        size: Side in pixels of the square cut from each image after resizing its shorter side to 256/224 of it;
            None: images as they are.
        scale: Factor of the recipe's lengths in pixels, at least 1, for images larger than it was made for; "auto":
            each image's shorter side in units of the recipe's size. None: 1.
        device: "auto", "cpu", "cuda", "cuda:1".
        workers: Processes; a script that uses them needs ``if __name__ == "__main__"``.
        batch_size: Images of one size corrupted in one call; it never changes a byte. None: by size.
        overwrite: Remove what an earlier job made in ``dest`` and replace files that lie in the way.
        advance: Told how many more images are done.

    Returns:
        What was written, and what could not be made (`CopyReport.failures`): a broken image does not stop the others.

    Raises:
        UsageError: If a value is not allowed, or ``dest`` was made with other settings.
        DataError: If there are no images, or ``dest`` cannot be written.
    """
    request = Request(
        src=Path(src),
        dest=Path(dest) if dest is not None else None,
        corruptions=[corruptions] if isinstance(corruptions, str) else corruptions,
        severities=severity_texts(severities),
        recipe=recipe,
        backend=backend,
        seed=seed,
        format=format,
        size=size,
        scale=scale,
        device=device,
        workers=workers,
        batch_size=batch_size,
        overwrite=overwrite,
    )
    with opened(request) as (job, scratch):
        return job.run(scratch, advance)
