"""Thumbnails: small images as they are, large ones smaller, broken ones refused."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppbench.data.opening import open_source
from ppbench.data.source import Geometry
from ppbench.errors import DataError
from ppbench.pictures.thumbnails import LARGEST_OWN, SIZES, Thumbnails
from tests.trees import write_class_folders


def opened(root: Path, size: int):
    return open_source("imagefolder", write_class_folders(root, size=size), Geometry(size, None))


def image_in(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_small_images_keep_every_pixel(tmp_path: Path) -> None:
    source = opened(tmp_path, LARGEST_OWN)
    thumbnails = Thumbnails(source, {("fog", 2): np.array([1])})
    shown = image_in(thumbnails.uri(("fog", 2), 1, SIZES[-1][1]))
    assert thumbnails.is_small
    assert (np.asarray(shown) == source.load("fog", 2, np.array([1])).pixels[0]).all()


def test_large_images_become_small_jpegs_of_the_asked_size(tmp_path: Path) -> None:
    source = opened(tmp_path, 160)
    thumbnails = Thumbnails(source, {("clean", 0): np.array([0, 2])})
    lengths = []
    for _, size in SIZES:
        uri = thumbnails.uri(("clean", 0), 2, size)
        shown = image_in(uri)
        assert (shown.format, shown.size) == ("JPEG", (size[0], size[0]))
        assert thumbnails.side(size) == size[0]
        lengths.append(len(uri))
        assert thumbnails.uri(("clean", 0), 2, size) == uri
    assert lengths[0] > lengths[1] > lengths[3]
    whole = source.load("clean", 0, np.array([2])).pixels[0]
    wanted = np.asarray(Image.fromarray(whole).resize((112, 112), Image.Resampling.LANCZOS), np.float32)
    found = np.asarray(image_in(thumbnails.uri(("clean", 0), 2, SIZES[0][1])), np.float32)
    assert abs(found - wanted).mean() < 6


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    source = opened(tmp_path, 40)
    (tmp_path / source.ids[3]).write_bytes(b"no image")
    with pytest.raises(DataError, match=source.ids[3]):
        Thumbnails(source, {("clean", 0): np.array([3])})
