"""Augmentations by name: what they say of themselves, keyed draws, and AugMix against torchvision's operations."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torchvision import transforms
from torchvision.transforms import InterpolationMode, autoaugment

from ppbench.errors import UsageError
from ppbench.train.augment import (
    AUGMENTATIONS,
    _seed,
    batch_augmentation,
    image_augmentation,
    parse_augmentation,
)
from ppbench.train.augmix import OVERLAPPING_OPERATIONS, PAPER_OPERATIONS, AugMix, Operation, to_pil, to_tensor
from ppbench.vocabulary import C19

IMAGE_NAMES = [name for name, item in AUGMENTATIONS.items() if item.where == "image"]
ALL_OPERATIONS = PAPER_OPERATIONS + OVERLAPPING_OPERATIONS

OVERLAPS_OF_OPERATIONS = {
    "Brightness": ("brightness",),
    "Contrast": ("contrast",),
    "Color": ("saturate",),
    "Sharpness": ("gaussian_blur",),
    "displacement": ("elastic_transform",),
}
"""Operations (four of torchvision, one of PRIME) that resemble corruptions of ImageNet-C, and these corruptions.

The AugMix paper leaves out the four of torchvision for this reason. Sharpness below 1 smooths the image.
"""


def picture(channels: int = 3, size: int = 32, seed: int = 0) -> Tensor:
    """A smooth image with some noise, so that no operation leaves it as it is."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((1, channels, 4, 4), generator=generator) * 160 + 40
    smooth = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic")[0]
    return (smooth + 12 * torch.randn((channels, size, size), generator=generator)).clamp(0, 255).to(torch.uint8)


class TestNames:
    def test_every_name_has_facts(self) -> None:
        assert list(AUGMENTATIONS) == [item.name for item in AUGMENTATIONS.values()]
        for item in AUGMENTATIONS.values():
            assert set(item.overlaps) <= set(C19)
            assert bool(item.source) == (item.name != "none")

    def test_names_are_read_in_any_case(self) -> None:
        assert parse_augmentation(" PRIME ") is AUGMENTATIONS["prime"]

    def test_an_unknown_name_is_answered_with_the_nearest(self) -> None:
        with pytest.raises(UsageError, match="unknown augmentation 'augmx'") as caught:
            parse_augmentation("augmx")
        assert "did you mean 'augmix'" in caught.value.hint

    def test_listing_needs_no_torch(self) -> None:
        code = "import sys, ppbench.train.augment; assert not {'torch', 'torchvision', 'PIL'} & set(sys.modules)"
        subprocess.run([sys.executable, "-c", code], check=True)

    @pytest.mark.parametrize("name", ["none", "prime"])
    def test_only_augmentations_of_images_take_images(self, name: str) -> None:
        with pytest.raises(ValueError, match=f"{name} does not augment single images"):
            image_augmentation(name, 32)

    @pytest.mark.parametrize("name", ["none", "augmix"])
    def test_only_augmentations_of_batches_take_batches(self, name: str) -> None:
        with pytest.raises(ValueError, match=f"{name} does not augment batches"):
            batch_augmentation(name, 32)

    def test_prime_takes_batches(self) -> None:
        images = torch.rand((3, 1, 28, 28))
        result = batch_augmentation("prime", 28)(images, torch.Generator().manual_seed(1))
        assert result.shape == images.shape
        assert not torch.equal(result, images)


def operations_of(name: str, size: int) -> set[str]:
    """The names of the operations that torchvision's class, or the AugMix here, draws from."""
    if name == "autoaugment":
        kind = transforms.AutoAugmentPolicy.CIFAR10 if size == 64 else transforms.AutoAugmentPolicy.IMAGENET
        return {step[0] for pair in transforms.AutoAugment(kind).policies for step in pair}
    if name == "randaugment":
        return set(transforms.RandAugment()._augmentation_space(31, (32, 32)))
    if name == "trivialaugment":
        return set(transforms.TrivialAugmentWide()._augmentation_space(31))
    return {operation.name for operation in AugMix(None if name == "augmix" else 3).operations}


@pytest.mark.parametrize("size", [64, 65])
@pytest.mark.parametrize("name", IMAGE_NAMES)
def test_overlaps_are_those_of_the_operations(name: str, size: int) -> None:
    found = {corruption for step in operations_of(name, size) for corruption in OVERLAPS_OF_OPERATIONS.get(step, ())}
    assert set(AUGMENTATIONS[name].overlaps_at(size)) == found


