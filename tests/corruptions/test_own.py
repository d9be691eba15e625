"""Corruptions of one's own: found by name, keyed, and refused if an image's result is not its own."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.random import Generator, Philox

import ppbench
from ppbench.corruptions import own as module
from ppbench.corruptions.keys import key, pixels_id
from ppbench.corruptions.own import corruption, find_corruption, load_own, of_function, split_own
from ppbench.corruptions.trial import check_own
from ppbench.errors import DataError, UsageError
from tests.trees import photographs

PHOTOS = np.stack(photographs(24, 3))

CODE = """
import numpy as np
import ppbench

CALLS = []

@ppbench.corruption(severities=[0.05, 0.1, 0.2, 0.4, 0.8])
def dead_pixels(images, share, random):
    out = images.copy()
    for image, generator in zip(out, random):
        image[generator.random(image.shape[:2]) < share] = 0
    return out

def darker(images, severity, random): return images // (1 + severity)
def mean_of_all(images, severity, random): return np.full_like(images, images.mean())
def place_in_batch(images, severity, random):
    return images + np.arange(len(images), dtype=np.uint8)[:, None, None, None]
def first_generator(images, severity, random): return images + random[0].integers(0, 9, images.shape, np.uint8)
def global_draws(images, severity, random): return np.random.randint(0, 256, images.shape).astype(np.uint8)
def counts(images, severity, random):
    CALLS.append(1)
    return images + np.uint8(len(CALLS))
def writes(images, severity, random):
    images[:] = 0
    return images
def floats(images, severity, random): return images / 2
def invalid(images, severity, random): return images * np.nan
def smaller(images, severity, random): return images[:, 1:]
def one_image(images, severity, random): return images[0]
def nothing(images, severity, random): pass
def tensor(images, severity, random):
    import torch
    return torch.zeros(images.shape)
def raises(images, severity, random): raise ValueError("not\\nmine")
def leaves(images, severity, random): raise SystemExit(0)
def only_grey(images, severity, random):
    assert images.shape[3] == 1, "grey images only"
    return images
def same(images, severity, random): return images
def flipped(images, severity, random): return images[:, :, ::-1]
def fog(images, severity, random): return images
def Noise(images, severity, random): return images
def überbelichtet(images, severity, random): return images
number = 3
class Haze:
    def __init__(self, *given): pass
    @staticmethod
    def thin(images, severity, random): return images
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "mine_to_try.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("mine_to_try", "also_mine"):
        sys.modules.pop(name, None)


