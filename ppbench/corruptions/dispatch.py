"""Which code computes a function of tensors: a kernel for their device, or the torch function that defines it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, from_numpy

from ppbench.corruptions import fused, kernels

_F = TypeVar("_F", bound=Callable[..., Any])


def on_cpu(kernel: Callable[..., Any]) -> Callable[[_F], _F]:
    """Run a kernel of `ppbench.corruptions.kernels` in place of the decorated function if all tensors are on the CPU.

    Args:
        kernel: Takes the function's arguments by position, with contiguous numpy arrays in place of tensors, and
            returns an array or a tuple of arrays.
    """

    def decorate(function: _F) -> _F:
        @wraps(function)
        def run(*args: Any) -> Any:
            tensors = [arg for arg in args if isinstance(arg, Tensor)]
            if not kernels.are_enabled() or any(tensor.device.type != "cpu" for tensor in tensors):
                return function(*args)
            made = kernel(*(arg.contiguous().numpy() if isinstance(arg, Tensor) else arg for arg in args))
            return tuple(map(from_numpy, made)) if isinstance(made, tuple) else from_numpy(np.asarray(made))

        return run  # type: ignore[return-value]

    return decorate


def on_cuda(module: str) -> Callable[[_F], _F]:
    """Run a kernel of `ppbench.corruptions.fused` in place of the decorated function if all tensors are on a GPU.

    The kernel has the function's name, in a module of that folder. It takes the function's arguments by position, with
    contiguous tensors, and returns what the function returns.

    Args:
        module: The module's name; it is imported at the first call that needs it.
    """

    def decorate(function: _F) -> _F:
        name = getattr(function, "__name__")  # noqa: B009 - _F need not have one, says mypy

        @wraps(function)
        def run(*args: Any) -> Any:
            devices = {arg.device for arg in args if isinstance(arg, Tensor)}
            if len(devices) != 1 or not fused.are_enabled() or torch.compiler.is_compiling():
                return function(*args)
            device = devices.pop()
            if device.type == "cpu" and fused.are_interpreted():
                return fused.run_interpreted(module, name, args)
            if device.type == "cuda" and fused.triton_works():
                return fused.run_fused(module, name, function, args, device)
            return function(*args)

        return run  # type: ignore[return-value]

    return decorate
