"""Decoding for copies: what is kept, what is turned, what is refused."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from ppbench.data.decode import decode_rgb, open_rgb
from ppbench.data.source import Geometry
from ppbench.data.whole import decode_whole
from ppbench.errors import DataError
from tests.trees import photographs

PHOTO = Image.fromarray(photographs(40, 1)[0]).crop((0, 0, 40, 30))


def content(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def deep(mode: str, ending: str) -> bytes:
    values = np.random.default_rng(0).integers(0, 65536, (20, 20, 3)).astype(np.uint16)
    array = {"L": values[..., 0], "RGB": values, "RGBA": np.dstack([values, values[..., 0]])}[mode]
    return cv2.imencode(ending, array)[1].tobytes()


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1), ("1", 1), ("P", 3)])
def test_grey_stays_grey_and_colour_colour(mode: str, channels: int) -> None:
    image = PHOTO.convert(mode)
    picture = decode_whole(content(image))
    assert picture.shape == (30, 40, channels)
    expected = np.asarray(image.convert("RGB" if channels == 3 else "L"))
    assert np.array_equal(picture.reshape(expected.shape), expected)


@pytest.mark.parametrize(("mode", "channels"), [("RGBA", 4), ("LA", 2)])
def test_alpha_is_the_last_channel(mode: str, channels: int) -> None:
    image = PHOTO.convert(mode)
    image.putalpha(Image.fromarray(np.arange(1200, dtype=np.uint8).reshape(30, 40)))
    picture = decode_whole(content(image))
    assert picture.shape == (30, 40, channels)
    assert np.array_equal(picture, np.asarray(image))


@pytest.mark.parametrize(("mode", "transparent"), [("P", 0), ("L", 9), ("RGB", (0, 0, 0))])
def test_a_transparent_colour_is_alpha_too(mode: str, transparent: object) -> None:
    picture = decode_whole(content(PHOTO.convert(mode), transparency=transparent))
    assert picture.shape[2] in (2, 4)
    assert set(np.unique(picture[..., -1])) <= {0, 255}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied(orientation: int, form: str) -> None:
    """A picture that Pillow's own function, an oracle here, turns into one with a white bar at the upper left."""
    upright = np.zeros((32, 48, 3), np.uint8)
    upright[:8, :16] = 255
    exif, undo = Image.Exif(), Image.Exif()
    exif[0x0112], undo[0x0112] = orientation, {6: 8, 8: 6}.get(orientation, orientation)
    stored = ImageOps.exif_transpose(Image.open(io.BytesIO(content(Image.fromarray(upright), exif=undo))))
    picture = decode_whole(content(stored, form, exif=exif, **({"lossless": True} if form == "WEBP" else {})))
    assert picture.shape == (32, 48, 3)
    assert picture[:8, :16].mean() > 240
    assert picture[8:].mean() < 15


def test_damaged_exif_data_do_not_matter() -> None:
    data = content(PHOTO, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert decode_whole(data).shape == (30, 40, 3)


@pytest.mark.parametrize("shape", [(300, 500), (256, 256), (100, 60), (8, 300)])
def test_resize_and_crop_are_those_of_evaluation(tmp_path: object, shape: tuple[int, int]) -> None:
    image = PHOTO.resize(shape[::-1])
    file = io.BytesIO(content(image))
    picture = decode_whole(file.getvalue(), 224)
    assert np.array_equal(picture, decode_rgb(file, Geometry(224, 256)))  # type: ignore[arg-type]
    assert decode_whole(content(image.convert("L")), 32).shape == (32, 32, 1)


@pytest.mark.parametrize(
    "data", [deep(m, e) for m, e in [("L", ".png"), ("RGB", ".png"), ("RGBA", ".png"), ("L", ".pgm"), ("RGB", ".ppm")]]
)
def test_16_bits_are_refused(data: bytes) -> None:
    with pytest.raises(DataError, match="16 bits per channel; corruptions are defined for 8"):
        decode_whole(data)


def test_other_colour_spaces_are_refused_with_what_to_do() -> None:
    with pytest.raises(DataError, match="colour space LAB, neither grey nor RGB") as caught:
        decode_whole(content(Image.new("LAB", (20, 20)), "TIFF"))
    assert "-colorspace sRGB" in caught.value.hint


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_is_taken_as_evaluation_takes_it(form: str) -> None:
    data = content(PHOTO.convert("CMYK"), form)
    expected = np.asarray(open_rgb(io.BytesIO(data), "a"))
    assert np.array_equal(decode_whole(data), expected)
    assert np.abs(expected.astype(float) - np.asarray(PHOTO, float)).mean() < 6


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_several_frames_are_refused(form: str) -> None:
    data = content(PHOTO, form, save_all=True, append_images=[Image.new("RGB", PHOTO.size)])
    with pytest.raises(DataError, match="2 frames or pages instead of one"):
        decode_whole(data)


def test_a_cameras_preview_behind_a_jpeg_is_left_out() -> None:
    data = content(PHOTO, "MPO", save_all=True, append_images=[PHOTO.resize((20, 15))])
    assert decode_whole(data).shape == (30, 40, 3)


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"%!PS-Adobe"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(DataError) as caught:
        decode_whole(data)
    assert "0x" not in caught.value.message, "no addresses: the manifest is the same every time"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM"])
@pytest.mark.parametrize("part", [0.2, 0.6, 0.95])
def test_a_truncated_image_is_refused(form: str, part: float) -> None:
    data = content(Image.fromarray(photographs(40, 1)[0]), form)
    with pytest.raises(DataError):
        decode_whole(data[: int(len(data) * part)])


def test_a_decompression_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for image in (PHOTO, PHOTO.resize((100, 100))):  # above Pillow's limit of warnings, and of errors
        with pytest.raises(DataError, match="more than 1,000 pixels, the limit against decompression bombs"):
            decode_whole(content(image))
