"""Open the datasets for training, by name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ppbench.data import fashion_mnist
from ppbench.data.cifar import cifar_images, find_cifar, read_cifar_training
from ppbench.data.folder import LabelledFiles, class_folders, list_classes
from ppbench.data.source import renumbered, stratified_order, stratified_subset
from ppbench.data.walk import find_images
from ppbench.errors import DataError, UsageError
from ppbench.files import read_text
from ppbench.lookup import NameTable, counted
from ppbench.models.card import IMAGENET_MEAN, IMAGENET_STD, PRESETS
from ppbench.train.images import FileImages, ImageSet, MemoryImages
from ppbench.train.recipe import TrainRecipe


class TrainingData(NamedTuple):
    """A training and a test set, with the facts that a card needs about them."""

    train: ImageSet
    test: ImageSet
    class_names: tuple[str, ...]
    channels: Literal[1, 3]
    mean: tuple[float, ...]
    """Per channel, of values in [0, 1]."""
    std: tuple[float, ...]
    notes: tuple[str, ...] = ()
    """Notes for people about files in the folders that are not used."""

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the training images, their labels, and the names of the classes."""
        return hashlib.sha256(f"{self.train.fingerprint()} {self.class_names}".encode()).hexdigest()


def load_training_data(recipe: TrainRecipe, folder: Path, classes: Sequence[str] | None = None) -> TrainingData:
    """Open the dataset that a recipe names, and take the recipe's share of it.

    Args:
        recipe: Its dataset, fraction, val_fraction and seed are used.
        folder: Folder of the dataset.
        classes: Names of the classes to use, numbered in the order of the names. If a text is not a class, its first
            word is taken. None: all.

    Raises:
        UsageError: If ppbench has no training set of that name, a class is not in it, or the fraction leaves a class
            without images.
        DataError: If files are missing or damaged, images have no labels, or fewer than two classes are left.
    """
    data = TRAINABLE[recipe.dataset](folder, recipe)
    if classes is not None:
        data = _keep_classes(data, classes, recipe.dataset)
    if len(data.class_names) < 2:
        there = ", ".join(data.class_names)
        raise DataError(
            f"{folder} has only one class ({there}): a classifier needs at least two",
            "Expected one folder of images per class: DIR/train/<class>/<image>, DIR/val/<class>/<image>.",
        )
    if recipe.fraction < 1:
        count = max(1, round(recipe.fraction * len(data.train.labels)))
        chosen = stratified_subset(data.train.ids, data.train.labels, count, recipe.seed)
        data = data._replace(train=data.train.subset(chosen))
        _check_all_classes(data, recipe.fraction)
    return data


def read_class_names(path: Path) -> list[str]:
    """Read class names from a file, one per line; ``#`` begins a comment.

    If a whole line is not a class, such as ``n01440764 tench``, `load_training_data` takes its first word.

    Raises:
        DataError: If the file cannot be read, or names no class.
    """
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        raise DataError(
            f"cannot read {path}: {getattr(error, 'strerror', None) or error}", "`--classes FILE`"
        ) from error
    names = [name for line in lines if (name := line.split("#")[0].strip())]
    if not names:
        raise DataError(f"{path} names no class", "Write the name of one class folder per line, such as n01440764.")
    return names


def _fashion_mnist(folder: Path, recipe: TrainRecipe) -> TrainingData:
    _no_val_fraction(recipe)
    train, test = (
        # A copy, because torch warns about arrays that are not writeable.
        MemoryImages(torch.from_numpy(images.copy()).permute(0, 3, 1, 2), labels)
        for images, labels in (fashion_mnist.read_fashion_mnist(folder, split) for split in ("train", "test"))
    )
    return TrainingData(
        train, test, fashion_mnist.CLASS_NAMES, 1, fashion_mnist.FASHION_MEAN, fashion_mnist.FASHION_STD
    )


def _cifar(folder: Path, recipe: TrainRecipe, num_classes: int) -> TrainingData:
    _no_val_fraction(recipe)
    pixels, labels = read_cifar_training(folder, num_classes)
    found = [file for file in find_cifar(folder) if file.num_classes == num_classes]
    if not found:
        raise DataError(f"{folder} lacks the test images of CIFAR-{num_classes}", "Unpack the archive again.")
    test = cifar_images(found[0], num_classes)
    mean, std = (PRESETS[f"cifar{num_classes}"][key] for key in ("mean", "std"))
    return TrainingData(
        _in_memory(pixels, labels), _in_memory(test.images, test.labels), test.class_names, 3, mean, std
    )


def _in_memory(pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> MemoryImages:
    """Make an image set of pixels ``(N, H, W, C)``."""
    return MemoryImages(torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))), labels)


