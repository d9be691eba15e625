"""Batches: their order and augmentation follow from (seed, epoch) alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ppbench.errors import UsageError
from ppbench.train.data import ArrayBatches, crop_and_flip, load_training_data
from tests.trees import write_fashion_mnist


def numbered(count: int, side: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randint(
        1, 256, (count, 1, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return images, torch.arange(count)


def batches(**keys: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(ArrayBatches(*numbered(50), 16, 2, **keys))


def test_every_image_comes_once_an_epoch() -> None:
    served = batches(seed=1, epoch=4)
    assert [len(labels) for _, labels in served] == [16, 16, 16, 2]
    assert sorted(torch.cat([labels for _, labels in served]).tolist()) == list(range(50))
    assert len(ArrayBatches(*numbered(50), 16)) == 4


def test_order_and_augmentation_follow_from_seed_and_epoch() -> None:
    first = batches(seed=1, epoch=4)
    torch.manual_seed(123)
    assert all(
        torch.equal(a, b)
        for x, y in zip(first, batches(seed=1, epoch=4), strict=True)
        for a, b in zip(x, y, strict=True)
    )
    for other in ({"seed": 1, "epoch": 5}, {"seed": 2, "epoch": 4}):
        assert not torch.equal(first[0][1], batches(**other)[0][1])


def test_without_padding_images_come_as_they_are() -> None:
    images, labels = numbered(20)
    served = list(ArrayBatches(images, labels, 8))
    assert torch.equal(torch.cat([x for x, _ in served]), images)
    assert torch.equal(torch.cat([y for _, y in served]), labels)


@given(st.integers(0, 1000), st.integers(0, 3))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_crop_is_a_shift_with_or_without_a_mirror(seed: int, padding: int) -> None:
    images, _ = numbered(5)
    got = crop_and_flip(images, padding, torch.Generator().manual_seed(seed)).numpy()
    for before, after in zip(images.numpy(), got, strict=True):
        padded = np.pad(before, ((0, 0), (padding, padding), (padding, padding)))
        views = (padded, padded[..., ::-1])
        shifts = range(2 * padding + 1)
        assert any(np.array_equal(after, v[:, y : y + 6, x : x + 6]) for v in views for y in shifts for x in shifts)


def test_both_mirrors_and_all_shifts_are_met() -> None:
    image = torch.arange(1, 17, dtype=torch.uint8).view(1, 1, 4, 4).expand(400, -1, -1, -1)
    got = crop_and_flip(image, 1, torch.Generator().manual_seed(0))
    assert len(torch.unique(got.reshape(400, -1), dim=0)) == 2 * 9


def test_fashion_mnist_comes_with_the_facts_of_a_card(tmp_path: Path) -> None:
    data = load_training_data("fashion-mnist", write_fashion_mnist(tmp_path))
    assert data.images.shape == (300, 1, 28, 28)
    assert data.test_images.shape == (100, 1, 28, 28)
    assert (data.num_classes, len(data.class_names)) == (10, 10)


def test_an_unknown_training_dataset_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown training dataset 'fashion_mnist'") as caught:
        load_training_data("fashion_mnist", tmp_path)
    assert "did you mean 'fashion-mnist'" in caught.value.hint
