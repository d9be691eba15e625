"""JPEG compression on the CPU: blocks side by side, so that one instruction works on the same place of many."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppbench.corruptions.kernels import compiled, i16, i32, inlined, u8
from ppbench.corruptions.types import Pixels

LANES = 16
"""Blocks worked on at once. Fixed, for the compiler then sees that places of one buffer do not overlap."""


@inlined
def _forward(d: Any, shift: Any) -> Any:
    """The DCT of 8 values, `ppbench.corruptions.jpeg.DCT`, by Loeffler, Ligtenberg & Moschytz; divided by 2^shift.

    The casts keep it in 32 bits, where numba by itself would go to 64.
    """
    half = i32(1) << (shift - i32(1))
    s0, s1, s2, s3 = i32(d[0] + d[7]), i32(d[1] + d[6]), i32(d[2] + d[5]), i32(d[3] + d[4])
    t0, t1, t2, t3 = i32(d[3] - d[4]), i32(d[2] - d[5]), i32(d[1] - d[6]), i32(d[0] - d[7])
    a0, a1, a2, a3 = i32(s0 + s3), i32(s1 + s2), i32(s1 - s2), i32(s0 - s3)
    # libjpeg's constants (jfdctint.c), times 2^13: 4433 is 0.541196100, 6270 is 0.765366865, 15137 is 1.847759065.
    z = i32((a2 + a3) * i32(4433) + half)
    e0 = i32((a0 + a1) * i32(8192) + half) >> shift
    e4 = i32((a0 - a1) * i32(8192) + half) >> shift
    e2 = i32(z + a3 * i32(6270)) >> shift
    e6 = i32(z - a2 * i32(15137)) >> shift
    z5 = i32((t0 + t1 + t2 + t3) * i32(9633) + half)
    z1, z2 = i32((t0 + t3) * i32(7373)), i32((t1 + t2) * i32(20995))
    z3, z4 = i32(z5 - (t0 + t2) * i32(16069)), i32(z5 - (t1 + t3) * i32(3196))
    e7 = i32(t0 * i32(2446) - z1 + z3) >> shift
    e5 = i32(t1 * i32(16819) - z2 + z4) >> shift
    e3 = i32(t2 * i32(25172) - z2 + z3) >> shift
    e1 = i32(t3 * i32(12299) - z1 + z4) >> shift
    return i32(e0), i32(e1), i32(e2), i32(e3), i32(e4), i32(e5), i32(e6), i32(e7)


@inlined
def _inverse(e: Any, shift: Any) -> Any:
    """The transpose of `_forward`, divided by 2^shift."""
    half = i32(1) << (shift - i32(1))
    z = i32((e[2] + e[6]) * i32(4433))
    a2, a3 = i32(z - e[6] * i32(15137)), i32(z + e[2] * i32(6270))
    a0, a1 = i32((e[0] + e[4]) * i32(8192) + half), i32((e[0] - e[4]) * i32(8192) + half)
    s0, s3, s1, s2 = i32(a0 + a3), i32(a0 - a3), i32(a1 + a2), i32(a1 - a2)
    z5 = i32((e[1] + e[3] + e[5] + e[7]) * i32(9633))
    z1, z2 = i32((e[1] + e[7]) * i32(7373)), i32((e[3] + e[5]) * i32(20995))
    z3, z4 = i32(z5 - (e[3] + e[7]) * i32(16069)), i32(z5 - (e[1] + e[5]) * i32(3196))
    t0 = i32(e[7] * i32(2446) - z1 + z3)
    t1 = i32(e[5] * i32(16819) - z2 + z4)
    t2 = i32(e[3] * i32(25172) - z2 + z3)
    t3 = i32(e[1] * i32(12299) - z1 + z4)
    d0, d7 = i32(s0 + t3) >> shift, i32(s0 - t3) >> shift
    d1, d6 = i32(s1 + t2) >> shift, i32(s1 - t2) >> shift
    d2, d5 = i32(s2 + t1) >> shift, i32(s2 - t1) >> shift
    d3, d4 = i32(s3 + t0) >> shift, i32(s3 - t0) >> shift
    return i32(d0), i32(d1), i32(d2), i32(d3), i32(d4), i32(d5), i32(d6), i32(d7)


@inlined
def _level(value: Any) -> Any:
    return u8(min(max(i32(value), i32(0)), i32(255)))


@inlined
def _get(a: Any, p: Any, stride: Any) -> Any:
    return (
        a[p], a[p + stride], a[p + 2 * stride], a[p + 3 * stride],
        a[p + 4 * stride], a[p + 5 * stride], a[p + 6 * stride], a[p + 7 * stride],
    )  # fmt: skip


@inlined
def _put(a: Any, p: Any, stride: Any, values: Any) -> None:
    a[p], a[p + stride], a[p + 2 * stride], a[p + 3 * stride] = values[0], values[1], values[2], values[3]
    a[p + 4 * stride], a[p + 5 * stride], a[p + 6 * stride], a[p + 7 * stride] = (
        values[4], values[5], values[6], values[7],
    )  # fmt: skip


@inlined
def _quantised(value: Any, step: Any, inverse: Any) -> Any:
    """The nearest multiple of ``step`` to 1/8 of a value, halves away from zero; ``inverse`` is 2^19 / step, risen.

    Division by the product is exact, since no frequency has more than 11 bits.
    """
    size = i32((i32(i32(i32(abs(value)) + i32(4) * step) >> i32(3)) * inverse) >> i32(19)) * step
    return i32(size) if value >= i32(0) else i32(-size)


@inlined
def _coarse(e: Any, s: Any, r: Any) -> Any:
    return (
        _quantised(e[0], s[0], r[0]), _quantised(e[1], s[1], r[1]),
        _quantised(e[2], s[2], r[2]), _quantised(e[3], s[3], r[3]),
        _quantised(e[4], s[4], r[4]), _quantised(e[5], s[5], r[5]),
        _quantised(e[6], s[6], r[6]), _quantised(e[7], s[7], r[7]),
    )  # fmt: skip


@compiled
def _code(groups: Any, steps: Any, inverses: Any) -> None:
    """Quantise the frequencies of blocks in place.

    ``(G, 64 LANES)`` uint8: of every LANES blocks first the upper left pixels, then those right of them, and so on.
    """
    work = np.empty(64 * LANES, i32)
    for group in groups:
        for p in range(64 * LANES):
            work[p] = i32(i32(group[p]) - i32(128))
        for row in range(8):
            for lane in range(LANES):
                p = row * 8 * LANES + lane
                # The shifts are those of libjpeg: after the first pass, 2 fractional bits are kept.
                _put(work, p, LANES, _forward(_get(work, p, LANES), i32(11)))
        for column in range(8):
            step, inverse = _get(steps, column, 8), _get(inverses, column, 8)
            for lane in range(LANES):
                p = column * LANES + lane
                frequencies = _coarse(_forward(_get(work, p, 8 * LANES), i32(15)), step, inverse)
                _put(work, p, 8 * LANES, _inverse(frequencies, i32(11)))
        for row in range(8):
            for lane in range(LANES):
                p = row * 8 * LANES + lane
                _put(work, p, LANES, _inverse(_get(work, p, LANES), i32(18)))
        for p in range(64 * LANES):
            group[p] = _level(work[p] + i32(128))


@compiled
def _to_blocks(plane: Any, across: Any, first: Any, groups: Any) -> None:
    """Put a plane's blocks, ``across`` side by side, where `_code` wants block ``first`` and those after it.

    The last row is repeated below; the plane is as wide as the blocks, or wider.
    """
    height = plane.shape[0]
    for y in range((height + 7) // 8 * 8):
        row = plane[min(y, height - 1)]
        for x in range(across):
            block = first + y // 8 * across + x
            p = block // LANES * 64 * LANES + block % LANES + y % 8 * 8 * LANES
            for i in range(8):
                groups[p + i * LANES] = row[8 * x + i]


@compiled
def _from_blocks(groups: Any, across: Any, first: Any, plane: Any) -> None:
    """The inverse of `_to_blocks`."""
    for y in range(plane.shape[0]):
        row = plane[y]
        for x in range(across):
            block = first + y // 8 * across + x
            p = block // LANES * 64 * LANES + block % LANES + y % 8 * 8 * LANES
            for i in range(8):
                row[8 * x + i] = groups[p + i * LANES]


@compiled
def _split_row(pixels: Any, y: Any, cb: Any, cr: Any) -> None:
    """Luma and chroma of a row, their last value repeated up to the end."""
    width = pixels.size // 3
    for x in range(width):
        r, g, b = i32(pixels[3 * x]), i32(pixels[3 * x + 1]), i32(pixels[3 * x + 2])
        y[x] = u8(i32(i32(19595) * r + i32(38470) * g + i32(7471) * b + i32(32768)) >> i32(16))
        # 8421375 is 128.5 in 16-bit fixed point less one unit, so that halves are rounded down.
        cb[x] = u8(i32(i32(32768) * b - i32(11059) * r - i32(21709) * g + i32(8421375)) >> i32(16))
        cr[x] = u8(i32(i32(32768) * r - i32(27439) * g - i32(5329) * b + i32(8421375)) >> i32(16))
    for plane in (y, cb, cr):
        plane[width:] = plane[width - 1]


@compiled
def _join_row(y: Any, cb: Any, cr: Any, pixels: Any) -> None:
    for x in range(pixels.size // 3):
        luma, u, v = i32(y[x]), i32(cb[x]) - i32(128), i32(cr[x]) - i32(128)
        pixels[3 * x] = _level(luma + (i32(i32(91881) * v + i32(32768)) >> i32(16)))
        pixels[3 * x + 1] = _level(luma + (i32(i32(-22554) * u - i32(46802) * v + i32(32768)) >> i32(16)))
        pixels[3 * x + 2] = _level(luma + (i32(i32(116130) * u + i32(32768)) >> i32(16)))


@compiled
def _halve(upper: Any, lower: Any, out: Any) -> None:
    for x in range(out.size):
        total = i32(upper[2 * x]) + i32(upper[2 * x + 1]) + i32(lower[2 * x]) + i32(lower[2 * x + 1])
        # As libjpeg: halves are rounded up and down by turns.
        out[x] = u8((total + (x & 1) + 1) >> 2)


@compiled
def _double(near: Any, far: Any, total: Any, out: Any) -> None:
    """A row of chroma that lies a quarter of the way from ``near`` to ``far``, twice as wide."""
    n = near.size
    for x in range(n):
        total[x] = i16(i16(3) * i16(near[x]) + i16(far[x]))
    for x in range(1, n - 1):
        # libjpeg's fancy upsampling: 3/4 of the nearer value and 1/4 of the other, along both axes. 8 and 7 round
        # halves up and down by turns.
        middle = i32(3) * i32(total[x])
        out[2 * x] = u8(i32(middle + i32(total[x - 1]) + i32(8)) >> i32(4))
        out[2 * x + 1] = u8(i32(middle + i32(total[x + 1]) + i32(7)) >> i32(4))
    out[0] = u8((4 * total[0] + 8) >> 4)
    out[1] = u8((3 * total[0] + total[1] + 7) >> 4)
    out[2 * n - 2] = u8((3 * total[n - 1] + total[n - 2] + 8) >> 4)
    out[2 * n - 1] = u8((4 * total[n - 1] + 7) >> 4)


@compiled
def _split(image: Any, y: Any, u: Any, v: Any) -> None:
    """A plane of luma as high as the image, and two of chroma half as high."""
    cb, cr = np.empty((2, y.shape[1]), u8), np.empty((2, y.shape[1]), u8)
    last = image.shape[0] - 1
    for row in range(len(u)):
        # In an image of odd height the last row is its own partner.
        lower = min(2 * row + 1, last)
        _split_row(image[2 * row], y[2 * row], cb[0], cr[0])
        _split_row(image[lower], y[lower], cb[lower - 2 * row], cr[lower - 2 * row])
        _halve(cb[0], cb[lower - 2 * row], u[row])
        _halve(cr[0], cr[lower - 2 * row], v[row])


@compiled
def _join(y: Any, u: Any, v: Any, image: Any) -> None:
    """The inverse of `_split`, but for what was lost."""
    width = (image.shape[1] // 3 + 1) // 2
    cb, cr, total = np.empty(2 * width, u8), np.empty(2 * width, u8), np.empty(width, i16)
    for row in range(len(image)):
        near = row // 2
        far = min(max(near + row % 2 * 2 - 1, 0), len(u) - 1)
        _double(u[near, :width], u[far, :width], total, cb)
        _double(v[near, :width], v[far, :width], total, cr)
        _join_row(y[row], cb, cr, image[row])


@compiled
def _compress_colour(images: Any, steps: Any, inverses: Any, out: Any) -> None:
    height, width = images.shape[1], images.shape[2] // 3
    down, across, half_across = (height + 7) // 8, (width + 7) // 8, (width + 15) // 16
    half_blocks = (height + 15) // 16 * half_across
    # The last group may have lanes without a block. They are coded too, as zeros, and never read.
    luma = np.zeros((-(-down * across // LANES), 64 * LANES), u8)
    chroma = np.zeros((-(-2 * half_blocks // LANES), 64 * LANES), u8)
    y = np.empty((height, 16 * half_across), u8)
    u, v = np.empty(((height + 1) // 2, 8 * half_across), u8), np.empty(((height + 1) // 2, 8 * half_across), u8)
    for n in range(len(images)):
        _split(images[n], y, u, v)
        _to_blocks(y, across, 0, luma.ravel())
        # Both planes of chroma have one table, so they share groups: fewer lanes stay empty.
        _to_blocks(u, half_across, 0, chroma.ravel())
        _to_blocks(v, half_across, half_blocks, chroma.ravel())
        _code(luma, steps[0], inverses[0])
        _code(chroma, steps[1], inverses[1])
        _from_blocks(luma.ravel(), across, 0, y)
        _from_blocks(chroma.ravel(), half_across, 0, u)
        _from_blocks(chroma.ravel(), half_across, half_blocks, v)
        _join(y, u, v, out[n])


@compiled
def _compress_grey(images: Any, steps: Any, inverses: Any, out: Any) -> None:
    height, width = images.shape[1:]
    across = (width + 7) // 8
    plane = np.empty((height, 8 * across), u8)
    luma = np.zeros((-(-((height + 7) // 8 * across) // LANES), 64 * LANES), u8)
    for n in range(len(images)):
        for row in range(height):
            plane[row, :width] = images[n, row]
            plane[row, width:] = images[n, row, width - 1]
        _to_blocks(plane, across, 0, luma.ravel())
        _code(luma, steps, inverses)
        _from_blocks(luma.ravel(), across, 0, plane)
        for row in range(height):
            out[n, row] = plane[row, :width]


def compress(images: Pixels, luma: NDArray[np.int32], chroma: NDArray[np.int32]) -> Pixels:
    """Kernel of `ppbench.corruptions.jpeg.compress`."""
    out = np.empty_like(images)
    steps = np.stack((luma.ravel(), chroma.ravel()))
    inverses = -(-(1 << 19) // steps)
    rows = (*images.shape[:2], -1)
    if images.shape[3] == 1:
        _compress_grey(images.reshape(rows), steps[0], inverses[0], out.reshape(rows))
    else:
        _compress_colour(images.reshape(rows), steps, inverses, out.reshape(rows))
    return out
