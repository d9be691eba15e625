"""The tensor code on a GPU that is not there: torch's fake tensors follow types, shapes and devices without computing.

They refuse what a GPU would refuse, above all an operation between tensors of two devices. That values agree is tested
on the CPU (test_apply.py), where the same code runs. Fake tensors are slow: each corruption runs at three settings.
Together they take every line and every jump of the tensor code that any recipe, severity, size or scale takes.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ppbench.corruptions import blur, colour, filters, fused, random, spatter, textures, uploads
from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.bar import optics, turning
from ppbench.corruptions.constants import constants
from ppbench.corruptions.fused import digital_graphs, graphs, weather_graphs
from ppbench.corruptions.kernels import disabled
from ppbench.corruptions.recipes import RECIPES
from ppbench.corruptions.sequences import frames
from ppbench.corruptions.sequences.apply import perturb
from ppbench.corruptions.sequences.frames import MAKERS
from ppbench.vocabulary import ALL_FAMILIES, C19
from tests.evaluation.gpu import HostWaits

MODE = FakeTensorMode(allow_non_fake_inputs=True)

pytestmark = pytest.mark.usefixtures("_gpus_counted_once")

IDS = ["a", "b"]
"""Without ids, keys are made of pixels, and fake tensors have none."""


@pytest.fixture(autouse=True, scope="module")
def _with_tables_of_its_own() -> Iterator[None]:
    """Tables that were made in torch's inference mode, as an evaluation makes them, are no inputs for fake tensors.

    Those that are made here are shorter than others need.
    """
    forget_tables()
    yield
    forget_tables()


def forget_tables() -> None:
    for name in [name for name in sys.modules if name.startswith("ppbench.corruptions.")]:
        for value in vars(sys.modules[name]).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


TAPS = 3
"""All taps of a filter but the first do the same."""


def shortened(weights: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    return lambda *arguments: weights(*arguments)[:TAPS]


@pytest.fixture(autouse=True)
def _without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two places ask a GPU for values: directions of trails, and whether spatter's edges still grow."""
    no_way = np.zeros((len(IDS), TAPS, 2), np.int64)
    for module in (filters, blur, weather_graphs):
        monkeypatch.setattr(module, "trail_offsets", lambda angle, length: no_way[: len(angle), :length])
    for module in (filters, blur, weather_graphs, frames, spatter, optics, digital_graphs):
        for name in ("trail_weights", "gaussian_weights"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, shortened(getattr(module, name)))
    monkeypatch.setattr(spatter, "FARTHEST", TAPS)
    monkeypatch.setattr(uploads, "_pinned", lambda tensor: tensor)  # there is no GPU to pin it for
    monkeypatch.setattr(torch, "equal", lambda one, other: one.device == other.device)
    monkeypatch.setattr(colour, "_SMALL", 8 * 8)  # pixels that are added one by one
    monkeypatch.setattr(turning, "_ROTATIONS", 2)
    # Most operations are Philox's. Noise calls it by another way, and so tries it.
    monkeypatch.setattr(random, "philox", lambda keys, stream, count: keys.new_zeros(len(keys), count))


def stays(name: str, severity: int, size: tuple[int, ...], recipe: str, scale: float = 1) -> None:
    def corrupted(images: torch.Tensor) -> torch.Tensor:
        return corrupt(images, name, severity, recipe=recipe, ids=IDS, scale=scale)

    with disabled(), fused.disabled():  # no kernel takes fake tensors
        corrupted(torch.zeros(size, dtype=torch.uint8))  # real tables for the caches
        with MODE:
            images = torch.empty(size, dtype=torch.uint8, device="cuda")
            got = corrupted(images)
        assert (got.device.type, got.dtype, got.shape) == ("cuda", torch.uint8, images.shape)


@pytest.mark.parametrize(("name", "severity"), [*((name, 4) for name in C19), ("spatter", 1)])
def test_everything_stays_on_the_images_device(name: str, severity: int) -> None:
    """Spatter is water at severity 1, and mud at 4."""
    stays(name, severity, (2, 3, 40, 36), "imagecorruptions")


@pytest.mark.parametrize("name", C19)
def test_the_draws_of_small_images_are_on_their_device(name: str) -> None:
    # glass_blur refuses images in which it has nothing to move.
    side = max(8, 2 * constants("imagenet-c", name, 4).max_shift + 1 if name == "glass_blur" else 0)
    stays(name, 4, (2, 1, side, side), "imagenet-c")


@pytest.mark.parametrize("name", C19)
def test_a_scale_changes_no_device(name: str) -> None:
    stays(name, 2, (2, 1, 30, 30), "imagenet-c", scale=2)  # its grain is coarser than its pixels


def eager() -> AbstractContextManager[None]:
    return graphs.enabled("eager")


NO_WAIT = {"scalar_tensor"}
"""A number for `torch.where` is written by the GPU itself."""

ASKED_OF_DEFINITIONS = {"spatter": {"equal"}}
"""What only the torch functions wait for: the fused kernels find spatter's edges without it."""


GRAPHED = [name for name in C19 if "noise" not in name and name not in ("glass_blur", "spatter", "saturate")]
"""Corruptions of which all goes through graphs with `--compile`, or through a fused kernel."""

