"""Recognize the kind of dataset in a folder or an archive by its content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ppbench.data.cells import CellFiles, FolderCell, is_image, is_number, number_severities, visible
from ppbench.data.cifar import CifarFile, find_cifar
from ppbench.data.manifest import CopyRecord, copy_record
from ppbench.data.npy import ArrayFile, array_file, is_sequences
from ppbench.data.shards import is_pattern, matching
from ppbench.data.splits import find_parquet, is_parquet
from ppbench.data.tar import read_tar
from ppbench.data.tiny_imagenet import ANNOTATIONS
from ppbench.data.walk import is_output, is_system
from ppbench.data.webdataset import has_samples, no_samples
from ppbench.errors import DataError
from ppbench.lookup import counted
from ppbench.vocabulary import CLEAN, FAMILIES, KNOWN

_WRAPPERS = 20
"""A folder with more subfolders than this, not counting corruptions, contains classes, which are not searched."""

_COMPRESSED = {".tar.gz": "gunzip {}", ".tgz": "tar xzf {}", ".tar.bz2": "bunzip2 {}", ".zip": "unzip {}"}
"""Endings of archives that cannot be read in place, and the commands that unpack them."""


@dataclass(frozen=True)
class TreeFound:
    """A published set of image files."""

    root: Path
    cells: dict[str, dict[int, CellFiles]]
    records: dict[str, CopyRecord] = field(default_factory=dict)
    """How those were made that ``ppbench corrupt`` wrote, by corruption."""


@dataclass(frozen=True)
class ArraysFound:
    """A published set of arrays."""

    root: Path
    arrays: dict[str, ArrayFile]
    labels: ArrayFile


@dataclass(frozen=True)
class CifarFound:
    """Clean CIFAR images, one set or more."""

    root: Path
    files: list[CifarFile]


@dataclass(frozen=True)
class FolderFound:
    """Clean images in class folders, or Tiny-ImageNet's validation folder."""

    root: Path
    annotated: bool


@dataclass(frozen=True)
class ShardsFound:
    """Clean images in files that each hold many: Parquet, or WebDataset's tars."""

    root: Path
    form: Literal["parquet", "tar"]
    files: list[Path]


Found = TreeFound | ArraysFound | CifarFound | FolderFound | ShardsFound


def look(root: Path, *, any_folders: bool = False) -> Found:
    """Recognize the dataset at ``root``.

    Published sets are found below a wrapping folder, below the archives' group folders (noise, blur, …) and in
    uncompressed tars. If a cell is in a folder and in an archive, the folder counts. Clean images are also found in
    Parquet files and in WebDataset's tars. A path that is no file or folder may be a pattern of names of such files.

    Args:
        root: A folder or a tar.
        any_folders: Whether folders of clean images need not be classes, because labels come from elsewhere. Then a
            published set has corruptions of known names: photographs may be in folders by year, month and day.

    Raises:
        DataError: If there is nothing to evaluate; the message says why.
    """
    if is_pattern(root):
        return _in_files(root, matching(root))
    if root.is_file():
        return _in_files(root, [root])
    _refuse_special(root)
    _refuse_streams(root)
    folders, files = visible(root)
    # Before anything is searched, because severities and classes of a part look like class folders.
    _refuse_parts(root, folders)
    found = _published(root, files, any_folders=any_folders)
    if found is not None:
        return found
    cifar = find_cifar(root)
    if cifar:
        return CifarFound(root, cifar)
    return _clean(root, folders, files, any_folders=any_folders)


def _clean(root: Path, folders: list[str], files: list[str], *, any_folders: bool) -> FolderFound | ShardsFound:
    # The folders of ImageNet and Tiny-ImageNet as unpacked, of which only val is for evaluation: test has no labels.
    if "val" in folders and set(folders) <= {"train", "val", "test"}:
        root = root / "val"
        folders, files = visible(root)
    elif not any_folders:
        _refuse_splits(root, folders)
    if ANNOTATIONS in files:
        return FolderFound(root, annotated=True)
    if parquet := find_parquet(root, folders, files):
        return ShardsFound(root, "parquet", parquet)
    if not folders:
        if any_folders and any(map(is_image, files)):
            return FolderFound(root, annotated=False)
        _refuse_flat(root, files)
        _refuse_compressed(root, files)
        tars = [root / name for name in files if _is_tar(root / name)]
        if tars:
            return _samples_in(root, tars)
    return FolderFound(root, annotated=False)


