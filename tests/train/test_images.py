"""Images as they are trained and tested on, against torchvision and plain numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms

from ppbench.errors import DataError, UsageError
from ppbench.train.draws import EpochDraws, draw_epoch
from ppbench.train.images import FileImages, MemoryImages, Transforms, begin, crop_and_mirror, transforms_of
from ppbench.train.recipe import TrainRecipe, make_recipe
from tests.trees import photographs


def in_memory(count: int = 5, side: int = 6) -> MemoryImages:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(1, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)
    return MemoryImages(pixels, np.arange(count))


def in_files(folder: Path, count: int = 4, size: int = 60) -> FileImages:
    names = []
    for number, image in enumerate(photographs(size, count)):
        Image.fromarray(image[: size - 10]).save(folder / f"{number}.png")
        names.append(f"{number}.png")
    return FileImages(folder, names, np.zeros(count, np.int64))


@given(st.integers(0, 1000), st.integers(0, 3), st.integers(3, 6))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_crop_is_a_part_with_or_without_a_mirror(epoch: int, padding: int, size: int) -> None:
    images, draws = in_memory(), draw_epoch(0, epoch, 5)
    got = images.training(torch.arange(5), draws, Transforms(size, padding)).numpy()
    for number in range(5):
        before = images.pixels[number].numpy()
        padded = np.pad(before, ((0, 0), (padding, padding), (padding, padding)))
        room = 6 + 2 * padding - size
        top, left = (begin(float(draws.place[number, axis]), room) for axis in (0, 1))
        part = padded[:, top : top + size, left : left + size]
        assert np.array_equal(got[number], part[..., ::-1] if draws.mirrored[number] else part)


def test_all_places_and_both_mirrors_are_met() -> None:
    image = torch.arange(1, 17, dtype=torch.uint8).view(1, 1, 4, 4).expand(400, -1, -1, -1)
    draws = draw_epoch(0, 0, 400)
    got = crop_and_mirror(image, draws.place, draws.mirrored, 4, 1)
    assert len(torch.unique(got.reshape(400, -1), dim=0)) == 2 * 9


def test_a_draw_below_one_stays_inside() -> None:
    assert begin(float(np.nextafter(np.float32(1), np.float32(0))), 10**9) <= 10**9
    assert [begin(place, 2) for place in (0.0, 0.34, 0.67, 0.999)] == [0, 1, 2, 2]


def test_without_flip_nothing_is_mirrored() -> None:
    images = in_memory()
    got = images.training(torch.arange(5), draw_epoch(0, 0, 5), Transforms(6, 0, flip=False))
    assert torch.equal(got, images.pixels)


def test_files_are_cut_as_torchvision_cuts_them(tmp_path: Path) -> None:
    images, cut = in_files(tmp_path), Transforms(32, resize=40, test_resize=36)
    draws = draw_epoch(0, 0, 4)
    got = images.training(torch.tensor([2, 0]), draws, cut)
    resize = transforms.Resize(40, transforms.InterpolationMode.BILINEAR)
    for row, number in enumerate((2, 0)):
        whole = resize(Image.open(tmp_path / f"{number}.png"))
        room = (whole.height - 32, whole.width - 32)
        top, left = (begin(float(draws.place[number, axis]), room[axis]) for axis in (0, 1))
        part = transforms.functional.crop(whole, top, left, 32, 32)
        wanted = np.asarray(transforms.functional.hflip(part) if draws.mirrored[number] else part)
        assert np.array_equal(got[row].permute(1, 2, 0).numpy(), wanted)
    tested = transforms.Compose([transforms.Resize(36), transforms.CenterCrop(32)])
    wanted = np.asarray(tested(Image.open(tmp_path / "3.png")))
    assert np.array_equal(images.test(torch.tensor([3]), cut)[0].permute(1, 2, 0).numpy(), wanted)


def test_files_are_padded_with_zeros(tmp_path: Path) -> None:
    images = in_files(tmp_path, 1)
    corner = EpochDraws(torch.zeros(1), torch.zeros(1, 2), torch.zeros(1, dtype=torch.bool), torch.zeros(1, 2))
    got = images.training(torch.tensor([0]), corner, Transforms(32, padding=4))[0]
    whole = np.asarray(Image.open(tmp_path / "0.png"))
    assert int(got[:, :4].sum()) == int(got[:, :, :4].sum()) == 0
    assert np.array_equal(got[:, 4:, 4:].permute(1, 2, 0).numpy(), whole[:28, :28])


def test_images_smaller_than_the_crop_are_named(tmp_path: Path) -> None:
    images = in_files(tmp_path, 1)
    with pytest.raises(DataError, match=r"0\.png has 60 x 50 pixels, too few for crops of 64") as caught:
        images.training(torch.tensor([0]), draw_epoch(0, 0, 1), Transforms(64))
    assert "--crop-size 50" in caught.value.hint


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    images = FileImages(tmp_path, ["a.png"], np.zeros(1, np.int64))
    with pytest.raises(DataError, match=r"cannot read the image .*a\.png"):
        images.training(torch.tensor([0]), draw_epoch(0, 0, 1), Transforms(32))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"resize": 40}, "--resize 40 is for images in files"),
        ({"test_resize": 40}, "--test-resize 40 is for images in files"),
        ({"crop_size": 40}, "--crop-size 40 is not allowed: the images of cifar10 have 32 x 32 pixels"),
    ],
)
def test_cuts_that_images_in_memory_do_not_have(values: dict[str, int], message: str) -> None:
    recipe = make_recipe(None, {"dataset": "cifar10", "model": "resnet8", **values})
    with pytest.raises(UsageError, match=message):
        transforms_of(recipe, in_memory(side=32))


def test_images_in_files_need_a_size(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="need a crop size"):
        transforms_of(TrainRecipe(model="resnet18", dataset="imagefolder"), in_files(tmp_path, 1))
