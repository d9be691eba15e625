"""Batches: shares of processes, views, and errors that come instead of a batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from ppbench.errors import DataError
from ppbench.train.batches import Share, TrainingBatches, ValidationBatches, steps_per_epoch
from ppbench.train.images import FileImages, MemoryImages, Transforms
from ppbench.train.recipe import TrainRecipe
from tests.trees import photographs

CUT = Transforms(28, 2)


def recipe(**values: object) -> TrainRecipe:
    return TrainRecipe(model="resnet8", dataset="cifar10", **{"batch_size": 8, **values})  # type: ignore[arg-type]


def numbered(count: int) -> MemoryImages:
    pixels = torch.from_numpy(np.stack(photographs(28, count)).transpose(0, 3, 1, 2).copy())
    return MemoryImages(pixels, np.arange(count))


def all_of(batches: TrainingBatches) -> tuple[torch.Tensor, torch.Tensor]:
    served = [batch for batch in batches if isinstance(batch, tuple)]
    return torch.cat([images for images, _ in served]), torch.cat([labels for _, labels in served])


def test_every_image_comes_once_an_epoch() -> None:
    batches = TrainingBatches(numbered(50), CUT, recipe(batch_size=16))
    assert [len(batch[1]) for batch in batches] == [16, 16, 16, 2]  # type: ignore[index]
    assert sorted(all_of(batches)[1].tolist()) == list(range(50))
    assert len(batches) == 4


@given(st.integers(1, 40), st.integers(1, 3), st.integers(1, 4))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_processes_share_every_batch_evenly(count: int, per_process: int, processes: int) -> None:
    one, batch_size = numbered(40).subset(np.arange(count)), per_process * processes
    wanted = recipe(batch_size=batch_size)
    shares = [list(TrainingBatches(one, CUT, wanted, 3, Share(rank, processes))) for rank in range(processes)]
    whole = list(TrainingBatches(one, CUT, wanted, 3))
    assert {len(share) for share in shares} == {steps_per_epoch(count, batch_size, processes)}
    for step, parts in enumerate(zip(*shares, strict=True)):
        labels = [labels.tolist() for _, labels in parts]  # type: ignore[misc]
        assert len({len(part) for part in labels}) == 1
        together, alone = sorted(label for part in labels for label in part), whole[step][1].tolist()  # type: ignore[index]
        assert together == sorted(alone[: len(together)])
        assert len(alone) - len(together) < processes


@pytest.mark.parametrize("augment", ["none", "trivialaugment", "augmix"])
def test_workers_and_processes_change_no_pixel(augment: str) -> None:
    wanted = recipe(augment=augment, seed=5)
    images = numbered(24)
    alone = TrainingBatches(images, CUT, wanted, epoch=2)
    by_label = dict(zip(all_of(alone)[1].tolist(), all_of(alone)[0], strict=True))
    loader = DataLoader(alone, batch_size=None, num_workers=2)  # type: ignore[type-var]
    for got, expected in zip(loader, alone, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))  # type: ignore[arg-type]
    for rank in range(2):
        pixels, labels = all_of(TrainingBatches(images, CUT, wanted, 2, Share(rank, 2)))
        assert all(torch.equal(x, by_label[label]) for x, label in zip(pixels, labels.tolist(), strict=True))


def test_augmentation_follows_from_seed_and_epoch() -> None:
    images = numbered(8)
    pixels = [
        all_of(TrainingBatches(images, CUT, recipe(augment="trivialaugment", seed=seed), epoch))[0]
        for seed, epoch in ((0, 0), (0, 0), (1, 0), (0, 1))
    ]
    assert torch.equal(pixels[0], pixels[1])
    assert not torch.equal(pixels[0], pixels[2])
    assert not torch.equal(pixels[0], pixels[3])


def test_with_the_jensen_shannon_loss_a_clean_view_comes_before_two_others() -> None:
    images = numbered(8)
    plain, _ = all_of(TrainingBatches(images, CUT, recipe()))
    views, labels = all_of(TrainingBatches(images, CUT, recipe(augment="augmix", jsd=True)))
    clean, first, second = views.chunk(3)
    assert len(labels) == 8
    assert torch.equal(clean, plain)
    assert not torch.equal(first, clean)
    assert not torch.equal(first, second)


def test_augmentation_of_batches_is_left_to_the_device() -> None:
    images = numbered(8)
    plain, prime = (all_of(TrainingBatches(images, CUT, recipe(augment=name)))[0] for name in ("none", "prime"))
    assert torch.equal(plain, prime)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_read_comes_as_an_error(tmp_path: Path, workers: int) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    images = FileImages(tmp_path, ["a.png"], np.zeros(1, np.int64))
    for batches in (TrainingBatches(images, CUT, recipe()), ValidationBatches(images, CUT, 4)):
        (error,) = DataLoader(batches, batch_size=None, num_workers=workers)  # type: ignore[type-var]
        assert isinstance(error, DataError)
        assert "a.png" in error.message
        assert "Traceback" not in str(error)
        assert error.hint


def test_test_images_come_in_their_order() -> None:
    images = numbered(20)
    served = list(ValidationBatches(images, Transforms(28), 8))
    assert torch.equal(torch.cat([x for x, _ in served]), images.pixels)  # type: ignore[misc]
    assert torch.cat([y for _, y in served]).tolist() == list(range(20))  # type: ignore[misc]
