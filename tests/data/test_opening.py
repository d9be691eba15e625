"""Opening datasets by name."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ppbench.data.catalog import DATASETS, EMBEDDED
from ppbench.data.decode import decode_rgb
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry
from ppbench.errors import DataError, UsageError
from tests.trees import (
    write_class_folders,
    write_fashion_mnist,
    write_published,
)  # fmt: skip

GEOMETRY = Geometry(32, None)


def test_the_embedded_set_needs_nothing() -> None:
    source = open_source(EMBEDDED, None, GEOMETRY, limit=20)
    assert (len(source.ids), source.total, source.has_clean) == (20, 2000, True)


def test_imagenet_c_tells_corrupted_folders_from_clean_ones(tmp_path: Path) -> None:
    published = write_published(tmp_path / "c", ("fog",), (1,))
    clean = write_class_folders(tmp_path / "val")
    assert open_source("imagenet-c", published, GEOMETRY).kind == "published"
    assert open_source("imagenet-c", clean, GEOMETRY).kind == "generated-jpeg85"


def test_folders_of_images_and_fashion_mnist_open(tmp_path: Path) -> None:
    assert open_source("imagefolder", write_class_folders(tmp_path / "a"), GEOMETRY).num_classes == 2
    assert open_source("fashion-mnist", write_fashion_mnist(tmp_path / "b"), GEOMETRY).total == 100


def test_the_subset_of_the_embedded_slice_has_the_ids_of_the_whole_test_set() -> None:
    source = open_source(EMBEDDED, None, GEOMETRY)
    assert all(name.startswith("test/") for name in source.ids)


@pytest.mark.parametrize("name", [name for name, dataset in DATASETS.items() if dataset.how_to_get])
def test_without_data_the_error_says_how_to_get_it(name: str) -> None:
    with pytest.raises(DataError, match=f"--dataset {name} needs its images") as caught:
        open_source(name, None, GEOMETRY)
    assert "--data" in caught.value.hint


def test_bad_names_and_limits_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown dataset 'imagenetc'") as caught:
        open_source("imagenetc", None, GEOMETRY)
    assert "did you mean 'imagenet-c'" in caught.value.hint
    with pytest.raises(UsageError, match="unknown recipe 'cifar'"):
        open_source(EMBEDDED, None, GEOMETRY, recipe="cifar")
    with pytest.raises(UsageError, match="--limit 0 is not allowed"):
        open_source(EMBEDDED, None, GEOMETRY, limit=0)


def test_the_recipe_for_299_px_has_a_cut_of_its_own(tmp_path: Path) -> None:
    source = open_source("imagenet-c", write_class_folders(tmp_path), GEOMETRY, recipe="imagenet-c-299")
    assert (source.size, source.cut, source.recipe) == (299, "crop 87.5 %, resize 299 x 299", "imagenet-c-299")


def test_tiny_imagenets_layouts_give_the_same_images(tmp_path: Path) -> None:
    plain = write_class_folders(tmp_path / "plain", size=64)
    for path in plain.rglob("*.png"):
        for copy in (tmp_path / "boxed" / path.parent.name / "images", tmp_path / "tiny-imagenet-200/val/images"):
            copy.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
        with (tmp_path / "tiny-imagenet-200/val/val_annotations.txt").open("a") as file:
            file.write(f"{path.name}\t{path.parent.name}\t0\t0\t62\t62\n")
    (tmp_path / "tiny-imagenet-200/train/n00000000").mkdir(parents=True)
    roots = [plain, tmp_path / "boxed", tmp_path / "tiny-imagenet-200/val", tmp_path / "tiny-imagenet-200"]
    first, *others = (open_source("tiny-imagenet-c", root, GEOMETRY) for root in roots)
    assert (first.size, first.cut, first.recipe) == (64, "64 px as is", "tiny-imagenet-c")
    for source in others:
        assert source.fingerprint() == first.fingerprint()
        pixels, broken = source.load("clean", 0, np.arange(6))
        assert not broken
        assert np.array_equal(pixels, first.load("clean", 0, np.arange(6)).pixels)
    with pytest.raises(DataError, match=r"contains Tiny-ImageNet, not ImageNet\n.*--dataset tiny-imagenet-c"):
        open_source("imagenet-c", roots[-1], GEOMETRY)
    with (roots[2] / "val_annotations.txt").open("w") as file:
        file.write("other.png\tn01\n")
    with pytest.raises(DataError, match=r"val_annotations\.txt does not name the class of img000\.png"):
        open_source("tiny-imagenet-c", roots[-1], GEOMETRY)


@pytest.mark.parametrize("name", ["imagenet-3dcc"])
def test_sets_that_cannot_be_made_say_so(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"contains clean images, but {name} cannot be generated from them") as caught:
        open_source(name, write_class_folders(tmp_path), GEOMETRY)
    assert "wget" in caught.value.hint


def test_cifar_c_needs_arrays(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="contains neither CIFAR's arrays nor its test images"):
        open_source("cifar10-c", write_class_folders(tmp_path), GEOMETRY)


def test_classes_come_before_the_limit(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path, classes=4, per_class=3)
    source = open_source("imagefolder", root, GEOMETRY, classes=["n00000003", "n00000001"], limit=4)
    assert source.class_names == ("n00000001", "n00000003")
    assert (source.labels.tolist(), source.total) == ([0, 0, 1, 1], 6)
    assert {name.split("/")[0] for name in source.ids} == set(source.class_names)
    pixels = source.load("clean", 0, np.arange(4)).pixels
    assert np.array_equal(pixels[3], decode_rgb(root / source.ids[3], GEOMETRY))
    with pytest.raises(UsageError, match="class 'zebra' is not in imagefolder"):
        open_source("imagefolder", root, GEOMETRY, classes=["zebra"])


def test_nothing_heavy_is_imported_to_list_and_open_data() -> None:
    code = "import sys, ppbench.data.opening; assert not {'torch', 'numba', 'cv2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
