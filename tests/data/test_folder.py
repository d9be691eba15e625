"""Class folders of image files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torchvision.transforms.v2 as transforms
from PIL import Image

from ppbench.data.folder import FolderImages, load_rgb
from ppbench.data.source import Geometry
from ppbench.errors import DataError
from tests.trees import photographs, write_class_folders


def test_labels_follow_the_sorted_class_names(tmp_path: Path) -> None:
    images = FolderImages(write_class_folders(tmp_path, classes=3, per_class=2), Geometry(40, None))
    assert images.class_names == ["n00000000", "n00000001", "n00000002"]
    assert images.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert images.ids == sorted(images.ids)
    loaded = images.load(np.array([0, 5]))
    assert loaded.shape == (2, 40, 40, 3)
    assert np.array_equal(loaded[1], np.asarray(Image.open(tmp_path / images.ids[5])))


@pytest.mark.parametrize("shape", [(300, 500), (500, 300), (256, 256), (225, 400)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_resize_and_crop_equal_torchvisions(tmp_path: Path, shape: tuple[int, int], interpolation: str) -> None:
    whole = np.asarray(Image.fromarray(photographs(170, 1)[0]).resize(shape[::-1]))
    Image.fromarray(whole).save(tmp_path / "a.png")
    mode = transforms.InterpolationMode(interpolation)
    oracle = transforms.Compose([transforms.Resize(256, mode), transforms.CenterCrop(224)])
    expected = np.asarray(oracle(Image.fromarray(whole)))
    got = load_rgb(tmp_path / "a.png", Geometry(224, 256, interpolation))  # type: ignore[arg-type]
    assert np.array_equal(got, expected)


def test_grey_palette_and_alpha_become_rgb(tmp_path: Path) -> None:
    image = Image.fromarray(photographs(32, 1)[0])
    for mode in ("L", "P", "RGBA", "CMYK"):
        path = tmp_path / ("a.tif" if mode == "CMYK" else f"{mode}.png")
        image.convert(mode).save(path)
        assert load_rgb(path, Geometry(32, None)).shape == (32, 32, 3)


def test_more_than_8_bits_are_refused_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((32, 32), 40_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match=r"deep\.png has more than 8 bits per channel"):
        load_rgb(tmp_path / "deep.png", Geometry(32, None))


def test_hidden_files_are_no_images(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path)
    (root / "n00000000" / "._img000.png").write_bytes(b"macOS writes these")
    assert len(FolderImages(root, Geometry(40, None)).ids) == 6


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path)
    images = FolderImages(root, Geometry(40, None))
    broken = root / images.ids[0]
    broken.write_bytes(broken.read_bytes()[:400])
    with pytest.raises(DataError, match=f"cannot read the image {broken}"):
        images.load(np.array([0]))


def test_an_image_smaller_than_the_crop_is_refused(tmp_path: Path) -> None:
    images = FolderImages(write_class_folders(tmp_path, size=40), Geometry(64, None))
    with pytest.raises(DataError, match="40 x 40 pixels, the model wants 64 x 64"):
        images.load(np.array([0]))


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
