"""Images made on the fly from clean ones."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.backends import BACKENDS
from ppbench.corruptions.reference import corrupt_image
from ppbench.data.catalog import EMBEDDED
from ppbench.data.decode import decode_rgb
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry
from ppbench.errors import UsageError
from ppbench.vocabulary import C19, C_BAR, C_BAR_CIFAR, MADE
from tests.trees import write_class_folders

GEOMETRY = Geometry(32, None)
PLACES = np.arange(2)


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
    assert (engine.corruptions, engine.cut, engine.mean_bytes()) == (MADE, "28 px as is", 0)
    assert package.corruptions == C19
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


def test_tensors_are_corrupted_as_arrays_are(tmp_path: Path) -> None:
    source = open_source("tiny-imagenet-c", write_class_folders(tmp_path, size=64), GEOMETRY)
    clean = source.load("clean", 0, PLACES).pixels
    made = source.corrupt(torch.from_numpy(clean), "fog", 3, PLACES)
    assert made.is_contiguous()
    assert np.array_equal(made.numpy(), source.load("fog", 3, PLACES).pixels)


def through_jpeg(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=85)
    return np.asarray(Image.open(file))


def test_the_size_decides_what_c_bar_is_and_its_recipe(tmp_path: Path) -> None:
    small, large = (
        open_source("imagefolder", write_class_folders(tmp_path / str(size)), Geometry(size, None))
        for size in (32, 224)
    )
    assert (small.c_bar, large.c_bar) == (C_BAR_CIFAR, C_BAR)
    small.choose(("fog", "lines"))
    assert small.recipe == "cifar-c"  # of the 19; C-bar's nearer one goes with it
    for source, recipe in ((small, "cifar-c-bar"), (large, "imagenet-c-bar")):
        source.choose(source.c_bar)
        assert source.recipe == recipe
    direct = corrupt(small.load("clean", 0, PLACES).pixels, "lines", 3, ids=small.ids[:2], recipe="cifar-c-bar")
    assert np.array_equal(small.load("lines", 3, PLACES).pixels, direct)


def test_recipes_and_backends_without_a_corruption_say_so(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path)
    with pytest.raises(UsageError, match="recipe imagenet-c-bar has no lines"):
        open_source("imagefolder", root, GEOMETRY, recipe="imagenet-c-bar").choose(("lines",))
    with pytest.raises(UsageError, match="recipe cifar-c-bar has no fog"):
        open_source("imagefolder", root, GEOMETRY, recipe="cifar-c-bar").choose(("fog", "lines"))
    with pytest.raises(UsageError, match="--backend imagecorruptions does not make sparkles"):
        open_source("imagefolder", root, GEOMETRY, backend="imagecorruptions").choose(("sparkles",))


def test_imagenet_c_bar_from_clean_images_is_stored_as_jpeg(tmp_path: Path) -> None:
    source = open_source("imagenet-c-bar", write_class_folders(tmp_path), GEOMETRY)
    source.choose(C_BAR)
    assert (source.kind, source.recipe, source.size) == ("generated-jpeg85", "imagenet-c-bar", 224)
