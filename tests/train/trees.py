"""Miniature training sets of real images."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
from PIL import Image

from tests.trees import class_names, photographs


def write_image_folders(
    root: Path, classes: int = 3, train: int = 12, val: int = 4, size: int = 40, names: tuple[str, ...] = ()
) -> Path:
    """``root/train/<class>/<n>.png`` and ``root/val/…``: a class is a photograph, its images are cuts of it."""
    names = names or class_names(classes)
    images = photographs(size, 4 * (train + val))
    for label, name in enumerate(names):
        of_class = images[label::4]
        for split, part in (("train", of_class[:train]), ("val", of_class[train : train + val])):
            folder = root / split / name
            folder.mkdir(parents=True, exist_ok=True)
            for number, image in enumerate(part):
                Image.fromarray(image).save(folder / f"{name}_{number:03d}.png")
    return root


def write_cifar(root: Path, classes: int = 10, count: int = 60, *, binary: bool = False) -> Path:
    """CIFAR-10 or CIFAR-100 as published, with ``count`` cuts of photographs in each file; returns the folder above."""
    parts = [f"data_batch_{n}" for n in range(1, 6)] if classes == 10 else ["train"]
    folder = (
        root
        / {
            (10, False): "cifar-10-batches-py",
            (10, True): "cifar-10-batches-bin",
            (100, False): "cifar-100-python",
            (100, True): "cifar-100-binary",
        }[classes, binary]
    )
    folder.mkdir(parents=True)
    images = np.stack(photographs(32, 40))
    test = "test_batch" if classes == 10 else "test"
    for place, name in enumerate([*parts, test]):
        labels = (np.arange(count) + place) % classes
        rows = images[labels % 40].transpose(0, 3, 1, 2).reshape(count, -1)
        if binary:
            before = labels[:, None] if classes == 10 else np.stack([labels // 5, labels], 1)
            (folder / f"{name}.bin").write_bytes(np.concatenate([before.astype(np.uint8), rows], 1).tobytes())
        else:
            key = b"labels" if classes == 10 else b"fine_labels"
            (folder / name).write_bytes(pickle.dumps({b"data": rows, key: labels.tolist()}))
    return root
