"""Class folders of image files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets.folder import IMG_EXTENSIONS

from ppbench.data.folder import fingerprint_of_files, list_classes
from ppbench.data.image_file import IMAGE_ENDINGS
from ppbench.data.layout import FolderFound, look
from ppbench.errors import DataError
from tests.trees import write_class_folders


def test_labels_follow_the_sorted_class_names(tmp_path: Path) -> None:
    images = list_classes(write_class_folders(tmp_path, classes=3, per_class=2))
    assert images.class_names == ("n00000000", "n00000001", "n00000002")
    assert images.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert images.ids == sorted(images.ids) == images.files


def test_the_endings_are_those_of_torchvisions_image_folder() -> None:
    assert set(IMG_EXTENSIONS) == IMAGE_ENDINGS


def test_hidden_files_are_no_images(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path)
    (root / "n00000000" / "._img000.png").write_bytes(b"macOS writes these")
    assert len(list_classes(root).ids) == 6


@pytest.mark.parametrize("what", ["missing", "empty", "no images", "file"])
def test_a_folder_without_images_is_refused(tmp_path: Path, what: str) -> None:
    root = tmp_path / "data"
    if what == "file":
        root.write_text("x")
    elif what != "missing":
        root.mkdir()
    if what == "no images":
        (root / "n01").mkdir()
        (root / "n01" / "readme.txt").write_text("x")
    with pytest.raises(DataError, match="cannot read" if what in ("missing", "file") else "no images in"):
        list_classes(root)


def test_a_link_to_the_folder_itself_is_no_class(tmp_path: Path) -> None:
    """Else it would be a class with the images of all others."""
    root = write_class_folders(tmp_path / "photos", per_class=1)
    before = list_classes(root)
    (root / "again").symlink_to(root)
    (root / "up").symlink_to(tmp_path)
    (root / "proc").symlink_to("/proc")
    after = list_classes(root)
    assert (after.ids, after.class_names) == (before.ids, before.class_names)
    assert after.notes == (f"left out in {root}: 2 links in a ring, 1 folder of the system",)
    assert look(root) == FolderFound(root, annotated=False)


def test_what_is_left_out_and_empty_classes_are_noted(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path)
    (root / "n00000000" / "b.gif").touch()
    (root / "n00000001" / "c.svg").touch()
    (root / "stray.png").touch()
    for name in ("n4", "n5", "n6", "n7"):
        (root / name).mkdir()
    try:
        (root / os.fsdecode(b"n\xff")).mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    images = list_classes(root)
    assert len(images.ids) == 6
    assert fingerprint_of_files(images.ids, np.zeros(6, np.int64), images.labels)
    left_out, empty = images.notes
    assert left_out.startswith(f"left out in {root}: 1 .gif, 1 .svg, 1 image outside the class folders, 1 name that")
    assert empty == "4 class folders without images, which count as classes: n4, n5, n6, and 1 more"


def test_a_folder_of_other_files_says_which(tmp_path: Path) -> None:
    (tmp_path / "n01").mkdir()
    (tmp_path / "n01" / "a.svg").touch()
    with pytest.raises(DataError, match=r"no images in .*: it has 1 \.svg"):
        list_classes(tmp_path)


def test_copies_that_ppbench_wrote_are_no_class_and_no_images(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path)
    for copies in (root / "n00000000-c", root / "n00000000" / "img000.png-c"):
        (copies / "fog" / "1").mkdir(parents=True)
        (copies / "manifest.json").write_text('{\n  "manifest": 1\n}\n')
        (copies / "fog" / "1" / "img000.png").write_bytes((root / "n00000000" / "img000.png").read_bytes())
    images = list_classes(root)
    assert (len(images.class_names), len(images.ids)) == (2, 6)
    assert images.notes == (f"left out in {root}: 2 folders of corrupted images",)
