"""Keyed draws: random numbers that depend on (seed, corruption, severity, image id) and on nothing else.

The generator is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). Each word is a
function of a key and a counter, so there can be draws for any number of images at once, in any order, on any device.
The key of an image is a hash of the four; the name of a draw selects one of its streams.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ppbench.corruptions.dispatch import on_cpu, on_cuda
from ppbench.corruptions.kernels import random as kernels
from ppbench.errors import UsageError

MASK = 0xFFFFFFFF


CPU_DRAWS = frozenset({"angle", "column", "jitter", "row", "texture"})
"""These draws, a few numbers per image whatever its size, are CPU tensors on every device: the CPU computes with them,
and a GPU would take longer to start than to draw them. All others have a number for each place and meet the pixels."""


class Draws:
    """The random numbers of one cell for some images: keyed, or given by the caller.

    The draws in `CPU_DRAWS` are CPU tensors, all others are on the images' device.

    Args:
        keys: One per image, from `ppbench.corruptions.keys.key`.
        device: The images' device.
        given: Draws to use in place of keyed ones, by name, each with the images as first dimension.
        scale: Pixels of the images per pixel of the recipe's size, see `ppbench.corruptions.scale`.
    """

    def __init__(
        self, keys: Sequence[int], device: torch.device, given: Mapping[str, Tensor] | None = None, scale: float = 1
    ) -> None:
        self.scale = scale
        self._keys = torch.from_numpy(np.array(keys, "<u8").view("<i4").reshape(-1, 2))
        self._device, self._given = device, given or {}
        self.names: set[str] = set()
        """Names of the draws used so far."""

    def given(self, name: str, shape: Sequence[int], least: float | None = None, most: float | None = None) -> Any:
        """Return the draw given under a name, ``(n, *shape)`` in its own type, or None.

        Raises:
            UsageError: If it has another shape, or a value that is not finite or not between the bounds.
        """
        # Noted even if it is not given, so that the error for an unknown draw can list the known ones.
        self.names.add(name)
        if name not in self._given:
            return None
        values = self._given[name].detach().to(self._device_for(name)).contiguous()
        if tuple(values.shape) != (len(self._keys), *shape):
            raise UsageError(
                f"draw {name!r} has shape {tuple(values.shape)}",
                f"It is {(len(self._keys), *shape)} here: images first.",
            )
        low, high = (-math.inf if least is None else least), (math.inf if most is None else most)
        if not bool((torch.isfinite(values) & (values >= low) & (values <= high)).all()):
            bounds = "" if least is None and most is None else f", {low:g} to {high:g}"
            raise UsageError(f"draw {name!r} has values that are not allowed", f"They are finite{bounds}.")
        return values

    def is_single(self, name: str) -> bool:
        """Whether each number of a draw has a word of its own, as here: word i of the draw's stream is for number i."""
        return True

    def keys_for(self, name: str) -> Tensor:
        """Return the images' keys, int32 ``(n, 2)``, where a draw is made."""
        self.names.add(name)
        # From ordinary memory, so few bytes are read at once, and the CPU need not wait for the GPU.
        return self._keys.to(self._device_for(name), non_blocking=True)

    def given_shape(self, name: str) -> tuple[int, ...] | None:
        """Return the shape for one image of the draw given under a name, or None."""
        return tuple(self._given[name].shape[1:]) if name in self._given else None

    def words(self, name: str, *shape: int) -> Tensor:
        """Return 32 random bits each: int32 ``(n, *shape)``. They are always keyed."""
        return philox(self.keys_for(name), stream_of(name), math.prod(shape)).view(-1, *shape)

    def between(self, name: str, low: float, high: float, *shape: int) -> Tensor:
        """Draw uniform numbers on [low, high): float32 ``(n, *shape)``."""
        values = self.given(name, shape, low, high)
        if values is not None:
            return _floating(values)
        if self.is_single(name):
            return uniforms(self.keys_for(name), stream_of(name), math.prod(shape), low, high).view(-1, *shape)
        return uniform(self.words(name, *shape), low, high)

    def normal(self, name: str, *shape: int) -> Tensor:
        """Draw standard normal numbers: float32 ``(n, *shape)``."""
        values = self.given(name, shape)
        if values is not None:
            return _floating(values)
        if self.is_single(name):
            return normals(self.keys_for(name), stream_of(name), math.prod(shape)).view(-1, *shape)
        return normal_quantile(self.words(name, *shape))

    def integers(self, name: str, high: int | Tensor) -> Tensor:
        """Draw uniform integers from 0 to high - 1: int64 ``(n,)``. ``high`` is one number or ``(n,)``, up to 2^24."""
        values = self.given(name, (), 0)
        if values is None:
            return scaled(self.words(name), high)
        if bool((values >= high).any()):
            raise UsageError(f"draw {name!r} has values that are not allowed", f"They are below {high}.")
        return values.long()

    def _device_for(self, name: str) -> torch.device:
        return torch.device("cpu") if name in CPU_DRAWS else self._device


def _floating(values: Tensor) -> Tensor:
    return values if values.is_floating_point() else values.float()


