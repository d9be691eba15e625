"""Augmentations for training, by name. Free of torch until one is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from ppbench.lookup import unknown_name
from ppbench.train.choices import LARGEST_SMALL_SIZE

if TYPE_CHECKING:
    from torch import Tensor, nn

ImageAugmentation = Callable[["Tensor", int], "Tensor"]
"""Maps an image ``(C, H, W)`` uint8 and a key to an image ``(C, H, W)`` uint8."""

ALL_FOUR = ("brightness", "contrast", "saturate", "gaussian_blur")


@dataclass(frozen=True)
class Augmentation:
    """Facts about an augmentation that are known without building it."""

    name: str
    where: Literal["none", "image", "batch"]
    """Whether it takes images one by one (`image_augmentation`) or in batches on the device (`batch_augmentation`)."""
    overlaps: tuple[str, ...]
    """Corruptions of ImageNet-C (of all 19) that one of its operations resembles."""
    source: str
    not_above_small: tuple[str, ...] = ()
    """The overlaps that it has only up to `LARGEST_SMALL_SIZE` pixels."""

    def overlaps_at(self, size: int) -> tuple[str, ...]:
        """Return the overlaps on images of ``size`` x ``size`` pixels."""
        small = size <= LARGEST_SMALL_SIZE
        return tuple(name for name in self.overlaps if small or name not in self.not_above_small)


AUGMENTATIONS: Mapping[str, Augmentation] = MappingProxyType(
    {
        item.name: item
        for item in (
            Augmentation("none", "none", (), ""),
            Augmentation(
                "autoaugment", "image", ALL_FOUR,
                "Cubuk et al., AutoAugment: Learning augmentation strategies from data, CVPR 2019 (torchvision)",
                not_above_small=("brightness",),  # the policy found on ImageNet has no Brightness
            ),
            Augmentation(
                "augmix", "image", ALL_FOUR,
                "Hendrycks et al., AugMix: A simple data processing method to improve robustness and uncertainty, "
                "ICLR 2020 (13 operations and their strengths, as torchvision's default)",
            ),
            Augmentation(
                "augmix-strict", "image", (),
                "Hendrycks et al., AugMix: A simple data processing method to improve robustness and uncertainty, "
                "ICLR 2020 (9 operations and their strengths, as google-research/augmix)",
            ),
            Augmentation(
                "randaugment", "image", ALL_FOUR,
                "Cubuk et al., RandAugment: Practical automated data augmentation with a reduced search space, "
                "NeurIPS 2020 (torchvision)",
            ),
            Augmentation(
                "trivialaugment", "image", ALL_FOUR,
                "Müller and Hutter, TrivialAugment: Tuning-free yet state-of-the-art data augmentation, ICCV 2021 "
                "(torchvision, wide)",
            ),
            Augmentation(
                "prime", "batch", ("elastic_transform",),
                "Modas et al., PRIME: A few primitives can boost robustness to common corruptions, ECCV 2022",
            ),
        )
    }
)  # fmt: skip


def parse_augmentation(name: str) -> Augmentation:
    """Return the augmentation called ``name``, in upper or lower case.

    Raises:
        UsageError: If there is none.
    """
    key = name.strip().lower()
    if key not in AUGMENTATIONS:
        raise unknown_name("augmentation", name, list(AUGMENTATIONS), "ppbench train --help")
    return AUGMENTATIONS[key]


def image_augmentation(name: str, size: int) -> ImageAugmentation:
    """Build an augmentation of single images.

    The function returned takes ``(C, H, W)`` uint8, C 1 or 3, and a key from 0 to 2^63 - 1, and returns the same shape.
    Equal images and keys give equal results; no global random state is changed.

    Args:
        name: One of `AUGMENTATIONS` with ``where == "image"``.
        size: Height and width of the images, in pixels.

    Raises:
        UsageError: If the name is not known.
        ValueError: If the augmentation does not take single images.
    """
    augmentation = parse_augmentation(name)
    if augmentation.where != "image":
        raise ValueError(f"{augmentation.name} does not augment single images (where: {augmentation.where})")
    if augmentation.name.startswith("augmix"):
        from ppbench.train.augmix import SEVERITY_OF_LARGE, SEVERITY_OF_SMALL, AugMix

        papers = SEVERITY_OF_SMALL if size <= LARGEST_SMALL_SIZE else SEVERITY_OF_LARGE
        return AugMix(papers if augmentation.name == "augmix-strict" else None)
    return _Keyed(_torchvision_policy(augmentation.name, size))


def batch_augmentation(name: str, size: int) -> nn.Module:
    """Build an augmentation of batches, as a module that runs on the device it is moved to.

    Its ``forward(images, generator)`` takes ``(N, C, size, size)`` float32 in [0, 1] and a generator of the same
    device, from which all draws come, and returns the same shape and range.

    Args:
        name: One of `AUGMENTATIONS` with ``where == "batch"``.
        size: Height and width of the images, in pixels.

    Raises:
        UsageError: If the name is not known.
        ValueError: If the augmentation does not take batches.
    """
    augmentation = parse_augmentation(name)
    if augmentation.where != "batch":
        raise ValueError(f"{augmentation.name} does not augment batches (where: {augmentation.where})")
    from ppbench.train.prime import Prime

    return Prime(size)


def _torchvision_policy(name: str, size: int) -> Any:
    """Build torchvision's module with its default settings."""
    from functools import lru_cache

    from torchvision import transforms

    policies = transforms.AutoAugmentPolicy
    small = size <= LARGEST_SMALL_SIZE
    makers: dict[str, Callable[[], Any]] = {
        "autoaugment": lambda: transforms.AutoAugment(policies.CIFAR10 if small else policies.IMAGENET),
        "randaugment": transforms.RandAugment,
        "trivialaugment": transforms.TrivialAugmentWide,
    }
    module = makers[name]()
    # torchvision rebuilds its table of magnitudes for every image, which takes longer than augmenting 28 x 28 pixels.
    module._augmentation_space = lru_cache(module._augmentation_space)
    return module


class _Keyed:
    """A torchvision transform whose draws depend on the key alone.

    It works on PIL images, which at small sizes is up to four times as fast as on tensors.
    """

    def __init__(self, transform: nn.Module) -> None:
        self.transform = transform

    def __call__(self, image: Tensor, key: int) -> Tensor:
        from torch import default_generator

        from ppbench.train.augmix import to_pil, to_tensor

        # torchvision draws from torch's global CPU generator. torch.manual_seed would also reseed the GPUs.
        before = default_generator.get_state()
        default_generator.manual_seed(_seed(key))
        try:
            return to_tensor(self.transform(to_pil(image)))
        finally:
            default_generator.set_state(before)


def _seed(key: int) -> int:
    """Mix the 63 bits of a key into 32, because torch's CPU generator uses only 32 bits of its seed.

    Source: the output function of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
    OOPSLA 2014).
    """
    mask = 2**64 - 1
    mixed = (key + 0x9E3779B97F4A7C15) & mask
    mixed = ((mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9) & mask
    mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & mask
    return (mixed ^ mixed >> 31) >> 32