SECOND_SEVERITIES = {"elastic_transform": (1, 2, 3, 4, 5), "spatter": (1, 4)}


def found_in_a_second_batch(
    make: Callable[[torch.Tensor, list[str]], torch.Tensor], size: tuple[int, ...], monkeypatch: pytest.MonkeyPatch,
    way: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> set[str]:  # fmt: skip
    """What the CPU waits for when images on a GPU are made a second time; "table" if it copies one once more."""
    with disabled(), fused.disabled():
        make(torch.zeros(size, dtype=torch.uint8), ["a", "b"])  # tables of numbers are made on the CPU
    tables: list[object] = []

    def copied(array: np.ndarray, device: torch.device) -> torch.Tensor:
        if not any(array is one for one in tables):
            tables.append(array)
        return torch.empty(array.shape, dtype=torch.from_numpy(array).dtype, device=device)

    monkeypatch.setattr(uploads, "_copied", copied)
    with disabled(), fused.disabled(), MODE, way(), HostWaits() as waits:
        for ids in (["a", "b"], ["c", "d"]):
            images = torch.empty(size, dtype=torch.uint8, device="cuda")
            known = len(tables)
            waits.found.clear()
            made = make(images, ids)
            assert (made.device.type, made.dtype) == ("cuda", torch.uint8)
    return {*waits.found, *(["table"] if len(tables) > known else [])} - NO_WAIT


@pytest.mark.parametrize(
    ("name", "channels", "way"),
    [*((name, 3, nullcontext) for name in C19), ("saturate", 1, nullcontext), *((name, 3, eager) for name in GRAPHED)],
)
def test_a_second_batch_waits_for_nothing(
    name: str, channels: int, way: Callable[[], AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It copies no table once more, and no numbers but from pinned memory, and asks for no value."""

    def make(images: torch.Tensor, ids: list[str]) -> torch.Tensor:
        severities = SECOND_SEVERITIES.get(name, (4,)) if images.device.type == "cuda" else (4,)
        return [corrupt(images, name, severity, recipe="imagenet-c", ids=ids) for severity in severities][-1]

    found = found_in_a_second_batch(make, (2, channels, 30, 30), monkeypatch, way)
    assert found <= ASKED_OF_DEFINITIONS.get(name, set())


@pytest.mark.parametrize("name", ["frost", "gaussian_noise"])
def test_a_second_batch_of_scaled_lengths_waits_for_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(images: torch.Tensor, ids: list[str]) -> torch.Tensor:
        return corrupt(images, name, 2, recipe="cifar-c", ids=ids, scale=2)

    assert not found_in_a_second_batch(make, (2, 3, 40, 36), monkeypatch)


@pytest.mark.parametrize("name", ALL_FAMILIES["c-bar"])
def test_a_second_batch_of_c_bar_waits_for_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(images: torch.Tensor, ids: list[str]) -> torch.Tensor:
        return corrupt(images, name, 3, recipe="cifar-c", ids=ids)

    assert not found_in_a_second_batch(make, (2, 1, 28, 26), monkeypatch)


@pytest.mark.parametrize(
    ("name", "recipe", "sides"),
    [
        *((name, "cifar-p", (24, 26)) for name in MAKERS), ("rotate", "imagenet-p-299", (303, 310)),
        ("motion_blur", "tiny-imagenet-p", (70, 65)),
    ],
)  # fmt: skip
def test_a_second_batch_of_sequences_waits_for_nothing(
    name: str, recipe: str, sides: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(images: torch.Tensor, ids: list[str]) -> torch.Tensor:
        return perturb(images, name, recipe=recipe, ids=ids, frames=(1,))

    found = found_in_a_second_batch(make, (2, 3, *sides), monkeypatch)
    assert found <= ASKED_OF_DEFINITIONS.get(name, set())


def test_large_textures_of_frost_are_copied_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as there is room for them."""
    monkeypatch.setattr(textures, "KEPT", 0)
    monkeypatch.setattr(textures, "_for_gpus", OrderedDict())
    draws = {name: torch.tensor([1, 3]) for name in ("texture", "row", "column")}

    def make(images: torch.Tensor, ids: list[str]) -> torch.Tensor:
        chosen = textures.frost_textures(RECIPES["cifar-c"], 32, 32, draws["texture"], images.device)
        return chosen.pixels

    assert not found_in_a_second_batch(make, (2, 3, 32, 32), monkeypatch)
    assert [number for number, _ in textures._for_gpus] == [1, 3]
    sizes = {number: form.height * form.width * 3 for number, form in textures._for_gpus}
    monkeypatch.setattr(textures, "KEPT_FOR_GPUS", sum(sizes.values()))
    for number in (1, 2):  # the longest unused one makes room
        textures.frost_textures(RECIPES["cifar-c"], 32, 32, torch.tensor([number]), torch.device("meta"))
    assert [number for number, _ in textures._for_gpus] == [1, 2]


def test_a_tensor_left_on_another_device_would_be_found() -> None:
    with MODE, pytest.raises(RuntimeError, match="devices"):
        torch.empty(2, device="cuda") + torch.empty(2)
