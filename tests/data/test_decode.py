"""Decoding image files, one and in sets: what is refused, and what is cut."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppbench.data.cut import AsIs, Cut
from ppbench.data.decode import FolderImages, decode_rgb, image_size
from ppbench.data.folder import list_classes
from ppbench.data.source import Geometry
from ppbench.errors import DataError
from tests.trees import photographs, write_class_folders


def images_in(root: Path, cut: Cut) -> FolderImages:
    return FolderImages(root, cut, list_classes(root))


def test_images_are_loaded_by_their_rows(tmp_path: Path) -> None:
    images = images_in(write_class_folders(tmp_path, classes=3, per_class=2), Geometry(40, None))
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


def test_a_broken_image_is_told_and_black_and_the_others_are_there(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path)
    images = images_in(root, Geometry(40, None))
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
    images = images_in(write_class_folders(tmp_path, size=40), Geometry(64, None))
    (broken,) = images.load(np.array([0])).broken
    assert "40 x 40 pixels, the model needs 64 x 64" in broken.reason


def test_as_is_means_one_size(tmp_path: Path) -> None:
    images = images_in(write_class_folders(tmp_path, size=40), AsIs(32))
    (broken,) = images.load(np.array([0])).broken
    assert "40 x 40 pixels, the others 32 x 32" in broken.reason


def test_stamps_change_with_the_file(tmp_path: Path) -> None:
    images = images_in(write_class_folders(tmp_path), Geometry(40, None))
    rows = np.arange(3)
    before = images.stamps(rows)
    os.utime(tmp_path / images.ids[1], ns=(0, 5))
    (tmp_path / images.ids[2]).unlink()
    after = images.stamps(rows)
    assert (before != after).tolist() == [False, True, True]
    assert after[2] == 0


def test_the_fingerprint_sees_a_changed_file(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path)
    before = images_in(root, Geometry(40, None)).fingerprint()
    assert images_in(root, Geometry(40, None)).fingerprint() == before
    with (root / "n00000000" / "img000.png").open("ab") as file:
        file.write(b"x")
    assert images_in(root, Geometry(40, None)).fingerprint() != before


def test_the_size_is_read_from_the_head_of_a_file() -> None:
    file = io.BytesIO()
    Image.new("RGB", (40, 30)).save(file, "PNG")
    assert image_size(io.BytesIO(file.getvalue()[:100])) == (30, 40)
    assert image_size(io.BytesIO(b"nothing")) is None
