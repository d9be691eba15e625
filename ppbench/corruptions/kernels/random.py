"""Philox and what is made of its words, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppbench.corruptions.kernels import compiled, f32, f64, i32, i64, inlined, u32, u64
from ppbench.corruptions.types import Doubles, Floats

Keys = NDArray[np.int32]
"""``(n, 2)``: the two key words of every image, as bits."""


@compiled
def _philox(key0: int, key1: int, stream: int, out: Any) -> None:
    """Arguments are int64: with uint32, LLVM makes code half as fast."""
    for i in range(out.size // 4):
        c0, c1, c2, c3 = u32(i), u32(stream), u32(0), u32(0)
        a, b = u32(key0), u32(key1)
        for _ in range(10):
            p, q = u64(0xD2511F53) * u64(c0), u64(0xCD9E8D57) * u64(c2)
            c0, c1 = u32(u32(q >> u64(32)) ^ c1 ^ a), u32(q)
            c2, c3 = u32(u32(p >> u64(32)) ^ c3 ^ b), u32(p)
            a, b = u32(a + u32(0x9E3779B9)), u32(b + u32(0xBB67AE85))
        out[4 * i], out[4 * i + 1], out[4 * i + 2], out[4 * i + 3] = c0, c1, c2, c3


@compiled
def _philox_of_all(keys: Any, stream: int, out: Any) -> None:
    for n in range(keys.shape[0]):
        _philox(i64(keys[n, 0]), i64(keys[n, 1]), i64(stream), out[n])


@inlined
def _log(y: Any) -> Any:
    """Natural logarithm in float32, to 1e-7: exponent, and the series of artanh for the mantissa."""
    bits = f32(y).view(i32)
    exponent = (bits >> i32(23)) - i32(127)
    mantissa = i32((bits & i32(0x7FFFFF)) | i32(0x3F800000)).view(f32)
    large = mantissa > f32(1.41421356)
    mantissa = mantissa * f32(0.5) if large else mantissa
    exponent = exponent + i32(1) if large else exponent
    s = (mantissa - f32(1)) / (mantissa + f32(1))
    z = s * s
    series = f32(1) + z * (f32(1 / 3) + z * (f32(1 / 5) + z * (f32(1 / 7) + z * f32(1 / 9))))
    return f32(exponent) * f32(0.693147180559945) + f32(2) * s * series


@inlined
def _quantile(word: Any) -> Any:
    """See `ppbench.corruptions.random.normal_quantile`; unrolled, since numba vectorises no loop over coefficients."""
    tail = (f32(i32(word & u32(0x7FFFFFFF))) + f32(0.5)) * f32(2.0**-32)
    w = -_log(f32(4) * tail * (f32(1) - tail))
    a = w - f32(2.5)
    p = f32(2.81022636e-08) * a + f32(3.43273939e-07)
    p = p * a + f32(-3.5233877e-06)
    p = p * a + f32(-4.39150654e-06)
    p = p * a + f32(0.00021858087)
    p = p * a + f32(-0.00125372503)
    p = p * a + f32(-0.00417768164)
    p = p * a + f32(0.246640727)
    p = p * a + f32(1.50140941)
    b = np.sqrt(w) - f32(3)
    q = f32(-0.000200214257) * b + f32(0.000100950558)
    q = q * b + f32(0.00134934322)
    q = q * b + f32(-0.00367342844)
    q = q * b + f32(0.00573950773)
    q = q * b + f32(-0.0076224613)
    q = q * b + f32(0.00943887047)
    q = q * b + f32(1.00167406)
    q = q * b + f32(2.83297682)
    value = (p if w < f32(5) else q) * (f32(1) - f32(2) * tail) * f32(1.4142135623730951)
    return value if (word >> u32(31)) == u32(0) else -value


@compiled
def _to_normal(words: Any, out: Any) -> None:
    for i in range(words.size):
        out[i] = _quantile(words[i])


@compiled
def _to_uniform(words: Any, low: Any, span: Any, out: Any) -> None:
    for i in range(words.size):
        out[i] = f32(i32(words[i] >> u32(8))) * f32(2.0**-24) * span + low


@compiled
def _to_uniform_doubles(words: Any, low: Any, span: Any, out: Any) -> None:
    for i in range(words.size):
        out[i] = f64(i32(words[i] >> u32(8))) * f64(2.0**-24) * span + low


def words(keys: Keys, stream: int, count: int) -> NDArray[np.int32]:
    """Kernel of `ppbench.corruptions.random.philox`."""
    out = np.empty((len(keys), -(-count // 4) * 4), np.uint32)
    _philox_of_all(keys.view(np.uint32), stream, out)
    return np.ascontiguousarray(out[:, :count]).view(np.int32)


def normal_quantile(bits: NDArray[np.int32]) -> Floats:
    """Kernel of `ppbench.corruptions.random.normal_quantile`."""
    out = np.empty(bits.shape, np.float32)
    _to_normal(bits.view(np.uint32).ravel(), out.ravel())
    return out


def uniform(bits: NDArray[np.int32], low: float, high: float) -> Floats:
    """Kernel of `ppbench.corruptions.random.uniform`."""
    out = np.empty(bits.shape, np.float32)
    _to_uniform(bits.view(np.uint32).ravel(), np.float32(low), np.float32(high - low), out.ravel())
    return out


def uniform_doubles(bits: NDArray[np.int32], low: float, high: float) -> Doubles:
    """Kernel of `ppbench.corruptions.random.uniform_doubles`."""
    out = np.empty(bits.shape)
    _to_uniform_doubles(bits.view(np.uint32).ravel(), np.float64(low), np.float64(high - low), out.ravel())
    return out
