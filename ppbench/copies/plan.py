"""A checked request with its defaults filled in: the copies to make, and how they are made."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppbench.copies.computing import array_images_at_a_time, device_for, files_at_a_time, most_values, workers_for
from ppbench.copies.encode import ImageFormat
from ppbench.copies.guards import check_apart, check_free, claimed_folder
from ppbench.copies.naming import cell_key, longer_names
from ppbench.copies.places import copy_places
from ppbench.copies.records import Records
from ppbench.copies.request import CopyRequest
from ppbench.copies.sequences import sequence_recipe_for, shape_of_frames
from ppbench.copies.settings import PixelSettings, check_same, check_same_own, made_with
from ppbench.copies.sources import CopySource, ImageFiles, open_copy_source
from ppbench.copies.video import encoder_versions
from ppbench.corruptions.backends import BACKENDS
from ppbench.corruptions.own import OwnCorruption
from ppbench.corruptions.recipes import c_bar_for
from ppbench.corruptions.sequences.recipes import SEQUENCE_ENGINE, SEQUENCE_RECIPES
from ppbench.corruptions.trial import check_own
from ppbench.data.walk import SCRATCH
from ppbench.vocabulary import Cell


@dataclass(frozen=True)
class CopyPlan:
    """Everything that a job needs to know before it makes copies."""

    source: CopySource
    dest: Path
    cells: tuple[Cell, ...]
    settings: PixelSettings
    engine: str
    device: str
    workers: int
    batch_size: int
    most_values: int | None
    """Most pixel values that a worker holds at a time; None: those of a batch."""
    sizes: list[tuple[int, int]]
    """Heights and widths of some images, from the smallest to the largest."""
    records: Records
    longer: dict[str, str]
    """Source -> longer name of its copies, if another source's copies have the usual one; see `longer_names`."""

    @property
    def scratch(self) -> Path:
        """The folder of the lock, the journal and unfinished files."""
        return self.dest / SCRATCH

    @property
    def middle_size(self) -> tuple[int, int]:
        """Height and width of an image of middle size."""
        return self.sizes[len(self.sizes) // 2]

    @property
    def header(self) -> dict[str, dict[str, Any]]:
        """The part of the record that says how files are made."""
        own = {**self.records.header.get("own", {}), **self.own_hashes}
        form = self.settings.format
        parts = {"settings": self.settings.record(), "made_with": dict(made_with(self.engine, form))}
        return {**parts, "own": own} if own else parts

    @property
    def own_hashes(self) -> dict[str, str]:
        """SHA-256 of the source of each corruption of the user's own, by name."""
        return {own.name: own.source_hash() for own in self.settings.own}

    def output(self, name: str) -> str:
        """File name of a source's copies in each cell."""
        return self.longer.get(name) or self.source.output(name, self.settings)

    def missing(self) -> dict[Cell, int]:
        """Number of images to make in each cell, by the record."""
        return _missing(self.source, self.cells, self.records)


@contextmanager
def opened_plan(request: CopyRequest, *, claim: bool = True) -> Iterator[CopyPlan]:
    """Check a request, and claim its folder.

    Args:
        request: The request.
        claim: Whether to create the folder and lock it. If not, nothing is written.

    Raises:
        UsageError: If a value is not allowed, or the folder was made with other settings.
        DataError: If there are no images, or the folder cannot be written.
    """
    request.check_numbers()
    request.check_sequences()
    cells, own, form, dest = request.cells(), request.own(), request.image_format(), request.folder()
    check_apart(request.src, dest, cells, copy_places({"sequences": request.perturbations is not None}))
    source = open_copy_source(request.src, dest, form, request.size)
    with claimed_folder(dest) if claim else nullcontext(), closing(Records(dest, dest / SCRATCH)) as records:
        if request.overwrite:
            records.forget() if claim else records.ignore()
        yield _plan(request, source, dest, own, records)


def _plan(
    request: CopyRequest, source: CopySource, dest: Path, own: tuple[OwnCorruption, ...], records: Records
) -> CopyPlan:
    # A folder that was begun keeps its recipe and device, unless the request names others.
    before = {} if request.overwrite else records.header.get("settings", {})
    # If no image can be read, any size will do: the job reports them all as failed.
    sizes = [(request.size, request.size)] if request.size else source.sizes() or [(224, 224)]
    height, width = sizes[len(sizes) // 2]
    settings, device = _settings(request, source, before, height, width, own)
    cells, places = request.cells(c_bar_for(settings.recipe)), settings.places
    check_apart(request.src, dest, cells, places)
    if not settings.sequences:
        BACKENDS[settings.backend].check_has([corruption for corruption, _ in cells], settings.recipe)
    longer = {}
    if isinstance(source, ImageFiles):
        longer = longer_names(source.names, lambda name: source.output(name, settings), records)
    values = _values(cells, settings, height, width)
    workers = request.workers
    if workers is None:
        pixels = sum(_missing(source, cells, records).values()) * values // 3
        workers = workers_for(pixels, settings.backend, device)
    batch = request.batch_size
    if batch is None and isinstance(source, ImageFiles):
        batch = files_at_a_time(len(source), values, device, workers)
    elif batch is None:
        batch = array_images_at_a_time(len(source), values, device)
    engine = SEQUENCE_ENGINE if settings.sequences else BACKENDS[settings.backend].version()
    # A batch size that the user gives counts as it is, whatever memory it needs.
    plan = CopyPlan(
        source, dest, cells, settings, engine, device, workers, batch,
        None if request.batch_size else most_values(device), sizes, records, longer,
    )  # fmt: skip
    if before:
        check_same(records.header, plan.header, str(dest))
        check_same_own(records.header.get("own", {}), plan.own_hashes, str(dest))
    for one in own:
        check_own(one, sorted({severity for name, severity in cells if name == one.name}), height, width, 3)
    if not request.overwrite:
        check_free(dest, cells, records, places)
    return plan


def _settings(
    request: CopyRequest, source: CopySource, before: dict[str, Any], height: int, width: int,
    own: tuple[OwnCorruption, ...],
) -> tuple[PixelSettings, str]:  # fmt: skip
    """The settings of a job, and its device, for images of a middle size in pixels."""
    device = device_for(request.device, request.backend, before.get("device"))
    kind, form = device.partition(":")[0], request.image_format()
    if request.perturbations is not None:
        known = before.get("recipe") if before.get("sequences") else None
        recipe = SEQUENCE_RECIPES[request.recipe or known or sequence_recipe_for(height, width)].name
        form = ImageFormat.PNG if form is ImageFormat.SAME else form
        form = form if isinstance(source, ImageFiles) else ImageFormat.NPY
        if form is ImageFormat.MP4:
            encoder_versions()  # says now, and not after an estimate, that there is no encoder
        return PixelSettings(recipe, request.backend, request.seed, form, None, kind, sequences=True), device
    backend = BACKENDS[request.backend]
    recipe = backend.recipe(request.recipe, height, width)
    if request.recipe is None and before.get("backend") == backend.name and not before.get("sequences"):
        recipe = str(before.get("recipe"))
    factor = request.factor()
    return PixelSettings(recipe, backend.name, request.seed, form, request.size, kind, factor, own), device


def _values(cells: tuple[Cell, ...], settings: PixelSettings, height: int, width: int) -> int:
    """Values of a copy, for images of a middle size in pixels."""
    frames = {name: shape_of_frames(name, settings.recipe, height, width) for name, _ in cells if settings.sequences}
    return 3 * max(map(math.prod, frames.values()), default=height * width)


def _missing(source: CopySource, cells: tuple[Cell, ...], records: Records) -> dict[Cell, int]:
    new = sum(name not in records for name in source.names) * source.images_per_file
    return {cell: new if cell_key(cell) in records.cells else len(source) for cell in cells}
