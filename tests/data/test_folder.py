"""Class folders of image files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS

from ppbench.data.cut import AsIs
from ppbench.data.decode import decode_rgb
from ppbench.data.folder import FolderImages
from ppbench.data.image_file import IMAGE_ENDINGS
from ppbench.data.source import Geometry
from ppbench.errors import DataError
from tests.trees import photographs, write_class_folders


def test_labels_follow_the_sorted_class_names(tmp_path: Path) -> None:
    images = FolderImages(write_class_folders(tmp_path, classes=3, per_class=2), Geometry(40, None))
    assert images.class_names == ("n00000000", "n00000001", "n00000002")
    assert images.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert images.ids == sorted(images.ids)
    loaded, broken = images.load(np.array([0, 5]))
    assert not broken
    assert loaded.shape == (2, 40, 40, 3)
    assert np.array_equal(loaded[1], np.asarray(Image.open(tmp_path / images.ids[5])))


def test_grey_palette_and_alpha_become_rgb(tmp_path: Path) -> None:
    image = Image.fromarray(photographs(32, 1)[0])
    for mode in ("L", "P", "RGBA", "CMYK"):
        path = tmp_path / ("a.tif" if mode == "CMYK" else f"{mode}.png")
        image.convert(mode).save(path)
        assert decode_rgb(path, Geometry(32, None)).shape == (32, 32, 3)


def test_more_than_8_bits_are_refused_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((32, 32), 40_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match=r"deep\.png has more than 8 bits per channel"):
        decode_rgb(tmp_path / "deep.png", Geometry(32, None))


def test_the_endings_are_those_of_torchvisions_image_folder() -> None:
    assert set(IMG_EXTENSIONS) == IMAGE_ENDINGS


def test_hidden_files_are_no_images(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path)
    (root / "n00000000" / "._img000.png").write_bytes(b"macOS writes these")
    assert len(FolderImages(root, Geometry(40, None)).ids) == 6


def test_a_broken_image_is_told_and_black_and_the_others_are_there(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path)
    images = FolderImages(root, Geometry(40, None))
    cut_off, gone, text = (root / images.ids[row] for row in (0, 2, 4))
    cut_off.write_bytes(cut_off.read_bytes()[:400])
    gone.unlink()
    text.write_text("<html>404</html>")
    pixels, broken = images.load(np.array([4, 1, 2, 0]))
    assert [one.place for one in broken] == [0, 2, 3]
    for one, path in zip(broken, (text, gone, cut_off), strict=True):
        assert one.reason.startswith(f"cannot read the image {path}: ")
        assert "Replace or remove" in one.hint
    assert "BytesIO" not in broken[0].reason
    assert not pixels[[0, 2, 3]].any()
    assert np.array_equal(pixels[1], np.asarray(Image.open(root / images.ids[1])))


def test_an_image_smaller_than_the_crop_is_told(tmp_path: Path) -> None:
    images = FolderImages(write_class_folders(tmp_path, size=40), Geometry(64, None))
    (broken,) = images.load(np.array([0])).broken
    assert "40 x 40 pixels, the model needs 64 x 64" in broken.reason


def test_as_is_means_one_size(tmp_path: Path) -> None:
    images = FolderImages(write_class_folders(tmp_path, size=40), AsIs(32))
    (broken,) = images.load(np.array([0])).broken
    assert "40 x 40 pixels, the others 32 x 32" in broken.reason


def test_stamps_change_with_the_file(tmp_path: Path) -> None:
    images = FolderImages(write_class_folders(tmp_path), Geometry(40, None))
    rows = np.arange(3)
    before = images.stamps(rows)
    os.utime(tmp_path / images.ids[1], ns=(0, 5))
    (tmp_path / images.ids[2]).unlink()
    after = images.stamps(rows)
    assert (before != after).tolist() == [False, True, True]
    assert after[2] == 0


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
        FolderImages(root, Geometry(32, None))


def test_the_fingerprint_sees_a_changed_file(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path)
    before = FolderImages(root, Geometry(40, None)).fingerprint()
    assert FolderImages(root, Geometry(40, None)).fingerprint() == before
    with (root / "n00000000" / "img000.png").open("ab") as file:
        file.write(b"x")
    assert FolderImages(root, Geometry(40, None)).fingerprint() != before


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
    images = FolderImages(root, Geometry(40, None))
    assert len(images.ids) == 6
    assert images.fingerprint()
    left_out, empty = images.notes
    assert left_out.startswith(f"left out in {root}: 1 .gif, 1 .svg, 1 image outside the class folders, 1 name that")
    assert empty == "4 class folders without images, which count as classes: n4, n5, n6, and 1 more"


def test_a_folder_of_other_files_says_which(tmp_path: Path) -> None:
    (tmp_path / "n01").mkdir()
    (tmp_path / "n01" / "a.svg").touch()
    with pytest.raises(DataError, match=r"no images in .*: it has 1 \.svg"):
        FolderImages(tmp_path, Geometry(32, None))


def test_copies_that_ppbench_wrote_are_no_class_and_no_images(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path)
    for copies in (root / "n00000000-c", root / "n00000000" / "img000.png-c"):
        (copies / "fog" / "1").mkdir(parents=True)
        (copies / "manifest.json").write_text('{\n  "manifest": 1\n}\n')
        (copies / "fog" / "1" / "img000.png").write_bytes((root / "n00000000" / "img000.png").read_bytes())
    images = FolderImages(root, Geometry(40, None))
    assert (len(images.class_names), len(images.ids)) == (2, 6)
    assert images.notes == (f"left out in {root}: 2 folders of corrupted images",)