def stream_of(name: str) -> int:
    """Return the number of a draw's stream, 32 bits."""
    return zlib.crc32(name.encode())  # not `hash`, which differs from one Python process to the next


@on_cuda("random")
@on_cpu(kernels.words)
def philox(keys: Tensor, stream: int, count: int) -> Tensor:
    """Return words ``(n, count)`` int32 of Philox4x32-10 for keys ``(n, 2)`` int32.

    Word ``4 i + j`` is output ``j`` for the counter ``(i, stream, 0, 0)``.
    """
    unsigned = keys.long() & MASK
    block = torch.arange(-(-count // 4), device=keys.device)[None]
    zero = torch.zeros_like(block)
    c0, c1, c2, c3 = block, zero + stream, zero, zero
    a, b = unsigned[:, :1], unsigned[:, 1:]
    # The constants are those of the paper: two multipliers, and for the key the golden ratio and sqrt(3) - 1.
    for _ in range(10):
        p, q = c0 * 0xD2511F53, c2 * 0xCD9E8D57  # wraps in 64 bits, which keeps all bits
        c0, c1, c2, c3 = (q >> 32) & MASK ^ c1 ^ a, q & MASK, (p >> 32) & MASK ^ c3 ^ b, p & MASK
        a, b = (a + 0x9E3779B9) & MASK, (b + 0xBB67AE85) & MASK
    return torch.stack((c0, c1, c2, c3), dim=2).flatten(1)[:, :count].to(torch.int32)


@on_cpu(kernels.uniform)
def uniform(words: Tensor, low: float, high: float) -> Tensor:
    """Turn words into uniform numbers on [low, high), by their upper 24 bits."""
    # float32 has 24 binary digits. With more bits, the largest words could round up to `high` itself.
    return ((words.long() & MASK) >> 8).float() * 2.0**-24 * (high - low) + low


@on_cpu(kernels.uniform_doubles)
def uniform_doubles(words: Tensor, low: float, high: float) -> Tensor:
    """Turn words into uniform numbers on [low, high) in float64, by their upper 24 bits."""
    return uniform(words, 0.0, 1.0).double() * (high - low) + low


@on_cuda("random")
def uniforms(keys: Tensor, stream: int, count: int, low: float, high: float) -> Tensor:
    """Return uniform numbers ``(n, count)`` of the words of a stream."""
    return uniform(philox(keys, stream, count), low, high)


def scaled(words: Tensor, high: int | Tensor) -> Tensor:
    """Turn words into uniform integers from 0 to high - 1. Probabilities differ by at most high / 2^32, relatively."""
    if isinstance(high, Tensor):
        high = high.view(-1, *(1,) * (words.ndim - 1))
    return ((words.long() & MASK) * high) >> 32


_CENTRE = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164,
    0.246640727, 1.50140941,
)  # fmt: skip
_TAIL = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
    1.00167406, 2.83297682,
)  # fmt: skip


@on_cuda("random")
@on_cpu(kernels.normal_quantile)
def normal_quantile(words: Tensor) -> Tensor:
    """Turn words into standard normal numbers, by the inverse of the distribution function.

    The highest bit is the sign and the others are the probability of the tail, so that small probabilities keep their
    digits. The error is below 1e-5 up to 5 standard deviations.
    Source: Giles, "Approximating the erfinv function", GPU Computing Gems (2011).
    """
    bits = words.long() & MASK
    # The half keeps the probability above 0, whose logarithm is infinite.
    tail = ((bits & 0x7FFFFFFF).float() + 0.5) * 2.0**-32
    # -log(1 - x^2) for x = 1 - 2 tail, without the cancellation of 1 - x^2 near x = 1.
    w = -logarithm(4 * tail * (1 - tail))
    # In float64, because float32's square roots of Intel's library, which torch may use, are not all rounded rightly.
    root = w.double().sqrt().float()
    value = torch.where(w < 5, _polynomial(_CENTRE, w - 2.5), _polynomial(_TAIL, root - 3))
    value = value * (1 - 2 * tail) * 2**0.5
    return torch.where(bits >> 31 == 0, value, -value)


@on_cuda("random")
def normals(keys: Tensor, stream: int, count: int) -> Tensor:
    """Return standard normal numbers ``(n, count)`` of the words of a stream."""
    return normal_quantile(philox(keys, stream, count))


def logarithm(y: Tensor) -> Tensor:
    """Return the natural logarithm of float32, to 1e-7: exponent, and the series of artanh for the mantissa.

    Logarithms of libraries differ in the last digit. The kernels do these operations in this order too.
    """
    bits = y.view(torch.int32)
    mantissa = ((bits & 0x7FFFFF) | 0x3F800000).view(torch.float32)
    large = mantissa > 2**0.5
    mantissa = torch.where(large, mantissa * 0.5, mantissa)
    exponent = ((bits >> 23) - 127 + large.int()).float()
    s = (mantissa - 1) / (mantissa + 1)
    z = s * s
    series = 1 + z * (1 / 3 + z * (1 / 5 + z * (1 / 7 + z * (1 / 9))))
    return exponent * math.log(2) + 2 * s * series


def _polynomial(coefficients: Sequence[float], x: Tensor) -> Tensor:
    value = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value
