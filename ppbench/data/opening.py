"""Open a dataset for evaluation, by its name and by the content of its folder. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from ppbench.data.arrays import ArrayImages, embedded_images, fashion_mnist_images
from ppbench.data.beside import WithClean
from ppbench.data.catalog import DATASETS, EMBEDDED, Dataset, dataset_of
from ppbench.data.cifar import cifar_images
from ppbench.data.cifar_c import PublishedArrays
from ppbench.data.cut import AsIs, CentralPart, Cut
from ppbench.data.decode import FolderImages
from ppbench.data.folder import list_classes
from ppbench.data.generated import CleanImages, GeneratedImages
from ppbench.data.labels import list_labelled, list_photographs
from ppbench.data.layout import ArraysFound, CifarFound, FolderFound, Found, ShardsFound, TreeFound, look
from ppbench.data.npy import array_file
from ppbench.data.own_images import ImagesGiven
from ppbench.data.own_opening import is_hub, open_own, open_shards
from ppbench.data.photographs import with_note
from ppbench.data.published import PublishedImages
from ppbench.data.source import Geometry, Source, stratified_subset
from ppbench.data.tiny_imagenet import list_tiny_imagenet
from ppbench.data.uncut import CutImages, UncutImages
from ppbench.errors import DataError, UsageError
from ppbench.vocabulary import PREDICTED

_PUBLISHED_RECIPES = {
    "cifar10-c": "cifar-c",
    "cifar100-c": "cifar-c",
    "cifar10-c-bar": "cifar-c-bar",
    "imagefolder": "unknown",
}
"""Recipes of published sets that have another name than their dataset."""


def open_source(
    name: str | ImagesGiven, folder: Path | None, geometry: Geometry, *, recipe: str | None = None, seed: int = 0,
    limit: int | None = None, backend: str = "ppbench", jpeg: bool = True, classes: Sequence[str] | None = None,
    exif: bool = False, clean: Path | None = None, outputs: Sequence[str] | None = None, labels: str | None = None,
) -> Source:  # fmt: skip
    """Open a dataset for evaluation.

    Args:
        name: One of `DATASETS`, ``hf:ORG/NAME``, ``pkg.mod:factory`` (the user's code, which runs), or images from
            Python.
        folder: Folder or tar of the images (``--data``); None for the embedded set. Its content decides whether it is a
            published corrupted set or clean images.
        geometry: Cut that the model expects, used for ``imagefolder``. Other datasets define their own.
        recipe: Recipe of generated corruptions; None: chosen by image size.
        seed: Seed of the corruptions and of the subset.
        limit: Number of images, stratified by class; None for all.
        backend: "ppbench" or "imagecorruptions", which generates corrupted images.
        jpeg: Whether generated images are saved as JPEG if the dataset's published images were.
        classes: Names of the classes to use; None for all.
        exif: Whether EXIF orientation and colour profiles of clean images in files are applied.
        clean: Clean images for a published set that has none: a folder as for clean images in ``folder``, or an array
            ``(N, S, S, 3)`` in an .npy file, in the order of the set.
        outputs: Names of the models' outputs, which are the classes of images whose classes have no names.
        labels: "predicted" for images without labels, or labels they have that are not used; or a CSV of the labels of
            clean images in files (`ppbench.data.labels`). None: as the dataset has them.

    Raises:
        UsageError: If a name, recipe, backend or class is unknown, a limit is below 1, or an option is for other images
            than these.
        DataError: If the folder is not given, is missing, or does not hold the dataset.
    """
    dataset = dataset_of(name)
    check_data(dataset, folder)
    check_limit(limit)
    # The files of Fashion-MNIST are in a format of their own, which `look` does not know.
    found = None if folder is None or name == "fashion-mnist" else look(folder, any_folders=labels is not None)
    _check_labels_option(labels, found, classes)
    source: Source
    if exif and not isinstance(found, FolderFound | ShardsFound) and not is_hub(name):
        raise UsageError(
            "--exif is for clean images in files",
            "Images of published sets and of arrays have no EXIF data: leave it out.",
        )
    if isinstance(found, TreeFound | ArraysFound):
        if backend != "ppbench" or not jpeg:
            option = f"--backend {backend}" if backend != "ppbench" else "--no-jpeg"
            raise UsageError(
                f"{option} is for generated images, but {found.root} contains corrupted images already",
                f"Leave {option} out.",
            )
        source = _open_published(dataset, found, recipe, geometry)
        if clean is not None:
            source = _with_clean(dataset, source, clean, geometry)
    elif clean is not None:
        raise UsageError(
            "--clean is for published corrupted sets", "The images of --data are clean already: leave it out."
        )
    else:
        if dataset.form == "own":
            images: CleanImages = CutImages(_open_own(name, exif, labels), geometry, outputs)
        else:
            images = _open_clean(dataset, folder or Path(), found, geometry, recipe, exif, outputs, labels)
        source = GeneratedImages(dataset.name, images, recipe, seed, backend, jpeg=jpeg and dataset.jpeg)
    if labels == PREDICTED:
        if not source.has_clean:
            raise DataError(
                f"--labels predicted needs clean images, and {folder} has none", "Give them: `--clean DIR|FILE.npy`."
            )
        source.forget_labels()
    # Classes before the limit, which then counts images of these classes only.
    if classes is not None:
        source.keep_classes(classes)
    if limit is not None:
        source.limit(stratified_subset(source.ids, source.labels, limit, seed))
    return source


def _open_own(name: str | ImagesGiven, exif: bool, labels: str | None) -> UncutImages:
    return _used(open_own(name, exif=exif, labelled=labels != PREDICTED), labels)


def _used(images: UncutImages, labels: str | None) -> UncutImages:
    """Images with labels that fit no class, such as -1 for none, if their labels are not used."""
    if labels == PREDICTED:
        images.labels, images.class_names = np.zeros(len(images.ids), np.int64), ("image",)
    return images


def check_limit(limit: int | None) -> None:
    """Refuse a number of images below 1."""
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit} is not allowed", "It is the number of images to use, at least 1.")


def check_data(dataset: Dataset, folder: Path | None) -> None:
    """Refuse a folder where none is needed, and the lack of one where it is."""
    if not dataset.how_to_get and folder is not None:
        raise UsageError(
            f"--dataset {dataset.name} takes no --data", "For your images: `--dataset imagefolder --data DIR`."
        )
    if dataset.how_to_get and folder is None:
        raise DataError(f"--dataset {dataset.name} needs its images", f"images: {dataset.how_to_get}")


def _check_labels_option(labels: str | None, found: Found | None, classes: Sequence[str] | None) -> None:
    """Raise `UsageError` if labels are given for images that have their own, or classes for images without labels."""
    if labels is None:
        return
    if labels == PREDICTED:
        if classes is not None:
            raise UsageError("--classes is for images with labels", "Leave it out, or leave --labels predicted out.")
    elif not isinstance(found, FolderFound) or found.annotated:
        raise UsageError(
            "--labels FILE.csv is for clean images in files",
            "These images have their own labels: leave it out, or give `--labels predicted`.",
        )


def _open_published(dataset: Dataset, found: TreeFound | ArraysFound, recipe: str | None, geometry: Geometry) -> Source:
    made_by = _PUBLISHED_RECIPES.get(dataset.name, dataset.name)
    records = found.records if isinstance(found, TreeFound) else {}
    if recipe is not None and recipe not in ({record.recipe for record in records.values()} or {made_by}):
        raise UsageError(
            f"--recipe {recipe} is for generated images, but {found.root} contains corrupted images already",
            "Leave it out, or give clean images with `--data DIR`.",
        )
    source: Source
    if isinstance(found, ArraysFound):
        _check_form(dataset, found, "arrays", "cifar10-c or cifar100-c")
        classes = dataset.num_classes
        source = PublishedArrays(found.root, dataset.name, found.arrays, found.labels, made_by, classes)
        _check_labels(dataset, source, found)
        return source
    _check_form(dataset, found, "files", "imagenet-c")
    own = geometry if dataset.form == "any" else None
    source = PublishedImages(found.root, dataset.name, found.cells, made_by, dataset.num_classes, own, records)
    _check_is(dataset, source, found)
    return source


def _with_clean(dataset: Dataset, source: Source, place: Path, geometry: Geometry) -> Source:
    """Combine a published set with the clean images at ``place``."""
    if source.has_clean:
        raise UsageError("--clean is for sets without clean images", "This set has its own: leave it out.")
    if place.suffix == ".npy" and place.is_file():
        pixels = array_file(place).take()
        square = pixels.ndim == 4 and pixels.shape[1] == pixels.shape[2] and pixels.shape[3] in (1, 3)
        if not square or pixels.dtype != np.uint8 or len(pixels) != len(source.ids):
            raise DataError(
                f"{place} has the shape {pixels.shape} of {pixels.dtype}",
                f"Expected the {len(source.ids):,} clean images in the order of the set, uint8.",
            )
        return WithClean(source, ArrayImages(pixels, source.labels, source.ids, source.class_names), place)
    found = look(place)
    if isinstance(found, TreeFound | ArraysFound):
        raise DataError(
            f"{place} contains a corrupted set, not clean images", "Give the folder of the clean images: `--clean DIR`."
        )
    # Here the recipe only decides the cut, which gives the clean images the size of the set.
    recipe = "imagenet-c-299" if source.size == 299 else None
    # No corruptions are made from these clean images, so any dataset can have them.
    known = dataset if dataset.clean else replace(dataset, clean=True)
    return WithClean(source, _open_clean(known, place, found, geometry, recipe, exif=False), place)


def _check_form(dataset: Dataset, found: Found, form: Literal["files", "arrays"], others: str) -> None:
    if dataset.form in ("any", form):
        return
    found_form, own_form = ("arrays", "image files") if form == "arrays" else ("image files", "arrays")
    raise DataError(
        f"{found.root} contains {found_form}, but {dataset.name} consists of {own_form}", f"Use `--dataset {others}`."
    )


def _check_labels(dataset: Dataset, source: Source, found: Found) -> None:
    """Raise `DataError` for the other one of CIFAR-10-C and CIFAR-100-C, which differ only in their labels."""
    classes, highest = dataset.num_classes, int(source.labels.max())
    if classes is not None and (highest >= classes or (classes == 100 and highest < 10)):
        other = "cifar10-c" if highest < 10 else "cifar100-c"
        raise DataError(
            f"{found.root} has labels from 0 to {highest}, {dataset.name} from 0 to {classes - 1}",
            f"Use `--dataset {other}`.",
        )


def _check_is(dataset: Dataset, source: Source, found: Found) -> None:
    """Raise `DataError` if the corruptions, or the classes and the size, are another dataset's."""
    if dataset.form == "any":
        return
    names = set(source.corruptions)
    for other in DATASETS.values():
        if other.form != "files" or other.sequences or names.isdisjoint(other.has):
            continue
        by_name = names.isdisjoint(dataset.has)
        by_size = _has_shape(other, source) and not _has_shape(dataset, source)
        if by_name or by_size:
            raise DataError(
                f"{found.root} contains {', '.join(source.corruptions[:3])}, … of {source.num_classes} classes at "
                f"{source.size} px: that is not {dataset.name}, but looks like {other.name}",
                f"Use `--dataset {other.name}`.",
            )
    if dataset.name == "tiny-imagenet-c" and source.num_classes == 1000:
        raise DataError(
            f"{found.root} has 1000 classes, tiny-imagenet-c has 200: the frost of its first archive "
            "(zenodo.org/records/2536630) is wrong (hendrycks/robustness#60)",
            "Use the corrected archive, https://zenodo.org/records/8206060, or `--dataset imagenet-c` if it is that.",
        )


def _has_shape(dataset: Dataset, source: Source) -> bool:
    return source.num_classes == dataset.num_classes and source.size in dataset.sides


def _open_clean(
    dataset: Dataset, folder: Path, found: Found | None, geometry: Geometry, recipe: str | None, exif: bool,
    outputs: Sequence[str] | None = None, labels: str | None = None,
) -> CleanImages:  # fmt: skip
    if found is None:
        return embedded_images() if dataset.name == EMBEDDED else fashion_mnist_images(folder)
    if not dataset.clean:
        raise DataError(
            f"{found.root} contains clean images, but {dataset.name} cannot be generated from them",
            f"Get it as published: {dataset.how_to_get}",
        )
    if isinstance(found, CifarFound):
        return _open_cifar(dataset, found)
    if isinstance(found, ShardsFound):
        _refuse_no_arrays(dataset, found)
        shards = open_shards(found, exif=exif, labelled=labels != PREDICTED)
        return CutImages(_used(shards, labels), _cut(dataset, geometry, recipe), outputs)
    assert isinstance(found, FolderFound)
    return _open_folder(dataset, found, _cut(dataset, geometry, recipe), exif, labels)


def _open_cifar(dataset: Dataset, found: CifarFound) -> CleanImages:
    fitting = [file for file in found.files if file.num_classes in (None, dataset.num_classes)]
    if dataset.form == "files" or not fitting:
        there = found.files[0].num_classes or 10
        raise DataError(
            f"{found.root} contains CIFAR images ({found.files[0].path.name}), not {dataset.name}",
            f"Use `--dataset cifar{there}-c`.",
        )
    return cifar_images(fitting[0], dataset.num_classes)


def _open_folder(dataset: Dataset, found: FolderFound, cut: Cut, exif: bool, labels: str | None) -> CleanImages:
    _refuse_no_arrays(dataset, found)
    if dataset.name == "imagenet-c" and found.annotated:
        raise DataError(f"{found.root} contains Tiny-ImageNet, not ImageNet", "Use `--dataset tiny-imagenet-c`.")
    tiny = dataset.name == "tiny-imagenet-c" or found.annotated
    if labels is not None and not tiny:
        listing = list_photographs(found.root) if labels == PREDICTED else list_labelled(found.root, Path(labels))
    else:
        listing = list_tiny_imagenet(found.root) if tiny else list_classes(found.root)
        if dataset.name == "tiny-imagenet-c" and len(listing.class_names) == 1000:
            raise DataError(f"{found.root} has 1000 classes, Tiny-ImageNet has 200", "Use `--dataset imagenet-c`.")
    return FolderImages(found.root, cut, listing if exif else with_note(listing, found.root), exif=exif)


def _refuse_no_arrays(dataset: Dataset, found: FolderFound | ShardsFound) -> None:
    """Refuse image files for a dataset of arrays."""
    if dataset.form == "arrays":
        raise DataError(
            f"{found.root} contains neither CIFAR's arrays nor its test images",
            f"{dataset.how_to_get}; or give the unpacked cifar-{dataset.num_classes}-… folder of clean images.",
        )


def _cut(dataset: Dataset, geometry: Geometry, recipe: str | None) -> Cut:
    """The cut of clean images: the published set's, if the dataset has one; else the model's."""
    if dataset.name == "tiny-imagenet-c":
        return AsIs(64)
    if dataset.num_classes == 1000:
        return CentralPart(299, 0.875) if recipe == "imagenet-c-299" else Geometry(224, 256)
    return geometry