def _in_files(root: Path, files: list[Path]) -> TreeFound | ArraysFound | ShardsFound:
    """What files that the user named hold; ``root`` is the file, or the pattern that names them."""
    _refuse_streams(files[0].parent)
    tables = [file for file in files if is_parquet(file)]
    if len(tables) == len(files):
        return ShardsFound(root, "parquet", files)
    if tables:
        raise DataError(f"{root} names Parquet files and others", "Give files of one kind.")
    if is_image(files[0].name):
        raise DataError(
            f"{root} names {counted(len(files), 'image')}, not a folder", f"Give the folder: `--data {root.parent}`."
        )
    if files[0].suffix == ".npy":
        raise DataError(
            f"{root} is an array without its labels",
            f"Give the folder, with clean images in images.npy and labels in labels.npy: `--data {root.parent}`.",
        )
    return _from_tars(root, files, {}, {}) or _samples_in(root, files)


_CCC = re.compile(r"baseline_(0|20|40)_transition\+speed_([1-9][0-9]*)_seed_([0-9]+)")
"""Names of the folders of CCC's published streams, whose frames are in tars."""


def _refuse_streams(folder: Path) -> None:
    """Raise `DataError` for the folder of a published stream, whose frames look like clean images."""
    found = _CCC.fullmatch(folder.resolve().name)
    if found is not None:
        level = {"0": "hard", "20": "medium", "40": "easy"}[found[1]]
        raise DataError(
            f"{folder} holds the frames of a published stream, which are corrupted already",
            "Streams are made of clean images: give ImageNet's validation images, with "
            f"`--stream ccc:{level}:{found[2]} --seed {found[3]} --calibration FILE.csv`.",
        )


def _samples_in(root: Path, tars: list[Path]) -> ShardsFound:
    if not has_samples(tars[0]):
        raise no_samples(tars)
    return ShardsFound(root, "tar", tars)


def _published(root: Path, files: list[str], *, any_folders: bool) -> TreeFound | ArraysFound | None:
    """A published set in folders, arrays or archives; None if there is none."""
    cells: dict[str, dict[int, CellFiles]] = {}
    records: dict[str, CopyRecord] = {}
    for place, corruptions in _places(root):
        arrays = _arrays_in(place)
        if arrays is not None:
            return arrays
        record = copy_record(place) if corruptions else None
        for folder in corruptions:
            if any_folders and folder.name not in KNOWN:
                continue
            if record is not None and record.has(folder.name) and folder.name not in cells:
                records[folder.name] = record
            severities = number_severities(visible(folder)[0])
            here: dict[int, CellFiles] = {number: FolderCell(folder / name) for number, name in severities.items()}
            cells[folder.name] = here | cells.get(folder.name, {})  # what is nearer to the root counts
        clean = place / CLEAN / "0"  # as `ppbench corrupt -c clean` writes it
        if corruptions and clean.is_dir():
            cells[CLEAN] = {0: FolderCell(clean)}
    tars = [root / name for name in files if _is_tar(root / name)]
    # Reading the headers of an archive takes long, and all its corruptions may be in folders already.
    tars = [tar for tar in tars if not set(FAMILIES.get(tar.name[:-4], (tar.name[:-4],))) <= set(cells)]
    return _from_tars(root, tars, cells, records)


