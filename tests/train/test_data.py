"""Training sets: what is found in folders, which classes and shares are taken, and what cannot be trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ppbench.errors import DataError, UsageError
from ppbench.train.data import TrainingData, load_training_data, read_class_names
from ppbench.train.images import MemoryImages
from ppbench.train.recipe import make_recipe
from tests.train.trees import write_cifar, write_image_folders
from tests.trees import write_class_folders, write_fashion_mnist


def load(folder: Path, dataset: str, classes: list[str] | None = None, **values: Any) -> TrainingData:
    return load_training_data(make_recipe(None, {"dataset": dataset, "model": "resnet8", **values}), folder, classes)


def test_fashion_mnist_comes_with_the_facts_of_a_card(tmp_path: Path) -> None:
    data = load(write_fashion_mnist(tmp_path), "fashion-mnist")
    assert isinstance(data.train, MemoryImages)
    assert isinstance(data.test, MemoryImages)
    assert data.train.pixels.shape == (300, 1, 28, 28)
    assert data.test.pixels.shape == (100, 1, 28, 28)
    assert (data.channels, len(data.class_names)) == (1, 10)


@pytest.mark.parametrize("classes", [10, 100])
def test_cifar_is_the_same_in_both_forms(tmp_path: Path, classes: int) -> None:
    count = 60 if classes == 10 else 200
    one, other = (
        load(write_cifar(tmp_path / str(binary), classes, count, binary=binary), f"cifar{classes}")
        for binary in (False, True)
    )
    assert isinstance(one.train, MemoryImages)
    assert isinstance(other.train, MemoryImages)
    assert one.train.pixels.shape == (5 * count if classes == 10 else count, 3, 32, 32)
    assert torch.equal(one.train.pixels, other.train.pixels)
    assert np.array_equal(one.train.labels, other.train.labels)
    assert len(set(one.train.labels.tolist())) == len(one.class_names) == classes
    assert one.fingerprint() == other.fingerprint()


def test_a_missing_batch_of_cifar_is_told(tmp_path: Path) -> None:
    root = write_cifar(tmp_path)
    (root / "cifar-10-batches-py" / "data_batch_3").unlink()
    with pytest.raises(
        DataError, match=r"no training images of CIFAR-10 .*/cifar-10-batches-py lacks data_batch_3\n"
    ) as caught:
        load(root, "cifar10")
    assert "cifar-10-python.tar.gz" in caught.value.hint
    with pytest.raises(DataError, match=r"neither cifar-100-binary/train\.bin nor cifar-100-python/train"):
        load(root, "cifar100")


def test_a_damaged_batch_of_cifar_is_told(tmp_path: Path) -> None:
    path = write_cifar(tmp_path) / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="data_batch_3 is not a CIFAR file, or is damaged"):
        load(tmp_path, "cifar10")


def test_folders_are_labelled_by_their_names(tmp_path: Path) -> None:
    data = load(write_image_folders(tmp_path, train=5, val=2), "imagefolder")
    assert data.class_names == ("n00000000", "n00000001", "n00000002")
    assert (len(data.train.ids), len(data.test.ids)) == (15, 6)
    assert all(data.class_names[label] in name for name, label in zip(data.train.ids, data.train.labels, strict=True))


def test_what_is_not_read_is_counted_by_its_ending(tmp_path: Path) -> None:
    root = write_image_folders(tmp_path)
    first = sorted((root / "train").iterdir())[0]
    for name in ("a.jxl", "b.jxl", "c.gif"):
        (first / name).write_bytes(b"x")
    notes = "\n".join(load(root, "imagefolder").notes)
    assert "2 .jxl, 1 .gif" in notes
    assert load(write_fashion_mnist(tmp_path / "mnist"), "fashion-mnist").notes == ()


def test_one_folder_is_split_by_class(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path, classes=2, per_class=10)
    data = load(root, "imagefolder", val_fraction=0.2)
    assert np.bincount(data.train.labels).tolist() == [8, 8]
    assert np.bincount(data.test.labels).tolist() == [2, 2]
    assert not set(data.train.ids) & set(data.test.ids)
    assert load(root, "imagefolder", val_fraction=0.2).train.ids == data.train.ids
    assert load(root, "imagefolder", val_fraction=0.2, seed=1).train.ids != data.train.ids


def test_a_fraction_has_the_same_share_of_every_class(tmp_path: Path) -> None:
    root = write_image_folders(tmp_path, train=10)
    whole, fifth = load(root, "imagefolder"), load(root, "imagefolder", fraction=0.2)
    assert np.bincount(fifth.train.labels).tolist() == [2, 2, 2]
    assert len(fifth.test.ids) == len(whole.test.ids)
    assert set(fifth.train.ids) < set(whole.train.ids)
    assert fifth.fingerprint() != whole.fingerprint()


@pytest.mark.parametrize(("fraction", "missing"), [(1e-9, 2), (0.06, 1)])
def test_a_fraction_that_leaves_a_class_without_images_is_refused(
    tmp_path: Path, fraction: float, missing: int
) -> None:
    root = write_image_folders(tmp_path, train=10)
    with pytest.raises(UsageError, match=rf"--fraction {fraction:g} is not allowed: {missing} of 3 classes have no"):
        load(root, "imagefolder", fraction=fraction)


def test_chosen_classes_are_numbered_anew(tmp_path: Path) -> None:
    root = write_image_folders(tmp_path, train=3, val=1)
    (tmp_path / "two.txt").write_text("# mine\nn00000002 rocket\n\nn00000000  # astronaut\n")
    names = read_class_names(tmp_path / "two.txt")
    assert names == ["n00000002 rocket", "n00000000"]
    data = load(root, "imagefolder", names)
    assert data.class_names == ("n00000000", "n00000002")
    assert data.train.labels.tolist() == [0] * 3 + [1] * 3
    assert all("n00000002" in name for name in data.train.ids[3:])


def test_names_of_classes_may_have_spaces(tmp_path: Path) -> None:
    root = write_image_folders(tmp_path / "data", train=2, val=1, names=("dog", "dog house", "ice cream"))
    (tmp_path / "two.txt").write_text("dog house\n  ice cream # cold\n")
    assert load(root, "imagefolder", read_class_names(tmp_path / "two.txt")).class_names == ("dog house", "ice cream")
    (tmp_path / "two.txt").write_text("dog breeds\nice cream\n")
    assert load(root, "imagefolder", read_class_names(tmp_path / "two.txt")).class_names == ("dog", "ice cream")
    fashion = write_fashion_mnist(tmp_path / "fashion")
    assert load(fashion, "fashion-mnist", ["Ankle boot", "Bag"]).class_names == ("Bag", "Ankle boot")


def test_an_unknown_class_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"class 'cat' is not in imagefolder \(nor are 1 others\)"):
        load(write_image_folders(tmp_path, train=2, val=1), "imagefolder", ["dog", "cat"])


def test_files_of_classes_that_say_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read_class_names(tmp_path / "none.txt")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(DataError, match="names no class"):
        read_class_names(tmp_path / "empty.txt")


def test_images_without_labels_are_told(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="have no labels: they are not in class folders") as caught:
        load(tmp_path, "imagefolder")
    assert "train/<class>/<image>" in caught.value.hint


def test_unlabelled_validation_images_are_told(tmp_path: Path) -> None:
    root = write_image_folders(tmp_path, train=2, val=0)
    for folder in (root / "val").iterdir():
        folder.rmdir()
    Image.new("RGB", (40, 40)).save(root / "val" / "ILSVRC2012_val_00000001.png")
    with pytest.raises(DataError, match="have no labels") as caught:
        load(root, "imagenet")
    assert "valprep.sh" in caught.value.hint


def test_one_class_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has only one class"):
        load(write_image_folders(tmp_path, classes=1), "imagefolder")
    with pytest.raises(DataError, match="has only one class"):
        load(write_fashion_mnist(tmp_path / "f"), "fashion-mnist", ["Coat"])


def test_splits_with_other_classes_are_told(tmp_path: Path) -> None:
    root = write_image_folders(tmp_path, train=2, val=1)
    (root / "val" / "n00000001").rename(root / "val" / "n99999999")
    with pytest.raises(DataError, match="n00000001 is in train but not in val"):
        load(root, "imagefolder")


def test_an_empty_class_folder_is_told(tmp_path: Path) -> None:
    root = write_image_folders(tmp_path, train=2, val=1)
    (root / "train" / "n5").mkdir()
    with pytest.raises(DataError, match="n5 has no images"):
        load(root, "imagefolder")


def test_a_folder_without_a_split_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folders train and val") as caught:
        load(write_class_folders(tmp_path), "imagefolder")
    assert "--val-fraction 0.1" in caught.value.hint


def test_a_split_of_what_is_split_is_refused(tmp_path: Path) -> None:
    for dataset, root in (
        ("imagefolder", write_image_folders(tmp_path / "a", train=2, val=1)),
        ("fashion-mnist", write_fashion_mnist(tmp_path / "b")),
    ):
        with pytest.raises(UsageError, match=r"--val-fraction 0\.5 does not apply to"):
            load(root, dataset, val_fraction=0.5)


def test_an_unknown_training_dataset_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown training dataset 'fashion_mnist'") as caught:
        load(tmp_path, "fashion_mnist")
    assert "did you mean 'fashion-mnist'" in caught.value.hint