class TestImages:
    @pytest.mark.parametrize("name", IMAGE_NAMES)
    @pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32), (3, 70)])
    def test_equal_keys_give_equal_images(self, name: str, channels: int, size: int) -> None:
        image, augment = picture(channels, size), image_augmentation(name, size)
        untouched = image.clone()
        first = [augment(image, key) for key in range(24)]
        again = [image_augmentation(name, size)(image, key) for key in reversed(range(24))][::-1]
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
        assert all(result.shape == image.shape and result.dtype == torch.uint8 for result in first)
        assert len({result.numpy().tobytes() for result in first}) > 10
        assert torch.equal(image, untouched)

    @pytest.mark.parametrize("name", IMAGE_NAMES)
    def test_all_bits_of_a_key_count(self, name: str) -> None:
        image, augment = picture(), image_augmentation(name, 32)
        low, high = ([augment(image, key << shift) for key in range(1, 20)] for shift in (0, 40))
        assert sum(torch.equal(a, b) for a, b in zip(low, high, strict=True)) < 10

    @pytest.mark.parametrize("name", IMAGE_NAMES)
    def test_no_global_random_state_is_changed(self, name: str) -> None:
        before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
        image_augmentation(name, 32)(picture(), 5)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert random.getstate() == before[1]
        assert np.array_equal(np.random.get_state()[1], before[2])  # noqa: NPY002

    @pytest.mark.parametrize("name", IMAGE_NAMES)
    @given(key=st.integers(0, 2**63 - 1))
    @settings(max_examples=10, deadline=None)
    def test_any_key_will_do(self, name: str, key: int) -> None:
        assert image_augmentation(name, 28)(picture(1, 28), key).shape == (1, 28, 28)

    def test_the_state_is_restored_after_an_error(self) -> None:
        before = torch.get_rng_state()
        with pytest.raises(TypeError):
            image_augmentation("trivialaugment", 32)(torch.zeros((5, 32, 32), dtype=torch.uint8), 0)
        assert torch.equal(torch.get_rng_state(), before)

    @pytest.mark.parametrize(
        ("name", "size", "reference"),
        [
            ("trivialaugment", 32, transforms.TrivialAugmentWide()),
            ("randaugment", 32, transforms.RandAugment()),
            ("autoaugment", 32, transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10)),
            ("autoaugment", 96, transforms.AutoAugment(transforms.AutoAugmentPolicy.IMAGENET)),
        ],
    )
    def test_are_torchvisions(self, name: str, size: int, reference: torch.nn.Module) -> None:
        image, augment = picture(3, size), image_augmentation(name, size)
        for key in range(30):
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(_seed(key))
                expected = reference(transforms.functional.to_pil_image(image))
            assert torch.equal(augment(image, key), transforms.functional.pil_to_tensor(expected))


class TestAugMix:
    def test_operations_and_magnitudes_are_torchvisions(self) -> None:
        space = transforms.AugMix()._augmentation_space(10, (32, 48))
        assert [operation.name for operation in ALL_OPERATIONS] == list(space)
        canvas = Image.new("RGB", (48, 32))
        for operation in ALL_OPERATIONS:
            magnitudes, signed = space[operation.name]
            assert operation.signed == signed
            if magnitudes.ndim:
                ours = [operation.magnitude(level / 9, canvas) for level in range(10)]
                assert ours == pytest.approx(magnitudes.tolist(), rel=1e-5, abs=1e-5)

    def test_without_the_overlapping_operations_it_is_the_papers(self) -> None:
        assert {op.name for op in PAPER_OPERATIONS} == set(
            transforms.AugMix(all_ops=False)._augmentation_space(10, (32, 32))
        )

    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("operation", ALL_OPERATIONS, ids=lambda operation: operation.name)
    def test_operations_do_what_torchvisions_do(self, operation: Operation, channels: int) -> None:
        image = to_pil(picture(channels, 32))
        for level in range(4):
            for sign in (1, -1) if operation.signed else (1,):
                magnitude = sign * operation.magnitude(level / 9, image)
                ours = np.asarray(operation.apply(image, magnitude), int)
                theirs = autoaugment._apply_op(image, operation.name, magnitude, InterpolationMode.BILINEAR, None)
                assert np.abs(ours - np.asarray(theirs, int)).max() <= 1

    def test_a_mixture_lies_between_the_image_and_its_chains(self, monkeypatch: pytest.MonkeyPatch) -> None:
        augment, image = AugMix(), picture()
        chains: list[np.ndarray] = []
        make = augment.chain

        def keep(source: Image.Image, source_random: random.Random) -> Image.Image:
            chains.append(np.asarray(made := make(source, source_random), int))
            return made

        monkeypatch.setattr(augment, "chain", keep)
        for key in range(20):
            chains.clear()
            mixed = augment(image, key).permute(1, 2, 0).numpy().astype(int)
            everything = np.stack([image.permute(1, 2, 0).numpy().astype(int), *chains])
            assert len(chains) == 3
            assert (mixed >= everything.min(0)).all()
            assert (mixed <= everything.max(0)).all()

    def test_chains_of_no_change_leave_the_image(self, monkeypatch: pytest.MonkeyPatch) -> None:
        augment, image = AugMix(), picture()
        monkeypatch.setattr(augment, "chain", lambda source, _: source)
        assert all(torch.equal(augment(image, key), image) for key in range(50))

    def test_chains_are_one_to_three_operations_of_all(self) -> None:
        augment, taken, lengths = AugMix(), Counter[str](), Counter[int]()
        augment.operations = tuple(
            op._replace(apply=lambda image, _, name=op.name: steps.append(name) or image) for op in augment.operations
        )
        steps: list[str] = []
        source = random.Random(0)
        for _ in range(6000):
            steps.clear()
            augment.chain(Image.new("L", (4, 4)), source)
            lengths[len(steps)] += 1
            taken.update(steps)
        assert set(lengths) == {1, 2, 3}
        assert min(lengths.values()) > 1850
        assert set(taken) == {op.name for op in ALL_OPERATIONS}
        assert min(taken.values()) > 0.9 * 12_000 / 13


