"""Tables on a GPU, copied there once: a copy from ordinary memory makes the CPU wait for the GPU."""

from __future__ import annotations

import weakref
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
        tensor = torch.from_numpy(np.ascontiguousarray(array)).to(device)
    if type(tensor) is Tensor:  # not one of torch's fake tensors, which have no values
        _kept[place] = weakref.ref(array, lambda _: _kept.pop(place, None)), tensor
    return tensor
