"""Whether corruptions make the same pixels as on the CPU, with its kernels; whether JPEG is libjpeg's."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ppbench.corruptions import fused, kernels
from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.jpeg import saved
from ppbench.corruptions.recipes import c_bar_for
from ppbench.corruptions.sequences.apply import perturb
from ppbench.corruptions.sequences.frames import MAKERS
from ppbench.pool import ordered_map, usable_cores
from ppbench.vocabulary import C19, SEVERITIES
from tools.gpu_check.context import Context
from tools.gpu_check.photographs import Pixels, photographs


class Form(NamedTuple):
    """Images of one form, and the recipe that makes others of them."""

    recipe: str
    height: int
    width: int
    channels: int
    count: int
    frames: tuple[int, ...] = ()
    """Frames of perturbation sequences; empty: corruptions."""

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.recipe}, {self.height} x {self.width}, {'grey' if self.channels == 1 else 'RGB'}"

    def images(self) -> Pixels:
        """The images, the same in every process."""
        return photographs(self.count, self.height, self.width, self.channels)

    def made_of(self, images: Tensor, name: str) -> Tensor:
        """All severities, or the frames, of images ``(n, C, H, W)``: ``(5 or frames, n, C, h, w)``."""
        ids = [f"photograph {number}" for number in range(self.count)]
        if self.frames:
            return perturb(images, name, recipe=self.recipe, ids=ids, frames=self.frames).transpose(0, 1)
        return torch.stack([corrupt(images, name, s, recipe=self.recipe, ids=ids) for s in SEVERITIES])


FORMS = (Form("imagenet-c", 224, 224, 3, 6), Form("cifar-c", 32, 32, 3, 32), Form("imagecorruptions", 150, 211, 3, 4))
MORE_FORMS = (
    Form("tiny-imagenet-c", 64, 64, 3, 16), Form("cifar-c", 28, 28, 1, 32), Form("imagenet-c-299", 299, 299, 3, 3),
)  # fmt: skip
QUICK = (Form("cifar-c", 32, 32, 3, 2), Form("imagecorruptions", 33, 41, 3, 1), Form("cifar-c", 28, 28, 1, 2))
FRAMES = (0, 1, 8, 15, 20)
SEQUENCES = (Form("cifar-p", 32, 32, 3, 16, (0, 1, 8, 15)), Form("imagenet-p", 256, 290, 3, 2, FRAMES))


class _Making:
    """Starts a worker that makes references."""

    def __call__(self) -> _Made:
        return _Made()


class _Made:
    """Makes what is made of the images of a form on the CPU."""

    def __call__(self, form: Form, name: str) -> Pixels:
        made: Pixels = form.made_of(torch.from_numpy(form.images()).permute(0, 3, 1, 2), name).numpy()
        return made


def corruptions(context: Context) -> Iterator[dict[str, Any]]:
    """All corruptions x severities x recipes as they are used on the device, against the CPU's kernels.

    On a CPU, where those are what is used, the torch definitions are compared with them.
    """
    yield {"name": "Triton's kernels", "are_used": context.is_card and fused.triton_works()}
    yield from _compared(context, nullcontext if context.is_card else kernels.disabled, _tasks(context))


def definition(context: Context) -> Iterator[dict[str, Any]]:
    """The torch definitions on the device, against the CPU's kernels."""
    yield from _compared(context, fused.disabled, _tasks(context))


def c_bar(context: Context) -> Iterator[dict[str, Any]]:
    """The corruptions of C-bar as `corruptions` does those of ImageNet-C."""
    forms = [Form("cifar-c-bar", 32, 32, 3, context.choose(2, 16))]
    forms += context.choose([], [Form("imagenet-c-bar", 224, 224, 3, 2)])
    tasks = [(form, name) for form in forms for name in c_bar_for(form.recipe)]
    yield from _compared(context, nullcontext if context.is_card else kernels.disabled, tasks)


def sequences(context: Context) -> Iterator[dict[str, Any]]:
    """The frames of perturbation sequences in the same way."""
    quick = (SEQUENCES[0]._replace(count=1, frames=(1, 8)),)
    more = (Form("imagenet-p-299", 310, 350, 3, 2, FRAMES), Form("tiny-imagenet-p", 64, 81, 3, 8, FRAMES))
    forms = context.choose(quick, SEQUENCES, (*SEQUENCES, *more))
    tasks = [(form, name) for form in forms for name in MAKERS]
    yield from _compared(context, nullcontext if context.is_card else kernels.disabled, tasks)


def _tasks(context: Context) -> list[tuple[Form, str]]:
    return [(form, name) for form in context.choose(QUICK, FORMS, (*FORMS, *MORE_FORMS)) for name in C19]


def _compared(
    context: Context, on_device: Callable[[], AbstractContextManager[object]], tasks: list[tuple[Form, str]]
) -> Iterator[dict[str, Any]]:
    # The CPU's kernels are compiled at their first use, which takes half a minute in one process.
    workers = min(8, usable_cores()) if context.is_card else 0
    with closing(ordered_map(_Making(), tasks, workers)) as references:
        for (form, name), reference in zip(tasks, references, strict=True):
            if not context.has_time():
                break
            images = torch.from_numpy(form.images()).to(context.device).permute(0, 3, 1, 2)
            # Such as that a kernel cannot be compiled here, and its definition runs in its place.
            with on_device(), warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                made = form.made_of(images, name)
            yield {
                "name": f"{name}, {form.name}", "corruption": name, "recipe": form.recipe,
                **difference(made, reference, form.frames or SEVERITIES),
                **({"warnings": [str(one.message) for one in said]} if said else {}),
            }  # fmt: skip


def difference(made: Tensor, reference: Pixels, which: Sequence[int] = SEVERITIES) -> dict[str, Any]:
    """The largest difference in levels, how many values differ, and in which severities or frames, the first axis."""
    levels = np.abs(made.cpu().numpy().astype(np.int16) - reference.astype(np.int16))
    return {
        "largest": int(levels.max()), "differing": int(np.count_nonzero(levels)), "values": levels.size,
        "severities": [s for s, each in zip(which, levels, strict=True) if each.any()],
    }  # fmt: skip


def jpeg(context: Context) -> Iterator[dict[str, Any]]:
    """JPEG without its file, against Pillow's, which is libjpeg."""
    sizes = context.choose([(40, 50, 3), (33, 17, 1)], [(224, 224, 3), (225, 221, 3), (64, 64, 3), (33, 17, 1)])
    for height, width, channels in sizes:
        images = photographs(4, height, width, channels)
        every = [1, 7, 10, 15, 18, 25, 50, 75, 85, 95, 100]
        for quality in context.choose([25, 85], every[::2], every):
            if not context.has_time():
                return
            made = saved(torch.from_numpy(images).to(context.device), quality).cpu().numpy()
            differing = int(np.count_nonzero(made != np.stack([_through_a_file(image, quality) for image in images])))
            name = f"{height} x {width} x {channels}, quality {quality}"
            yield {"name": name, "differing": differing, "values": images.size}


def _through_a_file(image: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).reshape(image.shape)
