"""Corruptions as a step of a pipeline give the pixels of `corrupt`, whatever is around them."""

from __future__ import annotations

import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

import ppbench
from ppbench import Corruption
from ppbench.errors import DataError, UsageError
from tests.trees import photographs

PHOTOS = np.stack(photographs(32, 6))
FOG, NOISE = Corruption("fog", 3), Corruption("gaussian_noise", 2)
EXPECTED = ppbench.corrupt(PHOTOS, "gaussian_noise", 2)


def tensors(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).permute(0, 3, 1, 2).contiguous()


def test_each_kind_comes_back_as_it_was_given() -> None:
    photo, expected = PHOTOS[0], EXPECTED[0]
    made = NOISE(Image.fromarray(photo))
    assert isinstance(made, Image.Image)
    assert np.array_equal(np.asarray(made), expected)
    assert np.array_equal(NOISE(photo), expected)
    assert np.array_equal(NOISE(PHOTOS), EXPECTED)
    one, batch = NOISE(tensors(PHOTOS)[0]), NOISE(tensors(PHOTOS))
    assert type(one) is torch.Tensor
    assert torch.equal(one, tensors(EXPECTED)[0])
    assert torch.equal(batch, tensors(EXPECTED))
    assert batch.is_contiguous()
    image = NOISE(tv_tensors.Image(tensors(PHOTOS)))
    assert type(image) is tv_tensors.Image
    assert torch.equal(image, tensors(EXPECTED))
    several = NOISE([Image.fromarray(photo), Image.fromarray(PHOTOS[1][:24])])
    assert [np.asarray(one).shape for one in several] == [(32, 32, 3), (24, 32, 3)]
    assert np.array_equal(np.asarray(several[0]), expected)


def test_grey_images_of_each_kind() -> None:
    grey = PHOTOS[0, ..., 0].copy()
    expected = ppbench.corrupt(grey, "fog", 3)
    assert np.array_equal(FOG(grey), expected)
    assert np.array_equal(FOG(grey[None, ..., None]), expected[None, ..., None])
    assert torch.equal(FOG(torch.from_numpy(grey)[None]), torch.from_numpy(expected)[None])
    made = FOG(Image.fromarray(grey))
    assert made.mode == "L"
    assert np.array_equal(np.asarray(made), expected)


def test_alpha_stays_and_other_modes_become_rgb() -> None:
    alpha = np.arange(32 * 32, dtype=np.uint32).astype(np.uint8).reshape(32, 32, 1)
    with_alpha = np.concatenate([PHOTOS[0], alpha], axis=2)
    made = np.asarray(NOISE(Image.fromarray(with_alpha)))
    assert np.array_equal(made[..., 3:], alpha)
    assert not np.array_equal(made[..., :3], PHOTOS[0])
    assert np.array_equal(NOISE(with_alpha), made)
    # Another alpha makes another image, whose noise is its own.
    assert not np.array_equal(NOISE(np.concatenate([PHOTOS[0], 255 - alpha], axis=2))[..., :3], made[..., :3])
    palette = Image.fromarray(PHOTOS[0]).quantize(16)
    made = FOG(palette)
    assert made.mode == "RGB"
    assert np.array_equal(np.asarray(made), ppbench.corrupt(np.asarray(palette.convert("RGB")), "fog", 3))


