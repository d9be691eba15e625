"""Philox and what is made of its words, on a GPU: the operations of `ppbench.corruptions.random`, in their order.

Programs make tiles of four words for each of `COUNTERS` counters, ``(block, 4)``.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

COUNTERS = 256

OPTIONS: dict[str, Any] = {"enable_fp_fusion": False, "num_warps": 4}
"""How to compile. A fused multiply-add rounds once where the definitions round twice."""


@triton.jit
def tile_of(programs, block: tl.constexpr):
    """Return a program's image (int64) and counters ``(block,)``. Each image has ``programs`` programs."""
    program = tl.program_id(0)
    image = program // programs
    return image.to(tl.int64), (program - image * programs) * block + tl.arange(0, block)


@triton.jit
def places_of(counters):
    """Return the places of the words of counters within their image, int64 ``(block, 4)``."""
    return 4 * counters.to(tl.int64)[:, None] + tl.arange(0, 4)[None, :]


@triton.jit
def words_of(keys, image, stream, counters):
    """Return uint32 words ``(block, 4)`` of Philox4x32-10; word j is output j for the counter ``(i, stream, 0, 0)``."""
    a = tl.load(keys + 2 * image).to(tl.uint32, bitcast=True)
    b = tl.load(keys + 2 * image + 1).to(tl.uint32, bitcast=True)
    c0 = counters.to(tl.uint32)
    zero = c0 * 0
    c1, c2, c3 = zero + stream.to(tl.uint32, bitcast=True), zero, zero
    for _ in tl.static_range(10):
        p, q = c0, c2
        c0, c1 = tl.umulhi(q, 0xCD9E8D57) ^ c1 ^ a, q * 0xCD9E8D57
        c2, c3 = tl.umulhi(p, 0xD2511F53) ^ c3 ^ b, p * 0xD2511F53
        a, b = a + 0x9E3779B9, b + 0xBB67AE85
    return tl.reshape(tl.join(tl.join(c0, c2), tl.join(c1, c3)), (c0.shape[0], 4))


@triton.jit
def uniform_of(words, low, span):
    """Return uniform numbers by the upper 24 bits of words."""
    return (words >> 8).to(tl.int32).to(tl.float32) * 5.9604644775390625e-08 * span + low  # 2^-24


@triton.jit
def logarithm_of(y):
    """Return the natural logarithm of float32 by exponent and series of artanh."""
    bits = y.to(tl.int32, bitcast=True)
    mantissa = ((bits & 0x7FFFFF) | 0x3F800000).to(tl.float32, bitcast=True)
    large = mantissa > 1.41421356
    mantissa = tl.where(large, mantissa * 0.5, mantissa)
    exponent = ((bits >> 23) - 127 + large.to(tl.int32)).to(tl.float32)
    s = tl.math.div_rn(mantissa - 1, mantissa + 1)
    z = s * s
    series = 1 + z * (0.3333333333333333 + z * (0.2 + z * (0.14285714285714285 + z * 0.1111111111111111)))
    return exponent * 0.693147180559945 + 2 * s * series


@triton.jit
def normal_of(words):
    """Return standard normal numbers by the quantiles of words."""
    tail = ((words & 0x7FFFFFFF).to(tl.int32).to(tl.float32) + 0.5) * 2.3283064365386963e-10  # 2^-32
    w = -logarithm_of(4 * tail * (1 - tail))
    a = w - 2.5
    p = 2.81022636e-08 * a + 3.43273939e-07
    p = p * a + -3.5233877e-06
    p = p * a + -4.39150654e-06
    p = p * a + 0.00021858087
    p = p * a + -0.00125372503
    p = p * a + -0.00417768164
    p = p * a + 0.246640727
    p = p * a + 1.50140941
    b = tl.math.sqrt_rn(w) - 3
    q = -0.000200214257 * b + 0.000100950558
    q = q * b + 0.00134934322
    q = q * b + -0.00367342844
    q = q * b + 0.00573950773
    q = q * b + -0.0076224613
    q = q * b + 0.00943887047
    q = q * b + 1.00167406
    q = q * b + 2.83297682
    value = tl.where(w < 5, p, q) * (1 - 2 * tail) * 1.4142135623730951
    return tl.where((words >> 31) == 0, value, -value)


