"""Fashion-MNIST files, whole and damaged."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from ppbench.data.arrays import embedded_images, fashion_mnist_images
from ppbench.data.fashion_mnist import read_fashion_mnist
from ppbench.errors import DataError
from tests.trees import write_fashion_mnist


def test_both_splits_are_read(tmp_path: Path) -> None:
    folder = write_fashion_mnist(tmp_path, train=30, test=20)
    train, test = read_fashion_mnist(folder, "train"), read_fashion_mnist(folder, "test")
    embedded = embedded_images()
    assert np.array_equal(train.images, embedded.images[:30])
    assert np.array_equal(test.images, embedded.images[30:50])
    assert np.array_equal(test.labels, embedded.labels[30:50])


def test_torchvision_layout_and_unzipped_files(tmp_path: Path) -> None:
    folder = write_fashion_mnist(tmp_path / "FashionMNIST" / "raw", train=5, test=5)
    for path in list(folder.iterdir()):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert len(fashion_mnist_images(tmp_path).ids) == 5


def test_missing_files_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no Fashion-MNIST in .*t10k-images-idx3-ubyte\[\.gz\] is missing") as caught:
        fashion_mnist_images(tmp_path)
    assert "apt-get install dataset-fashion-mnist" in caught.value.hint
    assert "download=True" in caught.value.hint


@pytest.mark.parametrize("cut", [0, 3, 200])
def test_a_truncated_file_is_named(tmp_path: Path, cut: int) -> None:
    path = write_fashion_mnist(tmp_path, 5, 5) / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz is damaged"):
        fashion_mnist_images(tmp_path)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    folder, other = write_fashion_mnist(tmp_path / "a", 5, 5), write_fashion_mnist(tmp_path / "b", 5, 6)
    labels = "t10k-labels-idx1-ubyte.gz"
    (folder / labels).write_bytes((other / labels).read_bytes())
    with pytest.raises(DataError, match="do not belong together"):
        fashion_mnist_images(folder)