def _places(root: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Yield folders that may contain corruptions, two levels deep, each with the corruptions in it."""
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop(0)
        folders = [folder / name for name in _peek(folder)]
        # `ppbench corrupt` writes copies of a single image beside its class folder. That makes the clean images no
        # published set, so its folders count only if there are no others.
        folders = [inner for inner in folders if not is_output(inner)] or folders
        if len(folders) > _WRAPPERS + len(KNOWN):  # classes: looking into each of them would take long
            folders = []
        corruptions = [inner for inner in folders if _is_corruption(inner)]
        yield folder, corruptions
        if depth < 2 and len(folders) - len(corruptions) <= _WRAPPERS:
            waiting += [(inner, depth + 1) for inner in folders if inner not in corruptions]


def _is_corruption(folder: Path) -> bool:
    """Whether a folder has severities with classes in them; under a known name, severities suffice."""
    severities = _peek(folder)
    if not severities or not all(map(is_number, severities)):
        return False
    return folder.name in KNOWN or (
        bool(number_severities(severities)) and any(_peek(folder / name) for name in severities)
    )


def _peek(folder: Path) -> list[str]:
    """Names of the folders in a folder; none if it cannot be read, such as ``lost+found``."""
    try:
        return visible(folder)[0]
    except DataError:
        return []


def _arrays_in(folder: Path) -> ArraysFound | None:
    """The arrays of a CIFAR-C folder, without clean images beside them."""
    names = [path.name for path in folder.glob("*.npy") if not path.name.startswith(".")]
    return _as_arrays(
        folder, {name.removesuffix(".npy"): array_file(folder / name) for name in names if (folder / name).is_file()}
    )


def _as_arrays(root: Path, arrays: dict[str, ArrayFile]) -> ArraysFound | None:
    corrupted = {name: array for name, array in arrays.items() if name not in ("labels", "images", CLEAN)}
    if not corrupted:
        return None
    first = next(iter(corrupted.values()))
    if "labels" not in arrays and is_sequences(first):
        raise DataError(f"{first.where} has perturbation sequences", "Use `--dataset cifar10-p` or `cifar100-p`.")
    if "labels" not in arrays:
        raise DataError(f"no labels.npy beside {first.where}", "Unpack the archive again.")
    return ArraysFound(root, corrupted, arrays["labels"])


def _from_tars(
    root: Path, tars: list[Path], cells: dict[str, dict[int, CellFiles]], records: dict[str, CopyRecord]
) -> TreeFound | ArraysFound | None:
    """The content of archives, added to the cells found in folders; None if there is nothing."""
    for tar in tars:
        _refuse_compressed(tar.parent, [tar.name])
        content = read_tar(tar)
        # WebDataset's samples may have arrays beside their images, such as features.
        has_features = "labels" not in content.arrays and not content.cells and has_samples(tar)
        arrays = None if has_features else _as_arrays(root, content.arrays)
        if arrays is not None and not content.cells:
            return arrays
        for corruption, severities in content.cells.items():
            there: dict[int, CellFiles] = {
                severity: severities[called] for severity, called in number_severities(list(severities)).items()
            }
            cells[corruption] = there | cells.get(corruption, {})  # folders count before archives
    return TreeFound(root, cells, records) if cells else None


def _is_tar(path: Path) -> bool:
    """Whether a path is named like an archive and is a regular file: reading a pipe may never end."""
    return path.name.endswith(".tar") and path.is_file()


def _refuse_special(root: Path) -> None:
    """Raise `DataError` for a path that is neither a file nor a folder of files."""
    if is_system(root):
        raise DataError(f"{root} is a system folder, which contains no images", "Give a folder of images.")
    if root.exists() and not root.is_dir():
        raise DataError(f"{root} is a pipe or a device, not a folder or an archive", "Give a folder or a .tar file.")


_TESTED, _TRAINED = ("val", "validation", "valid", "test", "testing"), ("train", "training")
"""Usual names of folders of test images and of training images."""


def _refuse_splits(root: Path, folders: list[str]) -> None:
    """Raise `DataError` for folders of training and test images, which look like classes."""
    names = {name.lower(): name for name in folders if name.lower() in (*_TESTED, *_TRAINED)}
    both = not (names.keys().isdisjoint(_TESTED) or names.keys().isdisjoint(_TRAINED))
    if not names or not (both or len(names) == len(folders)):
        return
    if len(folders) == 1 and not _peek(root / folders[0]):
        return  # one class of this name, with its images in it
    wanted = next(names[name] for name in (*_TESTED, *_TRAINED) if name in names)
    raise DataError(
        f"{root} contains {' and '.join(f'{name}/' for name in names.values())}: whole sets of images, not classes",
        f"Give the one to evaluate: `--data {root / wanted}`.",
    )


def _refuse_parts(root: Path, folders: list[str]) -> None:
    """Raise `DataError` for one corruption or one cell of a published set, which looks like clean images."""
    place = root.resolve()
    if place.parent.name in KNOWN and is_number(place.name):
        raise DataError(
            f"{root} is one cell of a corrupted set", f"Give the folder above: `--data {place.parent.parent}`."
        )
    if place.name in KNOWN and folders and all(map(is_number, folders)):
        raise DataError(f"{root} is one corruption of a set", f"Give the folder above: `--data {place.parent}`.")


def _refuse_flat(root: Path, files: list[str]) -> None:
    images = [name for name in files if is_image(name)]
    if not images:
        return
    if images[0].startswith("ILSVRC2012_val_"):
        raise DataError(
            f"{root} contains ImageNet's {len(images):,} validation images without class folders",
            "Sort them: `cd` there, and `wget -qO- "
            "https://raw.githubusercontent.com/soumith/imagenetloader.torch/master/valprep.sh | bash`.",
        )
    raise DataError(
        f"{root} contains {counted(len(images), 'image')} without class folders",
        f"Expected {root}/<class>/<image>. Labels may also come from a file, `--labels FILE.csv`, or from the model's "
        "own predictions, `--labels predicted`.",
    )


def _refuse_compressed(root: Path, files: list[str]) -> None:
    for name in files:
        for ending, command in _COMPRESSED.items():
            if name.lower().endswith(ending):
                in_place = " Uncompressed tars are read in place." if command.startswith("gunzip") else ""
                raise DataError(
                    f"{root / name} is a compressed archive, which cannot be read in place",
                    f"Unpack it: `cd {root} && {command.format(name)}`.{in_place}",
                )
