"""The textures of frost: their sizes, how they are enlarged, and what happens if they are missing."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ppbench.corruptions import textures
from ppbench.corruptions.opencv import opencv
from ppbench.corruptions.recipes import RECIPES
from ppbench.errors import DataError
from tests.forks import run

CPU = torch.device("cpu")

SIZES = {
    "imagenet-c": [(600, 900), (315, 560), (315, 560), (350, 527), (495, 660)],
    "imagenet-c-299": [(600, 900), (315, 560), (315, 560), (350, 527), (495, 660)],
    "tiny-imagenet-c": [(180, 270), (94, 168), (94, 168), (105, 158), (148, 198)],
    "cifar-c": [(120, 180), (63, 112), (63, 112), (70, 105), (99, 132)],
    "imagecorruptions": [(660, 991), (347, 616), (347, 616), (386, 580), (545, 727), (356, 534)],
}
"""Heights and widths of the textures at the recipes' own sizes; the package's are the originals' times 1.1."""


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_the_textures_are_as_large_as_the_references_have_them(recipe: str) -> None:
    how = RECIPES[recipe]
    side = how.native_size or 224
    assert textures.frost_sizes(how, side, side).T.tolist() == [list(size) for size in SIZES[recipe]]
    ice = textures.frost_textures(how, side, side, torch.arange(how.frost_textures), CPU)
    assert ice.first.tolist() == np.cumsum([0, *(h * w for h, w in SIZES[recipe])])[:-1].tolist()
    assert len(ice.pixels) == sum(h * w for h, w in SIZES[recipe])


@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize(("height", "width"), [(8, 8), (63, 40), (40, 112), (700, 1000)])
def test_the_textures_exceed_every_image(recipe: str, height: int, width: int) -> None:
    heights, widths = textures.frost_sizes(RECIPES[recipe], height, width)
    assert (heights > height).all()
    assert (widths > width).all()


def test_of_large_textures_only_those_in_use_are_made() -> None:
    how = RECIPES["imagecorruptions"]
    heights, widths = textures.frost_sizes(how, 1100, 1300)
    ice = textures.frost_textures(how, 1100, 1300, torch.tensor([3, 1, 3]), CPU)
    assert len(ice.pixels) == int((heights * widths)[[1, 3]].sum())
    alone = textures.frost_textures(how, 1100, 1300, torch.tensor([3]), CPU)
    assert torch.equal(ice.pixels[ice.first[3] :], alone.pixels)


def test_sizes_with_the_same_textures_share_them() -> None:
    how = RECIPES["cifar-c"]
    used = torch.tensor([0])
    assert textures.frost_textures(how, 32, 32, used, CPU) is textures.frost_textures(how, 30, 25, used, CPU)


def test_textures_are_enlarged_by_exact_cubic_interpolation() -> None:
    """OpenCV's uint8 path rounds differently on each kind of processor; in float64 it differs by its coefficients."""
    picture = np.random.default_rng(0).integers(0, 256, (31, 45, 3), np.uint8)
    made = textures.enlarge_cubic(picture, 53, 70)
    exact = cv2.resize(picture.astype(np.float64), (70, 53), interpolation=cv2.INTER_CUBIC)
    assert abs(made - np.clip(exact, 0, 255)).max() < 0.501
    assert (made != np.clip(np.rint(exact), 0, 255)).mean() < 0.001


def test_a_texture_of_one_level_stays_flat_when_enlarged() -> None:
    for level in (0, 1, 127, 254, 255):
        assert (textures.enlarge_cubic(np.full((9, 11, 3), level, np.uint8), 20, 31) == level).all()


@pytest.mark.parametrize("content", [None, b"no picture"])
def test_missing_textures_are_reported_with_a_hint(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "frost1.png"
    if content:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"frost1\.png is missing or unreadable\n`pip install .*imagecorruptions-imaug"):
        textures._read(path)


def test_a_missing_package_is_reported_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textures, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="no package `imagecorruptions`\n`pip install"):
        textures._pictures.__wrapped__()


def test_the_textures_are_found_without_importing_the_package() -> None:
    code = (
        "import sys; from ppbench.corruptions.textures import _pictures; "
        "assert len(_pictures()) == 6; assert 'imagecorruptions' not in sys.modules"
    )
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_an_opencv_that_cannot_be_imported_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container, which lacks the libraries of a desktop."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(DataError, match=r"OpenCV cannot be imported[\s\S]*opencv-python-headless"):
        opencv()
