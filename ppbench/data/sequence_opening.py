"""Open a dataset of perturbation sequences, by its name and by the content of its folder. Free of torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppbench.data.arrays import ArrayImages, embedded_images
from ppbench.data.catalog import DATASETS, Dataset
from ppbench.data.cifar import cifar_images
from ppbench.data.cut import AsIs
from ppbench.data.decode import FolderImages
from ppbench.data.labels import list_photographs
from ppbench.data.layout import ArraysFound, CifarFound, FolderFound, ShardsFound, TreeFound, look
from ppbench.data.opening import check_data, check_limit
from ppbench.data.own_opening import open_shards
from ppbench.data.photographs import with_note
from ppbench.data.published_sequences import PublishedFiles, PublishedFrames, PublishedSequences
from ppbench.data.sequence_layout import SequencesFound, look_for_sequences
from ppbench.data.sequences import SMALLEST_FRAME, MadeSequences, SequenceSource, WholeImages
from ppbench.data.source import stratified_subset
from ppbench.data.tiny_imagenet import list_tiny_imagenet
from ppbench.data.uncut import numbered
from ppbench.errors import DataError, UsageError


def open_sequences(
    dataset: Dataset, folder: Path | None, *, recipe: str | None = None, seed: int = 0, limit: int | None = None,
    exif: bool = False,
) -> SequenceSource:  # fmt: skip
    """Open a dataset of perturbation sequences. Images need no labels.

    Args:
        dataset: One with `Dataset.sequences`.
        folder: Folder or files of the clean images (``--data``), or a published set, by its content; None for the
            embedded images.
        recipe: Recipe of the frames; None: the dataset's usual one.
        seed: Seed of the frames and of the subset.
        limit: Number of images, in equal shares of all classes or folders; None for all.
        exif: Whether EXIF orientation and colour profiles of clean images in files are applied.

    Raises:
        UsageError: If the recipe is not the dataset's, a limit is below 1, or an option is for other images than these.
        DataError: If the folder is not given, is missing, or does not hold the dataset.
    """
    check_data(dataset, folder)
    check_limit(limit)
    found = None if folder is None else look_for_sequences(folder)
    source: SequenceSource
    if found is not None:
        source = published = _open_stored(found, dataset, recipe, exif=exif)
        names, strata = published.ids, published.strata
    else:
        name = _recipe_of(dataset, recipe)
        images = _open_images(dataset, folder, exif=exif)
        side = images.size if isinstance(images, ArrayImages) else 0
        source = MadeSequences(dataset.name, images, name, seed, side=side, exif=exif)
        # The names with their endings, by which other evaluations choose: all take the same images.
        names, strata = images.ids, _strata(images)
        if len(dataset.sequences) > 1:
            source.recipe_of_size = dict(zip(dataset.sides, dataset.sequences, strict=True))
    if limit is not None:
        source.limit(stratified_subset(names, strata, limit, seed))
    return source


def _open_stored(
    found: SequencesFound, dataset: Dataset, recipe: str | None, *, exif: bool = False
) -> PublishedSequences:
    """Open a set that was published, or written by ``ppbench corrupt``."""
    form, what = ("arrays", "arrays") if found.form is None else ("files", found.form.plural)
    if form != dataset.form:
        other = "imagenet-p` or `--dataset tiny-imagenet-p" if found.form else "cifar10-p` or `--dataset cifar100-p"
        raise DataError(
            f"{found.root} contains {what}, which {dataset.name} is not published as", f"Use `--dataset {other}`."
        )
    if exif:
        raise UsageError("--exif is for clean images in files", "Published frames have no EXIF data: leave it out.")
    made_by = dataset.sequences[0]
    source: PublishedSequences
    if found.form is not None:
        source = PublishedFiles(found.root, dataset.name, made_by, found.form, found.folders)
    else:
        source = PublishedFrames(found.root, dataset.name, made_by, found.arrays)
    source.records = found.records
    source.recipe = _recipe_there(found, source, dataset)
    if recipe not in (None, source.recipe):
        raise UsageError(
            f"--recipe {recipe} is for sequences that are made, but {found.root} contains those of {source.recipe}",
            "Leave it out, or give clean images with `--data DIR`.",
        )
    return source


def _recipe_there(found: SequencesFound, source: PublishedSequences, dataset: Dataset) -> str:
    """The recipe of stored frames: that of their record, else that of their size.

    Raises:
        DataError: If the size is another dataset's.
    """
    others = [other for other in DATASETS.values() if other.sequences and other.form == dataset.form]
    like = next((other.name for other in others if source.size in other.sides), dataset.name)
    if source.size not in dataset.sides and like != dataset.name:
        raise DataError(
            f"{found.root} contains frames of {source.size} px: that looks like {like}", f"Use `--dataset {like}`."
        )
    recorded = {record.recipe for record in found.records.values()}
    if len(recorded) == 1:
        return recorded.pop()
    if len(dataset.sequences) > 1 and source.size in dataset.sides:  # a recipe for each size
        return dataset.sequences[dataset.sides.index(source.size)]
    return dataset.sequences[0]


def _recipe_of(dataset: Dataset, wanted: str | None) -> str:
    if wanted not in (None, *dataset.sequences):
        raise UsageError(
            f"--recipe {wanted} is not for --dataset {dataset.name}", f"Allowed: {', '.join(dataset.sequences)}."
        )
    return wanted or dataset.sequences[0]


def _open_images(dataset: Dataset, folder: Path | None, *, exif: bool) -> WholeImages:
    """Open the clean images."""
    if folder is None:
        return _checked(embedded_images(), dataset, exif)
    found = look(folder, any_folders=True)
    if isinstance(found, TreeFound | ArraysFound):
        raise DataError(
            f"{found.root} contains corrupted images, and {dataset.name} is made from clean ones",
            f"Give a folder of clean images: {dataset.how_to_get}",
        )
    if (dataset.form == "arrays") != isinstance(found, CifarFound):
        what = "arrays" if isinstance(found, CifarFound) else "image files"
        raise DataError(f"{found.root} contains {what}, not the images of {dataset.name}", dataset.how_to_get)
    if isinstance(found, CifarFound):
        fitting = [file for file in found.files if file.num_classes in (None, dataset.num_classes)]
        if not fitting:
            there = found.files[0].num_classes
            raise DataError(f"{found.root} contains CIFAR-{there}", f"Use `--dataset cifar{there}-p`.")
        return _checked(cifar_images(fitting[0], dataset.num_classes), dataset, exif)
    if isinstance(found, ShardsFound):
        return open_shards(found, exif=exif, labelled=False)
    return _open_files(dataset, found, exif=exif)


def _open_files(dataset: Dataset, found: FolderFound, *, exif: bool) -> WholeImages:
    """Open image files, in class folders or not."""
    is_tiny = dataset.num_classes == 200
    if found.annotated and not is_tiny:
        raise DataError(f"{found.root} contains Tiny-ImageNet", "Use `--dataset tiny-imagenet-p`.")
    listing = list_tiny_imagenet(found.root) if found.annotated else list_photographs(found.root)
    if is_tiny:  # the ids of its other layouts
        listing = listing._replace(ids=[name.replace("/images/", "/", 1) for name in listing.ids])
    # The cut is the recipe's: files are read whole.
    return FolderImages(found.root, AsIs(0), listing if exif else with_note(listing, found.root), exif=exif)


def _checked(images: ArrayImages, dataset: Dataset, exif: bool) -> ArrayImages:
    if exif:
        raise UsageError("--exif is for clean images in files", "Arrays have no EXIF data: leave it out.")
    if images.size < SMALLEST_FRAME:
        raise DataError(
            f"images of {images.size} x {images.size} pixels for {dataset.name}",
            f"Frames are made from images of at least {SMALLEST_FRAME} px a side.",
        )
    return images


def _strata(images: WholeImages) -> NDArray[np.int64]:
    """``(N,)``: numbers of the classes; of files, the numbers of the first folders of their ids."""
    if isinstance(images, ArrayImages):
        return images.labels
    return numbered([name.partition("/")[0] if "/" in name else "" for name in images.ids])[0]
