"""JPEG compression, without the file.

A JPEG file loses information in the conversion of colours, the halving of chroma and the quantisation of blocks. The
entropy coder after these steps is lossless, so it is left out, and so is its inverse. The rest is libjpeg's arithmetic,
integer by integer, as Pillow uses it: 4:2:0, the "islow" DCT (Loeffler, Ligtenberg & Moschytz, ICASSP 1989, in 13-bit
fixed point), the "fancy" upsampling. The result is bit-equal to saving and loading with Pillow, at every quality and
size.

Images are ``(n, H, W, C)`` uint8; intermediate values are int32.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.corruptions import constants as c
from ppbench.corruptions.dispatch import on_cpu
from ppbench.corruptions.fused.graphs import INLINED, graph, in_graph
from ppbench.corruptions.kernels import jpeg as kernels
from ppbench.corruptions.levels import in_colours
from ppbench.corruptions.random import Draws
from ppbench.corruptions.recipes import Recipe
from ppbench.corruptions.types import Pixels
from ppbench.corruptions.uploads import uploaded

_BLOCK = 8

DCT = np.array(
    [
        [8192, 8192, 8192, 8192, 8192, 8192, 8192, 8192],
        [11363, 9633, 6437, 2260, -2260, -6437, -9633, -11363],
        [10703, 4433, -4433, -10703, -10703, -4433, 4433, 10703],
        [9633, -2259, -11362, -6436, 6436, 11362, 2259, -9633],
        [8192, -8192, -8192, 8192, 8192, -8192, -8192, 8192],
        [6437, -11362, 2261, 9633, -9633, -2261, 11362, -6437],
        [4433, -10704, 10704, -4433, -4433, 10704, -10704, 4433],
        [2260, -6436, 9633, -11363, 11363, -9633, 6436, -2260],
    ],
    np.int32,
)
"""The DCT of 8 values, times sqrt(8) * 2^13: row k for frequency k.

