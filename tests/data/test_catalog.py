"""Opening datasets by name."""

from __future__ import annotations

import io
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.backends import BACKENDS
from ppbench.corruptions.reference import corrupt_image
from ppbench.data.catalog import DATASETS, EMBEDDED, default_corruptions, open_source
from ppbench.data.decode import decode_rgb
from ppbench.data.source import Geometry
from ppbench.errors import DataError, UsageError
from ppbench.vocabulary import C15, C19, C_3D, C_BAR
from tests.trees import (
    write_3dcc,
    write_c_bar,
    write_class_folders,
    write_fashion_mnist,
    write_imagenet_c,
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
    clean = source.load("clean", 0, PLACES).pixels
    expected = corrupt_image(clean[1], "fog", 2, seed=0, image_id=source.ids[1])
    assert np.array_equal(source.load("fog", 2, PLACES).pixels[1], expected)
    with pytest.raises(UsageError, match="--recipe cifar-c is not what --backend imagecorruptions makes"):
        open_source(EMBEDDED, None, GEOMETRY, backend="imagecorruptions", recipe="cifar-c")
    with pytest.raises(UsageError, match="unknown backend 'torch'"):
        open_source(EMBEDDED, None, GEOMETRY, backend="torch")


def test_the_engine_makes_what_the_function_makes() -> None:
    source = open_source(EMBEDDED, None, GEOMETRY, limit=2, seed=4, recipe="imagenet-c")
    clean = source.load("clean", 0, PLACES).pixels
    expected = corrupt(clean, "fog", 2, recipe="imagenet-c", seed=4, ids=source.ids)
    assert np.array_equal(source.load("fog", 2, PLACES).pixels, expected)
    assert np.array_equal(source.corrupt(clean[::-1], "fog", 2, PLACES[::-1]), expected[::-1])


def test_what_is_known_of_images_made_on_the_fly() -> None:
    engine, package = (open_source(EMBEDDED, None, GEOMETRY, backend=name) for name in BACKENDS)
    assert (engine.kind, engine.image_major, engine.is_slow, engine.has_clean) == ("generated", True, False, True)
    assert (package.kind, package.image_major, package.is_slow) == ("generated", False, True)
    assert (engine.corruptions, engine.cut, engine.mean_bytes()) == (C19, "28 px as is", 0)
    assert len(engine.stamps(("fog", 1))) == 2000


def test_the_packages_source_keeps_the_last_images_for_the_next_cell(tmp_path: Path) -> None:
    source = open_source("imagefolder", write_class_folders(tmp_path), GEOMETRY, backend="imagecorruptions")
    first = source.load("brightness", 1, np.array([0, 3])).pixels
    for path in tmp_path.rglob("*.png"):
        path.unlink()
    assert not source.load("brightness", 2, np.array([0, 3])).broken
    assert np.array_equal(source.load("brightness", 1, np.array([0, 3])).pixels, first)
    assert len(source.load("brightness", 2, np.array([0, 2])).broken) == 2
    assert len(pickle.loads(pickle.dumps(source)).load("brightness", 2, np.array([0, 2])).broken) == 2


@pytest.mark.parametrize("backend", list(BACKENDS))
def test_broken_images_stay_black_in_every_cell(tmp_path: Path, backend: str) -> None:
    source = open_source("imagefolder", write_class_folders(tmp_path), GEOMETRY, backend=backend)
    source.limit(np.array([1, 2, 4]))
    (tmp_path / source.ids[1]).write_bytes(b"")
    for corruption, severity in (("clean", 0), ("brightness", 3)):
        pixels, broken = source.load(corruption, severity, np.array([2, 1]))
        assert [one.place for one in broken] == [1]
        assert not pixels[1].any()
        assert pixels[0].any()


def test_images_of_imagenet_c_are_cut_and_saved_as_the_published_ones(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path, size=100)
    source = open_source("imagenet-c", root, Geometry(32, None))
    assert (source.size, source.cut, source.kind) == (224, "resize 256, crop 224", "generated-jpeg85")
    clean = source.load("clean", 0, PLACES).pixels
    assert np.array_equal(clean[0], decode_rgb(root / source.ids[0], Geometry(224, 256)))
    made = corrupt(clean, "contrast", 2, recipe="imagenet-c", ids=source.ids[:2])
    expected = np.stack([through_jpeg(image) for image in made])
    assert np.array_equal(source.load("contrast", 2, PLACES).pixels, expected)
    plain = open_source("imagenet-c", root, GEOMETRY, jpeg=False)
    assert plain.kind == "generated"
    assert np.array_equal(plain.load("contrast", 2, PLACES).pixels, made)


@pytest.mark.parametrize("backend", list(BACKENDS))
def test_both_backends_images_go_through_jpeg(tmp_path: Path, backend: str) -> None:
    root = write_class_folders(tmp_path, size=64)
    with_jpeg, without = (
        open_source("tiny-imagenet-c", root, GEOMETRY, backend=backend, jpeg=jpeg) for jpeg in (True, False)
    )
    expected = [through_jpeg(image) for image in without.load("brightness", 2, PLACES).pixels]
    assert np.array_equal(with_jpeg.load("brightness", 2, PLACES).pixels, np.stack(expected))
    clean = [source.load("clean", 0, PLACES).pixels for source in (with_jpeg, without)]
    assert np.array_equal(*clean)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_tensors_are_corrupted_as_arrays_are(tmp_path: Path, layout: torch.memory_format) -> None:
    source = open_source("tiny-imagenet-c", write_class_folders(tmp_path, size=64), GEOMETRY)
    clean = source.load("clean", 0, PLACES).pixels
    tensor = torch.from_numpy(clean).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    made = source.corrupt(tensor, "fog", 3, PLACES)
    assert made.is_contiguous(memory_format=layout)
    assert np.array_equal(made.permute(0, 2, 3, 1).numpy(), source.load("fog", 3, PLACES).pixels)


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
    with pytest.raises(DataError, match=r"holds Tiny-ImageNet, not ImageNet\n.*--dataset tiny-imagenet-c"):
        open_source("imagenet-c", roots[-1], GEOMETRY)
    with (roots[2] / "val_annotations.txt").open("w") as file:
        file.write("other.png\tn01\n")
    with pytest.raises(DataError, match=r"val_annotations\.txt does not name the class of img000\.png"):
        open_source("tiny-imagenet-c", roots[-1], GEOMETRY)


@pytest.mark.parametrize("name", ["imagenet-c-bar", "imagenet-3dcc"])
def test_sets_that_cannot_be_made_say_so(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"holds clean images, and {name} cannot be made on the fly") as caught:
        open_source(name, write_class_folders(tmp_path), GEOMETRY)
    assert "wget" in caught.value.hint


def test_cifar_c_needs_arrays(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds neither CIFAR's arrays nor its test images"):
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


def test_the_customary_corruptions(tmp_path: Path) -> None:
    clean = open_source("imagefolder", write_class_folders(tmp_path / "clean"), GEOMETRY)
    assert default_corruptions("imagefolder", clean) == C15
    fog = write_imagenet_c(tmp_path / "c", ("fog", "spatter"), (1,))
    assert default_corruptions("imagenet-c", open_source("imagenet-c", fog, GEOMETRY)) == C15
    assert default_corruptions("imagefolder", open_source("imagefolder", fog, GEOMETRY)) == ("fog",)
    extra = write_imagenet_c(tmp_path / "x", ("spatter",), (1,))
    assert default_corruptions("imagefolder", open_source("imagefolder", extra, GEOMETRY)) == ("spatter",)
    bar = write_c_bar(tmp_path / "b", C_BAR[:2], (1, 2, 3, 4, 5))
    assert default_corruptions("imagenet-c-bar", open_source("imagenet-c-bar", bar, GEOMETRY)) == C_BAR
    deep = write_3dcc(tmp_path / "d", C_3D[:11], (1,))
    assert default_corruptions("imagenet-3dcc", open_source("imagenet-3dcc", deep, GEOMETRY)) == C_3D[:11]


def through_jpeg(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=85)
    return np.asarray(Image.open(file))


PLACES = np.arange(2)


def test_nothing_heavy_is_imported_to_list_and_open_data() -> None:
    code = "import sys, ppbench.data.catalog; assert not {'torch', 'numba', 'cv2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
