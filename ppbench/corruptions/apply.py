"""The entry point of the engine. Arguments are checked here, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ppbench.corruptions.catalog import CORRUPTIONS, CorruptionFunction
from ppbench.corruptions.constants import constants
from ppbench.corruptions.keys import key, pixels_id
from ppbench.corruptions.own import OwnCorruption, find_corruption
from ppbench.corruptions.random import Draws
from ppbench.corruptions.recipes import KNOWN_RECIPES, Recipe, recipe_for, recipe_for_size
from ppbench.corruptions.scale import ScaledDraws, scale_for, scaled_constants
from ppbench.corruptions.strengths import STRENGTHS
from ppbench.corruptions.types import Pixels, Scale
from ppbench.errors import UsageError
from ppbench.scalars import integer_of
from ppbench.vocabulary import SEVERITIES

_SMALLEST = 8
"""Shortest side of an image, in pixels."""

_CHUNK = {"cpu": 2**18, "cuda": 2**25}
"""Channel values processed at once: what the cache of a CPU core holds as float32, and enough to keep a GPU busy.

glass_blur needs the most memory, 56 bytes a value: 1.8 GiB on a GPU.
"""

_LINE_BY_LINE = 16
"""Factor of the chunks of C-bar on the CPU: its kernels keep few lines in the cache, and each image has many draws."""

_SHAPES = (
    "torch: (N, 3, H, W) or (N, 1, H, W); numpy: (H, W), (H, W, 3), (N, H, W, 1) or (N, H, W, 3). Grey images "
    "(N, H, W) need `[..., None]`."
)

_Images = TypeVar("_Images", Tensor, Pixels)


def corrupt(
    images: _Images, name: str | Callable[..., Any] | OwnCorruption, severity: int, *, recipe: str | None = None,
    seed: int = 0, ids: Sequence[str] | None = None, draws: Mapping[str, Any] | None = None, scale: Scale = 1,
) -> _Images:  # fmt: skip
    """Corrupt images.

    The result depends only on the pixels and on (seed, name, severity, recipe, id). Batches, order and processes never
    change a pixel. No global random state is read or changed.

    Args:
        images: uint8, RGB or grey; torch ``(N, 3, H, W)`` or ``(N, 1, H, W)`` on any device, or numpy ``(H, W)``,
            ``(H, W, 3)``, ``(N, H, W, 1)`` or ``(N, H, W, 3)``. Sides of at least 8 px.
        name: One that ppbench makes (``ppbench list corruptions``); or a corruption of your own, as
            ``"pkg.mod:function"``, by the name under which a package offers it, or as a function
            (docs/own-corruptions.md). Recipe and scale do not change the latter.
        severity: 1 to 5.
        recipe: The constants and algorithms to use (``ppbench list recipes``). By default the images' size decides, as
            on the command line (`ppbench.corruptions.recipes.recipe_for_size`). A recipe of the 19 stands for C-bar's
            of the nearer size too.
        seed: Seed of all draws, an integer.
        ids: The images' ids, one each. By default an image's pixels are its id: different images have independent
            draws, and equal images have equal draws. ``ppbench eval`` and ``ppbench corrupt`` use paths or places.
        draws: Draws to use in place of keyed ones, by name (see each corruption's docstring). The first dimension is
            the images, even for a single ``(H, W, …)`` image.
        scale: Factor of the recipe's lengths in pixels, at least 1, for images larger than it was made for; "auto": the
            shorter side in units of the recipe's size (`ppbench.corruptions.scale`).

    Returns:
        Images of the same kind, shape and type, on the same device.

    Raises:
        UsageError: If the name, severity, recipe or a draw is unknown, if images or draws have another type or shape,
            or if a corruption cannot work at the images' size.
        DataError: If a corruption of your own raises, or returns anything but images of the same shape.
    """
    function = find_corruption(name) or CORRUPTIONS[str(name)]
    batch = to_batch(images)
    return _like(images, _corrupted(batch, function, str(name), severity, recipe, seed, ids, draws or {}, scale))


def corrupt_batch(
    images: Any, name: str | OwnCorruption, severity: int, recipe: str, seed: int, ids: Sequence[str]
) -> Any:
    """`corrupt` for an array, or a contiguous uint8 tensor in the same order of axes, ``(N, H, W, C)``."""
    if isinstance(images, np.ndarray):
        return corrupt(images, name, severity, recipe=recipe, seed=seed, ids=ids)
    function = name if isinstance(name, OwnCorruption) else CORRUPTIONS[name]
    return _corrupted(images, function, str(name), severity, recipe, seed, ids, {}, 1)


def _corrupted(
    batch: Tensor, function: CorruptionFunction | OwnCorruption, name: str, severity: int, recipe: str | None,
    seed: int, ids: Sequence[str] | None, draws: Mapping[str, Any], scale: Scale,
) -> Tensor:  # fmt: skip
    wanted = recipe_for_size(*batch.shape[1:3]) if recipe is None else str(recipe)
    how = KNOWN_RECIPES[wanted if isinstance(function, OwnCorruption) else recipe_for(name, wanted)]
    factor = scale_for(scale, how, *batch.shape[1:3])
    if isinstance(function, OwnCorruption):
        if draws:
            raise UsageError(f"{function.spec} takes no draws", "Its generators are keyed: give another `seed`.")
        return _made_by(function, batch, severity_of(severity), integer_of("seed", seed), ids_of(ids, batch))
    cell = scaled_constants(constants(how.name, name, severity_of(severity)), factor)
    # Keys hash the severity as text, and 3.0 is an allowed severity, but another text than 3.
    keys = [key(integer_of("seed", seed), name, int(severity), image_id) for image_id in ids_of(ids, batch)]
    given = given_draws(draws, batch)
    out, names = made_in_chunks(batch, function, cell, how, keys, given, factor)
    # Which draws a function takes is known only after it ran; without images it never does.
    unknown = sorted(set(given) - names) if len(batch) else []
    if unknown:
        known = f"It takes {', '.join(sorted(names))}." if names else "It is not random."
        raise UsageError(f"{name} at severity {int(severity)} takes no draw {unknown[0]!r}", known)
    return out


def made_in_chunks(
    batch: Tensor, function: CorruptionFunction, cell: Any, how: Recipe, keys: Sequence[int],
    given: Mapping[str, Tensor], factor: float,
) -> tuple[Tensor, set[str]]:  # fmt: skip
    """Corrupt a batch ``(n, H, W, C)``, a part that the cache holds at a time.

    Args:
        batch: The images.
        function: The corruption.
        cell: Its constants.
        how: The recipe.
        keys: The images' keys.
        given: Draws in place of keyed ones.
        factor: Factor of the recipe's lengths.

    Returns:
        The images, and the names of the draws that the corruption takes.
    """
    out, names = torch.empty_like(batch), set[str]()
    for part in _chunks(batch, _LINE_BY_LINE if how.name in STRENGTHS else 1):
        given_here = {what: values[part] for what, values in given.items()}
        drawn = (Draws if factor == 1 else ScaledDraws)(keys[part], batch.device, given_here, factor)
        out[part] = function(batch[part], cell, how, drawn)
        names |= drawn.names
    return out, names


def _made_by(own: OwnCorruption, batch: Tensor, severity: int, seed: int, ids: Sequence[str]) -> Tensor:
    """Corrupt a batch with the user's function, which computes with numpy, on the CPU."""
    pixels = batch.cpu().numpy()
    out = np.empty_like(pixels)
    for part in _chunks(torch.from_numpy(out)):
        out[part] = own.make(pixels[part], severity, seed, ids[part])
    return torch.from_numpy(out).to(batch.device)


def severity_of(value: Any) -> int:
    """Return a severity as int; raise `UsageError` if it is none."""
    if isinstance(value, bool) or value not in SEVERITIES:
        raise UsageError(f"severity {value!r} is not allowed", "Severities are 1 to 5.")
    return int(value)


def ids_of(ids: Sequence[str] | None, batch: Tensor) -> list[str]:
    if ids is None:
        return [pixels_id(image) for image in batch.cpu().numpy()]
    names = list(ids)
    if isinstance(ids, str) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"ids of type {type(ids).__name__}", "They are a list of strings, one per image.")
    if len(names) != len(batch):
        raise UsageError(f"{len(names)} ids for {len(batch)} images", "Give one id per image.")
    return names


