"""Files' names and bytes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ppbench.copies.encode import ImageFormat, check_format_fits, encode, output_name
from ppbench.errors import DataError
from tests.trees import photographs


def noisy(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(
    ("name", "form", "expected"),
    [
        ("n01/a.JPEG", "same", "n01/a.JPEG"),
        ("a.jpg", "same", "a.jpg"),
        ("a.PNG", "same", "a.PNG"),
        ("a.bmp", "same", "a.png"),
        ("a.b.TIFF", "same", "a.b.png"),
        ("a.webp", "same", "a.png"),
        ("a.JPEG", "jpeg", "a.JPEG"),
        ("x.y/a.png", "jpeg", "x.y/a.jpg"),
        ("a.jpg", "png", "a.png"),
        ("a.jpg", "npy", "a.npy"),
    ],
)
def test_a_name_changes_only_where_the_format_does(name: str, form: str, expected: str) -> None:
    assert output_name(name, ImageFormat(form)) == expected


@pytest.mark.parametrize("image", [*photographs(224, 3), noisy((50, 37, 3)), noisy((40, 40, 1)), noisy((8, 9, 3))])
def test_jpeg_has_the_pixels_of_imagenet_cs_way_of_saving(image: np.ndarray) -> None:
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, "JPEG", quality=85, optimize=True)
    ours = Image.open(io.BytesIO(encode(image, "a.JPEG")))
    assert np.array_equal(np.asarray(ours), np.asarray(Image.open(file)))
    assert ours.mode == ("L" if image.shape[2] == 1 else "RGB")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_and_npy_keep_every_value(channels: int) -> None:
    image = noisy((20, 30, channels))
    flat = image[..., 0] if channels == 1 else image
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode(image, "a.png")))), flat)
    assert np.array_equal(np.load(io.BytesIO(encode(image, "a.npy"))), flat)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.npy"])
def test_the_same_pixels_give_the_same_bytes_and_nothing_else_is_written(name: str) -> None:
    image = photographs(40, 1)[0]
    assert encode(image, name) == encode(np.asfortranarray(image), name)
    if not name.endswith("npy"):
        assert not {"exif", "icc_profile", "comment"} & Image.open(io.BytesIO(encode(image, name))).info.keys()


def test_what_jpeg_cannot_hold_is_refused() -> None:
    with pytest.raises(DataError, match="has an alpha channel, which JPEG cannot keep") as caught:
        check_format_fits((10, 10, 4), "a.JPG")
    assert "--format png" in caught.value.hint
    with pytest.raises(DataError, match="65,500 pixels"):
        check_format_fits((70_000, 10, 3), "a.jpg")
    check_format_fits((70_000, 10, 4), "a.png")
