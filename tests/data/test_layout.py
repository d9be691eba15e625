"""Telling what a folder holds."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ppbench.data.layout import ArraysFound, CifarFound, FolderFound, ShardsFound, TreeFound, look
from ppbench.errors import DataError
from tests.shards import write_webdataset
from tests.trees import pack, write_cifar_binary, write_cifar_c, write_class_folders, write_imagenet_c


def test_each_form_is_told(tmp_path: Path) -> None:
    assert isinstance(look(write_imagenet_c(tmp_path / "c", ("fog",), (1,))), TreeFound)
    assert isinstance(look(write_cifar_c(tmp_path / "w" / "CIFAR-10-C", ("fog",)).parent), ArraysFound)
    assert isinstance(look(write_class_folders(tmp_path / "clean")), FolderFound)
    assert isinstance(look(write_cifar_binary(tmp_path / "b" / "test_batch.bin").parent), CifarFound)


def test_published_streams_are_no_clean_images(tmp_path: Path) -> None:
    folder = tmp_path / "baseline_20_transition+speed_1000_seed_44"
    write_webdataset(write_class_folders(tmp_path / "clean", classes=1, per_class=1), folder, shards=1)
    for root in (folder, folder / "shard-0000.tar", folder / "*.tar"):
        with pytest.raises(
            DataError, match="holds the frames of a published stream, which are corrupted already"
        ) as no:
            look(root)
        assert "`--stream ccc:medium:1000 --seed 44 --calibration FILE.csv`" in no.value.hint
    folder.rename(tmp_path / "shards")
    assert isinstance(look(tmp_path / "shards"), ShardsFound)


def test_train_and_val_folders_mean_val(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "val")
    (tmp_path / "train").mkdir()
    assert look(tmp_path) == FolderFound(tmp_path / "val", annotated=False)


def test_classes_called_like_corruptions_or_numbers_are_classes(tmp_path: Path) -> None:
    images = write_class_folders(tmp_path)
    (images / "n00000000").rename(images / "fog")
    (images / "n00000001").rename(images / "3")
    assert isinstance(look(tmp_path), FolderFound)


@pytest.mark.parametrize(
    ("name", "command"),
    [("noise.tar.gz", "gunzip noise.tar.gz"), ("c.tgz", "tar xzf c.tgz"), ("c.zip", "unzip c.zip")],
)
def test_compressed_archives_are_named(tmp_path: Path, name: str, command: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    for root in (tmp_path, tmp_path / name):
        with pytest.raises(DataError, match=f"{name} is a compressed archive") as caught:
            look(root)
        assert f"cd {tmp_path} && {command}" in caught.value.hint


def test_imagenets_validation_images_without_folders_are_named(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"ILSVRC2012_val_{number:08d}.JPEG").touch()
    with pytest.raises(DataError, match="ImageNet's 2 validation images without class folders") as caught:
        look(tmp_path)
    assert "valprep.sh" in caught.value.hint


def test_other_images_without_folders_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(DataError, match=r"1 image without class folders\n.*<class>/<image>"):
        look(tmp_path)


def test_a_part_of_a_set_is_no_set_of_clean_images(tmp_path: Path) -> None:
    root = write_imagenet_c(tmp_path / "c", ("fog",), (1,))
    with pytest.raises(DataError, match=r"fog/1 is one cell of a corrupted set") as caught:
        look(root / "fog" / "1")
    assert f"--data {root}`" in caught.value.hint
    with pytest.raises(DataError, match="fog is one corruption of a set"):
        look(root / "fog")


def test_archives_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").touch()
    tar = pack(tmp_path / "notes", tmp_path / "tars" / "val.tar")
    for root in (tar, tar.parent):
        with pytest.raises(DataError, match=r"no corrupted set and no samples in .*val\.tar"):
            look(root)
    write_class_folders(tar.parent)
    assert isinstance(look(tar.parent), FolderFound)


def test_an_array_in_place_of_its_folder_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((2, 32, 32, 3), np.uint8))
    with pytest.raises(DataError, match=r"images.npy is an array without its labels\n.*labels in labels.npy"):
        look(tmp_path / "images.npy")


def test_an_image_in_place_of_its_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    for root in (tmp_path / "a.png", tmp_path / "*.png"):
        with pytest.raises(DataError, match="names 1 image, not a folder") as caught:
            look(root)
        assert f"--data {tmp_path}" in caught.value.hint


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*nowhere: No such file"):
        look(tmp_path / "nowhere")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_folders_that_may_not_be_read_are_passed_over(tmp_path: Path) -> None:
    write_imagenet_c(tmp_path, ("fog",), (1,))
    (tmp_path / "lost+found").mkdir(mode=0)
    assert isinstance(look(tmp_path), TreeFound)


@pytest.mark.parametrize(
    ("folders", "wanted"),
    [(("train", "test"), "test"), (("training", "validation"), "validation"), (("train", "val", "meta"), "val"),
     (("Train", "Test"), "Test"), (("test",), "test"), (("train",), "train")],
)  # fmt: skip
def test_folders_of_whole_sets_are_no_classes(tmp_path: Path, folders: tuple[str, ...], wanted: str) -> None:
    for name in folders:
        write_class_folders(tmp_path / name, per_class=1)
    with pytest.raises(DataError, match="whole sets of images, not classes") as caught:
        look(tmp_path)
    assert f"`--data {tmp_path / wanted}`" in caught.value.hint


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    classes = write_class_folders(tmp_path)
    (classes / "n00000000").rename(classes / "train")
    assert isinstance(look(tmp_path), FolderFound)


def test_pipes_devices_and_the_systems_folders_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "noise.tar")
    for path in (tmp_path / "noise.tar", Path("/dev/zero")):
        with pytest.raises(DataError, match="is a pipe or a device"):
            look(path)
    if Path("/proc/self").exists():
        with pytest.raises(DataError, match="is a system folder"):
            look(Path("/proc"))
    write_class_folders(tmp_path)
    assert look(tmp_path) == FolderFound(tmp_path, annotated=False)
