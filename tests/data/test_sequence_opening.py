"""Clean images from which sequences are made, found by their dataset's name and their folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ppbench.copies.api import corrupt_folder
from ppbench.data.catalog import DATASETS
from ppbench.data.opening import open_source
from ppbench.data.sequence_opening import open_sequences
from ppbench.data.sequences import SequenceSource
from ppbench.data.source import Geometry
from ppbench.errors import DataError, PpbenchError, UsageError
from ppbench.vocabulary import CIFAR_P10, P10
from tests.shards import write_webdataset
from tests.trees import photographs, write_class_folders, write_published


def opened(name: str, folder: Path | None, **options: Any) -> SequenceSource:
    return open_sequences(DATASETS[name], folder, **options)


def test_class_folders_give_the_images_of_other_evaluations(tmp_path: Path) -> None:
    tree = write_class_folders(tmp_path / "val", classes=3, per_class=4)
    source = opened("imagenet-p", tree, limit=5, seed=2)
    names = open_source("imagefolder", tree, Geometry(32, None), limit=5, seed=2).ids
    assert source.ids == [name.removesuffix(".png") for name in names]
    assert (source.total, source.num_classes, source.labels.tolist()) == (12, 0, [0] * 5)
    assert not source.has_clean
    assert (source.recipe, source.size, source.dataset, source.engine) == (
        "imagenet-p", 224, "imagenet-p", "ppbench sequences 1",
    )  # fmt: skip
    assert opened("imagenet-p", tree, recipe="imagenet-p-299").size == 299


def test_images_need_no_folders_and_may_be_in_shards(tmp_path: Path) -> None:
    tree = write_class_folders(tmp_path / "val", classes=1, per_class=3)
    flat = next(tree.iterdir())
    assert opened("imagenet-p", flat).ids == ["img000", "img001", "img002"]
    write_webdataset(tree, tmp_path / "shards")
    source = opened("imagenet-p", tmp_path / "shards", limit=2)
    read = source.read(source.reading("tilt", 1), np.arange(2))
    assert all(min(array.shape[:2]) == 256 for array in read.arrays)


def test_tiny_imagenet_has_one_set_of_ids_in_all_layouts(tmp_path: Path) -> None:
    images = write_class_folders(tmp_path / "a", classes=2, per_class=2)
    nested = tmp_path / "b"
    for folder in images.iterdir():
        (nested / folder.name / "images").parent.mkdir(parents=True)
        folder.rename(nested / folder.name / "images")
    source = opened("tiny-imagenet-p", nested)
    assert source.ids[0] == "n00000000/img000"
    annotated = tmp_path / "c"
    (annotated / "images").mkdir(parents=True)
    lines = []
    for path in nested.rglob("*.png"):
        lines.append(f"{path.name}\t{path.parent.parent.name}\t0\t0\t9\t9")
        path.rename(annotated / "images" / path.name)
    (annotated / "val_annotations.txt").write_text("\n".join(lines))
    assert opened("tiny-imagenet-p", annotated).ids == source.ids
    with pytest.raises(DataError, match="contains Tiny-ImageNet"):
        opened("imagenet-p", annotated)


def test_all_forms_of_a_sequence_have_one_id(tmp_path: Path) -> None:
    tree = write_class_folders(tmp_path / "val", classes=2, per_class=2, size=16)
    clean, limited = opened("imagenet-p", tree), []
    assert clean.recipe_of_size == {224: "imagenet-p", 299: "imagenet-p-299"}
    for form, encoding in (("png", "lossless"), ("npy", "lossless"), ("mp4", "h264")):
        folder = tmp_path / form
        corrupt_folder(tree, folder, perturbations=["translate"], seed=5, format=form)
        source = opened("imagenet-p", folder)
        source.choose(["translate"])
        assert source.ids == clean.ids
        limited.append(opened("imagenet-p", folder, limit=3).ids)
        assert (source.kind, source.recipe, source.engine, source.made_seed, source.encoding) == (
            "generated", "cifar-p", "ppbench sequences 1", 5, encoding,
        )  # fmt: skip
        assert source.read(("translate", 1), np.arange(3)).arrays[2].shape == (16, 16, 16, 3)
    assert limited[0] == limited[1] == limited[2]
    (tmp_path / "mp4" / "manifest.json").unlink()
    published = opened("imagenet-p", tmp_path / "mp4")
    published.choose(["translate"])
    assert (published.kind, published.recipe, published.made_seed) == ("published", "imagenet-p", None)
    # Where two would be the same, the ids keep the endings.
    Image.new("RGB", (16, 16)).save(tree / "n00000000" / "img000.jpg")
    assert opened("imagenet-p", tree).ids[:2] == ["n00000000/img000.jpg", "n00000000/img000.png"]


def test_arrays_and_the_embedded_images(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.stack(photographs(32, 3)))
    np.save(tmp_path / "labels.npy", np.arange(3))
    source = opened("cifar10-p", tmp_path, limit=2)
    assert (source.size, source.cut, source.total, len(source.ids)) == (32, "32 px as is", 3, 2)
    embedded = opened("fashion-mnist-2k-p", None, limit=3)
    assert (embedded.size, embedded.channels) == (28, 1)
    read = embedded.read(embedded.reading("tilt", 1), np.arange(3))
    assert read.arrays[0].shape == (28, 28, 1)
    assert DATASETS["cifar10-p"].corruptions == CIFAR_P10
    assert DATASETS["imagenet-p"].corruptions == P10


@pytest.mark.parametrize(
    ("name", "kind", "options", "error", "message"),
    [
        ("imagenet-p", "none", {}, DataError, "--dataset imagenet-p needs its images"),
        ("fashion-mnist-2k-p", "folders", {}, UsageError, "fashion-mnist-2k-p takes no --data"),
        ("imagenet-p", "arrays", {}, DataError, "contains arrays, not the images of imagenet-p"),
        ("cifar10-p", "folders", {}, DataError, "contains image files, not the images of cifar10-p"),
        ("cifar10-p", "arrays", {"exif": True}, UsageError, "--exif is for clean images in files"),
        ("imagenet-p", "corrupted", {}, DataError, "contains corrupted images, and imagenet-p is made from clean ones"),
        ("cifar10-p", "small", {}, DataError, "images of 7 x 7 pixels for cifar10-p"),
        ("imagenet-p", "folders", {"recipe": "cifar-p"}, UsageError, "--recipe cifar-p is not for --dataset"),
    ],
)
def test_what_is_no_such_set_is_refused(
    tmp_path: Path, name: str, kind: str, options: dict[str, Any], error: type[PpbenchError], message: str
) -> None:
    if kind == "corrupted":
        write_published(tmp_path, ("fog",), (1,), size=16)
    elif kind == "folders":
        write_class_folders(tmp_path, size=16)
    elif kind != "none":
        np.save(tmp_path / "images.npy", np.zeros((2, *(2 * [7 if kind == "small" else 32]), 3), np.uint8))
        np.save(tmp_path / "labels.npy", np.arange(2))
    with pytest.raises(error, match=message):
        opened(name, None if kind == "none" else tmp_path, **options)
