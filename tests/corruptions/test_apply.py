"""The engine's entry: forms of images, purity, every size, and one truth for kernels and tensor code."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import ppbench
from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.catalog import CORRUPTIONS
from ppbench.corruptions.constants import constants
from ppbench.corruptions.kernels import disabled
from ppbench.corruptions.keys import key
from ppbench.corruptions.recipes import RECIPES, recipe_for_size
from ppbench.errors import UsageError
from ppbench.vocabulary import ALL_FAMILIES, C19, MADE
from tests.trees import photographs

RANDOM = (
    "gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "glass_blur", "motion_blur", "snow", "frost",
    "fog", "elastic_transform", "spatter", *(name for name in ALL_FAMILIES["c-bar"] if name != "circular_motion_blur"),
)  # fmt: skip
LUMA = tuple(name for name in C19 if "noise" not in name and name != "jpeg_compression")
"""Corruptions whose grey result is the luma of the colour one: noise is drawn per channel, and JPEG has a form of its
own for grey images."""


def is_possible(name: str, severity: int, recipe: str, side: int) -> bool:
    """Glass blur alone asks for a size: a pixel must have somewhere to move to."""
    return name != "glass_blur" or side >= 2 * constants(recipe, name, severity).max_shift + 1


@lru_cache
def batch(height: int, width: int, count: int) -> NDArray[np.uint8]:
    return np.stack([photo[:height, :width] for photo in photographs(max(height, width), count)])


def test_the_registry_has_all_that_ppbench_makes_in_the_papers_order() -> None:
    assert list(CORRUPTIONS) == list(MADE)


@pytest.mark.parametrize("name", MADE)
def test_all_forms_of_the_same_images_give_the_same_pixels(name: str) -> None:
    images = batch(40, 48, 3)
    ids = ["a", "b", "c"]
    expected = corrupt(images, name, 3, ids=ids)
    assert expected.shape == images.shape
    assert expected.dtype == np.uint8
    nchw = torch.from_numpy(images).permute(0, 3, 1, 2)
    for tensor in (nchw.contiguous(), nchw):
        got = corrupt(tensor, name, 3, ids=ids)
        assert got.stride() == tensor.stride()
        assert np.array_equal(got.permute(0, 2, 3, 1), expected)
    for number in range(3):
        assert np.array_equal(corrupt(images[number], name, 3, ids=ids[number : number + 1]), expected[number])
    grey = images[..., 0]
    one = corrupt(grey[0], name, 3, ids=["a"])
    assert one.shape == grey[0].shape
    assert np.array_equal(corrupt(grey[..., None], name, 3, ids=ids)[0, ..., 0], one)
    as_torch = corrupt(torch.from_numpy(grey)[:, None], name, 3, ids=ids)
    assert np.array_equal(as_torch[0, 0], one)


COUNT = 10
"""Images of a batch; one of seven is followed by a smaller one."""


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("recipe", ["imagenet-c", "imagecorruptions"])
def test_batches_and_order_never_change_a_pixel(name: str, recipe: str) -> None:
    if name not in C19 and recipe == "imagecorruptions":
        recipe = "cifar-c"  # the other one of C-bar's
    images = batch(32, 32, COUNT)
    ids = [f"n/{i}.png" for i in range(COUNT)]
    whole = corrupt(images, name, 4, recipe=recipe, ids=ids)
    for size in (1, 7):
        parts = [
            corrupt(images[i : i + size], name, 4, recipe=recipe, ids=ids[i : i + size]) for i in range(0, COUNT, size)
        ]
        assert np.array_equal(np.concatenate(parts), whole), size
    order = np.random.default_rng(0).permutation(COUNT)
    assert np.array_equal(corrupt(images[order], name, 4, recipe=recipe, ids=[ids[i] for i in order]), whole[order])


@pytest.mark.parametrize("name", MADE)
def test_a_large_batch_of_many_chunks_equals_single_images(name: str) -> None:
    images = batch(120, 150, 8)
    whole = corrupt(images, name, 2, ids=[str(place) for place in range(8)])
    for place in (0, 5, 7):
        assert np.array_equal(corrupt(images[place], name, 2, ids=[str(place)]), whole[place])


@pytest.mark.parametrize("name", MADE)
def test_the_number_of_threads_never_changes_a_pixel(name: str) -> None:
    image = batch(45, 37, 1)[0]
    before = torch.get_num_threads()
    try:
        for recipe in ("imagenet-c", "imagecorruptions"):
            for severity in (1, 2, 5):
                made = []
                for threads in (1, 2):
                    torch.set_num_threads(threads)
                    made.append(corrupt(image, name, severity, recipe=recipe))
                assert np.array_equal(*made), (recipe, severity)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", RANDOM)
def test_draws_differ_between_images_seeds_and_severities_and_nothing_else(name: str) -> None:
    image = batch(64, 64, 1)[0]
    first = corrupt(image, name, 3, seed=1, ids=["a"])
    assert np.array_equal(first, corrupt(image, name, 3, seed=1, ids=["a"]))
    assert not np.array_equal(first, corrupt(image, name, 3, seed=2, ids=["a"]))
    assert not np.array_equal(first, corrupt(image, name, 3, seed=1, ids=["b"]))
    keys = {key(seed, name, severity, ids) for seed in (1, 2) for severity in (1, 2, 3) for ids in "ab"}
    assert len(keys) == 12


def noise(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What gaussian_noise adds to an image, where nothing is clipped."""
    made = corrupt(image, "gaussian_noise", 1, recipe="imagenet-c")
    return np.where((image > 80) & (image < 170), made.astype(float) - image, 0).ravel()


