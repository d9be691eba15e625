"""Cut an image to a square: the kinds of cut, their descriptions, and resizing. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass

from ppbench.data.source import Geometry


@dataclass(frozen=True)
class AsIs:
    """No cut: images of another size, in pixels, are refused."""

    size: int


@dataclass(frozen=True)
class CentralPart:
    """The central ``part`` of each side, resized (bilinear) to a square whatever the aspect ratio.

    ImageNet-C of 299 px was made this way (make_imagenet_c_inception.py, `resized_center_crop`).
    """

    size: int
    part: float


Cut = Geometry | AsIs | CentralPart
"""How an image becomes a square of ``size`` pixels a side."""


def describe_cut(cut: Cut) -> str:
    """Describe a cut: ``resize 256, crop 224``, ``64 px as is``."""
    if isinstance(cut, AsIs):
        return f"{cut.size} px as is"
    if isinstance(cut, CentralPart):
        return f"crop {100 * cut.part:g} %, resize {cut.size} x {cut.size}"
    if cut.resize is None:
        return f"crop {cut.size}"
    sides = {"center": f"{cut.resize}", "squash": f"{cut.resize} x {cut.resize}", "border": f"longer side {cut.resize}"}
    resized = f"resize {sides[cut.crop_mode]}{' bicubic' * (cut.interpolation == 'bicubic')}"
    if cut.crop_mode == "border" or cut.resize < cut.size:
        return f"{resized}, pad ({'/'.join(map(str, cut.fill))}) and crop {cut.size}"
    return f"{resized}, crop {cut.size}"