The fast algorithm rounds its constants one by one, and this is the product of its steps: hence both 2260 and 2259.
"""

LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
"""Quantisation steps of luma at quality 50 (ITU-T T.81, table K.1)."""

CHROMA = np.full((8, 8), 99)
"""Quantisation steps of chroma at quality 50 (ITU-T T.81, table K.2)."""
CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]


def jpeg_compression(images: Tensor, k: c.Jpeg, recipe: Recipe, draws: Draws) -> Tensor:
    """Compress and decompress. No draws."""
    return compress(images, *steps(k.quality))


_AT_ONCE = 2**25
"""Channel values processed at once on GPUs, where each takes some 40 bytes."""

_Images = TypeVar("_Images", Tensor, Pixels)


def saved(images: _Images, quality: int) -> _Images:
    """Return images as JPEG files of this quality would keep them.

    Args:
        images: uint8 ``(n, H, W, C)``: numpy, or torch on any device; C is 1 or 3.
        quality: 1 to 100.

    Returns:
        Images of the same kind and shape.
    """
    if not isinstance(images, Tensor):
        return compress(torch.from_numpy(np.ascontiguousarray(images)), *steps(quality)).numpy()
    count = max(1, _AT_ONCE // max(1, images[:1].numel()))
    return torch.cat([compress(part, *steps(quality)) for part in images.split(count)])


@lru_cache(maxsize=16)
def steps(quality: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the quantisation steps ``(8, 8)`` of luma and chroma for a quality of 1 to 100, by rows of frequencies."""
    # libjpeg's rule (jpeg_quality_scaling): quality 50 is the table itself.
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    luma, chroma = (np.clip((table * scale + 50) // 100, 1, 255).astype(np.int32) for table in (LUMA, CHROMA))
    return luma, chroma


def _in_graph(images: Tensor, luma: NDArray[np.int32], chroma: NDArray[np.int32]) -> Tensor:
    return _compress(images, *(uploaded(part, images.device) for part in (luma, chroma, DCT)))


@in_graph(_in_graph)
@on_cpu(kernels.compress)
def compress(images: Tensor, luma: NDArray[np.int32], chroma: NDArray[np.int32]) -> Tensor:
    """Return images as JPEG files with these quantisation steps would keep them; grey files have one component."""
    return _compress.function(images, *(uploaded(part, images.device) for part in (luma, chroma, DCT)))


@graph("n - - -", **INLINED, unroll_reductions_threshold=1)
def _compress(images: Tensor, luma: Tensor, chroma: Tensor, matrix: Tensor) -> Tensor:
    if images.shape[3] == 1:
        return _coded(images[..., 0].int(), luma, matrix)[..., None].to(torch.uint8)
    y, cb, cr = _to_ycc(images)
    y = _coded(y, luma, matrix)
    colours = _coded(_halved(torch.cat((cb, cr))), chroma, matrix)
    return _to_rgb(y, *_doubled(colours, *y.shape[1:]).chunk(2))


def _to_ycc(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return luma and chroma ``(n, H, W)``, rounded from 16-bit fixed point; halves of chroma are rounded down."""
    r, g, b = images.int().unbind(3)
    # Weights of libjpeg (jccolor.c), times 2^16: luma is 0.299 R + 0.587 G + 0.114 B.
    y = (19595 * r + 38470 * g + 7471 * b + (1 << 15)) >> 16
    cb = (-11059 * r - 21709 * g + 32768 * b + (128 << 16) + (1 << 15) - 1) >> 16
    cr = (32768 * r - 27439 * g - 5329 * b + (128 << 16) + (1 << 15) - 1) >> 16
    return y, cb, cr


def _to_rgb(y: Tensor, cb: Tensor, cr: Tensor) -> Tensor:
    cb, cr = cb - 128, cr - 128
    half = 1 << 15
    # Weights of libjpeg (jdcolor.c), times 2^16: 1.402, 0.34414, 0.71414 and 1.772.
    r = y + ((91881 * cr + half) >> 16)
    g = y + ((-22554 * cb - 46802 * cr + half) >> 16)
    b = y + ((116130 * cb + half) >> 16)
    return in_colours((r, g, b)).clamp(0, 255).to(torch.uint8)


def _padded(plane: Tensor, rows: int, columns: int) -> Tensor:
    """Repeat the last row and column of ``(n, H, W)`` until the sides are multiples of ``rows`` and ``columns``."""
    height, width = plane.shape[1:]
    y = torch.arange(height + -height % rows, device=plane.device).clamp_(max=height - 1)
    x = torch.arange(width + -width % columns, device=plane.device).clamp_(max=width - 1)
    return plane[:, y][:, :, x]


def _halved(plane: Tensor) -> Tensor:
    """Take means of 2 x 2, ``(n, ceil(H / 2), 8 ceil(W / 16))``. Columns take turns in rounding .5 down and up."""
    # Columns are repeated up to whole blocks before the means are taken, rows only up to a pair: the order of libjpeg.
    plane = _padded(plane, 2, 2 * _BLOCK)
    total = plane[:, 0::2, 0::2] + plane[:, 0::2, 1::2] + plane[:, 1::2, 0::2] + plane[:, 1::2, 1::2]
    return (total + 1 + torch.arange(total.shape[2], device=plane.device, dtype=torch.int32) % 2) >> 2


def _doubled(plane: Tensor, height: int, width: int) -> Tensor:
    """Double the size with weights of 3/4 and 1/4 along each side, and cut to ``height`` and ``width``.

    ``plane`` may be larger than half of that; the rest is ignored.
    """
    (near_row, far_row), (near_column, far_column) = (_neighbours(side, plane.device) for side in (height, width))
    rows = 3 * plane[:, near_row] + plane[:, far_row]
    # libjpeg's fancy upsampling rounds left values with 8 and right ones with 7, so that neither direction is favoured.
    rounding = 8 - torch.arange(width, device=plane.device, dtype=torch.int32) % 2
    return (3 * rows[:, :, near_column] + rows[:, :, far_column] + rounding) >> 4


def _neighbours(side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return for each place of a side the pixel of half as many that it lies in, and the next nearest one."""
    place = torch.arange(side, device=device)
    near = place // 2
    return near, (near + place % 2 * 2 - 1).clamp(0, (side + 1) // 2 - 1)


def _coded(plane: Tensor, step: Tensor, matrix: Tensor) -> Tensor:
    """Quantise the frequencies of the blocks of ``(n, H, W)``, and transform them back."""
    height, width = plane.shape[1:]
    blocks = _padded(plane, _BLOCK, _BLOCK).unflatten(2, (-1, _BLOCK)).unflatten(1, (-1, _BLOCK)).transpose(2, 3) - 128
    # The order of the axes matters, because each product is rounded: 2 fractional bits are kept after the first.
    there = _product(_product(blocks, matrix, 11).mT, matrix, 15).mT
    # Halves go away from zero. The factor 8 is in the frequencies, because this DCT is not normalised.
    quantised = there.sign() * torch.div(there.abs() + 4 * step, 8 * step, rounding_mode="floor")
    back = _product(_product((quantised * step).mT, matrix.T, 11).mT, matrix.T, 18)
    return (back + 128).clamp_(0, 255).transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, :height, :width]


def _product(rows: Tensor, matrix: Tensor, shift: int) -> Tensor:
    """Compute ``rows @ matrix.T / 2^shift``, rounded, for ``(..., 8)`` and ``(8, 8)``.

    On GPUs, torch has no ``@`` for int32.
    """
    total = (rows[..., None, :] * matrix).sum(-1, dtype=torch.int32)
    return (total + (1 << (shift - 1))) >> shift
