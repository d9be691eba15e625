"""Which decoders may run, and what is said of files that they refuse."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from ppbench.data import decode, image_file
from ppbench.data.decode import decode_rgb, open_image, open_rgb
from ppbench.data.image_file import FORMATS
from ppbench.data.source import Geometry
from ppbench.errors import DataError
from tests.trees import photographs

ROOT = Path(__file__).parents[2] / "ppbench"
PHOTO = Image.fromarray(photographs(40, 1)[0])


def content(form: str, image: Image.Image = PHOTO, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def test_image_files_are_opened_in_one_place_and_formats_are_named_everywhere() -> None:
    found = []
    for path in ROOT.rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if "Image.open" in text else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Image.open", "PIL.Image.open"):
                assert "formats" in {keyword.arg for keyword in node.keywords}, path
                found.append(path.relative_to(ROOT).as_posix())
    assert sorted(found) == ["data/decode.py", "inspection/style.py"]  # the latter opens what it has just drawn
    assert set(FORMATS) == {"JPEG", "PNG", "WEBP", "TIFF", "BMP", "PPM", "GIF"}


@pytest.mark.parametrize("name", ["photo.jpg", "photo.eps", "photo.png"])
def test_no_name_makes_an_eps_file_start_ghostscript(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch {started}\n")
    ghostscript.chmod(0o755)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", str(ghostscript))
    path = tmp_path / name
    path.write_bytes(content("EPS"))
    with Image.open(path) as bare, suppress(OSError):
        bare.load()  # what Pillow does if nobody says which formats; the stub writes no picture
    assert started.exists()
    started.unlink()
    with pytest.raises(DataError, match=r"cannot read the image .*: it is not a supported image, but EPS") as caught:
        decode_rgb(path, Geometry(40, None))
    assert "Replace or remove" in caught.value.hint
    assert not started.exists()


@pytest.mark.parametrize("form", ["ICO", "ICNS", "PDF", "TGA", "SGI", "PCX", "IM", "SPIDER", "MSP", "JPEG2000", "DDS"])
def test_other_decoders_are_not_opened(form: str) -> None:
    image = PHOTO.convert({"SPIDER": "F", "MSP": "1"}.get(form, "RGB"))
    with pytest.raises(DataError):
        open_rgb(io.BytesIO(content(form, image)), "photo.jpg")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "PPM", "GIF", "MPO"])
def test_what_is_read_is_read_as_pillow_reads_it(form: str) -> None:
    data = content(form, **({"save_all": True, "append_images": [PHOTO]} if form == "MPO" else {}))
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.array_equal(np.asarray(open_rgb(io.BytesIO(data), "x")), expected)


def test_bmp_files_of_16_bits_are_read_as_pillow_does() -> None:
    """A header of BITMAPINFOHEADER with BI_BITFIELDS, masks of 5, 6 and 5 bits, 2 x 2 pixels, rows from the bottom."""
    white, red, green, blue = 0xFFFF, 0xF800, 0x07E0, 0x001F
    values = np.array([white, red, green, blue], "<u2").tobytes()
    header = [np.uint32(40), np.int32(2), np.int32(2), np.uint16(1), np.uint16(16), np.uint32(3), np.uint32(8)]
    header += [np.uint32(0)] * 4 + [np.uint32(mask) for mask in (0xF800, 0x07E0, 0x001F)]
    body = b"".join(value.tobytes() for value in header)
    data = b"BM" + np.array([14 + len(body) + 8, 0, 14 + len(body)], "<u4").tobytes() + body + values
    pixels = np.asarray(open_rgb(io.BytesIO(data), "photo.bmp"))
    assert pixels.tolist() == [[[0, 255, 0], [0, 0, 255]], [[255, 255, 255], [255, 0, 0]]]


def test_pillows_warnings_are_not_shown(tmp_path: Path) -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\x00\x05\x01\x12\x00\x03"  # ends in the middle of its first entry
    path = tmp_path / "a.jpg"
    path.write_bytes(content("JPEG", exif=exif))
    with warnings.catch_warnings(record=True) as bare:
        warnings.simplefilter("always")
        Image.open(path).getexif()
    assert bare
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_image(path) as image:
            image.getexif()
            image.load()


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", "it is HEIC, whatever its name"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "it is AVIF, whatever its name"),
        (b"%PDF-1.7", "but PDF"),
        (b"<!DOCTYPE HTML><html>", "but a web page"),
        (b"hello", "it is not an image, or its beginning is damaged"),
        (b"", "it is not an image, or its beginning is damaged"),
    ],
)
def test_what_a_file_is_instead_is_said(head: bytes, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_heif(monkeypatch)
    with pytest.raises(DataError, match=message) as caught:
        open_rgb(io.BytesIO(head), "photo.jpg")
    if "ftyp" in str(head):
        assert "uv sync --extra heif" in caught.value.hint
        assert "CIFAR" not in str(caught.value)


def without_heif(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_file, "has_heif", lambda: False)
    monkeypatch.setattr(decode, "formats", lambda: FORMATS)


def test_avif_is_opened_with_the_extra_only(monkeypatch: pytest.MonkeyPatch) -> None:
    data = content("AVIF")
    without_heif(monkeypatch)
    with pytest.raises(DataError, match="it is AVIF"):
        open_rgb(io.BytesIO(data), "a.avif")
    monkeypatch.setattr(decode, "formats", lambda: (*FORMATS, "AVIF"))
    assert open_rgb(io.BytesIO(data), "a.avif").size == (40, 40)


def test_heic_is_read_with_the_extra() -> None:
    pytest.importorskip("pillow_heif")
    assert {"HEIF", "AVIF"} <= set(image_file.formats())
    assert image_file.endings() >= image_file.HEIF_ENDINGS
    image = open_rgb(io.BytesIO(content("HEIF", quality=90)), "a.heic")
    assert np.abs(np.asarray(image, float) - np.asarray(PHOTO, float)).mean() < 4


@pytest.mark.parametrize("kind", ["fifo", "/dev/zero", "/dev/null", "folder"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.png"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(kind)
    code = (
        "import sys; from pathlib import Path; from ppbench.data.decode import open_image\n"
        "from ppbench.data.image_file import read_regular\n"
        "from ppbench.errors import DataError\n"
        "for read in (lambda: open_image(Path(sys.argv[1])).__enter__(), lambda: read_regular(Path(sys.argv[1]))):\n"
        "    try: read()\n"
        "    except (DataError, OSError) as error: print(getattr(error, 'strerror', None) or error.message)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["it is a pipe, a device or a folder, not a file"] * 2, done.stderr
