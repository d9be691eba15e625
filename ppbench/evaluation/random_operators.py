"""The random operators of torch, each as a function of numbers that are drawn elsewhere.

A call is given as its arguments by name, with torch's defaults. What is filled is filled by place, (n, c, y, x), and
not in the order of its memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from ppbench.corruptions.random import MASK, logarithm, scaled
from ppbench.errors import DataError


class Numbers(Protocol):
    """What draws the numbers of an operator; each call is another draw."""

    def words(self, operator: str, shape: Sequence[int], device: torch.device) -> Tensor:
        """Draw 32 random bits each: int32 ``shape`` on the device."""

    def uniform(self, operator: str, shape: Sequence[int], device: torch.device) -> Tensor:
        """Draw uniform numbers on [0, 1): float32 ``shape`` on the device."""

    def normal(self, operator: str, shape: Sequence[int], device: torch.device) -> Tensor:
        """Draw standard normal numbers: float32 ``shape`` on the device."""

    def is_shared(self) -> bool:
        """Whether all images share the last draw."""

    def refused(self, operator: str, why: str = "") -> DataError:
        """Make the error for an operator that cannot be answered."""


def _target(operator: str, given: Mapping[str, Any]) -> Tensor:
    """The tensor that a call fills: the given one, or a new one as the call describes it."""
    if given.get("out") is not None:
        out: Tensor = given["out"]
        return out if "size" not in given or list(out.shape) == list(given["size"]) else out.resize_(given["size"])
    if operator.endswith("_"):
        return given["self"]
    options = {name: given[name] for name in ("dtype", "layout", "device", "pin_memory") if given.get(name) is not None}
    if operator.endswith("_like"):
        layout = given.get("memory_format")
        return torch.empty_like(
            given["self"], memory_format=torch.preserve_format if layout is None else layout, **options
        )
    return torch.empty(given["size"], **options)


def _filled(draws: Numbers, operator: str, target: Tensor, draw: Callable[[], Tensor]) -> Tensor:
    """Fill a tensor with what is drawn, by place and not in the order of its memory."""
    if target.is_complex() or target.layout != torch.strided:
        raise draws.refused(operator, f" for {target.dtype} in the layout {target.layout}")
    return target.copy_(draw()) if target.numel() else target


def _rand(draws: Numbers, operator: str, given: dict[str, Any]) -> Tensor:
    target = _target(operator, given)
    low, high = given.get("from", 0.0), given.get("to", 1.0)

    def draw() -> Tensor:
        values = draws.uniform(operator, target.shape, target.device)
        return values if (low, high) == (0, 1) else values * (high - low) + low

    filled = _filled(draws, operator, target, draw)
    if not filled.is_floating_point() or low >= high or ((low, high) == (0, 1) and filled.dtype in _WHOLE):
        return filled
    # A product, or a number of 24 bits in half precision, may round up to the end, which is not in the interval: of
    # log(1 - u) that would be minus infinity.
    return filled.clamp_(max=_before(high, filled.dtype))


_WHOLE = (torch.float32, torch.float64)
"""Types that have all numbers of 24 bits on [0, 1)."""


def _before(high: float, dtype: torch.dtype) -> float:
    """The largest number of a floating type below ``high``, for an interval that ends there."""
    at = torch.tensor(high, dtype=dtype)
    if float(at) < high:
        return float(at)
    if not at:
        return -torch.finfo(dtype).tiny
    whole = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[dtype.itemsize]
    # The bits of floating numbers of one sign, as whole numbers, have the order of their sizes.
    return float(torch.tensor(int(at.view(whole)) - int(at.sign()), dtype=whole).view(dtype))


def _normal(draws: Numbers, operator: str, given: dict[str, Any]) -> Tensor:
    mean, std = given.get("mean", 0.0), given.get("std", 1.0)
    tensors = [value for value in (mean, std) if isinstance(value, Tensor)]
    if tensors and given.get("out") is None:
        shape = torch.broadcast_shapes(*(value.shape for value in tensors))
        dtype = tensors[0].dtype if len(tensors) == 1 else torch.promote_types(mean.dtype, std.dtype)
        target = torch.empty(shape, dtype=dtype, device=tensors[0].device)
    elif operator == "aten.normal_functional":
        target = torch.empty_like(given["self"])
    else:
        target = _target(operator, given)

    def draw() -> Tensor:
        values = draws.normal(operator, target.shape, target.device)
        if not tensors and (mean, std) == (0, 1):
            return values
        return values.to(torch.promote_types(values.dtype, target.dtype)) * std + mean

    return _filled(draws, operator, target, draw)


def _bernoulli(draws: Numbers, operator: str, given: dict[str, Any]) -> Tensor:
    chance = given.get("p")
    if chance is None:  # the tensor holds the probabilities
        chance = given["self"]
    target = _target(operator, given) if operator.endswith("_") or "out" in given else torch.empty_like(given["self"])
    if isinstance(chance, Tensor):
        chance = chance.to(torch.float32)
    return _filled(
        draws, operator, target, lambda: (draws.uniform(operator, target.shape, target.device) < chance).float()
    )


def _native_dropout(draws: Numbers, operator: str, given: dict[str, Any]) -> tuple[Tensor, Tensor]:
    x, kept = given["input"], 1 - given["p"]
    mask = draws.uniform(operator, x.shape, x.device) < kept
    return x * mask * (1 / kept if kept else 0.0), mask


def _poisson(draws: Numbers, operator: str, given: dict[str, Any]) -> Tensor:
    rates = given["self"]
    if bool((rates < 0).any()):
        raise RuntimeError("a rate of torch.poisson is negative")

    def draw() -> Tensor:
        return poisson_counts(draws.words(operator, rates.shape, rates.device), rates.double())

    return _filled(draws, operator, torch.empty_like(rates), draw)


def poisson_counts(words: Tensor, rates: Tensor) -> Tensor:
    """Turn words into Poisson counts, by the inverse of the distribution function.

    Args:
        words: int32, 32 random bits each.
        rates: float64 of the same shape, 0 or more.

    Returns:
        float64: the smallest counts at which the distribution function reaches the words as numbers on (0, 1).
    """
    u = ((words.long() & MASK).double() + 0.5) * 2.0**-32
    # A guess by the normal distribution with a correction for skewness; most are exact or off by one.
    z = torch.special.ndtri(u)
    count = (rates + z * rates.sqrt() + (z * z - 1) / 6).round_().clamp_(min=0)
    # The probability of at most k is the regularised upper incomplete gamma function of k + 1.
    low = torch.special.gammaincc(count + 1, rates) < u
    while bool(low.any()):
        count += low
        low &= torch.special.gammaincc(count + 1, rates) < u
    high = (count > 0) & (torch.special.gammaincc(count.clamp(min=1), rates) >= u)
    while bool(high.any()):
        count -= high.to(count.dtype)
        high &= (count > 0) & (torch.special.gammaincc(count.clamp(min=1), rates) >= u)
    return count


def _exponential(draws: Numbers, operator: str, given: dict[str, Any]) -> Tensor:
    target, rate = _target(operator, given), given["lambd"]

    def draw() -> Tensor:
        words = draws.words(operator, target.shape, target.device)
        # 23 bits and a half: neither 0, whose logarithm is infinite, nor 1, after which a Gumbel number would be.
        return -logarithm((((words.long() & MASK) >> 9).float() + 0.5) * 2.0**-23) / rate

    return _filled(draws, operator, target, draw)


_WIDEST = 1 << 31
"""Numbers to choose from, at most, where integers are drawn."""


def _integers(draws: Numbers, operator: str, given: dict[str, Any]) -> Tensor:
    low = given.get("low", given.get("from")) or 0
    high = given.get("high", given.get("to"))
    if not isinstance(low, int) or not isinstance(high, int) or not 0 < high - low <= _WIDEST:
        raise draws.refused(operator, f" from {low} to {high}")
    target = _target(operator, {"dtype": torch.int64, **given} if operator == "aten.randint" else given)
    return _filled(
        draws, operator, target, lambda: low + scaled(draws.words(operator, target.shape, target.device), high - low)
    )


def _permutation(draws: Numbers, operator: str, given: dict[str, Any]) -> Tensor:
    target = _target(operator, {"dtype": torch.int64, "size": [given["n"]], **given})

    def draw() -> Tensor:
        order = torch.argsort(draws.words(operator, target.shape, target.device), stable=True)
        if not draws.is_shared():
            raise draws.refused(operator, ": it would mix the images of a batch")
        return order

    return _filled(draws, operator, target, draw)


_Answer = Callable[[Numbers, str, dict[str, Any]], Any]

DRAWN: dict[str, _Answer] = {
    **dict.fromkeys(("rand", "rand_like", "uniform_"), _rand),
    **dict.fromkeys(("randn", "randn_like", "normal", "normal_", "normal_functional"), _normal),
    **dict.fromkeys(("bernoulli", "bernoulli_"), _bernoulli),
    **dict.fromkeys(("randint", "randint_like", "random_"), _integers),
    "native_dropout": _native_dropout,
    "poisson": _poisson,
    "exponential_": _exponential,
    "randperm": _permutation,
}
"""Operators of aten by name, with what answers them. Torch's distributions and layers end in these."""
