"""The card that an image processor of transformers describes, and a trial that the two agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from pydantic import ValidationError

from ppbench.errors import DataError, in_one_line
from ppbench.models.card import Card, first_fault
from ppbench.models.normalise import mean_and_std, normalise
from ppbench.vocabulary import CropMode

_FILTERS = {2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of the filters that a card can have."""
_OTHER_FILTERS = {0: "nearest", 1: "Lanczos", 4: "box", 5: "Hamming"}

_SQUASHES_FROM = 384
"""Size from which processors with a ``crop_pct`` of ConvNeXt's kind resize both sides and do not crop."""

_LARGEST_SIDE = 8192
"""Largest side in pixels; no classifier's is a quarter of it."""

_LARGEST_STEP = 1.0
"""Largest difference, in grey levels, between the processor's result and the card's on an image of the right size."""


class _Cut(NamedTuple):
    """How an image becomes a square."""

    size: int
    resize: int | None
    mode: CropMode = "center"


def processor_fields(processor: Any) -> dict[str, Any]:
    """Return the fields of a card for what ``processor`` does to an image, which is tried on two images.

    Args:
        processor: An image processor of transformers.

    Returns:
        Fields of `Card`: input size, resize, crop mode, interpolation, mean and std.

    Raises:
        DataError: If a card cannot say what the processor does. The message says what that is.
    """
    try:
        cut = _cut(processor)
        if not 0 < (cut.resize or cut.size) <= _LARGEST_SIDE or cut.size > _LARGEST_SIDE:
            raise _refusal(f"it resizes images to {cut.resize or cut.size} pixels, and cuts {cut.size}")
        fields = {
            "input_size": cut.size,
            "resize": cut.resize,
            "crop_mode": cut.mode,
            "interpolation": _interpolation(processor) if cut.resize is not None else "bilinear",
            **_normalisation(processor),
        }
        card = Card(architecture="processor", num_classes=1, **fields)
    except ValidationError as error:
        raise _refusal(f"its {first_fault(error)}") from error
    except (TypeError, ValueError, ZeroDivisionError, OverflowError) as error:  # its settings are of any type
        raise _refusal(f"its settings are not as they must be ({in_one_line(error)})") from error
    _check_reproduces(lambda image: processor(images=image, return_tensors="pt")["pixel_values"], card)
    return fields


def _cut(processor: Any) -> _Cut:
    size, crop = _sides(processor, "size"), _sides(processor, "crop_size")
    if not _does(processor, "do_center_crop"):
        crop = {}
    if crop and crop.get("height") != crop.get("width"):
        raise _refusal(f"it crops images to {crop.get('width')} x {crop.get('height')} pixels, which is not square")
    cropped = crop.get("height")
    if not _does(processor, "do_resize"):
        if cropped is None:
            raise _refusal("it neither resizes nor crops images, so that their size is not known")
        return _Cut(cropped, None)
    if (part := getattr(processor, "crop_pct", None)) is not None:
        return _cut_by_part(size, cropped, part)
    if set(size) == {"shortest_edge"}:
        if cropped is None:
            raise _refusal("it resizes the shorter side and does not crop, so that images are not square")
        return _Cut(cropped, size["shortest_edge"])
    if set(size) == {"height", "width"} and size["height"] == size["width"]:
        return _Cut(cropped or size["height"], size["height"], "squash")
    raise _refusal(f"it resizes images to {size}")


def _cut_by_part(size: dict[str, int], cropped: int | None, part: float) -> _Cut:
    """Read a size that is the crop's, with the share of the image that the crop keeps."""
    side = size.get("shortest_edge")
    if side is None:
        raise _refusal(f"it resizes images to {size} with crop_pct {part:g}")
    if side >= _SQUASHES_FROM and cropped is None:
        return _Cut(side, side, "squash")
    return _Cut(cropped or side, int(side / part))


def _sides(processor: Any, name: str) -> dict[str, int]:
    """Return the lengths that a size consists of, by name; processors hold them in a dictionary or an object."""
    held = getattr(processor, name, None)
    if isinstance(held, int):
        return {"height": held, "width": held}
    if held is None:
        return {}
    pairs: dict[str, Any] = dict(held) if isinstance(held, Mapping) else vars(held)
    return {key: int(value) for key, value in pairs.items() if value is not None}


def _does(processor: Any, name: str) -> bool:
    return bool(getattr(processor, name, None))


def _interpolation(processor: Any) -> str:
    number = getattr(processor, "resample", None)
    number = 2 if number is None else int(number)
    if number not in _FILTERS:
        raise _refusal(f"it resizes with the {_OTHER_FILTERS.get(number, number)} filter")
    return _FILTERS[number]


def _normalisation(processor: Any) -> dict[str, Any]:
    """Return mean and std for values in [0, 1]; the processor's are for values of any range."""
    scale = 255 * float(processor.rescale_factor) if _does(processor, "do_rescale") else 255.0
    if math.isclose(scale, 1, rel_tol=1e-6):
        scale = 1.0
    mean, std = [0.0] * 3, [1.0] * 3
    if _does(processor, "do_normalize"):
        mean, std = (
            [float(value)] * 3 if isinstance(value, int | float) else [float(part) for part in value]
            for value in (processor.image_mean, processor.image_std)
        )
    if len(mean) not in (1, 3) or len(mean) != len(std):
        raise _refusal(f"it normalises {len(mean)} channels")
    return {
        "in_channels": len(mean),
        "mean": tuple(value / scale for value in mean),
        "std": tuple(value / scale for value in std),
    }


def _check_reproduces(process: Callable[[Image.Image], torch.Tensor], card: Card) -> None:
    """Compare with the processor's own result on an image that needs no resizing, and its shape on a wide one.

    Raises:
        DataError: If they differ by more than rounding, or the processor fails.
    """
    side, size = card.resize or card.input_size, card.input_size
    # Noise, because a shifted crop or swapped channels show in it.
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, card.in_channels), np.uint8)
    try:
        theirs = process(_image(pixels))
        wide = process(_image(np.repeat(pixels, 2, axis=1)))
    except Exception as error:  # a processor can raise anything at all
        raise _refusal(f"it does not take a plain image: {in_one_line(error)[:160]}") from error
    expected = (card.in_channels, size, size)
    if theirs.shape[1:] != expected or wide.shape[1:] != expected:
        shape, other = (" x ".join(map(str, values)) for values in (wide.shape[1:], expected))
        raise _refusal(f"it turns an image of {2 * side} x {side} pixels into {shape} values, not {other}")
    cut = torch.from_numpy(_centre(pixels, size)).permute(2, 0, 1)[None]
    step = (theirs - normalise(cut, *mean_and_std(card))).abs() * mean_and_std(card)[1] * 255
    if not step.max() <= _LARGEST_STEP:
        raise _refusal("it changes the values of pixels in another way than by mean and std")


def _centre(pixels: np.ndarray, size: int) -> np.ndarray:
    """Cut the central square of ``size`` pixels, with a black border where the image is smaller."""
    before = max(0, size - len(pixels)) // 2
    after = max(0, size - len(pixels)) - before
    padded = np.pad(pixels, ((before, after), (before, after), (0, 0)))
    begin = (len(padded) - size) // 2
    return padded[begin : begin + size, begin : begin + size]


def _image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])


def _refusal(reason: str) -> DataError:
    return DataError(
        f"ppbench cannot prepare images as this model's image processor does: {reason}",
        "Give another preparation: `--preset imagenet`, or `--mean … --std … --input-size N`.",
    )
