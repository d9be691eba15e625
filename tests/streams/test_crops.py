"""Random crops, flips and orders: their law, and that they depend on their key alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppbench.data.generated import GeneratedImages
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry
from ppbench.streams.crops import RandomCrops, crop_of, cropped
from tests.trees import photographs, write_class_folders


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> GeneratedImages:
    root = write_class_folders(tmp_path_factory.mktemp("images"), classes=2, per_class=5, size=40)
    source = open_source("imagefolder", root, Geometry(32, 36))
    assert isinstance(source, GeneratedImages)
    return source


def test_crops_have_the_law_of_random_resized_crop() -> None:
    crops = [crop_of(f"key {number}", 640, 480) for number in range(2000)]
    shares = np.array([crop.width * crop.height / (640 * 480) for crop in crops])
    ratios = np.array([crop.width / crop.height for crop in crops])
    assert shares.min() > 0.079
    assert shares.max() <= 1
    assert ((ratios > 0.74) & (ratios < 1.35)).all()
    # Attempts that do not fit are drawn again, which only large ones are: below 60 % the share is uniform.
    small = np.sort((shares[shares < 0.6] - 0.08) / 0.52)
    assert np.abs(small - np.arange(len(small)) / len(small)).max() < 0.05
    assert np.mean([crop.is_mirrored for crop in crops]) == pytest.approx(0.5, abs=0.04)
    assert all(0 <= crop.left <= 640 - crop.width and 0 <= crop.top <= 480 - crop.height for crop in crops)
    lefts = np.sort([crop.left / (640 - crop.width) for crop in crops if crop.width < 500])
    assert np.abs(lefts - np.arange(len(lefts)) / len(lefts)).max() < 0.05


@pytest.mark.parametrize(("size", "expected"), [((1000, 9), (12, 9)), ((9, 1000), (9, 12))])
def test_strips_are_cut_in_the_middle(size: tuple[int, int], expected: tuple[int, int]) -> None:
    crop = crop_of("any", *size)
    assert (crop.width, crop.height) == expected
    assert (crop.left, crop.top) == ((size[0] - expected[0]) // 2, (size[1] - expected[1]) // 2)


def test_a_crop_is_pillows_resized_and_mirrored() -> None:
    image = Image.fromarray(photographs(40, 1)[0])
    key = next(f"key {number}" for number in range(9) if crop_of(f"key {number}", 40, 40).is_mirrored)
    left, top, width, height, _ = crop_of(key, 40, 40)
    part = image.crop((left, top, left + width, top + height)).resize((32, 32), Image.Resampling.BILINEAR)
    assert (cropped(image, key, 32) == np.asarray(part)[:, ::-1]).all()
    assert cropped(image.convert("L"), key, 32).shape == (32, 32, 1)


def test_each_round_has_every_image_once_in_another_order(images: GeneratedImages) -> None:
    crops = RandomCrops(images, 43)
    labels = crops.labels(np.arange(30)).reshape(3, 10)
    assert (labels.sum(1) == 5).all()
    orders = [crops._order.of(np.arange(start, start + 10)).tolist() for start in (0, 10, 20)]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert orders[0] != RandomCrops(images, 44)._order.of(np.arange(10)).tolist()


def test_any_frames_in_any_order(images: GeneratedImages) -> None:
    crops, wanted = RandomCrops(images, 43), np.array([25, 3, 14, 3])
    whole, _ = crops.load(np.arange(30))
    some, _ = RandomCrops(images, 43).load(wanted)
    assert (some == whole[wanted]).all()
    assert (crops.labels(wanted) == crops.labels(np.arange(30))[wanted]).all()


def test_unreadable_images_are_black_and_named(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path / "images", classes=2, per_class=3, size=40)
    (root / "n00000000" / "img000.png").write_bytes(b"no image")
    source = open_source("imagefolder", root, Geometry(32, 36))
    assert isinstance(source, GeneratedImages)
    pixels, broken = RandomCrops(source, 1).load(np.arange(6))
    ((place, reason, _),) = broken
    assert "img000.png" in reason
    assert not pixels[place].any()
