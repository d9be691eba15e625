"""What perturbation sequences there are, and their constants for each set. Free of torch.

A frame is counted from 0. Constants are those of the published scripts (hendrycks/robustness); docs/sequences.md has
them in words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ppbench.errors import UsageError
from ppbench.lookup import NameTable
from ppbench.vocabulary import P4, P10

TEST_PERTURBATIONS = P10
"""The ten perturbations of the metrics, in the order of the paper's tables."""

EXTRA_PERTURBATIONS = P4
"""The four that the paper keeps for validation."""

NOISES = frozenset({"gaussian_noise", "shot_noise", "speckle_noise"})
"""Their frames are compared with the first frame, which is clean; others with the frame before."""

GEOMETRY = frozenset({"zoom_blur", "translate", "rotate", "tilt", "scale", "shear"})
"""They act on the image before it is cropped, so that what was outside the crop comes into it."""

DIFFICULTIES = (1, 2, 3)


@dataclass(frozen=True)
class Flow:
    """Constants of the water that flows over the lens."""

    mean: float
    std: float
    sigma: float
    threshold: float
    kernel: tuple[float, ...]
    """How a column moves from one frame to the next: weights of the pixels from one below to two above."""


@dataclass(frozen=True)
class Flakes:
    """Constants of snow."""

    std: float
    zoom: float
    radius: int
    sigma: float


@dataclass(frozen=True)
class SequenceRecipe:
    """Constants of all perturbations for images of one size. Pairs are start and step: the value of frame i is
    ``start + step * i``."""

    name: str
    description: str
    side: int | None
    """Side of the frames in pixels; None: frames are as large as the images."""
    shorter: int | None
    """Shorter side in pixels to which images are resized before; None: they stay as they are."""
    noise: tuple[float, float, float]
    """Widths of gaussian_noise for the three difficulties, in fractions of white."""
    photons: tuple[int, int, int]
    """Photons in white of shot_noise."""
    speckle: tuple[float, float, float]
    motion: tuple[int, float]
    """Radius in pixels and width of motion_blur."""
    motion_angle: tuple[float, float]
    """Degrees."""
    flakes: Flakes
    raised: tuple[float, float]
    """Added to the value V by brightness."""
    shift: int
    """Pixels by which the first frame of translate is moved to the left."""
    tilt: tuple[float, float]
    """Degrees."""
    factor: tuple[float, float]
    """Of scale."""
    blur: tuple[float, float]
    """Width of gaussian_blur, in pixels."""
    cut_off: float
    """Widths at which gaussian_blur is cut off."""
    flow: Flow
    frames: dict[str, int] = field(default_factory=dict)
    """Number of frames where it is not `FRAMES`."""
    resizes: bool = False
    """Whether `INCEPTION_PART` of each side is kept and resized to ``side``, as for Inception, instead of the crop."""
    blurs_whole: bool = False
    """Whether motion_blur acts on the whole image, which is then resized and not cropped."""

    def count(self, name: str) -> int:
        """Return the number of frames of a perturbation."""
        return self.frames.get(name, FRAMES)


FRAMES = 31

INCEPTION_PART = 0.875
"""Part of each side that Inception's preprocessing keeps."""

SEQUENCE_ENGINE = "ppbench sequences 1"
"""Name and version of what makes frames, for records. The version increases whenever a pixel of any frame changes."""

_IMAGENET_FLAKES = Flakes(std=0.3, zoom=3, radius=14, sigma=4)
_FAST, _SLOW = (0.05, 0.1, 0.15, 0.7), (0.0, 0.2, 0.8, 0.0)

_RECIPES = (
    SequenceRecipe(
        "imagenet-p", "ImageNet-P, before its video encoder; images whose shorter side is 256 px", 224, 256,
        noise=(0.03, 0.05, 0.08), photons=(300, 120, 60), speckle=(0.05, 0.1, 0.15),
        motion=(10, 3), motion_angle=(-120, 4), flakes=_IMAGENET_FLAKES, raised=(-0.3, 0.02), shift=20,
        tilt=(-15, 1), factor=(0.4, 0.025), blur=(0.25, 0.035), cut_off=6,
        flow=Flow(mean=0.65, std=0.27, sigma=3.7, threshold=0.69, kernel=_FAST), frames={"translate": 41},
    ),
    SequenceRecipe(
        "imagenet-p-299", "the same for Inception; images of any size", 299, None,
        noise=(0.035, 0.055, 0.085), photons=(250, 100, 50), speckle=(0.06, 0.11, 0.16),
        motion=(13, 3), motion_angle=(-120, 4), flakes=_IMAGENET_FLAKES, raised=(-0.3, 0.02), shift=20,
        tilt=(-15, 1), factor=(0.4, 0.025), blur=(0.35, 0.035), cut_off=6,
        flow=Flow(mean=0.65, std=0.3, sigma=4, threshold=0.69, kernel=_FAST), frames={"translate": 41},
        resizes=True,
    ),
    SequenceRecipe(
        "tiny-imagenet-p", "Tiny-ImageNet-P, before its video encoder; images whose shorter side is 64 px", 64, 64,
        noise=(0.025, 0.05, 0.075), photons=(500, 250, 125), speckle=(0.05, 0.1, 0.15),
        motion=(14, 3), motion_angle=(-150, 5), flakes=Flakes(std=0.28, zoom=2, radius=10, sigma=2.5),
        raised=(-0.3, 0.02), shift=15, tilt=(-15, 1), factor=(0.4, 0.025), blur=(0.35, 0.014), cut_off=7,
        flow=Flow(mean=0.6, std=0.25, sigma=1.75, threshold=0.7, kernel=_SLOW), blurs_whole=True,
    ),
    SequenceRecipe(
        "cifar-p", "CIFAR-10-P and CIFAR-100-P; images of 32 px", None, None,
        noise=(0.02, 0.04, 0.06), photons=(700, 400, 200), speckle=(0.05, 0.07, 0.1),
        motion=(6, 1.8), motion_angle=(-180, 9), flakes=Flakes(std=0.3, zoom=2, radius=10, sigma=2),
        raised=(-0.225, 0.015), shift=7, tilt=(-11.25, 0.75), factor=(0.7, 0.02), blur=(0.3, 0.015), cut_off=7,
        flow=Flow(mean=0.6, std=0.265, sigma=1.75, threshold=0.7, kernel=_SLOW),
        frames={"translate": 16, "motion_blur": 21},
    ),
)  # fmt: skip

SEQUENCE_RECIPES = NameTable({recipe.name: recipe for recipe in _RECIPES}, "recipe", "docs/sequences.md")


def check_difficulty(value: Any) -> int:
    """Return a difficulty as int; raise `UsageError` if it is none."""
    if isinstance(value, bool) or value not in DIFFICULTIES:
        raise UsageError(f"difficulty {value!r} is not allowed", "Difficulties are 1 to 3.")
    return int(value)
