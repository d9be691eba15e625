"""How images are cut to squares, and what the cuts are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torchvision.transforms.v2 as transforms
from PIL import Image

from ppbench.data.cut import AsIs, CentralPart, describe_cut
from ppbench.data.decode import decode_rgb
from ppbench.data.source import Geometry
from tests.trees import photographs


@pytest.mark.parametrize("shape", [(300, 500), (500, 300), (256, 256), (225, 400)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_resize_and_crop_equal_torchvisions(tmp_path: Path, shape: tuple[int, int], interpolation: str) -> None:
    whole = np.asarray(Image.fromarray(photographs(170, 1)[0]).resize(shape[::-1]))
    Image.fromarray(whole).save(tmp_path / "a.png")
    mode = transforms.InterpolationMode(interpolation)
    oracle = transforms.Compose([transforms.Resize(256, mode), transforms.CenterCrop(224)])
    expected = np.asarray(oracle(Image.fromarray(whole)))
    got = decode_rgb(tmp_path / "a.png", Geometry(224, 256, interpolation))  # type: ignore[arg-type]
    assert np.array_equal(got, expected)


def test_the_cut_of_299_px_is_that_of_the_authors_script(tmp_path: Path) -> None:
    whole = Image.fromarray(photographs(170, 1)[0]).resize((501, 333))
    whole.save(tmp_path / "a.png")
    # int(501 * 0.875) = 438 and int(333 * 0.875) = 291 pixels, from (501 - 438) / 2 = 31.5 and 21 on; halves to even
    expected = whole.crop((32, 21, 32 + 438, 21 + 291)).resize((299, 299), Image.Resampling.BILINEAR)
    assert np.array_equal(decode_rgb(tmp_path / "a.png", CentralPart(299, 0.875)), np.asarray(expected))


def test_cuts_in_words() -> None:
    assert describe_cut(Geometry(224, 256)) == "resize 256, crop 224"
    assert describe_cut(Geometry(224, 256, "bicubic")) == "resize 256 bicubic, crop 224"
    assert describe_cut(Geometry(32, None)) == "crop 32"
    assert describe_cut(AsIs(64)) == "64 px as is"
    assert describe_cut(CentralPart(299, 0.875)) == "crop 87.5 %, resize 299 x 299"
