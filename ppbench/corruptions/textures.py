"""The photographs of ice for frost, read from the package ``imagecorruptions`` and scaled."""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppbench.corruptions.kernels.weather import cubic
from ppbench.corruptions.opencv import opencv
from ppbench.corruptions.recipes import Recipe
from ppbench.corruptions.types import Doubles, Indices, Pixels
from ppbench.corruptions.uploads import uploaded
from ppbench.errors import DataError

FILES = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg", "frost6.jpg")
"""Names of the pictures, in the references' order."""

_REINSTALL_HINT = "`pip install --force-reinstall --no-deps imagecorruptions-imaug` brings the textures back."


KEPT = 2**22
"""Textures of at most so many pixels in all are kept together. Of larger ones only those in use are made."""

KEPT_FOR_GPUS = 2**29
"""Bytes of larger textures that are kept for GPUs, in this machine's memory and in that of each GPU. A GPU would wait
for each that is made and copied once more."""


class Textures(NamedTuple):
    """Pictures of different sizes in one tensor, so that images with different pictures are processed at once."""

    pixels: Tensor
    """``(P, 3)`` uint8 RGB, on the images' device: all pixels of the first picture, row by row, then of the next."""
    first: Tensor
    """``(k,)`` int64, on the CPU: where each picture begins; any number for pictures that are not in use."""


def frost_sizes(recipe: Recipe, height: int, width: int) -> Tensor:
    """Return the sizes of a recipe's textures, which are larger than images of a size in both directions.

    Returns:
        ``(2, k)`` int64: heights and widths, in pixels.
    """
    return torch.tensor([form[:2] for form in _forms(recipe, height, width)]).T


def frost_textures(recipe: Recipe, height: int, width: int, used: Tensor, device: torch.device) -> Textures:
    """Return the textures of `frost_sizes`, at least those whose numbers are in ``used``, int64 of any shape."""
    forms = _forms(recipe, height, width)
    if sum(form.height * form.width for form in forms) <= KEPT:
        return _all(forms, device)
    first, parts, count = torch.zeros(len(forms), dtype=torch.int64), [], 0
    for number in sorted(set(used.flatten().tolist())):
        first[number], count = count, count + forms[number].height * forms[number].width
        parts.append(_one(number, forms[number], device))
    return Textures(parts[0] if len(parts) == 1 else torch.cat(parts), first)


class _Form(NamedTuple):
    """Size of a texture, and how it is made: bilinear by a factor, or (None) cubic to the size."""

    height: int
    width: int
    factor: float | None


@lru_cache(maxsize=256)
def _forms(recipe: Recipe, height: int, width: int) -> tuple[_Form, ...]:
    return tuple(_form(picture.shape[:2], recipe, height, width) for picture in _pictures()[: recipe.frost_textures])


def _form(size: tuple[int, int], recipe: Recipe, height: int, width: int) -> _Form:
    """Choose a texture's size. The scripts scale by a factor that suits their own images; the package always enlarges.

    If the factor gives too small a texture, the package's rule is applied to that size.
    """
    if not recipe.is_package:
        size = round(size[0] * recipe.frost_scale), round(size[1] * recipe.frost_scale)
        if size[0] > height and size[1] > width:
            return _Form(*size, recipe.frost_scale)
    # The package's factor 1.1 leaves room to draw the corner from.
    needed = max(1.0, height / size[0], width / size[1]) * 1.1
    return _Form(math.ceil(size[0] * needed), math.ceil(size[1] * needed), None)


@lru_cache(maxsize=4)
def _all(forms: tuple[_Form, ...], device: torch.device) -> Textures:
    pixels = np.concatenate([_resize(number, form).reshape(-1, 3) for number, form in enumerate(forms)])
    counts = [form.height * form.width for form in forms]
    return Textures(torch.from_numpy(pixels).to(device), torch.from_numpy(np.cumsum([0, *counts[:-1]])))


