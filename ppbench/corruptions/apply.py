"""The one way into the engine: what is asked is checked here, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.corruptions.catalog import CORRUPTIONS
from ppbench.corruptions.constants import constants
from ppbench.corruptions.keys import key
from ppbench.corruptions.precision import full_precision
from ppbench.corruptions.random import Draws
from ppbench.corruptions.recipes import RECIPES
from ppbench.errors import UsageError
from ppbench.vocabulary import SEVERITIES

SMALLEST = 8
"""Shortest side of an image, in pixels."""

_CHUNK = {"cpu": 2**18, "cuda": 2**27}
"""Channel values worked on at once: what the cache of a core, or a part of a GPU's memory, holds as float32."""

ANY = TypeVar("ANY", Tensor, NDArray[np.uint8])


def corrupt(
    images: ANY, name: str, severity: int, *, recipe: str = "imagenet-c", seed: int = 0,
    ids: Sequence[str] | None = None, draws: Mapping[str, Any] | None = None,
) -> ANY:  # fmt: skip
    """Corrupt images.

    The result is a pure function of the pixels and of (seed, name, severity, id): how images are put into batches,
    in which order and in which process never changes a pixel. No global random state is read or changed.

    Args:
        images: uint8, RGB or grey; torch ``(N, 3, H, W)`` or ``(N, 1, H, W)`` on any device, or numpy ``(H, W)``,
            ``(H, W, 3)``, ``(N, H, W, 1)`` or ``(N, H, W, 3)``. Sides of at least 8 px.
        name: One of the 19 names (``ppbench list corruptions``).
        severity: 1 to 5.
        recipe: Whose constants and algorithm (``ppbench list recipes``).
        seed: Key of all draws.
        ids: The images' ids, one each; by default their places "0", "1", …
        draws: Draws to use in place of keyed ones: by name (each corruption's docstring tells them), with the images
            as first dimension; for a single ``(H, W, …)`` image too.

    Returns:
        Images of the same kind, shape and type, on the same device.

    Raises:
        UsageError: For an unknown name, severity or recipe, for images of another type or shape, and where a
            corruption cannot work at the images' size.
    """
    operation, how = CORRUPTIONS.get(name).operation, RECIPES.get(recipe)
    if severity not in SEVERITIES:
        raise UsageError(f"severity {severity!r} is not allowed", "Severities are 1 to 5.")
    batch = _to_batch(images)
    names = [str(i) for i in range(len(batch))] if ids is None else list(ids)
    if len(names) != len(batch):
        raise UsageError(f"{len(names)} ids for {len(batch)} images", "Give one id per image.")
    keys = [key(seed, name, severity, image_id) for image_id in names]
    given = {what: torch.as_tensor(values, device=batch.device) for what, values in (draws or {}).items()}
    cell = constants(how.name, name, severity)
    made: list[Tensor] = []
    with full_precision() if batch.is_cuda else nullcontext():
        for part in _chunks(batch):
            drawn = Draws(keys[part], batch.device, {what: values[part] for what, values in given.items()})
            made.append(operation(batch[part], cell, how, drawn))
    return _like(images, made[0] if len(made) == 1 else torch.cat([batch[:0], *made]))


def _to_batch(images: Tensor | NDArray[np.uint8]) -> Tensor:
    """The images as a contiguous ``(N, H, W, C)`` tensor, the order of files and of networks in channels_last."""
    if isinstance(images, Tensor):
        batch = images.permute(0, 2, 3, 1) if images.ndim == 4 else images
    else:
        array = np.ascontiguousarray(images)
        # Arrays that may not be written, as Pillow gives them, make torch warn.
        batch = torch.from_numpy(array if array.flags.writeable else array.copy())
        if batch.ndim == 2:
            batch = batch[..., None]
        if batch.ndim == 3:
            batch = batch[None]
    if batch.dtype != torch.uint8:
        raise UsageError(f"images of type {images.dtype}", "Images are uint8, 0 to 255.")
    if batch.ndim != 4 or batch.shape[3] not in (1, 3):
        raise UsageError(
            f"images of shape {tuple(images.shape)}",
            "torch: (N, 3, H, W) or (N, 1, H, W); numpy: (H, W), (H, W, 3), (N, H, W, 1) or (N, H, W, 3).",
        )
    if min(batch.shape[1:3]) < SMALLEST:
        raise UsageError(f"images of {batch.shape[1]} x {batch.shape[2]} pixels", f"The least is {SMALLEST} a side.")
    return batch.contiguous()


def _like(images: ANY, batch: Tensor) -> ANY:
    """``batch`` in the form of ``images``."""
    if isinstance(images, Tensor):
        nchw = batch.permute(0, 3, 1, 2)
        return nchw if images.is_contiguous(memory_format=torch.channels_last) else nchw.contiguous()
    return batch.numpy().reshape(images.shape)


def _chunks(batch: Tensor) -> Iterator[slice]:
    count = max(1, _CHUNK.get(batch.device.type, _CHUNK["cpu"]) // max(1, batch[0].numel() if len(batch) else 1))
    for start in range(0, len(batch), count):
        yield slice(start, start + count)