def _no_val_fraction(recipe: TrainRecipe) -> None:
    if recipe.val_fraction is not None:
        raise UsageError(
            f"--val-fraction {recipe.val_fraction:g} does not apply to {recipe.dataset}, which has its own test images",
            "Leave it out.",
        )


_TRAIN, _VAL = ("train",), ("val", "validation", "test")
"""Names of the two folders of an image dataset."""

_LAYOUT = (
    "Expected DIR/train/<class>/<image> and DIR/val/<class>/<image>, or DIR/<class>/<image> with `--val-fraction 0.1`."
)


def _folders(folder: Path, recipe: TrainRecipe) -> TrainingData:
    there = class_folders(folder)
    train_name = next((name for name in _TRAIN if name in there), None)
    val_name = next((name for name in _VAL if name in there), None)
    if train_name and val_name:
        _no_val_fraction(recipe)
        train, names, notes = _labelled(folder / train_name)
        test, test_names, test_notes = _labelled(folder / val_name)
        notes += test_notes
        _check_same_classes(folder / train_name, names, folder / val_name, test_names)
    elif recipe.val_fraction is not None:
        whole, names, notes = _labelled(folder / train_name if train_name else folder)
        train, test = _split(whole, recipe.val_fraction, recipe.seed)
    else:
        _labelled(folder)  # raises a better error if the images have no labels
        raise DataError(f"{folder} has no folders train and val", _LAYOUT)
    return TrainingData(train, test, names, 3, IMAGENET_MEAN, IMAGENET_STD, notes)


def _labelled(folder: Path) -> tuple[FileImages, tuple[str, ...], tuple[str, ...]]:
    """Return the images in class folders, the names of the classes, and notes about other files."""
    names = class_folders(folder)
    if not names and find_images(folder).names:
        raise DataError(
            f"the images in {folder} have no labels: they are not in class folders",
            f"{_LAYOUT}\nFor ImageNet's validation images, valprep.sh of soumith/imagenetloader.torch makes them.",
        )
    listing: LabelledFiles = list_classes(folder)
    counts = np.bincount(listing.labels, minlength=len(names))
    if not counts.all():
        raise DataError(f"the class folder {folder / names[int(counts.argmin())]} has no images", "Remove or fill it.")
    return FileImages(folder, listing.files, listing.labels), listing.class_names, listing.notes


def _check_same_classes(train: Path, names: tuple[str, ...], val: Path, val_names: tuple[str, ...]) -> None:
    if names == val_names:
        return
    first = min(set(names) ^ set(val_names))
    one, other = (train, val) if first in names else (val, train)
    raise DataError(
        f"{train} has {len(names)} classes, {val} {len(val_names)}: {first} is in {one.name} but not in {other.name}",
        "Both need the same class folders.",
    )


def _split(whole: FileImages, val_fraction: float, seed: int) -> tuple[FileImages, FileImages]:
    """Split into training and test images, with the same share of every class in both."""
    order = stratified_order(whole.ids, whole.labels, seed)
    count = max(1, round(val_fraction * len(order)))
    if count >= len(order):
        raise DataError(
            f"{whole.root} has {counted(len(order), 'image')}: none are left to train on", "`--val-fraction 0.1`"
        )
    return whole.subset(np.sort(order[count:])), whole.subset(np.sort(order[:count]))


def _check_all_classes(data: TrainingData, fraction: float) -> None:
    """Raise `UsageError` if a class has no training images left."""
    counts = np.bincount(data.train.labels, minlength=len(data.class_names))
    if not counts.all():
        raise UsageError(
            f"--fraction {fraction:g} is not allowed: {int((counts == 0).sum())} of {len(data.class_names)} classes "
            f"have no image among the {len(data.train.labels)} left, such as {data.class_names[int(counts.argmin())]}",
            "Use a larger fraction, or fewer classes: `--classes FILE`.",
        )


def _keep_classes(data: TrainingData, lines: Sequence[str], dataset: str) -> TrainingData:
    classes = list(lines)
    for place, line in enumerate(lines):
        if line not in data.class_names and (word := line.split()[0]) in data.class_names:
            classes[place] = word
    number = renumbered(data.class_names, classes, dataset)

    def keep(images: ImageSet) -> ImageSet:
        subset = images.subset(np.flatnonzero(number[images.labels] >= 0))
        subset.labels = number[subset.labels]
        return subset

    names = tuple(name for name in data.class_names if name in set(classes))
    return data._replace(train=keep(data.train), test=keep(data.test), class_names=names)


Opener = Callable[[Path, TrainRecipe], TrainingData]

TRAINABLE: NameTable[Opener] = NameTable(
    {
        "fashion-mnist": _fashion_mnist,
        "cifar10": partial(_cifar, num_classes=10),
        "cifar100": partial(_cifar, num_classes=100),
        "imagenet": _folders,
        "imagefolder": _folders,
    },
    "training dataset",
    "ppbench train --help",
)
