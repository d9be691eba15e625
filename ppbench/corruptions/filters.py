"""Filters that several corruptions share: a Gaussian, a motion blur, an enlargement of the middle.

All take and return float32 ``(n, H, W, C)`` of any range and work per channel.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ppbench.corruptions.axes import Mode, margins, zoomed_axis
from ppbench.corruptions.dispatch import on_cpu, on_cuda
from ppbench.corruptions.fused.blur_graphs import smooth_in_graph
from ppbench.corruptions.fused.graphs import in_graph
from ppbench.corruptions.kernels import filters as kernels
from ppbench.corruptions.taps import gaussian_matrix, gaussian_weights, trail_counts, trail_offsets, trail_weights
from ppbench.corruptions.types import Doubles, Floats, Indices
from ppbench.corruptions.uploads import sent, uploaded


def gaussian_filter(x: Tensor, sigma: tuple[float, float], truncate: float, mode: Mode) -> Tensor:
    """Smooth by a Gaussian of width ``sigma`` (down, across) px, cut off at ``truncate`` widths.

    It is scipy's ``gaussian_filter``. An axis whose radius rounds to 0 is left alone; the radius may exceed the image.
    """
    down, across = (gaussian_weights(s, truncate).astype(np.float32) for s in sigma)
    height, width = x.shape[1:3]
    if 4 * down.size > height or 4 * across.size > width:  # for so many taps a matrix product is cheaper
        matrices = (gaussian_matrix(side, s, truncate, mode) for side, s in zip((height, width), sigma, strict=True))
        return multiply(x, *matrices)
    return smooth(x, down, across, margins(height, down.size - 1, mode), margins(width, across.size - 1, mode))


@on_cuda("filters")
@in_graph(smooth_in_graph)
@on_cpu(kernels.smooth)
def smooth(x: Tensor, down: Floats | Doubles, across: Floats | Doubles, rows: Indices, columns: Indices) -> Tensor:
    """Correlate with symmetric weights, first down, then across.

    Args:
        x: ``(n, H, W, C)``, of the weights' type.
        down: Weights of the centre and of the pixels 1, 2, … from it.
        across: The same for the other axis.
        rows: `margins` of the height.
        columns: `margins` of the width.
    """
    return _smooth_axis(_smooth_axis(x, 1, down, rows), 2, across, columns)


def _smooth_axis(x: Tensor, axis: int, weights: Floats | Doubles, places: Indices) -> Tensor:
    padded = x.index_select(axis, uploaded(places, x.device))
    radius, side = len(weights) - 1, x.shape[axis]
    out = x * float(weights[0])
    for k in range(1, radius + 1):
        both = padded.narrow(axis, radius - k, side) + padded.narrow(axis, radius + k, side)
        out.add_(both, alpha=float(weights[k]))
    return out


@on_cpu(kernels.multiply)
def multiply(x: Tensor, down: Floats, across: Floats) -> Tensor:
    """Multiply both axes by matrices: ``down`` (H, H), ``across`` (W, W).

    It computes in float64, because GPUs may be set to use only 10 bits of a float32's mantissa, and libraries choose
    the order of sums.
    """
    down_, across_ = (uploaded(matrix, x.device).double() for matrix in (down, across))
    return (down_ @ x.movedim(3, 1).double() @ across_.T).movedim(1, 3).float()


def motion_filter(x: Tensor, radius: int, sigma: float, angle: Tensor, stop_at_border: bool) -> Tensor:
    """Average every pixel with those ahead of it, with the weights of half a Gaussian.

    Args:
        x: ``(n, H, W, C)``.
        radius: The trail has ``2 radius + 1`` pixels, the nearest to the line; none are interpolated.
        sigma: Width of the Gaussian, in pixels.
        angle: ``(n,)``: directions in degrees, 0 to the right, 90 down.
        stop_at_border: Whether the trail ends, and its weights are lost, at the first offset that is as large as the
            image. Otherwise edge pixels count there, as they do everywhere beyond the border.
    """
    # The trail extends to one side only, although the scripts call its half the radius.
    offsets = trail_offsets(angle, 2 * radius + 1)
    counts = trail_counts(offsets, x.shape[1], x.shape[2], stop_at_border)
    return trail(x, offsets, counts, trail_weights(radius, sigma).astype(np.float32))


@on_cpu(kernels.trail)
def trail(x: Tensor, offsets: Indices, counts: Indices, weights: Floats | Doubles) -> Tensor:
    """Return the weighted sum of the images moved by offsets. Beyond the border the edge pixel is repeated.

    Args:
        x: ``(n, H, W, C)``, of the weights' type.
        offsets: ``(n, taps, 2)``: offsets of the taps, (down, right), less than ``taps`` pixels.
        counts: ``(n,)``: how many of the taps are used.
        weights: ``(taps,)``.
    """
    n, height, width, _ = x.shape
    by_tap = sent(offsets, x.device)
    used = sent(np.arange(weights.size) < counts[:, None], x.device).to(x.dtype)
    image = torch.arange(n, device=x.device)[:, None, None]
    row, column = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    out = torch.zeros_like(x)
    for k, weight in enumerate(weights.tolist()):
        rows = (row + by_tap[:, k, :1]).clamp(0, height - 1)[:, :, None]
        columns = (column + by_tap[:, k, 1:]).clamp(0, width - 1)[:, None, :]
        out += x[image, rows, columns] * (used[:, k] * weight).view(n, 1, 1, 1)
    return out


def clipped_zoom(x: Tensor, factor: float, trim: bool) -> Tensor:
    """Enlarge the middle of images: scipy's ``zoom`` of order 1, of a crop that fills the frame.

    Corner pixels stay corner pixels, so the pitch is ``(crop - 1) / (enlarged - 1)``, not ``1 / factor``.

    Args:
        x: ``(n, H, W, C)``.
        factor: At least 1.
        trim: Whether to cut the result to H x W on all sides; otherwise it may be a little larger.
    """
    rows, columns = (zoomed_axis(side, factor, trim) for side in x.shape[1:3])
    return resample(x, *rows, *columns)


@on_cpu(kernels.resample)
def resample(x: Tensor, top: Indices, down: Floats, left: Indices, right: Floats) -> Tensor:
    """Interpolate bilinearly on a grid: from rows ``top`` towards the next by ``down``, and likewise for columns."""
    rows, columns = uploaded(top, x.device), uploaded(left, x.device)
    across = uploaded(right, x.device)[:, None]
    above, below = x.index_select(1, rows), x.index_select(1, rows + 1)
    x = above + (below - above) * uploaded(down, x.device)[:, None, None]
    before, after = x.index_select(2, columns), x.index_select(2, columns + 1)
    return before + (after - before) * across
