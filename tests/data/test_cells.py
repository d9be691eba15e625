"""The files of a published set, cell by cell."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppbench.data.opening import open_source
from ppbench.data.source import Geometry
from ppbench.errors import DataError
from tests.data.sets import TREE, published
from tests.trees import BAR_STRENGTHS, pack, write_c_bar


def test_images_without_class_folders(tree: Path) -> None:
    for path in list((tree / "snow/1").rglob("*.JPEG")):
        path.rename(tree / "snow/1" / path.name)
    with pytest.raises(
        DataError, match=r"snow/1 contains images without class folders.*\n.*<corruption>/<severity>/<class>"
    ):
        published(tree).check(TREE, (1,))


def test_no_class_folders_at_all(tmp_path: Path) -> None:
    (tmp_path / "fog/1").mkdir(parents=True)
    Image.fromarray(np.zeros((30, 20, 3), np.uint8)).save(tmp_path / "fog/1/a.png")
    with pytest.raises(DataError, match="without class folders"):
        published(tmp_path)


def test_folders_one_too_deep(tree: Path) -> None:
    inner = tree / "snow/1/n00000001"
    shutil.copytree(inner, inner / "n00000001")
    with pytest.raises(DataError, match=r"snow/1/n00000001 contains a folder, n00000001, where images should be"):
        published(tree).check(TREE, (1,))


def test_c_bar_has_severities_named_by_strength(tmp_path: Path) -> None:
    names = ("plasma_noise", "sparkles")
    root = write_c_bar(tmp_path / "bar", names)
    for place in (root, pack(root, tmp_path / "bar.tar", prefix="imagenet_c_bar/")):
        source = open_source("imagenet-c-bar", place, Geometry(32, None))
        source.check(names, (1, 2, 3, 4, 5))
        for severity, strength in enumerate(BAR_STRENGTHS, 1):
            expected = np.asarray(Image.open(root / "sparkles" / strength / source.ids[1]))
            assert np.array_equal(source.load("sparkles", severity, np.array([1])).pixels[0], expected)


def test_of_fewer_strengths_nobody_knows_which_they_are(tmp_path: Path) -> None:
    root = write_c_bar(tmp_path, ("sparkles", "plasma_noise"), strengths=("1", "2", "3", "4", "5"))
    shutil.rmtree(root / "sparkles/5")
    (root / "sparkles/4").rename(root / "sparkles/3.75")
    source = open_source("imagenet-c-bar", root, Geometry(32, None))
    with pytest.raises(DataError, match=r"the cell sparkles/1 is missing.*\n.*or by five strengths"):
        source.check(("sparkles",), (1,))
