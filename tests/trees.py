"""Small real data for tests: photographs in class folders, published sets in miniature, Fashion-MNIST files."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from ppbench.data.arrays import embedded_images
from ppbench.vocabulary import C15, C19, C_3D, C_BAR, C_BAR_CIFAR, SEVERITIES, family_of

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")

BAR_STRENGTHS = ("2.35", "3.20", "4.60", "5.5", "10.0")
"""Severities as the script of ImageNet-C-bar names their folders: as text, the last one would come first."""


@cache
def _whole(name: str) -> NDArray[np.uint8]:
    """A photograph, decoded once."""
    whole: NDArray[np.uint8] = getattr(skimage.data, name)()
    return whole


@lru_cache(maxsize=64)
def _photographs(size: int, count: int) -> tuple[NDArray[np.uint8], ...]:
    cuts = []
    for number in range(count):
        whole = _whole(PHOTOGRAPHS[number % len(PHOTOGRAPHS)])
        start = 20 + 7 * (number // len(PHOTOGRAPHS))
        side = 3 * size
        cut = Image.fromarray(whole[start : start + side, start : start + side]).resize((size, size))
        cuts.append(np.asarray(cut))
    return tuple(cuts)


def photographs(size: int, count: int) -> list[NDArray[np.uint8]]:
    """``count`` different square cuts ``(size, size, 3)`` of real photographs."""
    return list(_photographs(size, count))


def write_class_folders(root: Path, classes: int = 2, per_class: int = 3, size: int = 40) -> Path:
    """``root/<class>/<n>.png`` with photographs; returns ``root``."""
    for number, image in enumerate(photographs(size, classes * per_class)):
        path = root / f"n{number % classes:08d}" / f"img{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return root


def write_published(
    root: Path, corruptions: Sequence[str], severities: Sequence[int], size: int = 32, *, classes: int = 2,
    per_class: int = 3,
) -> Path:  # fmt: skip
    """``root/<corruption>/<severity>/<class>/<n>.png``, each cell with images of its own; returns ``root``."""
    for place, corruption in enumerate(corruptions):
        for severity in severities:
            cell = write_class_folders(root / corruption / str(severity), classes, per_class, size)
            for path in cell.rglob("*.png"):
                darker = np.asarray(Image.open(path)) // (1 + place + severity)
                Image.fromarray(darker).save(path)
    return root


@lru_cache(maxsize=512)
def corrupted_photographs(corruption: str, severity: int, size: int, count: int) -> NDArray[np.uint8]:
    """``(count, size, size, 3)``: the photographs, corrupted by ppbench; where it cannot, by another corruption."""
    from ppbench import corrupt

    made = corruption if corruption in C19 else C19[(*C_BAR, *C_3D, *C_BAR_CIFAR).index(corruption) % len(C19)]
    return corrupt(np.stack(photographs(size, count)), made, severity, recipe="cifar-c")


def class_names(count: int) -> tuple[str, ...]:
    """Names like WordNet ids, sorted."""
    return tuple(f"n{number:08d}" for number in range(count))


def write_corrupted(
    root: Path, corruptions: Sequence[str] = C15, severities: Sequence[int] = SEVERITIES, *, size: int = 32,
    names: Sequence[str] = class_names(3), per_class: int = 2, strengths: Sequence[str] = ("1", "2", "3", "4", "5"),
    groups: bool = False,
) -> Path:  # fmt: skip
    """An ImageNet-C, or another set laid out alike, in miniature: photographs, corrupted, as JPEG of quality 85.

    Args:
        root: The folder to write to.
        corruptions: Of C19, C_BAR or C_3D.
        severities: Of 1 to 5.
        size: Side of the images, in pixels.
        names: Of the class folders.
        per_class: Images of each.
        strengths: Names of the folders of severities 1 to 5.
        groups: Whether corruptions lie in folders of their family, as ImageNet-C's archives unpack.

    Returns:
        ``root``.
    """
    for corruption in corruptions:
        for severity in severities:
            above = root / family_of(corruption) if groups else root
            images = corrupted_photographs(corruption, severity, size, len(names) * per_class)
            for number, image in enumerate(images):
                folder = above / corruption / strengths[severity - 1] / names[number // per_class]
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / f"ILSVRC2012_val_{number + 1:08d}.JPEG"
                Image.fromarray(image).save(path, quality=85)
    return root


def write_imagenet_c(
    root: Path, corruptions: Sequence[str] = C15, severities: Sequence[int] = SEVERITIES, *, size: int = 32,
    names: Sequence[str] = class_names(3), per_class: int = 2, groups: bool = False,
) -> Path:  # fmt: skip
    """ImageNet-C in miniature: see `write_corrupted`."""
    return write_corrupted(root, corruptions, severities, size=size, names=names, per_class=per_class, groups=groups)


def write_tiny_imagenet_c(
    root: Path, corruptions: Sequence[str] = C15, severities: Sequence[int] = SEVERITIES, *, size: int = 64,
    names: Sequence[str] = class_names(3), per_class: int = 1, wrong_frost: int = 0,
) -> Path:  # fmt: skip
    """Tiny-ImageNet-C in miniature; ``wrong_frost``: more classes in frost, as in the archive first published."""
    others = [name for name in corruptions if not (wrong_frost and name == "frost")]
    write_corrupted(root, others, severities, size=size, names=names, per_class=per_class)
    if wrong_frost and "frost" in corruptions:
        more = (*names, *class_names(len(names) + wrong_frost)[len(names) :])
        write_corrupted(root, ("frost",), severities, size=size, names=more, per_class=per_class)
    return root


def write_c_bar(
    root: Path, corruptions: Sequence[str] = C_BAR, severities: Sequence[int] = SEVERITIES, *, size: int = 32,
    names: Sequence[str] = class_names(3), per_class: int = 1, strengths: Sequence[str] = BAR_STRENGTHS,
) -> Path:  # fmt: skip
    """ImageNet-C-bar in miniature, its severities named by strength as by its authors' script."""
    return write_corrupted(
        root, corruptions, severities, size=size, names=names, per_class=per_class, strengths=strengths
    )


