"""Orientation and colour profiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from ppbench.data.decode import open_rgb
from ppbench.data.opening import open_source
from ppbench.data.photographs import look_at_photographs
from ppbench.data.source import Geometry
from ppbench.errors import UsageError
from tests.trees import photographs, write_class_folders, write_imagenet_c

PHOTO = Image.fromarray(photographs(48, 1)[0]).crop((0, 0, 48, 40))
GEOMETRY = Geometry(32, None)


def turned(path: Path, orientation: int = 6) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    PHOTO.save(path, exif=exif, **({"quality": 95} if path.suffix == ".jpg" else {}))
    return path


def swapped_profile() -> bytes:
    """sRGB's profile with the colorants of red and green swapped, under another name."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    where = {srgb[at : at + 4]: int.from_bytes(srgb[at + 4 : at + 8], "big") for at in range(132, 132 + 12 * 16, 12)}
    red, green = where[b"rXYZ"], where[b"gXYZ"]
    made = bytearray(srgb.replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be")))
    made[red : red + 20], made[green : green + 20] = srgb[green : green + 20], srgb[red : red + 20]
    return bytes(made)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_upright_if_wanted(tmp_path: Path, orientation: int) -> None:
    path = turned(tmp_path / "a.png", orientation)
    assert np.array_equal(np.asarray(open_rgb(path, "a")), np.asarray(PHOTO))
    expected = ImageOps.exif_transpose(Image.open(path))
    assert np.array_equal(np.asarray(open_rgb(path, "a", exif=True)), np.asarray(expected))


def test_colours_are_converted_by_their_profile_if_wanted(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    PHOTO.save(path, icc_profile=swapped_profile())
    assert np.array_equal(np.asarray(open_rgb(path, "a")), np.asarray(PHOTO))
    got = np.asarray(open_rgb(path, "a", exif=True)).astype(int)
    expected = np.asarray(PHOTO)[..., [1, 0, 2]].astype(int)
    assert np.abs(got - expected).mean() < 2


def test_srgb_and_damaged_profiles_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for profile in (ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), b"no profile"):
        PHOTO.save(path, icc_profile=profile)
        assert np.array_equal(np.asarray(open_rgb(path, "a", exif=True)), np.asarray(PHOTO))
        assert look_at_photographs([path]) == (1, 0, 0)


def test_evaluation_says_what_it_does_not_apply(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path / "plain", size=40)
    assert open_source("imagefolder", root, GEOMETRY).notes == ()
    turned(root / "n00000000" / "t.jpg")
    PHOTO.save(root / "n00000001" / "p.jpg", icc_profile=swapped_profile())
    (root / "n00000001" / "broken.jpg").write_text("x")
    plain, applied = (open_source("imagefolder", root, GEOMETRY, exif=exif) for exif in (False, True))
    assert plain.notes == (
        "of 8 images checked, 1 stored turned or mirrored and 1 with a colour profile that is not sRGB's: not "
        "applied, as in torchvision; `--exif` applies EXIF orientation and colour profiles",
    )
    assert (plain.cut, applied.cut) == ("crop 32", "EXIF orientation and colour profile applied, crop 32")
    assert applied.notes == ()
    place = np.array([applied.ids.index("n00000000/t.jpg")])
    sideways, upright = (source.load("clean", 0, place).pixels[0] for source in (plain, applied))
    assert np.array_equal(np.rot90(sideways, -1), upright)


def test_sets_without_such_data_refuse_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--exif is for clean images in files"):
        open_source("fashion-mnist-2k", None, GEOMETRY, exif=True)
    published = write_imagenet_c(tmp_path, ("fog",), (1,))
    with pytest.raises(UsageError, match="--exif is for clean images in files"):
        open_source("imagefolder", published, GEOMETRY, exif=True)
