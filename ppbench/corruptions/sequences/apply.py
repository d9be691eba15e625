"""The entry point: images to sequences of frames. Arguments are checked here, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from ppbench.corruptions.apply import given_draws, ids_of, to_batch
from ppbench.corruptions.keys import key
from ppbench.corruptions.random import Draws
from ppbench.corruptions.sequences.frames import MAKERS, Job
from ppbench.corruptions.sequences.recipes import (
    GEOMETRY,
    INCEPTION_PART,
    NOISES,
    SEQUENCE_RECIPES,
    SequenceRecipe,
    check_difficulty,
)
from ppbench.corruptions.types import Pixels
from ppbench.corruptions.uploads import sent
from ppbench.corruptions.views import Window, centre, resized
from ppbench.errors import UsageError
from ppbench.lookup import check_name
from ppbench.scalars import integer_of

_Images = TypeVar("_Images", Tensor, Pixels)

_CHUNK = {"cpu": 2**18, "cuda": 2**24}
"""Values of images that are processed at once, see `ppbench.corruptions.apply`."""


def perturb(
    images: _Images, name: str, *, recipe: str = "imagenet-p", difficulty: int = 1, seed: int = 0,
    ids: Sequence[str] | None = None, draws: Mapping[str, Any] | None = None, frames: Sequence[int] | None = None,
) -> _Images:  # fmt: skip
    """Make the perturbation sequence of each image, as in ImageNet-P (Hendrycks & Dietterich, ICLR 2019).

    Frames are without loss. The published ImageNet-P consists of videos, whose encoder changes the frames, and with
    them the flips: never compare the two. CIFAR-10-P was published without loss.

    Args:
        images: uint8 images as they are before the crop: numpy ``(N, H, W, C)`` or ``(H, W, C)``, or torch
            ``(N, C, H, W)``. For ``imagenet-p`` the shorter side is 256 px (at least 224), for ``tiny-imagenet-p`` 64
            px (for motion_blur any size from 64 px), for ``imagenet-p-299`` and ``cifar-p`` images have any size.
        name: The perturbation, one of `ppbench.corruptions.sequences.recipes.TEST_PERTURBATIONS` and
            `EXTRA_PERTURBATIONS`.
        recipe: ``imagenet-p``, ``imagenet-p-299``, ``tiny-imagenet-p`` or ``cifar-p``.
        difficulty: 1 to 3. Only the three noises change with it; others keep their frames, and the metric compares
            frames that are so far apart.
        seed: Seed of all draws.
        ids: The images' ids, one each; by default an image's pixels are its id.
        draws: Draws to use in place of keyed ones, by name (see each function of
            `ppbench.corruptions.sequences.frames`). The first dimension is the images.
        frames: Numbers of the frames to make, ascending; None: all. A frame does not depend on which others are made.

    Returns:
        uint8 of the same kind, ``(N, frames, H, W, C)``, or for torch ``(N, frames, C, H, W)``.

    Raises:
        UsageError: If a name, recipe, difficulty, frame or draw is unknown, or images have another type or size.
    """
    check_name("perturbation", str(name), list(MAKERS), "docs/sequences.md")
    how, batch = SEQUENCE_RECIPES[str(recipe)], to_batch(images)
    wanted = _frames(frames, how.count(name))
    given = {what: _without_clean(values, name, how) for what, values in given_draws(draws or {}, batch).items()}
    level, names = check_difficulty(difficulty), ids_of(ids, batch)
    return _in_form_of(images, _perturbed(batch, name, how, level, integer_of("seed", seed), names, given, wanted))


def perturb_batch(
    images: Pixels, name: str, difficulty: int, recipe: SequenceRecipe, seed: int, ids: Sequence[str],
    device: torch.device,
) -> Tensor:  # fmt: skip
    """Make all frames of images in the order of axes of files, on a device.

    Args:
        images: ``(n, H, W, C)`` as `perturb` takes them.
        name: The perturbation.
        difficulty: 1 to 3.
        recipe: The constants.
        seed: Seed of all draws.
        ids: The images' ids, one each.
        device: Where frames are made.

    Returns:
        ``(n, frames, H, W, C)`` uint8.
    """
    batch = sent(to_batch(images), device)
    return _perturbed(batch, name, recipe, difficulty, seed, ids, {}, range(recipe.count(name)))


def _perturbed(
    batch: Tensor, name: str, how: SequenceRecipe, level: int, seed: int, ids: Sequence[str],
    given: Mapping[str, Tensor], wanted: Sequence[int],
) -> Tensor:  # fmt: skip
    """Return ``(n, frames, H, W, C)``, made in parts that fit into a cache or a GPU's memory."""
    chances = _Chances(seed, name, level if name in NOISES else 1, ids, batch.device, given)
    count = max(1, _CHUNK.get(batch.device.type, _CHUNK["cpu"]) // max(1, batch[0].numel() if len(batch) else 1))
    parts = [slice(start, start + count) for start in range(0, max(1, len(batch)), count)]
    made = torch.cat([_sequence(batch[part], name, how, level, wanted, chances.of(part)) for part in parts])
    chances.check_all_used(len(batch))
    return made


@dataclass
class _Chances:
    """The draws of all images, by which those of a part and of a frame are found."""

    seed: int
    name: str
    difficulty: int
    """1 for all but noise, whose frames alone differ."""
    ids: Sequence[str]
    device: torch.device
    given: Mapping[str, Tensor]
    used: set[str] = field(default_factory=set)

    def of(self, part: slice) -> Callable[[int | None], Draws]:
        """Return a function from the number of a frame, or None for the whole sequence, to the draws of some images."""
        known: dict[int | None, Draws] = {}

        def draws(number: int | None) -> Draws:
            if number not in known:
                known[number] = self._draws(part, number)
            return known[number]

        return draws

    def _draws(self, part: slice, number: int | None) -> Draws:
        what = f"{self.name} sequence" if number is None else f"{self.name} frame {number}"
        keys = [key(self.seed, what, self.difficulty, image_id) for image_id in self.ids[part]]
        given = {name: values[part] for name, values in self.given.items()}
        if number is not None:
            given = {name: values[:, number - 1] for name, values in given.items()}
        drawn = Draws(keys, self.device, given)
        drawn.names = self.used  # one set for all, to know at the end which draws were of use
        return drawn

    def check_all_used(self, images: int) -> None:
        unknown = sorted(set(self.given) - self.used) if images else []
        if unknown:
            takes = f"It takes {', '.join(sorted(self.used))}." if self.used else "It is not random."
            raise UsageError(f"{self.name} takes no draw {unknown[0]!r}", takes)


def _frames(frames: Sequence[int] | None, count: int) -> list[int]:
    if frames is None:
        return list(range(count))
    wanted = [integer_of("frame", number) for number in frames]
    if not wanted or wanted != sorted(set(wanted)) or wanted[0] < 0 or wanted[-1] >= count:
        raise UsageError(f"frames {list(frames)} are not allowed", f"Give numbers from 0 to {count - 1}, ascending.")
    return wanted


def _without_clean(values: Tensor, name: str, how: SequenceRecipe) -> Tensor:
    """Return draws for the noisy frames alone. Those for all frames are allowed; the first of these is not used."""
    if name not in NOISES:
        return values
    count = how.count(name)
    if values.ndim < 2 or values.shape[1] not in (count - 1, count):
        raise UsageError(
            f"a draw of shape {tuple(values.shape)}", f"It is (images, {count - 1}, H, W, C): one for each noisy frame."
        )
    return values[:, values.shape[1] - count + 1 :]


def _sequence(
    images: Tensor, name: str, how: SequenceRecipe, difficulty: int, wanted: Sequence[int],
    draws: Callable[[int | None], Draws],
) -> Tensor:  # fmt: skip
    """Return ``(n, frames, H, W, C)``."""
    stage = _stage(images, name, how)
    acted_on = stage.images if name in GEOMETRY else stage.window.cut(stage.images)
    job = Job(acted_on, stage.window, wanted, how, difficulty, draws(None), draws)
    return torch.stack([_of_size(frame, stage.size) for frame in MAKERS[name](job)], dim=1)


class _Stage(NamedTuple):
    """What a perturbation acts on."""

    images: Tensor
    window: Window
    """The part that becomes a frame."""
    size: tuple[int, int] | None = None
    """Size to which frames are resized; None: they stay as they are."""


_ON_ORIGINALS = frozenset({"translate", "rotate", "tilt", "shear"})
"""For Inception, these act before the image is cut and resized."""


def _stage(images: Tensor, name: str, how: SequenceRecipe) -> _Stage:
    height, width = images.shape[1:3]
    everything = Window(0, 0, height, width)
    if how.side is None:
        return _Stage(images, everything)
    square = (how.side, how.side)
    if how.resizes:
        kept = centre(height, width, (int(height * INCEPTION_PART), int(width * INCEPTION_PART)))
        if name in _ON_ORIGINALS:
            return _Stage(images, kept, square)
        return _Stage(_of_size(kept.cut(images), square), Window(0, 0, *square))
    if min(height, width) < how.side:
        raise UsageError(
            f"images of {height} x {width} pixels", f"Recipe {how.name} cuts frames of {how.side} x {how.side} px."
        )
    if how.blurs_whole and name == "motion_blur":
        # torchvision cuts the longer side to whole pixels.
        short = min(height, width)
        return _Stage(images, everything, (int(how.side * height / short), int(how.side * width / short)))
    return _Stage(images, centre(height, width, square))


def _of_size(images: Tensor, size: tuple[int, int] | None) -> Tensor:
    return images if size is None or tuple(images.shape[1:3]) == size else resized(images, size)


def _in_form_of(images: _Images, frames: Tensor) -> _Images:
    if isinstance(images, Tensor):
        return frames.permute(0, 1, 4, 2, 3).contiguous()
    array = frames.cpu().numpy()
    return array[0] if (images.ndim == 3 and images.shape[-1] in (1, 3)) or images.ndim == 2 else array