def test_what_a_photograph_says_of_itself_stays() -> None:
    photo = Image.fromarray(PHOTOS[0])
    exif = photo.getexif()
    exif[0x0112] = 6
    photo.info["exif"] = exif.tobytes()
    assert FOG(photo).getexif()[0x0112] == 6
    assert FOG(photo).size == photo.size


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(3, 32, 32), "images of type torch.float32"),
        (np.zeros((32, 32, 3)), "images of type float64"),
        (torch.zeros(5, 32, 32, dtype=torch.uint8), "a tensor of shape (5, 32, 32)"),
        (torch.zeros(32, 32, dtype=torch.uint8), "a tensor of shape (32, 32)"),
        (np.zeros((2, 32, 32, 5), np.uint8), "an array of shape (2, 32, 32, 5)"),
        (np.zeros((4, 4, 3), np.uint8), "images of 4 x 4 pixels"),
        ("photo.jpg", "an object of class str is no image"),
        (torch.empty(3, 32, 32, dtype=torch.uint8, device="meta"), "a tensor without data is no image"),
        (torch.ones(3, 32, 32, dtype=torch.uint8).to_sparse(), "a tensor with a sparse layout is no image"),
        ((1, "a"), "no image among 2 values (int, str)"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(images: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        FOG(images)
    assert caught.value.message == message
    if "type" in message:
        assert "v2.ToDtype" in caught.value.hint


def test_images_of_more_bits_are_refused() -> None:
    with pytest.raises(DataError, match="16 bits per channel"):
        FOG(Image.fromarray(np.zeros((32, 32), np.uint16)))
    with pytest.raises(DataError, match="colour space LAB"):
        FOG(Image.new("LAB", (32, 32)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Corruption("fgo", 3),
        lambda: Corruption("fog", 6),
        lambda: Corruption("fog", 3, recipe="cifar"),
        lambda: Corruption("fog", 3, recipe=5),  # type: ignore[arg-type]
        lambda: Corruption.random([5]),  # type: ignore[list-item]
        lambda: Corruption("fog", 3, seed=0.5),  # type: ignore[arg-type]
        lambda: Corruption("fog", 3, scale=0.5),
        lambda: Corruption.random([]),
        lambda: Corruption.random("c16"),
        lambda: Corruption.random("c15", 7),
    ],
)
def test_a_mistake_is_found_when_it_is_made(make: Any) -> None:
    with pytest.raises(UsageError):
        make()


def test_options_are_those_of_corrupt() -> None:
    made = Corruption("snow", 3, recipe="imagecorruptions", seed=5, scale=2)(PHOTOS)
    assert np.array_equal(made, ppbench.corrupt(PHOTOS, "snow", 3, recipe="imagecorruptions", seed=5, scale=2))
    transform = Corruption("gaussian_noise", 2)
    transform.seed = 7  # as for an epoch
    assert np.array_equal(transform(PHOTOS), ppbench.corrupt(PHOTOS, "gaussian_noise", 2, seed=7))
    assert not np.array_equal(transform(PHOTOS), EXPECTED)


def test_it_is_small_in_words_and_in_a_pickle() -> None:
    assert repr(FOG) == "Corruption('fog', 3)"
    assert repr(Corruption("fog", 3, seed=2, recipe="cifar-c", scale="auto")) == (
        "Corruption('fog', 3, recipe='cifar-c', seed=2, scale='auto')"
    )
    several = Corruption.random("c15", "1-3", seed=1)
    assert repr(several) == "Corruption.random('c15', '1-3', seed=1)"
    for transform in (FOG, several):
        assert len(pickle.dumps(transform)) < 2000
        assert np.array_equal(pickle.loads(pickle.dumps(transform))(PHOTOS), transform(PHOTOS))


def test_no_two_images_share_a_noise_and_equal_ones_do() -> None:
    flat = np.full((3, 32, 32, 3), 128, np.uint8)
    flat[1, 0, 0, 0] += 1
    noise = NOISE(flat).astype(int) - flat
    assert np.array_equal(noise[0], noise[2])
    assert np.mean(noise[0] == noise[1]) < 0.2


def test_nothing_global_is_read_or_changed() -> None:
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    before, numbers = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = Corruption.random("noise", "1-5")(PHOTOS)
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(numbers, np.random.get_state()[1])  # noqa: NPY002
    torch.manual_seed(4)
    assert np.array_equal(first, Corruption.random("noise", "1-5")(PHOTOS))


def test_random_chooses_by_content_and_seed() -> None:
    transform = Corruption.random(["brightness", "contrast", "clean"], ["1", "5"])
    whole = transform(PHOTOS)
    assert np.array_equal(transform(PHOTOS[::-1].copy()), whole[::-1])
    assert np.array_equal(np.stack([transform(photo) for photo in PHOTOS]), whole)
    cells = [("brightness", 1), ("brightness", 5), ("contrast", 1), ("contrast", 5), ("clean", 0)]
    made = {cell: PHOTOS if cell[1] == 0 else ppbench.corrupt(PHOTOS, *cell) for cell in cells}
    chosen = [next(cell for cell in cells if np.array_equal(made[cell][i], whole[i])) for i in range(len(PHOTOS))]
    assert len(set(chosen)) > 1
    rng = np.random.default_rng(0)
    many = rng.integers(0, 256, (300, 8, 8, 3), np.uint8)
    unchanged = (Corruption.random(["brightness", "clean"], 5)(many) == many).all(axis=(1, 2, 3)).mean()
    assert 0.35 < unchanged < 0.65
    again = (Corruption.random(["brightness", "clean"], 5, seed=1)(many) == many).all(axis=(1, 2, 3)).mean()
    assert 0.35 < again < 0.65


class Sample(NamedTuple):
    image: Any
    label: int


def test_samples_keep_their_labels_boxes_and_masks() -> None:
    image, label = NOISE(Image.fromarray(PHOTOS[0]), 4)
    assert label == 4
    assert np.array_equal(np.asarray(image), EXPECTED[0])
    mask = tv_tensors.Mask(torch.zeros(1, 32, 32, dtype=torch.uint8))
    sample = (mask, tv_tensors.Image(tensors(PHOTOS)[0]), torch.tensor(3))
    made = NOISE(sample)
    assert made[0] is mask
    assert torch.equal(made[1], tensors(EXPECTED)[0])
    first, second = NOISE(tensors(PHOTOS)[0], torch.zeros(1, 32, 32, dtype=torch.uint8))
    assert torch.equal(first, tensors(EXPECTED)[0])
    assert not second.any()
    named = NOISE(Sample(PHOTOS[0], 1))
    assert isinstance(named, Sample)
    assert np.array_equal(named.image, EXPECTED[0])


def test_in_a_composition_of_torchvision() -> None:
    pipeline = v2.Compose([v2.ToImage(), NOISE, v2.ToDtype(torch.float32, scale=True)])
    made, label = pipeline(Image.fromarray(PHOTOS[0]), 2)
    assert label == 2
    assert type(made) is tv_tensors.Image
    assert torch.equal((made * 255).round().to(torch.uint8), tensors(EXPECTED)[0])
    assert "Corruption('gaussian_noise', 2)" in repr(pipeline)
    alone = v2.Compose([NOISE, v2.PILToTensor()])
    assert torch.equal(alone(Image.fromarray(PHOTOS[0])), tensors(EXPECTED)[0])


class Photographs(Dataset):  # type: ignore[type-arg]
    def __init__(self, transform: Corruption) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return len(PHOTOS)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, int]:
        return v2.functional.pil_to_tensor(self.transform(Image.fromarray(PHOTOS[place]))), place


@pytest.mark.parametrize(("workers", "batch"), [(0, 4), (4, 1), (4, 5)])
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_in_the_workers_of_a_loader(workers: int, batch: int) -> None:
    NOISE(PHOTOS)  # kernels are in use here before other processes are forked
    context = "fork" if workers else None
    loader = DataLoader(Photographs(NOISE), batch, num_workers=workers, multiprocessing_context=context)
    images, places = zip(*loader, strict=True)
    assert torch.cat(places).tolist() == list(range(len(PHOTOS)))
    assert torch.equal(torch.cat(images), tensors(EXPECTED))


@pytest.mark.usefixtures("_workers_of_one_server")
def test_in_a_worker_that_is_spawned() -> None:
    # Batches are lists of arrays here, so that the worker loads nothing but the transform.
    loader = DataLoader(list(PHOTOS), 4, collate_fn=NOISE, num_workers=1, multiprocessing_context="spawn")  # type: ignore[arg-type]
    assert np.array_equal(np.stack([image for batch in loader for image in batch]), EXPECTED)
