"""Folders for tests of the folder job, and what is in them afterwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppbench.copies.api import corrupt_folder
from tests.trees import photographs

CELLS = {"corruptions": ["gaussian_noise", "contrast", "fog"], "severities": ["2", "5"], "recipe": "cifar-c"}
FEW = {**CELLS, "corruptions": ["contrast"]}


def write_photos(root: Path, count: int = 6, size: int = 40) -> Path:
    """A tree with JPEG and PNG, grey and colour, two sizes, three depths and odd names; returns ``root``."""
    names = ["a.png", "n01/b.JPEG", "n01/c d.jpg", "n02/deep/é\n.PNG", "n02/deep/[bold].png", "n03/f.bmp"]
    names += [f"n04/{number:04}.png" for number in range(count - len(names))]
    for number, (name, image) in enumerate(zip(names[:count], photographs(size, count), strict=True)):
        picture = Image.fromarray(image).crop((0, 0, size, size - 4 * (number % 2)))
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (picture.convert("L") if number % 3 == 2 else picture).save(path)
    return root


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too: its path and bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pixels(path: Path) -> np.ndarray:
    """The decoded image."""
    return np.asarray(Image.open(path))


def interrupt_after(images: int, photos: Path, dest: Path, **options: object) -> None:
    """Run until some images are done, then be interrupted."""
    done = 0

    def stop(more: int) -> None:
        nonlocal done
        done += more
        if done >= images:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        corrupt_folder(photos, dest, **{**CELLS, **options}, batch_size=1, advance=stop)


def saved(folder: Path, array: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    np.save(folder / "images.npy", array)
    return folder / "images.npy"
