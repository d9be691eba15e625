"""The datasets ppbench evaluates on, by name. Free of torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ppbench.data.arrays import embedded_images, fashion_mnist_images
from ppbench.data.folder import FolderImages
from ppbench.data.generated import CleanImages, GeneratedImages
from ppbench.data.imagenet_c import PublishedImages, find_corruptions
from ppbench.data.source import Geometry, Source, stratified_subset
from ppbench.errors import DataError, UsageError
from ppbench.registry import Registry

EMBEDDED = "fashion-mnist-2k"


@dataclass(frozen=True)
class Dataset:
    """What is known of a dataset before it is opened."""

    name: str
    description: str
    classes: str
    size: str
    normalizer: Literal["alexnet", "none"]
    """Denominators of CE that are customary for it."""
    how_to_get: str
    """What to do to have it; empty for what comes with ppbench."""
    open_clean: Callable[[Path, Geometry], CleanImages]


def _embedded(folder: Path, geometry: Geometry) -> CleanImages:
    return embedded_images()


def _fashion_mnist(folder: Path, geometry: Geometry) -> CleanImages:
    return fashion_mnist_images(folder)


_ZENODO = "https://zenodo.org/records/2235448/files"

_ENTRIES = (
    Dataset(
        name=EMBEDDED,
        description="2,000 Fashion-MNIST test images, 200 a class; comes with ppbench",
        classes="10",
        size="28 grey",
        normalizer="none",
        how_to_get="",
        open_clean=_embedded,
    ),
    Dataset(
        name="fashion-mnist",
        description="the 10,000 Fashion-MNIST test images",
        classes="10",
        size="28 grey",
        normalizer="none",
        how_to_get="`apt-get install dataset-fashion-mnist`, then `--data /usr/share/datasets/fashion-mnist`",
        open_clean=_fashion_mnist,
    ),
    Dataset(
        name="imagenet-c",
        description="ImageNet-C as published, or made on the fly from ImageNet's validation folders",
        classes="1000",
        size="224",
        normalizer="alexnet",
        how_to_get=f"`for f in noise blur weather digital; do wget {_ZENODO}/$f.tar && tar xf $f.tar; done`, "
        "then `--data .`",
        open_clean=FolderImages,
    ),
    Dataset(
        name="imagefolder",
        description="any <class>/<image> folders, corrupted on the fly; cut to the model's size",
        classes="any",
        size="any",
        normalizer="none",
        how_to_get="`--data DIR`, with one folder of images per class in DIR",
        open_clean=FolderImages,
    ),
)

DATASETS: Registry[Dataset] = Registry("dataset", "ppbench list datasets")
for _entry in _ENTRIES:
    DATASETS.register(_entry.name, _entry)


def open_source(
    name: str, folder: Path | None, geometry: Geometry, *, recipe: str | None = None, seed: int = 0,
    limit: int | None = None, backend: str = "ppbench",
) -> Source:  # fmt: skip
    """Open a dataset for evaluation.

    Args:
        name: One of `DATASETS`.
        folder: Where it lies (``--data``); not used by the embedded set. For ``imagenet-c`` a folder of corruptions
            is read as published; a folder of classes is taken as clean images.
        geometry: How the model wants images cut; images held in memory and published ones are used as they are.
        recipe: Recipe for making corrupted images; None: the one that suits their size.
        seed: Key of corruptions and of the subset.
        limit: Number of images, stratified by class; None for all.
        backend: What makes corrupted images: "ppbench" or "imagecorruptions".

    Raises:
        UsageError: For an unknown name, recipe or backend, or a limit below 1.
        DataError: If the folder is not given, is missing, or does not hold the dataset.
    """
    dataset = DATASETS.get(name)
    if not dataset.how_to_get and folder is not None:
        raise UsageError(f"--dataset {name} takes no --data", "For your images: `--dataset imagefolder --data DIR`.")
    if dataset.how_to_get and folder is None:
        raise DataError(f"--dataset {name} needs its images", f"images: {dataset.how_to_get}")
    root = folder or Path()
    source: Source
    if name == "imagenet-c" and root.is_dir() and find_corruptions(root):
        source = PublishedImages(root, name, geometry.size)
    else:
        source = GeneratedImages(name, dataset.open_clean(root, geometry), recipe, seed, backend)
    if limit is not None:
        if limit < 1:
            raise UsageError(f"--limit {limit} is not allowed", "It is the number of images to use, at least 1.")
        source.limit(stratified_subset(source.ids, np.asarray(source.labels), limit, seed))
    return source
