"""From the CPU to a GPU without waiting for it: tables are copied once, numbers of a batch from pinned memory.

A copy from ordinary memory, such as ``tensor.to("cuda")``, makes the CPU wait until the GPU has done all before it.
"""

from __future__ import annotations

import weakref
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_kept: dict[tuple[int, torch.device], tuple[weakref.ref[Any], Tensor]] = {}


def uploaded(array: NDArray[Any], device: torch.device) -> Tensor:
    """Return an array as a tensor on a device.

    Args:
        array: It must not change afterwards. On a CPU the tensor shares its memory; for a GPU it is copied at the first
            call, and the copy is kept as long as the array lives.
        device: The device.
    """
    if device.type == "cpu":
        return torch.from_numpy(array)
    place = id(array), device
    if place in _kept:
        owner, tensor = _kept[place]
        # An array that is gone may have left its address to another one.
        if owner() is array:
            return tensor
    # Tensors made in inference mode could not be used outside it.
    with torch.inference_mode(False):
        tensor = _copied(array, device)
    if type(tensor) is Tensor:  # not one of torch's fake tensors, which have no values
        _kept[place] = weakref.ref(array, lambda _: _kept.pop(place, None)), tensor
    return tensor


def _copied(array: NDArray[Any], device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)


def numbers(*values: float, device: torch.device, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return constants as a tensor ``(k,)`` on a device, copied there once."""
    return uploaded(_array(values, dtype), device)


@lru_cache(maxsize=1024)
def _array(values: tuple[float, ...], dtype: torch.dtype) -> NDArray[Any]:
    return np.array(values, str(dtype).removeprefix("torch."))


def sent(values: Tensor | NDArray[Any], device: torch.device) -> Tensor:
    """Copy numbers that change from batch to batch to a device, without waiting for it.

    Args:
        values: On the CPU, or already on the device. On a GPU they may be changed as soon as this returns; for a CPU
            they stay where they are.
        device: The device.
    """
    tensor = values if isinstance(values, Tensor) else torch.from_numpy(np.ascontiguousarray(values))
    if device.type == "cpu" or tensor.device.type == device.type:
        return tensor
    return _pinned(tensor).to(device, non_blocking=True)


def _pinned(tensor: Tensor) -> Tensor:
    return tensor.pin_memory()