def test_the_function_gets_constants_and_keyed_generators() -> None:
    ids = ["a", "b", "c"]
    made = ppbench.corrupt(PHOTOS, "mine_to_try:dead_pixels", 4, seed=3, ids=ids)
    for image, name, result in zip(PHOTOS, ids, made, strict=True):
        dead = Generator(Philox(key=key(3, "dead_pixels", 4, name))).random((24, 24)) < 0.4
        assert np.array_equal(result, np.where(dead[..., None], 0, image))
    assert np.array_equal(ppbench.corrupt(PHOTOS, "mine_to_try:darker", 3), PHOTOS // 4)


def test_every_form_of_images_is_taken() -> None:
    whole = ppbench.corrupt(PHOTOS, "mine_to_try:dead_pixels", 3)
    one = ppbench.corrupt(PHOTOS[1], "mine_to_try:dead_pixels", 3, ids=[pixels_id(PHOTOS[1])])
    assert np.array_equal(one, whole[1])
    nchw = torch.from_numpy(PHOTOS.copy()).permute(0, 3, 1, 2)
    tensor = ppbench.corrupt(nchw, "mine_to_try:dead_pixels", 3)
    assert np.array_equal(tensor.permute(0, 2, 3, 1).numpy(), whole)
    assert np.array_equal(ppbench.corrupt(PHOTOS, "mine_to_try:flipped", 1), PHOTOS[:, :, ::-1])
    assert np.array_equal(ppbench.corrupt(PHOTOS, load_own("mine_to_try:dead_pixels").function, 3), whole)
    assert np.array_equal(ppbench.Corruption("mine_to_try:dead_pixels", 3)(PHOTOS), whole)
    assert len(ppbench.corrupt(PHOTOS[:0], "mine_to_try:dead_pixels", 3)) == 0


def test_the_result_is_the_users_to_change_and_the_input_stays() -> None:
    made = ppbench.corrupt(PHOTOS, "mine_to_try:same", 3)
    made[:] = 0
    assert PHOTOS.any()


def test_batches_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ppbench.corrupt(PHOTOS, "mine_to_try:dead_pixels", 3)
    monkeypatch.setattr("ppbench.corruptions.apply._CHUNK", {"cpu": 1})
    assert np.array_equal(ppbench.corrupt(PHOTOS, "mine_to_try:dead_pixels", 3), whole)


def test_recipe_and_scale_are_checked_and_change_nothing() -> None:
    whole = ppbench.corrupt(PHOTOS, "mine_to_try:dead_pixels", 3)
    scaled = ppbench.corrupt(PHOTOS, "mine_to_try:dead_pixels", 3, recipe="imagenet-c", scale=2)
    assert np.array_equal(scaled, whole)
    with pytest.raises(UsageError, match="unknown recipe"):
        ppbench.corrupt(PHOTOS, "mine_to_try:dead_pixels", 3, recipe="mine")
    with pytest.raises(UsageError, match="takes no draws"):
        ppbench.corrupt(PHOTOS, "mine_to_try:dead_pixels", 3, draws={"noise": np.zeros(3)})


@pytest.mark.parametrize("name", ["dead_pixels", "darker", "same", "flipped", "Haze.thin"])
def test_what_works_passes(name: str) -> None:
    check_own(load_own(f"mine_to_try:{name}"), (1, 5), 9, 12, 3)
    check_own(load_own(f"mine_to_try:{name}"), (3,), 9, 12, 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mean_of_all", "with mine_to_try:mean_of_all, an image's result depends on the other images (severity 2)"),
        ("place_in_batch", "with mine_to_try:place_in_batch, an image's result depends on the other images"),
        ("first_generator", "with mine_to_try:first_generator, an image's result depends on the other images"),
        ("global_draws", "mine_to_try:global_draws gives another result at each call (severity 2)"),
        ("counts", "mine_to_try:counts gives another result at each call (severity 2)"),
        ("writes", "mine_to_try:writes changes the images that it is given"),
        ("floats", "mine_to_try:floats returns float64 instead of uint8"),
        ("invalid", "mine_to_try:invalid returns float64 with values that are not finite instead of uint8"),
        ("smaller", "mine_to_try:smaller returns an array of shape (3, 8, 12, 3) for images of shape (3, 9, 12, 3)"),
        ("one_image", "mine_to_try:one_image returns an array of shape (9, 12, 3) for images of shape"),
        ("nothing", "mine_to_try:nothing returns None"),
        ("tensor", "mine_to_try:tensor returns a Tensor"),
        ("raises", "mine_to_try:raises raised ValueError: not mine for images of shape (3, 9, 12, 3)"),
        ("leaves", "mine_to_try:leaves raised SystemExit: 0 for images of shape (3, 9, 12, 3)"),
        ("only_grey", "mine_to_try:only_grey raised AssertionError: grey images only for images of shape"),
    ],
)
def test_what_does_not_work_is_refused(name: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        check_own(load_own(f"mine_to_try:{name}"), (2,), 9, 12, 3)
    assert caught.value.message.startswith(message)
    assert "\n" not in str(caught.value.message)
    assert caught.value.hint
    assert caught.value.exit_code == 3


def test_the_hint_for_an_error_runs_the_function() -> None:
    with pytest.raises(DataError) as caught:
        ppbench.corrupt(PHOTOS, "mine_to_try:raises", 2)
    (line,) = caught.value.hint.split("`")[1::2]
    with pytest.raises(ValueError, match="not\nmine"):
        exec(line, {})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mine_to_try:fog", "mine_to_try:fog has the name of a published corruption or set, fog"),
        ("mine_to_try:Noise", "mine_to_try:Noise has the name of a published corruption or set, Noise"),
        ("mine_to_try:überbelichtet", "mine_to_try:überbelichtet: 'überbelichtet' is no name for a corruption"),
        ("mine_to_try:Haze", "mine_to_try:Haze is a class, not a function"),
        ("mine_to_try:number", "mine_to_try:number is a int, not a function"),
        ("mine_to_try:dead_pixel", "--corruptions mine_to_try:dead_pixel: mine_to_try has no dead_pixel"),
        ("nobody_has_this:f", "--corruptions nobody_has_this:f: there is no module nobody_has_this"),
    ],
)
def test_what_is_no_corruption(spec: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_corruption(spec)
    assert caught.value.message == message


def test_a_function_without_a_name() -> None:
    with pytest.raises(UsageError, match="'<lambda>' is no name for a corruption"):
        of_function(lambda images, severity, random: images)


@pytest.mark.parametrize("constants", [[1, 2, 3, 4], "12345", 5, [np.ones(2)] * 5, [lambda: 1] * 5, [{"a": {1}}] * 5])
def test_constants_are_five_plain_values(constants: Any) -> None:
    with pytest.raises(UsageError):
        corruption(constants)


def test_the_decorator_leaves_the_function_as_it_is() -> None:
    def haze(images: Any, strength: Any, random: Any) -> Any:
        return images

    constants = [{"a": (1, 2.5)}, None, "text", [True], 3]
    assert corruption(constants)(haze) is haze
    assert of_function(haze).severities == tuple(constants)


def test_names_are_separated_and_two_functions_of_one_name_are_refused(folder: Path) -> None:
    rest, own = split_own(["fog", " mine_to_try:darker", "noise", "mine_to_try:darker", "mine_to_try:Haze.thin"])
    assert rest == ["fog", "noise"]
    assert [one.name for one in own] == ["darker", "thin"]
    (folder / "also_mine.py").write_text("def darker(images, severity, random): return images")
    with pytest.raises(UsageError, match="mine_to_try:darker and also_mine:darker have the same name, darker"):
        split_own(["mine_to_try:darker", "also_mine:darker"])


def test_in_a_pickle_is_the_name() -> None:
    own = load_own("mine_to_try:dead_pixels")
    pickled = pickle.dumps(own)
    del sys.modules["mine_to_try"]
    again = pickle.loads(pickled)
    assert again.function is not own.function
    assert again.source_hash() == own.source_hash()


class TestSource:
    def test_another_file_or_constant_is_another_version(self, folder: Path) -> None:
        first = load_own("mine_to_try:darker").source_hash()
        assert load_own("mine_to_try:darker").source_hash() == first
        assert load_own("mine_to_try:dead_pixels").source_hash() != first  # other constants, in the same file
        del sys.modules["mine_to_try"]
        (folder / "mine_to_try.py").write_text(CODE.replace("1 + severity", "11 + severity"))
        assert load_own("mine_to_try:darker").source_hash() != first

    def test_a_file_that_was_edited_after_its_import_is_noticed(self, folder: Path) -> None:
        own = load_own("mine_to_try:darker")
        (folder / "mine_to_try.py").write_text(CODE.replace("1 + severity", "11 + severity"))
        with pytest.raises(DataError, match=r"mine_to_try.py has changed since mine_to_try:darker was imported"):
            own.source_hash()

    def test_a_function_in_no_file_has_none(self) -> None:
        names: dict[str, Any] = {"__name__": "of_a_notebook"}
        exec("def haze(images, severity, random): return images", names)
        own = of_function(names["haze"])
        assert np.array_equal(ppbench.corrupt(PHOTOS, own, 1), PHOTOS)
        with pytest.raises(DataError, match="the source of of_a_notebook:haze is in no file"):
            own.source_hash()


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def install(**points: str) -> None:
        found = [EntryPoint(name, value, module.GROUP) for name, value in points.items()]
        monkeypatch.setattr(module, "entry_points", lambda group: found if group == module.GROUP else [])

    return install


def test_installed_packages_offer_corruptions(packages: Callable[..., None]) -> None:
    packages(darker="mine_to_try:darker", dead_pixels="mine_to_try:dead_pixels")
    assert np.array_equal(ppbench.corrupt(PHOTOS, "darker", 3), PHOTOS // 4)
    assert [one.name for one in split_own(["own"])[1]] == ["darker", "dead_pixels"]
    assert find_corruption("fog") is None
    packages(darker="mine_to_try:dead_pixels")
    with pytest.raises(UsageError, match="offers mine_to_try:dead_pixels under another name, darker"):
        find_corruption("darker")
    packages()
    with pytest.raises(UsageError, match="stands for corruptions of installed packages, and there are none"):
        split_own(["own"])
