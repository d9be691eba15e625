"""Published corrupted sets."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppbench.data.imagenet_c import PublishedImages, find_corruptions
from ppbench.errors import DataError
from tests.trees import write_published


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_published(tmp_path / "c", ("fog", "snow"), (1, 2))


def test_each_cell_gives_its_own_files(tree: Path) -> None:
    source = PublishedImages(tree, "imagenet-c", 32)
    source.check(("fog", "snow"), (1, 2))
    for corruption, severity in (("fog", 1), ("snow", 2)):
        files = [tree / corruption / str(severity) / name for name in source.ids]
        loaded = source.load(corruption, severity, np.array([1, 4]))
        assert np.array_equal(loaded[1], np.asarray(Image.open(files[4])))
    assert not source.has_clean
    assert source.kind == "published"


def test_the_archives_group_folders_are_found(tree: Path) -> None:
    (tree / "weather").mkdir()
    shutil.move(tree / "fog", tree / "weather" / "fog")
    assert list(find_corruptions(tree)) == ["snow", "fog"]
    assert PublishedImages(tree, "imagenet-c", 32).load("fog", 1, np.array([0])).shape == (1, 32, 32, 3)


def test_a_missing_cell_is_named_before_inference(tree: Path) -> None:
    shutil.rmtree(tree / "fog" / "2")
    source = PublishedImages(tree, "imagenet-c", 32)
    with pytest.raises(DataError, match="the cell fog/2 is missing"):
        source.check(("fog",), (1, 2))
    with pytest.raises(DataError, match="the cell frost/1 is missing"):
        source.check(("frost",), (1,))


def test_a_missing_image_is_named_before_inference(tree: Path) -> None:
    source = PublishedImages(tree, "imagenet-c", 32)
    (tree / "snow" / "2" / source.ids[3]).unlink()
    with pytest.raises(DataError, match=f"{source.ids[3]} is missing"):
        source.check(("fog", "snow"), (1, 2))


def test_a_subset_is_the_same_in_every_cell(tree: Path) -> None:
    source = PublishedImages(tree, "imagenet-c", 32)
    whole, name, total = source.fingerprint(), source.ids[2], len(source.ids)
    source.limit(np.array([2]))
    assert source.ids == [name]
    assert (source.fingerprint(), source.total) == (whole, total)
    expected = np.asarray(Image.open(tree / "snow" / "1" / name))
    assert np.array_equal(source.load("snow", 1, np.array([0]))[0], expected)


def test_a_folder_without_corruptions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no corruption folders"):
        PublishedImages(tmp_path, "imagenet-c", 32)