def write_3dcc(
    root: Path, corruptions: Sequence[str] = C_3D, severities: Sequence[int] = SEVERITIES, *, size: int = 32,
    names: Sequence[str] = class_names(3), per_class: int = 1,
) -> Path:  # fmt: skip
    """ImageNet-3DCC in miniature."""
    return write_corrupted(root, corruptions, severities, size=size, names=names, per_class=per_class)


def write_cifar_c(
    root: Path, corruptions: Sequence[str] = C15, *, classes: int = 10, count: int = 20, size: int = 32,
    repeated: bool = True,
) -> Path:  # fmt: skip
    """CIFAR-10-C or CIFAR-100-C in miniature: ``<corruption>.npy`` ``(5 count, size, size, 3)`` and ``labels.npy``.

    Args:
        root: The folder to write to.
        corruptions: Of C19 or C-bar.
        classes: Labels run from 0 to this, again and again, the highest among them.
        count: Images of a cell.
        size: Side of the images, in pixels.
        repeated: Whether the labels are repeated for each severity, as published.
    """
    root.mkdir(parents=True, exist_ok=True)
    for corruption in corruptions:
        cells = [corrupted_photographs(corruption, severity, size, count) for severity in SEVERITIES]
        np.save(root / f"{corruption}.npy", np.concatenate(cells))
    labels = (classes - 1 - np.arange(count)) % classes
    np.save(root / "labels.npy", np.tile(labels, len(SEVERITIES) if repeated else 1).astype(np.uint8))
    return root


def pack(
    root: Path, tar: Path, members: Iterable[str] = (".",), *, prefix: str = "", format: int = tarfile.GNU_FORMAT
) -> Path:
    """Pack folders into an uncompressed tar, as the archives of published sets are; returns ``tar``.

    Args:
        root: The folder above them.
        tar: The archive to write.
        members: Folders in ``root``; ``"."`` for all that is in it.
        prefix: Put before every name, such as ``"./"`` or ``"ImageNet-C/"``; a long one gives headers of other kinds.
        format: Of `tarfile`: GNU's or pax headers for long names.
    """
    tar.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(tar, "w", format=format) as archive:
        for member in members:
            archive.add(root / member, prefix + ("" if member == "." else member) or ".")
    return tar


def pack_groups(root: Path, to: Path, **options: str) -> Path:
    """Pack a tree into noise.tar, blur.tar, … as ImageNet-C is published; returns ``to``."""
    corruptions = [folder.name for folder in sorted(root.iterdir())]
    for family in sorted(set(map(family_of, corruptions))):
        pack(root, to / f"{family}.tar", [name for name in corruptions if family_of(name) == family], **options)  # type: ignore[arg-type]
    return to


def write_cifar_binary(path: Path, classes: int = 10, count: int = 12) -> Path:
    """Test images in CIFAR's binary form; of 100 classes with a coarse label before the fine one; returns ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    for number, image in enumerate(photographs(32, count)):
        label = (classes - 1 - number) % classes
        content.write(bytes([label] if classes == 10 else [label // 5, label]) + image.transpose(2, 0, 1).tobytes())
    path.write_bytes(content.getvalue())
    return path


def write_fashion_mnist(root: Path, train: int = 300, test: int = 100) -> Path:
    """The four IDX files, with real images of the embedded slice; returns ``root``."""
    images = embedded_images()
    root.mkdir(parents=True, exist_ok=True)
    for prefix, first, count in (("train", 0, train), ("t10k", train, test)):
        part = slice(first, first + count)
        _write_idx(root / f"{prefix}-images-idx3-ubyte.gz", images.images[part, ..., 0])
        _write_idx(root / f"{prefix}-labels-idx1-ubyte.gz", images.labels[part].astype(np.uint8))
    return root


def _write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + values.tobytes()))
