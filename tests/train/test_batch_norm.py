"""The images that batch-norm statistics are estimated from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ppbench.errors import DataError, UsageError
from ppbench.models.card import Card
from ppbench.train.batch_norm import StatisticsImages
from tests.trees import write_class_folders, write_fashion_mnist

CPU = torch.device("cpu")


def card_of(channels: int = 1, size: int = 28) -> Card:
    return Card(
        architecture="resnet8",
        num_classes=10,
        in_channels=channels,
        input_size=size,
        mean=(0.25,) * channels,
        std=(0.5,) * channels,
    )


def pixels(images: StatisticsImages) -> torch.Tensor:
    return torch.cat(list(images.batches(CPU)))


def test_whole_batches_the_same_each_time_and_others_for_another_seed(tmp_path: Path) -> None:
    data = write_fashion_mnist(tmp_path)
    first = StatisticsImages("fashion-mnist", data, card_of(), 200)
    assert len(first) == 192
    assert pixels(first).shape == (192, 1, 28, 28)
    assert torch.equal(pixels(first), pixels(StatisticsImages("fashion-mnist", data, card_of(), 200)))
    assert not torch.equal(pixels(first), pixels(StatisticsImages("fashion-mnist", data, card_of(), 200, seed=1)))
    assert len(StatisticsImages("fashion-mnist", data, card_of(), 10**6)) == 256  # of 300


def test_they_are_normalised_and_grey_becomes_colour(tmp_path: Path) -> None:
    data = write_fashion_mnist(tmp_path)
    grey = pixels(StatisticsImages("fashion-mnist", data, card_of(), 20))
    raw = (grey * 0.5 + 0.25) * 255
    torch.testing.assert_close(raw, raw.round(), rtol=0, atol=1e-3)
    assert raw.max() > 200
    colour = pixels(StatisticsImages("fashion-mnist", data, card_of(3), 20))
    torch.testing.assert_close(colour, grey.expand(-1, 3, -1, -1))


def test_images_that_do_not_fit_the_network_are_refused(tmp_path: Path) -> None:
    data = write_fashion_mnist(tmp_path / "data")
    with pytest.raises(DataError, match="have 1 x 28 x 28 values, but the network takes 1 x 32 x 32"):
        StatisticsImages("fashion-mnist", data, card_of(size=32), 20)
    with pytest.raises(DataError, match="the network takes grey ones"):
        StatisticsImages("imagefolder", write_class_folders(tmp_path / "images"), card_of(), 20)
    with pytest.raises(UsageError, match="--images 1 is not allowed"):
        StatisticsImages("fashion-mnist", data, card_of(), 1)
