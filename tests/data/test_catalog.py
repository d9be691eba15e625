"""Opening datasets by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.reference import corrupt_image
from ppbench.data.catalog import DATASETS, EMBEDDED, open_source
from ppbench.data.source import Geometry
from ppbench.errors import DataError, UsageError
from tests.trees import write_class_folders, write_fashion_mnist, write_published

GEOMETRY = Geometry(32, None)


def test_the_embedded_set_needs_nothing() -> None:
    source = open_source(EMBEDDED, None, GEOMETRY, limit=20)
    assert (len(source.ids), source.total, source.has_clean) == (20, 2000, True)


def test_imagenet_c_tells_corrupted_folders_from_clean_ones(tmp_path: Path) -> None:
    published = write_published(tmp_path / "c", ("fog",), (1,))
    clean = write_class_folders(tmp_path / "val")
    assert open_source("imagenet-c", published, GEOMETRY).kind == "published"
    assert open_source("imagenet-c", clean, GEOMETRY).kind == "generated"


def test_folders_of_images_and_fashion_mnist_open(tmp_path: Path) -> None:
    assert open_source("imagefolder", write_class_folders(tmp_path / "a"), GEOMETRY).num_classes == 2
    assert open_source("fashion-mnist", write_fashion_mnist(tmp_path / "b"), GEOMETRY).total == 100


def test_the_subset_of_the_embedded_slice_has_the_ids_of_the_whole_test_set() -> None:
    source = open_source(EMBEDDED, None, GEOMETRY)
    assert all(name.startswith("test/") for name in source.ids)


@pytest.mark.parametrize("name", [n for n in DATASETS if n != EMBEDDED])
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


@pytest.mark.parametrize(("size", "recipe"), [(32, "cifar-c"), (64, "tiny-imagenet-c"), (224, "imagenet-c")])
def test_without_a_recipe_the_size_decides(tmp_path: Path, size: int, recipe: str) -> None:
    root = write_class_folders(tmp_path, size=size)
    assert open_source("imagefolder", root, Geometry(size, None)).recipe == recipe


def test_the_package_is_a_backend_with_one_recipe() -> None:
    source = open_source(EMBEDDED, None, GEOMETRY, backend="imagecorruptions", limit=2)
    assert source.recipe == "imagecorruptions"
    assert source.engine.startswith("imagecorruptions-imaug ")
    expected = corrupt_image(source.load("clean", 0, PLACES)[1], "fog", 2, seed=0, image_id=source.ids[1])
    assert np.array_equal(source.load("fog", 2, PLACES)[1], expected)
    with pytest.raises(UsageError, match="--recipe cifar-c is not what --backend imagecorruptions makes"):
        open_source(EMBEDDED, None, GEOMETRY, backend="imagecorruptions", recipe="cifar-c")
    with pytest.raises(UsageError, match="unknown backend 'torch'"):
        open_source(EMBEDDED, None, GEOMETRY, backend="torch")


def test_the_engine_makes_what_the_function_makes() -> None:
    source = open_source(EMBEDDED, None, GEOMETRY, limit=2, seed=4, recipe="imagenet-c")
    clean = source.load("clean", 0, PLACES)
    expected = corrupt(clean, "fog", 2, recipe="imagenet-c", seed=4, ids=source.ids)
    assert np.array_equal(source.load("fog", 2, PLACES), expected)


PLACES = np.arange(2)