def _one(number: int, form: _Form, device: torch.device) -> Tensor:
    """Return one texture, ``(height * width, 3)``."""
    if device.type != "cpu":
        return uploaded(_kept_for_gpus(number, form), device)
    small = form.height * form.width <= KEPT
    return torch.from_numpy((_resize_and_keep if small else _resize)(number, form).reshape(-1, 3))


_for_gpus: OrderedDict[tuple[int, _Form], Pixels] = OrderedDict()
"""The one that was used last is at the end. A GPU's copy lives as long as the array (`uploaded`)."""


def _kept_for_gpus(number: int, form: _Form) -> Pixels:
    """Return a texture from those that are kept, of which the longest unused ones make room for it."""
    pixels = _for_gpus.pop((number, form), None)
    if pixels is None:
        pixels = _resize(number, form).reshape(-1, 3)
        room = KEPT_FOR_GPUS - pixels.nbytes
        while _for_gpus and sum(kept.nbytes for kept in _for_gpus.values()) > room:
            _for_gpus.popitem(last=False)
    _for_gpus[number, form] = pixels
    return pixels


@lru_cache(maxsize=6)
def _resize_and_keep(number: int, form: _Form) -> Pixels:
    return _resize(number, form)


def _resize(number: int, form: _Form) -> Pixels:
    picture = _pictures()[number]
    if form.factor is None:
        return enlarge_cubic(picture, form.height, form.width)
    resized: Pixels = opencv().resize(picture, None, fx=form.factor, fy=form.factor)
    return resized


def enlarge_cubic(picture: Pixels, height: int, width: int) -> Pixels:
    """Resize by cubic interpolation, as OpenCV defines it: a = -0.75, pixel centres aligned, edges repeated.

    OpenCV itself rounds intermediate results, differently on each kind of processor: up to 6 % of the values of a
    texture differ by one level. This function rounds once, with the same result on every machine.

    Args:
        picture: ``(h, w, 3)`` uint8.
        height: New height, in pixels.
        width: New width, in pixels.
    """
    return cubic(picture, *_cubic_taps(picture.shape[0], height), *_cubic_taps(picture.shape[1], width))


def _cubic_taps(size: int, wanted: int) -> tuple[Indices, Doubles]:
    """Return the four pixels that each of ``wanted`` places is made of, and their weights, both ``(wanted, 4)``."""
    centre = (np.arange(wanted) + 0.5) * size / wanted - 0.5
    first = np.floor(centre).astype(np.int64)
    t = (centre - first)[:, None]
    a = -0.75
    outer = [((a * (x - 5) * x + 8 * a) * x - 4 * a) for x in (t + 1, 2 - t)]
    inner = [((a + 2) * x - (a + 3)) * x * x + 1 for x in (t, 1 - t)]
    weights = np.hstack([outer[0], inner[0], inner[1], outer[1]])
    return np.clip(first[:, None] + np.arange(-1, 3), 0, size - 1), weights


@lru_cache(maxsize=1)
def _pictures() -> tuple[Pixels, ...]:
    """Read all six pictures, ``(h, w, 3)`` uint8 RGB. Transparent pixels count as opaque."""
    # The package's folder is found without importing the package, which takes seconds.
    package = find_spec("imagecorruptions")
    folders = package.submodule_search_locations if package else None
    if not folders:
        raise DataError("the frost textures are missing: no package `imagecorruptions`", _REINSTALL_HINT)
    return tuple(_read(Path(folders[0]) / "frost" / name) for name in FILES)


def _read(path: Path) -> Pixels:
    cv2 = opencv()
    # Not `cv2.imread`, which on Windows fails for paths with characters outside the code page.
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) if path.is_file() else None
    if picture is None:
        raise DataError(f"the frost texture {path} is missing or unreadable", _REINSTALL_HINT)
    return np.ascontiguousarray(picture[..., ::-1])  # OpenCV reads BGR
