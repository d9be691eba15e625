"""Datasets of the tests, opened."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from ppbench.data.layout import TreeFound, look
from ppbench.data.opening import open_source
from ppbench.data.published import PublishedImages
from ppbench.data.source import Geometry, Source

TREE = ("gaussian_noise", "snow", "fog")
"""The corruptions of the fixture `tree`, severities 1 and 3."""


def open_cifar(root: Path, name: str = "cifar10-c", **options: object) -> Source:
    return open_source(name, root, Geometry(32, None), **options)  # type: ignore[arg-type]


def published(root: Path) -> PublishedImages:
    found = look(root)
    assert isinstance(found, TreeFound)
    return PublishedImages(found.root, "imagenet-c", found.cells, "imagenet-c")


def assert_gives_the_files(source: Source, tree: Path, names: tuple[str, ...] = TREE) -> None:
    """Every image of every cell is what Pillow reads from its file."""
    for corruption in names:
        for severity in (1, 3):
            pixels, broken = source.load(corruption, severity, np.arange(len(source.ids)))
            assert not broken
            for image, name in zip(pixels, source.ids, strict=True):
                expected = Image.open(tree / corruption / str(severity) / name).convert("RGB")
                assert np.array_equal(image, np.asarray(expected))


class Runs:
    """Writes a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)