def levels_of_the_paper(name: str, level: float, size: int) -> float:
    """The magnitude of a level, 0 to 10, written after augmentations.py of google-research/augmix."""
    whole = {"Rotate": 30, "Posterize": 4, "Solarize": 256, "TranslateX": size / 3, "TranslateY": size / 3}
    if name in whole:
        found = int(level * whole[name] / 10)
        return {"Posterize": 4 - found, "Solarize": 256 - found}.get(name, found)
    return {"ShearX": level * 0.3 / 10, "ShearY": level * 0.3 / 10}.get(name, 0.0)


class TestStrictAugMix:
    @pytest.mark.parametrize("operation", PAPER_OPERATIONS, ids=lambda operation: operation.name)
    def test_levels_are_those_of_the_papers_code(self, operation: Operation) -> None:
        canvas = Image.new("RGB", (32, 32))
        for level in np.linspace(0.1, 10, 400):
            ours = operation.strength(level / 10, canvas, strict=True)
            assert ours == pytest.approx(levels_of_the_paper(operation.name, level, 32), abs=1e-12)

    @pytest.mark.parametrize(("size", "severity"), [(32, 3), (64, 3), (224, 1)])
    def test_they_are_drawn_uniformly_for_every_operation(self, size: int, severity: int) -> None:
        augment = image_augmentation("augmix-strict", size)
        assert isinstance(augment, AugMix)
        taken: dict[str, list[float]] = {op.name: [] for op in PAPER_OPERATIONS}
        augment.operations = tuple(
            op._replace(apply=lambda image, m, name=op.name: taken[name].append(m) or image)
            for op in augment.operations
        )
        source, canvas = random.Random(1), Image.new("L", (size, size))
        for _ in range(3000):
            augment.chain(canvas, source)
        assert sum(map(len, taken.values())) == pytest.approx(6000, rel=0.04)
        levels = np.linspace(0.1, severity, 2001)
        for name, found in taken.items():
            expected = [levels_of_the_paper(name, level, size) for level in levels]
            sizes = np.abs(found)
            assert len(found) > 550
            assert min(expected) - 1e-9 <= sizes.min() <= sizes.max() <= max(expected) + 1e-9
            assert sizes.mean() == pytest.approx(np.mean(expected), abs=5 * np.std(expected) / 550**0.5 + 1e-9)
            if name in ("ShearX", "Rotate", "TranslateY"):
                assert np.mean(np.sign(found)) == pytest.approx(0, abs=0.2)
        bits = 4 - np.mean(np.asarray(taken["Posterize"]) == 3)
        assert bits == pytest.approx(4 - max(severity - 2.5, 0) / (severity - 0.1), abs=0.08)

    def test_torchvisions_are_others(self) -> None:
        assert isinstance(augment := image_augmentation("augmix", 32), AugMix)
        assert augment.severity is None
        assert {augment._share(random.Random(key)) for key in range(50)} == {0, 1 / 9, 2 / 9}


@pytest.mark.parametrize("channels", [1, 3])
def test_images_survive_the_way_to_pil_and_back(channels: int) -> None:
    image = picture(channels, 30)[:, :20]
    assert to_pil(image).size == (30, 20)
    assert torch.equal(to_tensor(to_pil(image)), image)
