"""Corruptions as a step of one's own pipeline: ``ppbench.Corruption("fog", 3)``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ppbench.corruptions.apply import corrupt, severity_of
from ppbench.corruptions.catalog import CORRUPTIONS
from ppbench.corruptions.keys import pixels_id
from ppbench.corruptions.own import OwnCorruption, find_corruption, split_own
from ppbench.corruptions.recipes import KNOWN_RECIPES
from ppbench.corruptions.scale import check_scale
from ppbench.corruptions.types import Pixels, Scale
from ppbench.data.whole import as_copied
from ppbench.errors import UsageError
from ppbench.keys import hash64
from ppbench.scalars import integer_of
from ppbench.vocabulary import CLEAN, Cell, expand_corruptions, expand_severities, in_order, severity_texts

_KINDS = (
    "PIL images, uint8 tensors (C, H, W) and (N, C, H, W), uint8 arrays (H, W), (H, W, C) and (N, H, W, C), and lists "
    "of these; C is 1 or 3, or with alpha 2 or 4."
)


class Corruption:
    """Corrupt images in a pipeline: in torchvision's ``v2.Compose``, in a ``Dataset``, in workers of a ``DataLoader``.

    Called with images, it returns images of the same kind: a PIL image, a tensor (``tv_tensors.Image`` stays one, on
    its device), an array, or a list of these. The pixels are those of `ppbench.corrupt`. An image's draws depend on its
    content, on the corruption and on ``seed``: workers, batches, order and global seeds change nothing, and two
    different images never share a noise. Alpha is kept as it is. PIL images of other modes are converted to RGB, grey
    stays grey; EXIF orientation is left to you.

    Called with several values or a tuple, as by ``v2.Compose`` with image and label, it corrupts the PIL images and
    ``tv_tensors.Image`` in it or, if there are none, the first tensor or array that is an image; all else passes.

    Args:
        name: A corruption of ``ppbench list corruptions``; or one of your own, as for `ppbench.corrupt`.
        severity: 1 to 5.
        recipe: The constants and algorithms (``ppbench list recipes``); None: chosen by each image's size.
        seed: Another seed gives other draws. It may be set later: ``transform.seed = epoch`` gives every epoch its own.
        scale: Factor of the recipe's lengths in pixels, or "auto", as for `ppbench.corrupt`.

    Raises:
        UsageError: If a value is not allowed; when called, if something is no image of uint8.
    """

    def __init__(
        self, name: str | Callable[..., Any], severity: int, *, recipe: str | None = None, seed: int = 0,
        scale: Scale = 1,
    ) -> None:  # fmt: skip
        own = find_corruption(name)
        known = CORRUPTIONS[str(name)].__name__ if own is None else own.name
        self._begin([(known, severity_of(severity))], [] if own is None else [own], recipe, seed, scale)
        self._shown = f"Corruption({_shown(name)}, {severity_of(severity)}"

    @classmethod
    def random(
        cls, names: str | Sequence[str | Callable[..., Any]] = "c15",
        severities: str | int | Sequence[str | int] = "1-5", *,
        recipe: str | None = None, seed: int = 0, scale: Scale = 1,
    ) -> Corruption:  # fmt: skip
        """Corrupt each image by one of several corruptions at one of several severities.

        The image's content and ``seed`` choose, all alike: the same image gets the same corruption, wherever it is.

        Args:
            names: Names, families ("noise") and sets ("c15"); your own as for `ppbench.corrupt`; "clean" is one more
                choice, which leaves the image as it is.
            severities: 1 to 5, or ranges ("1-3").
            recipe: As for `Corruption`.
            seed: As for `Corruption`.
            scale: As for `Corruption`.

        Raises:
            UsageError: If a value is not allowed, or there is nothing to choose from.
        """
        given = list(names) if isinstance(names, Sequence) and not isinstance(names, str) else [names]
        wanted = [name for name in given if not isinstance(name, str) or name.strip().lower() != CLEAN]
        published, own = split_own(wanted)
        chosen = in_order((*expand_corruptions(published, own=True), *(one.name for one in own)))
        levels = expand_severities(severity_texts(severities))
        cells = [(name, level) for name in chosen for level in levels]
        # As likely as each of the corruptions, whatever the number of severities.
        cells += [(CLEAN, 0)] * (len(levels) if len(wanted) < len(given) else 0)
        if not cells:
            raise UsageError("there is no corruption to choose from", "Give names, families or sets, such as 'c15'.")
        self = cls.__new__(cls)
        self._begin(cells, own, recipe, seed, scale)
        shown = _shown(names) if isinstance(names, str) else f"[{', '.join(map(_shown, given))}]"
        self._shown = f"Corruption.random({shown}, {severities!r}"
        return self

    def _begin(
        self, cells: list[Cell], own: Iterable[OwnCorruption], recipe: str | None, seed: int, scale: Scale
    ) -> None:
        self.seed = integer_of("seed", seed)
        self.recipe = None if recipe is None else KNOWN_RECIPES[recipe].name
        self.scale = check_scale(scale)
        self._cells, self._own = cells, {one.name: one for one in own}

    def __repr__(self) -> str:
        options = {"recipe": self.recipe, "seed": self.seed or None, "scale": None if self.scale == 1 else self.scale}
        return "".join([self._shown, *(f", {name}={v!r}" for name, v in options.items() if v is not None), ")"])

    def __call__(self, *inputs: Any) -> Any:
        """Corrupt an image or a batch; or the images among several values, which are returned as a tuple."""
        if len(inputs) == 1 and not isinstance(inputs[0], tuple):
            return self._of(inputs[0])
        sample = inputs[0] if len(inputs) == 1 else inputs
        return _rebuilt(sample, [self._of(value) if is_image else value for value, is_image in _told_apart(sample)])

    def _of(self, images: Any) -> Any:
        if isinstance(images, list):
            return [self._of(image) for image in images]
        if isinstance(images, Image.Image):
            return self._of_pil(images)
        if isinstance(images, Tensor):
            return self._of_tensor(images)
        if isinstance(images, np.ndarray):
            _check(images, images.dtype == np.uint8)
            return self._made(_as_batch(images)).reshape(images.shape)
        raise UsageError(f"an object of class {type(images).__name__} is no image", f"Give {_KINDS}")

    def _of_pil(self, image: Image.Image) -> Image.Image:
        pixels = np.asarray(as_copied(image))
        made = Image.fromarray(self._made(_as_batch(pixels)).reshape(pixels.shape))
        # What the file said beside the pixels, such as its orientation. Transparency is in the alpha by now.
        made.info = {name: value for name, value in image.info.items() if name != "transparency"}
        return made

    def _of_tensor(self, images: Tensor) -> Tensor:
        _check(images, images.dtype == torch.uint8)
        if images.layout != torch.strided or images.is_meta:
            kind = "without data" if images.is_meta else "with a sparse layout"
            raise UsageError(f"a tensor {kind} is no image", f"Give {_KINDS}")
        if images.ndim not in (3, 4) or images.shape[-3] not in (1, 2, 3, 4):
            raise UsageError(f"a tensor of shape {tuple(images.shape)}", f"Give {_KINDS}")
        plain = images.as_subclass(Tensor)
        batch = plain if plain.ndim == 4 else plain[None]
        made = torch.from_numpy(self._made(batch.permute(0, 2, 3, 1).cpu().numpy())).permute(0, 3, 1, 2)
        made = made.reshape(images.shape).contiguous().to(images.device)
        if type(images) is Tensor:
            return made
        from torchvision import tv_tensors

        return tv_tensors.wrap(made, like=images)

    def _made(self, images: Pixels) -> Pixels:
        """Corrupt ``(N, H, W, C)``, each image by its cell; the last one of 2 or 4 channels is alpha."""
        ids = [pixels_id(image) for image in images]
        cells = [self._cells[hash64(f"{self.seed}/cell/{name}".encode()) % len(self._cells)] for name in ids]
        out = images.copy()
        colours = images.shape[3] - (images.shape[3] in (2, 4))
        for cell in sorted(set(cells) - {(CLEAN, 0)}):
            places = [place for place, own in enumerate(cells) if own == cell]
            out[places, ..., :colours] = corrupt(
                images[places][..., :colours], self._own.get(cell[0], cell[0]), cell[1], recipe=self.recipe,
                seed=self.seed, ids=[ids[place] for place in places], scale=self.scale,
            )  # fmt: skip
        return out


def _shown(name: Any) -> str:
    return repr(name) if isinstance(name, str) else str(getattr(name, "__name__", name))


def _check(images: Any, is_uint8: bool) -> None:
    if not is_uint8:
        raise UsageError(
            f"images of type {images.dtype}",
            "Images are uint8, 0 to 255: corruptions are defined on these. Put this step before the one that makes "
            "floats (`v2.ToDtype`, `ToTensor`, `Normalize`).",
        )


def _as_batch(images: Pixels) -> Pixels:
    """``(H, W)``, ``(H, W, C)`` or ``(N, H, W, C)`` as ``(N, H, W, C)``."""
    shape = images.shape
    if images.ndim == 2:
        shape = (1, *shape, 1)
    elif images.ndim == 3:
        shape = (1, *shape)
    if len(shape) != 4 or shape[3] not in (1, 2, 3, 4):
        raise UsageError(f"an array of shape {images.shape}", f"Give {_KINDS}")
    return np.ascontiguousarray(images).reshape(shape)


def _told_apart(sample: Sequence[Any]) -> list[tuple[Any, bool]]:
    """Each value of a sample, and whether it is an image to corrupt; as torchvision's transforms see it."""
    sure = [isinstance(value, Image.Image) or _is_tv_image(value) for value in sample]
    if not any(sure):
        bare = [_is_bare_image(value) for value in sample]
        sure = [is_image and not any(bare[:place]) for place, is_image in enumerate(bare)]
    if not any(sure):
        kinds = ", ".join(type(value).__name__ for value in sample)
        raise UsageError(f"no image among {len(sample)} values ({kinds})", f"Give {_KINDS}")
    return list(zip(sample, sure, strict=True))


def _is_tv_image(value: Any) -> bool:
    # Without torchvision's module, there are none of its tensors.
    module = sys.modules.get("torchvision.tv_tensors")
    return module is not None and isinstance(value, module.Image | module.Video)


def _is_bare_image(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and (isinstance(value[0], Image.Image) or _is_bare_image(value[0]) or _is_tv_image(value[0]))
    return (type(value) is Tensor and value.ndim >= 3) or (isinstance(value, np.ndarray) and value.ndim >= 2)


def _rebuilt(sample: Any, values: list[Any]) -> tuple[Any, ...]:
    """A tuple of the same class, perhaps a named one."""
    return type(sample)(*values) if hasattr(sample, "_fields") else tuple(values)
