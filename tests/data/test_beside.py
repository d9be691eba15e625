"""Published sets with clean images from another place beside them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source
from ppbench.errors import DataError, UsageError
from tests.trees import photographs, write_cifar_binary, write_cifar_c, write_imagenet_c

IMAGES = np.stack(photographs(32, 12))


def opened(root: Path, clean: Path, name: str = "cifar10-c", **options: Any) -> Source:
    return open_source(name, root, Geometry(32, None), clean=clean, **options)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_cifar_c(tmp_path / "CIFAR-10-C", ("fog",), count=12)


def test_cifar_10_c_with_the_test_images_of_cifar_10(tmp_path: Path, root: Path) -> None:
    folder = write_cifar_binary(tmp_path / "cifar-10-batches-bin" / "test_batch.bin").parent
    without, source = open_source("cifar10-c", root, Geometry(32, None)), opened(root, folder)
    assert source.has_clean
    assert not without.has_clean
    assert (source.fingerprint(), source.kind) == (without.fingerprint(), "published")
    assert source.content([("fog", 1)]) == without.content([("fog", 1)])
    assert source.content([("clean", 0), ("fog", 1)]) != source.content([("fog", 1)])
    source.check(("fog",), (1, 5))
    source.limit(np.array([1, 4, 11]))
    source = pickle.loads(pickle.dumps(source))
    assert np.array_equal(source.load("clean", 0, np.array([2, 0])).pixels, IMAGES[[11, 1]])
    fog = np.load(root / "fog.npy")
    assert np.array_equal(source.load("fog", 2, np.array([2, 0])).pixels, fog[12 + np.array([11, 1])])
    assert len(set(source.stamps(("clean", 0)))) == 3
    few = opened(root, folder, classes=["3", "5"], limit=2)
    number = int(few.ids[0].removeprefix("test/"))
    assert np.array_equal(few.load("clean", 0, np.array([0])).pixels, IMAGES[[number]])


def test_an_array_in_the_order_of_the_set(tmp_path: Path, root: Path) -> None:
    np.save(tmp_path / "clean.npy", IMAGES)
    source = opened(root, tmp_path / "clean.npy")
    assert np.array_equal(source.load("clean", 0, np.array([7])).pixels, IMAGES[[7]])
    np.save(tmp_path / "clean.npy", IMAGES[:5])
    with pytest.raises(DataError, match=r"has the shape \(5, 32, 32, 3\) of uint8"):
        opened(root, tmp_path / "clean.npy")


def test_imagenet_c_with_the_validation_images(tmp_path: Path) -> None:
    root = write_imagenet_c(tmp_path / "c", ("fog",), size=224)
    for number in range(6):
        path = tmp_path / "val" / f"n{number // 2:08d}" / f"ILSVRC2012_val_{number + 1:08d}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (300, 256), (number, 0, 0)).save(path, quality=100)
    source = opened(root, tmp_path / "val", "imagenet-c")
    assert source.load("clean", 0, np.array([3, 5])).pixels.shape == (2, 224, 224, 3)
    assert source.load("clean", 0, np.array([5])).pixels.mean((1, 2))[0, 0] == pytest.approx(5, abs=1.5)
    (tmp_path / "val" / "n00000001" / "ILSVRC2012_val_00000003.JPEG").write_bytes(b"")
    (broken,) = source.load("clean", 0, np.array([5, 2])).broken
    assert broken.place == 2
    (tmp_path / "val" / "n00000001" / "ILSVRC2012_val_00000003.JPEG").unlink()
    with pytest.raises(DataError, match=r"lacks the clean images of 1 of 6 images: n00000001/ILSVRC2012_val_00000003"):
        opened(root, tmp_path / "val", "imagenet-c")


def test_images_that_do_not_belong_together(tmp_path: Path, root: Path) -> None:
    write_cifar_binary(tmp_path / "a" / "test_batch.bin", count=11)
    with pytest.raises(DataError, match="lacks the clean images of 1 of 12 images: test/00011 first"):
        opened(root, tmp_path / "a")
    (tmp_path / "b").mkdir()
    np.save(tmp_path / "b" / "images.npy", IMAGES)
    np.save(tmp_path / "b" / "labels.npy", np.zeros(12, np.int64))
    with pytest.raises(DataError, match="have other labels than those of cifar10-c: test/00000 first"):
        opened(root, tmp_path / "b")
    np.save(tmp_path / "b" / "images.npy", IMAGES[:, :28, :28])
    with pytest.raises(DataError, match="have 28 px, those of cifar10-c 32 px"):
        opened(root, tmp_path / "b")
    with pytest.raises(DataError, match="contains a corrupted set, not clean images"):
        opened(root, root)


def test_where_clean_images_are_there_already(tmp_path: Path) -> None:
    folder = write_cifar_binary(tmp_path / "clean" / "test_batch.bin").parent
    with pytest.raises(UsageError, match="--clean is for published corrupted sets"):
        opened(folder, folder)
    with pytest.raises(UsageError, match="--clean is for published corrupted sets"):
        open_source("fashion-mnist-2k", None, Geometry(28, None), clean=folder)


def test_eval_measures_the_clean_cell(tmp_path: Path, root: Path) -> None:
    import torch

    from ppbench import Card, evaluate
    from ppbench.models.resnet import create_model

    torch.manual_seed(0)
    np.save(tmp_path / "clean.npy", IMAGES)
    run = evaluate(
        create_model("resnet8", 10), "cifar10-c", card=Card.cifar10("net"), data=root, clean=tmp_path / "clean.npy",
        corruptions="fog", severities="1", force=True,
    )  # fmt: skip
    assert [(cell.corruption, cell.severity) for cell in run.cells] == [("clean", 0), ("fog", 1)]