def given_draws(draws: Mapping[str, Any], batch: Tensor) -> dict[str, Tensor]:
    given = {name: torch.as_tensor(values, device=batch.device) for name, values in draws.items()}
    for name, values in given.items():
        if not values.ndim or len(values) != len(batch):
            raise UsageError(f"draw {name!r} has shape {tuple(values.shape)}", f"Images first: {len(batch)} of them.")
    return given


def to_batch(images: Tensor | Pixels) -> Tensor:
    """Return the images as a contiguous ``(N, H, W, C)`` tensor, the order of files and of channels_last networks."""
    if not isinstance(images, Tensor | np.ndarray):
        raise UsageError(f"images of type {type(images).__name__}", "Give `numpy.asarray(image)` or a torch tensor.")
    if images.dtype not in (torch.uint8, np.dtype(np.uint8)):
        raise UsageError(f"images of type {images.dtype}", "Images are uint8, 0 to 255.")
    if isinstance(images, Tensor):
        batch = images.detach().permute(0, 2, 3, 1) if images.ndim == 4 else images
    else:
        array = np.ascontiguousarray(images)
        # torch warns about arrays that are not writeable, such as Pillow's.
        batch = torch.from_numpy(array if array.flags.writeable else array.copy())
        if batch.ndim == 2:
            batch = batch[..., None]
        if batch.ndim == 3:
            batch = batch[None]
    if batch.ndim != 4 or batch.shape[3] not in (1, 3):
        raise UsageError(f"images of shape {tuple(images.shape)}", _SHAPES)
    if min(batch.shape[1:3]) < _SMALLEST:
        raise UsageError(f"images of {batch.shape[1]} x {batch.shape[2]} pixels", f"Use at least {_SMALLEST} a side.")
    return batch.contiguous()


def _like(images: _Images, batch: Tensor) -> _Images:
    """Return ``batch`` in the form of ``images``."""
    if isinstance(images, Tensor):
        # A channels_last tensor lies in memory as `batch` does, so only other layouts are copied.
        nchw = batch.permute(0, 3, 1, 2)
        return nchw if images.is_contiguous(memory_format=torch.channels_last) else nchw.contiguous()
    return batch.numpy().reshape(images.shape)


def _chunks(batch: Tensor, times: int = 1) -> Iterator[slice]:
    values = _CHUNK.get(batch.device.type, _CHUNK["cpu"]) * (times if batch.device.type == "cpu" else 1)
    count = max(1, values // max(1, batch[0].numel() if len(batch) else 1))
    for start in range(0, len(batch), count):
        yield slice(start, start + count)