def test_without_ids_the_images_of_a_loop_have_noise_of_their_own() -> None:
    photos = [np.ascontiguousarray(photo // 2 + 64) for photo in photographs(224, 2)]
    assert abs(np.corrcoef([noise(photo) for photo in photos])[0, 1]) < 0.01
    one_level = photos[0].copy()
    one_level[0, 0, 0] ^= 1
    assert abs(np.corrcoef([noise(photos[0]), noise(one_level)])[0, 1]) < 0.01


@pytest.mark.parametrize("name", RANDOM)
def test_without_ids_an_image_is_the_same_alone_in_a_batch_and_as_a_tensor(name: str) -> None:
    images = batch(40, 48, 3)
    whole = corrupt(images, name, 3)
    turned = corrupt(images[::-1], name, 3)[::-1]
    as_torch = corrupt(torch.from_numpy(images).permute(0, 3, 1, 2), name, 3).permute(0, 2, 3, 1)
    alone = np.stack([corrupt(image, name, 3) for image in images])
    for other in (turned, as_torch, alone):
        assert np.array_equal(other, whole)
    twice = corrupt(np.stack([images[0], images[0]]), name, 3)
    assert np.array_equal(*twice)
    first, *others = (corrupt(images[0], name, 3, recipe="imagenet-c", seed=seed) for seed in (0, 1, 2, 3))
    # Where one of six orders of channels is drawn, two seeds may draw the same.
    assert not all(np.array_equal(other, first) for other in others)


def test_shapes_of_the_same_bytes_have_draws_of_their_own() -> None:
    fields = [corrupt(np.full(shape, 128, np.uint8), "gaussian_noise", 1) for shape in ((32, 48, 3), (48, 32, 3))]
    assert abs(np.corrcoef([field.ravel().astype(float) for field in fields])[0, 1]) < 0.1


@pytest.mark.parametrize(
    ("side", "recipe"),
    [((32, 32), "cifar-c"), ((64, 80), "tiny-imagenet-c"), ((224, 260), "imagenet-c"), ((299, 299), "imagenet-c-299")],
)
def test_without_a_recipe_the_size_decides_as_on_the_command_line(side: tuple[int, int], recipe: str) -> None:
    assert recipe_for_size(*side) == recipe
    images = batch(*side, 1)
    for form in (images, images[0], images[..., :1], torch.from_numpy(images).permute(0, 3, 1, 2)):
        made, expected = corrupt(form, "defocus_blur", 3), corrupt(form, "defocus_blur", 3, recipe=recipe)
        assert np.array_equal(made, expected)


def test_severities_have_draws_of_their_own() -> None:
    grey = np.full((64, 64, 3), 128, np.uint8)
    fields = [corrupt(grey, "gaussian_noise", severity).astype(float).ravel() for severity in (1, 2)]
    assert abs(np.corrcoef(fields)[0, 1]) < 0.05


def test_integers_of_any_library_make_the_same_key() -> None:
    image = batch(32, 32, 1)[0]
    expected = corrupt(image, "gaussian_noise", 3, seed=2)
    assert np.array_equal(corrupt(image, "gaussian_noise", np.int64(3), seed=np.uint8(2)), expected)
    assert np.array_equal(corrupt(image, "gaussian_noise", 3, seed=torch.tensor(2)), expected)


def test_file_names_that_are_not_utf8_are_ids_too() -> None:
    assert corrupt(batch(32, 32, 1), "fog", 1, ids=["a\udcff"]).shape == (1, 32, 32, 3)


@pytest.mark.parametrize("name", sorted(set(MADE) - set(RANDOM)))
def test_what_is_not_random_does_not_depend_on_the_key(name: str) -> None:
    image = batch(64, 64, 1)[0]
    assert np.array_equal(corrupt(image, name, 3, ids=["a"]), corrupt(image, name, 3, seed=5, ids=["b"]))


def test_the_global_generators_are_untouched_and_do_not_matter() -> None:
    image = batch(32, 32, 1)[0]
    expected = {name: corrupt(image, name, 3) for name in MADE}
    np.random.seed(7)  # noqa: NPY002
    torch.manual_seed(7)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    for name in MADE:
        assert np.array_equal(corrupt(image, name, 3), expected[name])
    assert np.array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())


@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("name", C19)
def test_every_severity_runs_at_every_size_in_colour_and_grey(name: str, recipe: str) -> None:
    for height, width in ((8, 8), (31, 47), (97, 97)):
        images = batch(height, width, 1)
        for severity in range(1, 6):
            for form in (images, images[..., :1]):
                if is_possible(name, severity, recipe, height):
                    got = corrupt(form, name, severity, recipe=recipe)
                    assert got.shape == form.shape
                    assert got.any()
                else:
                    with pytest.raises(UsageError, match="8 x 8"):
                        corrupt(form, name, severity, recipe=recipe)


@pytest.mark.parametrize("name", C19)
def test_every_recipe_and_severity_runs_on_large_images(name: str) -> None:
    image = np.ascontiguousarray(np.tile(batch(270, 480, 1)[0], (4, 4, 1)))
    assert image.shape == (1080, 1920, 3)
    for recipe in RECIPES:
        # Recipes differ in their constants alone; the lowest severity has the smallest, the highest the largest.
        shown = image if recipe == "imagenet-c" else image[:540, :960]
        for severity in (1, 5) if recipe == "imagenet-c" else (5,):
            got = corrupt(shown, name, severity, recipe=recipe, ids=["0"])
            assert got.shape == shown.shape
            small = corrupt(shown[:270, :480], name, severity, recipe=recipe, ids=["0"])  # the same draws
            assert abs(float(got.mean()) - float(small.mean())) < 40, (recipe, severity)


@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("name", C19)
def test_kernels_and_tensor_code_are_one(name: str, recipe: str) -> None:
    """The tensor code is what runs on GPUs; the kernels stand in for it on the CPU."""
    size = RECIPES[recipe].native_size or 64
    grey, colour = batch(31, 47, 2)[..., :1], batch(63, 95, 1)
    for severity in range(1, 6):
        whole = batch(size, size, 2 if size <= 64 else 1) if size <= 64 or severity == 5 else colour
        for form in (whole, grey):
            fast = corrupt(form, name, severity, recipe=recipe)
            with disabled():
                plain = corrupt(form, name, severity, recipe=recipe)
            difference = np.abs(fast.astype(int) - plain)
            assert difference.max() <= 1, (severity, form.shape)
            assert (difference > 0).mean() <= 0.001, (severity, form.shape)


@pytest.mark.parametrize("name", LUMA)
def test_grey_is_the_luma_of_the_colour_result(name: str) -> None:
    grey = batch(64, 64, 2)[..., 1:2]
    for severity in (2, 5):
        cell: dict[str, Any] = {"name": name, "severity": severity, "recipe": "imagenet-c", "ids": ["a", "b"]}
        colour = corrupt(np.repeat(grey, 3, axis=3), **cell).astype(float)
        luma = colour @ [0.299, 0.587, 0.114]
        assert np.abs(corrupt(grey, **cell)[..., 0] - luma).max() <= 1.01


@given(st.integers(8, 40), st.integers(8, 40), st.sampled_from(MADE), st.integers(1, 5), st.sampled_from(list(RECIPES)))
@settings(max_examples=120, deadline=None, derandomize=True)
def test_any_shape_keeps_its_shape(height: int, width: int, name: str, severity: int, recipe: str) -> None:
    image = batch(40, 40, 1)[0, :height, :width]
    assume(is_possible(name, severity, recipe, min(height, width)))
    assert corrupt(image, name, severity, recipe=recipe).shape == image.shape


def test_read_only_and_strided_arrays_are_taken_and_left_alone() -> None:
    image = batch(40, 40, 1)[0]
    before = image.copy()
    expected = corrupt(image, "fog", 3)
    locked = image.copy()
    locked.flags.writeable = False
    assert np.array_equal(corrupt(locked, "fog", 3), expected)
    wide = np.zeros((40, 80, 3), np.uint8)
    wide[:, ::2] = image
    assert np.array_equal(corrupt(wide[:, ::2], "fog", 3), expected)
    assert np.array_equal(corrupt(image[::-1], "fog", 3), corrupt(image[::-1].copy(), "fog", 3))
    assert np.array_equal(image, before)


def test_no_images_give_no_images() -> None:
    assert corrupt(np.zeros((0, 32, 32, 3), np.uint8), "fog", 1).shape == (0, 32, 32, 3)


def test_the_function_is_ppbenchs_own_surface() -> None:
    assert ppbench.corrupt is corrupt


IMAGE = np.zeros((16, 16, 3), np.uint8)


@pytest.mark.parametrize(
    ("call", "message", "hint"),
    [
        (lambda: corrupt(IMAGE, "fogg", 1), "unknown corruption 'fogg'", "did you mean 'fog'"),
        (lambda: corrupt(IMAGE, "fog", 6), "severity 6 is not allowed", "1 to 5"),
        (lambda: corrupt(IMAGE, "fog", 1, recipe="cifar"), "unknown recipe 'cifar'", "cifar-c"),
        (lambda: corrupt(IMAGE / 255, "fog", 1), "images of type float64", "uint8"),
        (lambda: corrupt(torch.zeros(1, 3, 16, 16), "fog", 1), "images of type torch.float32", "uint8"),
        (lambda: corrupt(np.zeros((16, 16, 4), np.uint8), "fog", 1), "images of shape (16, 16, 4)", "(H, W, 3)"),
        (lambda: corrupt(torch.zeros(3, 16, 16, dtype=torch.uint8), "fog", 1), "images of shape (3, 16, 16)", "torch"),
        (lambda: corrupt(IMAGE[:7], "fog", 1), "images of 7 x 16 pixels", "8"),
        (lambda: corrupt(IMAGE, "fog", 1, ids=["a", "b"]), "2 ids for 1 images", "one id per image"),
        (lambda: corrupt(IMAGE, "fog", True), "severity True is not allowed", "1 to 5"),
        (lambda: corrupt(IMAGE, "fog", 1, seed=1.5), "seed 1.5 is not allowed", "integer"),
        (lambda: corrupt(IMAGE, "fog", 1, ids="a"), "ids of type str", "list of strings"),
        (lambda: corrupt(IMAGE, "fog", 1, ids=[1]), "ids of type list", "list of strings"),
        (lambda: corrupt([1], "fog", 1), "images of type list", "numpy.asarray"),
        (lambda: corrupt(IMAGE, "fog", 1, draws={"nose": [1]}), "fog at severity 1 takes no draw 'nose'", "takes map"),
        (lambda: corrupt(IMAGE, "contrast", 1, draws={"a": [1]}), "takes no draw 'a'", "not random"),
        (lambda: corrupt(IMAGE, "fog", 1, draws={"map": np.zeros((2, 16, 16))}), "has shape (2, 16, 16)", "1 of them"),
        (lambda: corrupt(IMAGE, "fog", 1, draws={"map": np.zeros((1, 8, 8))}), "has shape (1, 8, 8)", "(1, 16, 16)"),
        (lambda: corrupt(IMAGE, "frost", 1, draws={"row": [10**6]}), "draw 'row' has values", "below"),
        (lambda: corrupt(IMAGE, "impulse_noise", 1, draws={"salted": [IMAGE]}), "one of the draws", "both"),
        (lambda: corrupt(IMAGE, "elastic_transform", 1, draws={"dx": [IMAGE[..., 0] * np.nan]}), "'dx'", "finite"),
        (
            lambda: corrupt(IMAGE[:8, :8], "glass_blur", 5, recipe="imagenet-c"),
            "glass_blur cannot work on images of 8 x 8",
            "9 pixels",
        ),
    ],
)
def test_what_cannot_be_done_is_answered(call, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        call()
    assert message in caught.value.message
    assert hint in f"{caught.value.message} {caught.value.hint}"