@triton.jit(do_not_specialize=["stream"])
def _philox(keys, out, stream, count, programs, block: tl.constexpr):
    image, counters = tile_of(programs, block)
    places = places_of(counters)
    words = words_of(keys, image, stream, counters).to(tl.int32, bitcast=True)
    tl.store(out + image * count + places, words, mask=places < count)


@triton.jit(do_not_specialize=["stream"])
def _uniforms(keys, out, stream, low, span, count, programs, block: tl.constexpr):
    image, counters = tile_of(programs, block)
    places = places_of(counters)
    values = uniform_of(words_of(keys, image, stream, counters), low, span)
    tl.store(out + image * count + places, values, mask=places < count)


@triton.jit(do_not_specialize=["stream"])
def _normals(keys, out, stream, count, programs, block: tl.constexpr):
    image, counters = tile_of(programs, block)
    places = places_of(counters)
    values = normal_of(words_of(keys, image, stream, counters))
    tl.store(out + image * count + places, values, mask=places < count)


@triton.jit
def _normal_quantile(words, out, size, block: tl.constexpr):
    places = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    bits = tl.load(words + places, mask=places < size, other=0).to(tl.uint32, bitcast=True)
    tl.store(out + places, normal_of(bits), mask=places < size)


def start(kernel: Any, keys: Tensor, out: Tensor, stream: int, *args: Any) -> Tensor:
    """Run a kernel that makes a number for each word of some images.

    Args:
        kernel: Takes ``keys``, ``out``, a stream, ``args``, the number of words and of programs of an image, and block.
        keys: One of each image, int32 ``(n, 2)``.
        out: What to fill, ``(n, …)``, contiguous.
        stream: Number of the stream, 32 bits.
        args: The kernel's own arguments.

    Returns:
        ``out``.
    """
    count = out.numel() // max(1, len(out))
    programs = triton.cdiv(count, 4 * COUNTERS)
    if len(out) * programs:
        # Triton would pass numbers of 2^31 and above as 64 bits, and compile the kernel once more.
        signed = (stream ^ 2**31) - 2**31
        kernel[(len(out) * programs,)](keys, out, signed, *args, count, programs, block=COUNTERS, **OPTIONS)
    return out


def start_on_words(kernel: Any, words: Tensor, out: Tensor, *args: Any) -> Tensor:
    """Run a kernel on words that are there; it takes ``words``, ``out``, ``args``, the number of words, and block."""
    size = words.numel()
    if size:
        kernel[(triton.cdiv(size, 4 * COUNTERS),)](words, out, *args, size, block=4 * COUNTERS, **OPTIONS)
    return out


def philox(keys: Tensor, stream: int, count: int) -> Tensor:
    """Kernel of `ppbench.corruptions.random.philox`."""
    return start(_philox, keys, _empty(keys, count, torch.int32), stream)


def uniforms(keys: Tensor, stream: int, count: int, low: float, high: float) -> Tensor:
    """Kernel of `ppbench.corruptions.random.uniforms`."""
    return start(_uniforms, keys, _empty(keys, count, torch.float32), stream, float(low), float(high - low))


def normal_quantile(words: Tensor) -> Tensor:
    """Kernel of `ppbench.corruptions.random.normal_quantile`."""
    return start_on_words(_normal_quantile, words, torch.empty_like(words, dtype=torch.float32))


def normals(keys: Tensor, stream: int, count: int) -> Tensor:
    """Kernel of `ppbench.corruptions.random.normals`."""
    return start(_normals, keys, _empty(keys, count, torch.float32), stream)


def _empty(keys: Tensor, count: int, dtype: torch.dtype) -> Tensor:
    return torch.empty((len(keys), count), dtype=dtype, device=keys.device)
