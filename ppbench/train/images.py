"""Labelled images: cropped and mirrored at random for training, or prepared for a test."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ppbench.data.decode import decode_rgb, open_rgb, resize_shorter
from ppbench.data.folder import file_size, fingerprint_of_files
from ppbench.data.source import Geometry
from ppbench.errors import DataError, UsageError
from ppbench.models.card import Interpolation
from ppbench.train.draws import EpochDraws
from ppbench.train.recipe import TrainRecipe


class Transforms(NamedTuple):
    """How images are cropped, in pixels; see the fields of the same names in `TrainRecipe`."""

    size: int
    padding: int = 0
    flip: bool = True
    resize: int | None = None
    test_resize: int | None = None
    interpolation: Interpolation = "bilinear"


class ImageSet(Protocol):
    """Labelled images."""

    ids: Sequence[str]
    labels: NDArray[np.int64]
    """``(N,)`` class numbers."""

    def training(self, index: Tensor, draws: EpochDraws, cut: Transforms) -> Tensor:
        """Return the images at ``index`` (n,), cropped and mirrored as drawn: ``(n, C, size, size)`` uint8."""

    def test(self, index: Tensor, cut: Transforms) -> Tensor:
        """Return the images at ``index`` (n,) as for a test: ``(n, C, size, size)`` uint8."""

    def subset(self, index: NDArray[np.int64]) -> ImageSet:
        """Return the images at ``index``."""

    def fingerprint(self) -> str:
        """Return a SHA-256 (hex) that identifies these images and labels."""


class MemoryImages:
    """An `ImageSet` in memory, with images of one size; a batch is cropped by one tensor operation.

    Args:
        pixels: ``(N, C, H, W)`` uint8.
        labels: ``(N,)`` class numbers.
        ids: One per image; None: their numbers.
    """

    def __init__(self, pixels: Tensor, labels: NDArray[np.int64], ids: Sequence[str] | None = None) -> None:
        self.pixels, self.labels = pixels, labels
        self.ids: Sequence[str] = ids if ids is not None else [f"{number:06d}" for number in range(len(labels))]

    def training(self, index: Tensor, draws: EpochDraws, cut: Transforms) -> Tensor:
        mirrored = draws.mirrored[index] if cut.flip else torch.zeros(len(index), dtype=torch.bool)
        return crop_and_mirror(self.pixels[index], draws.place[index], mirrored, cut.size, cut.padding)

    def test(self, index: Tensor, cut: Transforms) -> Tensor:
        start = (self.pixels.shape[-1] - cut.size) // 2
        return self.pixels[index, :, start : start + cut.size, start : start + cut.size]

    def subset(self, index: NDArray[np.int64]) -> MemoryImages:
        return MemoryImages(self.pixels[index], self.labels[index], [self.ids[i] for i in index])

    def fingerprint(self) -> str:
        digest = hashlib.sha256(self.pixels.contiguous().numpy().tobytes())
        digest.update(self.labels.tobytes())
        return digest.hexdigest()


class FileImages:
    """An `ImageSet` of files, which are decoded to RGB on demand.

    Args:
        root: The folder that holds them.
        files: Paths relative to it, one per image; they are the ids.
        labels: ``(N,)`` class numbers.
    """

    def __init__(self, root: Path, files: Sequence[str], labels: NDArray[np.int64]) -> None:
        self.root, self.ids, self.labels = root, files, labels

    def training(self, index: Tensor, draws: EpochDraws, cut: Transforms) -> Tensor:
        pixels = np.empty((len(index), cut.size, cut.size, 3), np.uint8)
        for row, number in enumerate(index.tolist()):
            image = open_rgb(self.root / self.ids[number], str(self.root / self.ids[number]))
            if cut.resize is not None:
                image = resize_shorter(image, cut.resize, cut.interpolation)
            pixels[row] = self._crop(image, number, draws, cut)
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()

    def _crop(self, image: Image.Image, number: int, draws: EpochDraws, cut: Transforms) -> NDArray[np.uint8]:
        room = [side + 2 * cut.padding - cut.size for side in (image.height, image.width)]
        if min(room) < 0:
            raise DataError(
                f"{self.root / self.ids[number]} has {image.width} x {image.height} pixels, too few for crops of "
                f"{cut.size} x {cut.size}",
                f"Resize it first, or use smaller crops: `--resize {cut.size}`, `--crop-size {min(image.size)}`.",
            )
        top, left = (begin(float(draws.place[number, axis]), room[axis]) - cut.padding for axis in (0, 1))
        # PIL fills pixels outside of the image with zeros
        cropped = image.crop((left, top, left + cut.size, top + cut.size))
        if cut.flip and draws.mirrored[number]:
            cropped = cropped.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.asarray(cropped)

    def test(self, index: Tensor, cut: Transforms) -> Tensor:
        geometry = Geometry(cut.size, cut.test_resize, cut.interpolation)
        pixels = np.stack([decode_rgb(self.root / self.ids[number], geometry) for number in index.tolist()])
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()

    def subset(self, index: NDArray[np.int64]) -> FileImages:
        return FileImages(self.root, [self.ids[i] for i in index], self.labels[index])

    def fingerprint(self) -> str:
        """Return the SHA-256 (hex) of names, sizes in bytes and labels; hashing the pixels would take hours."""
        sizes = np.array([file_size(self.root / name) for name in self.ids], np.int64)
        return fingerprint_of_files(list(self.ids), sizes, self.labels)


def transforms_of(recipe: TrainRecipe, images: ImageSet) -> Transforms:
    """Return how a recipe crops these images.

    Raises:
        UsageError: If its sizes do not fit them.
    """
    if isinstance(images, MemoryImages):
        side = images.pixels.shape[-1]
        for option, value in (("--resize", recipe.resize), ("--test-resize", recipe.test_resize)):
            if value is not None:
                raise UsageError(
                    f"{option} {value} is for images in files; all images of {recipe.dataset} have {side} x {side} px",
                    f"Leave it out, or `{option} 0` if the recipe sets it.",
                )
        size = recipe.crop_size or side
        if size > side:
            raise UsageError(
                f"--crop-size {size} is not allowed: the images of {recipe.dataset} have {side} x {side} pixels",
                f"`--crop-size {side}`",
            )
        return Transforms(size, recipe.crop_padding, recipe.flip)
    if recipe.crop_size is None:
        raise UsageError("images in files need a crop size", "`--crop-size 224`")
    return Transforms(recipe.crop_size, recipe.crop_padding, recipe.flip, recipe.resize, recipe.test_resize)


def begin(place: float, room: int) -> int:
    """Return the start of a crop, one of ``room + 1`` positions, for a draw in [0, 1)."""
    return min(int(place * (room + 1)), room)


def crop_and_mirror(images: Tensor, place: Tensor, mirrored: Tensor, size: int, padding: int) -> Tensor:
    """Pad each image with zeros, crop it at the drawn place, and mirror some.

    Args:
        images: ``(N, C, H, W)``, any dtype.
        place: ``(N, 2)`` in [0, 1): first row and first column, as shares of the room.
        mirrored: ``(N,)`` bool.
        size: Side of the crops, in pixels.
        padding: Zeros on each side, in pixels.

    Returns:
        ``(N, C, size, size)``.
    """
    count, _, height, width = images.shape
    padded = F.pad(images, (padding,) * 4)
    room = torch.tensor([height, width]) + 2 * padding - size
    # In float32 the product may round up to room + 1.
    top, left = torch.minimum((place * (room + 1)).long(), room).T[:, :, None]
    columns = torch.arange(size).expand(count, size)
    columns = torch.where(mirrored[:, None], size - 1 - columns, columns) + left
    rows = torch.arange(size) + top
    picked = padded[torch.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)
