"""Random operators of torch, answered by keyed draws, so that a network draws the same for an image in any batch.

Inside `KeyedDraws` an operator such as ``randn_like`` or ``bernoulli_`` takes its numbers from Philox. The key is that
of the image and the counter says which pass it is and which random operator of the pass. Neither torch's generators nor
their seeds are asked or changed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ppbench.corruptions.random import normals, philox, uniforms
from ppbench.errors import DataError
from ppbench.evaluation.random_operators import DRAWN

_STREAMS = 1 << 20
"""Random operators in one pass; the streams of pass k begin at k times this."""


class RandomCall(NamedTuple):
    """A random operator in the forward pass of a network."""

    operator: str
    """``aten.normal_``."""
    shape: tuple[int, ...]
    """Shape of what it draws; if ``rows`` is not 0, without the first axis."""
    rows: int = 0
    """Rows of an image along the first axis. 0: no axis is that of the images, so all of them share the draw."""

    def shape_for(self, images: int) -> tuple[int, ...]:
        """Shape of what it draws in a pass over so many images."""
        return (self.rows * images, *self.shape) if self.rows else self.shape


def calls_by_image(name: str, two: Sequence[RandomCall], three: Sequence[RandomCall]) -> tuple[RandomCall, ...]:
    """Find out which draws belong to images, from passes over two and over three of them.

    A size alone says nothing: a mask of 64 channels looks like one of 64 images. What grows with the images is theirs.

    Args:
        name: The network's name, for messages.
        two: The calls in a pass over two images, as `KeyedDraws.seen` has them.
        three: The same over three.

    Raises:
        DataError: If the calls differ otherwise than in the length of their first axis, 2 rows to 3 or a multiple.
    """
    if [call.operator for call in two] != [call.operator for call in three]:
        raise _other_calls(name, "their number or order changes with the number of images")
    return tuple(_call_by_image(name, *both) for both in zip(two, three, strict=True))


def _call_by_image(name: str, two: RandomCall, three: RandomCall) -> RandomCall:
    if two.shape == three.shape:
        return two
    rows, more = divmod(two.shape[0], 2) if two.shape else (0, 1)
    if more or three.shape != (3 * rows, *two.shape[1:]):
        raise DataError(
            f"{name} draws {two.shape} by {two.operator} for 2 images and {three.shape} for 3: --passes cannot key "
            "draws whose first axis is not that of the images",
            "Let the network draw with the images as first axis, (N, …).",
        )
    return RandomCall(two.operator, two.shape[1:], rows)


def _other_calls(name: str, how: str) -> DataError:
    return DataError(
        f"{name} draws random numbers that depend on the images of a batch: {how}",
        "--passes needs the same draws in every pass. Draw for each image, whatever the others are.",
    )


class KeyedDraws(TorchDispatchMode):
    """One forward pass of a network with keyed draws, as a context.

    Args:
        name: The network's name, for messages.
        keys: ``(n, 2)`` int32: the keys of the images in the batch (`as_keys`), on any device.
        shared: ``(1, 2)`` int32: the key of draws that all images share.
        number: Number of the pass, from 0.
        calls: The calls to come; None: they are looked at, in `seen`, and all of them share the draws.
    """

    def __init__(
        self, name: str, keys: Tensor, shared: Tensor, number: int, calls: Sequence[RandomCall] | None = None
    ) -> None:
        super().__init__()
        self._name, self._keys, self._shared, self._calls = name, keys, shared, calls
        self._first_stream = number * _STREAMS
        self.seen: list[RandomCall] = []
        """The calls so far, each with its whole shape."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        given = _bound(func, args, kwargs)
        if _is_off(given):
            return func(*args, **kwargs)
        operator = func._schema.name.removeprefix("aten::")
        if operator in DRAWN:
            return DRAWN[operator](self, f"aten.{operator}", given)
        with self:  # an operator made of others, such as dropout
            if operator == "scaled_dot_product_attention":
                # Its fused kernels draw by themselves; this one has its dropout in an operator of its own.
                return torch.ops.aten._scaled_dot_product_attention_math.default.decompose(*args, **kwargs)[0]
            made = func.decompose(*args, **kwargs)
        if made is NotImplemented:
            raise self.refused(f"aten.{operator}")
        return made

    def check_complete(self) -> None:
        """Raise `DataError` if the pass had fewer random operators than expected."""
        if self._calls is not None and len(self.seen) < len(self._calls):
            raise _other_calls(self._name, f"this time there were {len(self.seen)} draws, not {len(self._calls)}")

    def refused(self, operator: str, why: str = "") -> DataError:
        """Make the error for an operator that cannot be keyed."""
        return DataError(
            f"{self._name} draws by {operator}, which --passes cannot key{why}",
            f"It keys {', '.join(sorted(DRAWN))}, and what torch makes of these. Draw by one of them.",
        )

    def words(self, operator: str, shape: Sequence[int], device: torch.device) -> Tensor:
        """Draw 32 random bits each: int32 ``shape`` on the device."""
        keys, stream, each = self._next(operator, shape, device)
        return philox(keys, stream, each).reshape(tuple(shape))

    def uniform(self, operator: str, shape: Sequence[int], device: torch.device) -> Tensor:
        """Draw uniform numbers on [0, 1): float32 ``shape`` on the device."""
        keys, stream, each = self._next(operator, shape, device)
        return uniforms(keys, stream, each, 0, 1).reshape(tuple(shape))

    def normal(self, operator: str, shape: Sequence[int], device: torch.device) -> Tensor:
        """Draw standard normal numbers: float32 ``shape`` on the device."""
        keys, stream, each = self._next(operator, shape, device)
        return normals(keys, stream, each).reshape(tuple(shape))

    def is_shared(self) -> bool:
        """Whether all images share the last draw."""
        return self._calls is None or not self._calls[len(self.seen) - 1].rows

    def _next(self, operator: str, shape: Sequence[int], device: torch.device) -> tuple[Tensor, int, int]:
        """Return the keys, the stream and the numbers per key of the next draw."""
        place, here = len(self.seen), RandomCall(operator, tuple(shape))
        self.seen.append(here)
        keys, rows = self._shared, 0
        if self._calls is not None:
            expected = self._calls[place] if place < len(self._calls) else None
            wanted = None if expected is None else expected.shape_for(len(self._keys))
            if expected is None or (expected.operator, wanted) != here[:2]:
                was = "nothing" if expected is None else f"{wanted} by {expected.operator}"
                raise _other_calls(self._name, f"this time {here.shape} by {operator} was drawn, before {was}")
            rows = expected.rows
        if rows:
            keys = self._keys
        # There the streams of the next pass begin.
        if place >= _STREAMS:
            raise _other_calls(self._name, f"there are more than {_STREAMS:,} draws")
        return keys.to(device), self._first_stream + place, math.prod(shape) // len(keys)


def as_keys(numbers: NDArray[np.uint64] | Sequence[int]) -> Tensor:
    """Return keys of 64 bits ``(n,)`` as Philox takes them: int32 ``(n, 2)``, low word first."""
    return torch.from_numpy(np.array(numbers, "<u8").view("<i4").reshape(-1, 2))


def _bound(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name, with the defaults of those that are not given."""
    known = func._schema.arguments
    given = {one.name: one.default_value for one in known if one.has_default_value()}
    # The default of a type is a number of torch's own.
    given.pop("dtype", None)
    return given | dict(zip((one.name for one in known), args, strict=False)) | dict(kwargs)


def _is_off(given: Mapping[str, Any]) -> bool:
    """Whether an operator that can draw does not: dropout in eval mode, or of nothing."""
    return given.get("train") is False or given.get("training") is False or given.get("dropout_p") == 0
