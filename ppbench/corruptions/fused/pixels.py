"""Programs that work on pixels, ``block`` of them each, in images that have some programs each."""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

from ppbench.corruptions.fused.random import OPTIONS

_PIXELS = 256


@triton.jit
def pixels_of(programs, width, block: tl.constexpr):
    """Return a program's image (int64), and the places, rows and columns of its pixels, ``(block,)`` each."""
    program = tl.program_id(0)
    image = program // programs
    place = (program - image * programs) * block + tl.arange(0, block)
    y = place // width
    return image.to(tl.int64), place, y, place - y * width


# `tl.max` and `tl.sum` themselves cannot be interpreted in a process that compiles too. With these, the interpreter
# uses numpy's reductions.
_greater_of = tl.standard._elementwise_max
sum_of = tl.standard._sum_combine


@triton.jit
def greatest_of(x):
    """Return the greatest number of a program."""
    return tl.reduce(x, 0, _greater_of)


@triton.jit
def mirrored_at(place, side):
    """Return the places of an axis, of which those one beyond its ends are mirrored without the edge."""
    place = tl.where(place < 0, -place, place)
    return tl.where(place >= side, 2 * side - 2 - place, place)


def start_on_pixels(kernel: Any, shape: tuple[int, int, int], *args: Any, **static: Any) -> None:
    """Run a kernel on all pixels of ``n`` images.

    Args:
        kernel: Takes ``args``, height, width, the programs of an image, ``static``, and block.
        shape: ``(n, height, width)``.
        args: The kernel's own arguments.
        static: Those that it is compiled for.
    """
    n, height, width = shape
    programs = triton.cdiv(height * width, _PIXELS)
    if n * programs:
        kernel[(n * programs,)](*args, height, width, programs, **static, block=_PIXELS, **OPTIONS)
