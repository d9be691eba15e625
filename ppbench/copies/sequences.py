"""Perturbation sequences as copies: the recipe for images of a size, and the frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ppbench.copies.corruptor import OneCell, memory_of, one_thread
from ppbench.copies.settings import PixelSettings
from ppbench.corruptions.recipes import recipe_for_size
from ppbench.corruptions.sequences.recipes import SEQUENCE_RECIPES
from ppbench.corruptions.types import Pixels
from ppbench.data.decode import resize_shorter
from ppbench.data.whole import decode_whole
from ppbench.vocabulary import Cell

if TYPE_CHECKING:
    from torch import Tensor

_BY_SIZE = {"cifar-c": "cifar-p", "tiny-imagenet-c": "tiny-imagenet-p"}

_RESIZED = {"imagenet-p": 256, "tiny-imagenet-p": 64}
"""Shorter side of the images that recipes perturb, in pixels. Other recipes take images as they are."""


def sequence_recipe_for(height: int, width: int) -> str:
    """The name of the recipe for images of a size in pixels."""
    return _BY_SIZE.get(recipe_for_size(height, width), "imagenet-p")


def shape_of_frames(name: str, recipe: str, height: int, width: int) -> tuple[int, int, int]:
    """Number, height and width of the frames that a perturbation makes of an image of a size in pixels."""
    how = SEQUENCE_RECIPES[recipe]
    count = how.count(name)
    if how.side is None:
        return count, height, width
    if how.blurs_whole and name == "motion_blur":
        short = min(height, width)
        return count, int(how.side * height / short), int(how.side * width / short)
    return count, how.side, how.side


def decode_colours(data: bytes) -> Pixels:
    """Decode a file's content, upright, to RGB ``(H, W, 3)``. Errors are those of `decode_whole`."""
    return as_colours(decode_whole(data))


def as_colours(pixels: Pixels) -> Pixels:
    """An image ``(H, W, C)`` as RGB ``(H, W, 3)``, without its alpha."""
    colours = pixels[..., : 1 if pixels.shape[2] < 3 else 3]
    return np.ascontiguousarray(np.broadcast_to(colours, (*colours.shape[:2], 3)))


class SequenceMaker:
    """Makes perturbation sequences as a job's settings say; `ppbench.copies.corruptor.Corruptor` for frames.

    Args:
        settings: The job's settings.
        device: Device of the engine, such as "cpu" or "cuda:1".
    """

    def __init__(self, settings: PixelSettings, device: str) -> None:
        self.settings, self.device = settings, device

    def load(self, images: Pixels) -> OneCell:
        """Return the function that makes sequences ``(n, frames, h, w, C)`` of uncut images ``(n, H, W, C)``."""
        known: dict[int | None, Any] = {}

        def one_cell(cell: Cell, ids: Sequence[str]) -> Pixels:
            name, difficulty = cell
            side = self._side(name, min(images.shape[1:3]))
            if side not in known:
                known.clear()  # one size at a time: there may be many images
                known[side] = self._on_device(images if side is None else _resized(images, side))
            return self._made(known[side], name, difficulty, ids)

        return one_cell

    def _side(self, name: str, shorter: int) -> int | None:
        """The side to which the shorter one of images is resized before they are perturbed; None: they are not."""
        how = SEQUENCE_RECIPES[self.settings.recipe]
        side = _RESIZED.get(how.name)
        # Of this recipe, whole images are blurred, and resized afterwards.
        return None if how.blurs_whole and name == "motion_blur" and shorter >= (side or 0) else side

    def _on_device(self, images: Pixels) -> Pixels | Tensor:
        if self.device == "cpu":
            return images
        import torch

        # A copy, because torch warns about arrays that are not writeable, such as mapped ones.
        return torch.from_numpy(images.copy()).to(self.device).permute(0, 3, 1, 2)

    def _made(self, images: Any, name: str, difficulty: int, ids: Sequence[str]) -> Pixels:
        from ppbench.corruptions.sequences.apply import perturb

        settings = self.settings
        with one_thread(), memory_of(self.device):
            made = perturb(
                images, name, recipe=settings.recipe, difficulty=difficulty, seed=settings.seed, ids=list(ids)
            )
        return made if isinstance(made, np.ndarray) else made.permute(0, 1, 3, 4, 2).contiguous().cpu().numpy()


def _resized(images: Pixels, side: int) -> Pixels:
    """Resize the shorter side of images ``(n, H, W, C)``, as the published scripts do."""
    from PIL import Image

    made = [
        np.asarray(resize_shorter(Image.fromarray(image.squeeze(-1) if image.shape[2] == 1 else image), side))
        for image in images
    ]
    return np.stack(made).reshape(len(images), *made[0].shape[:2], images.shape[3])
