"""Fused kernels for GPUs, compiled by Triton, behind the torch functions that define the corruptions.

A fused kernel computes on CUDA tensors what the CPU's kernel computes on the CPU, bit for bit: docs/corruptions.md says
why. Triton is imported when a CUDA tensor first needs it, so the CPU never does. Where it is missing or does not work
(it needs a C compiler), the torch functions run.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from functools import cache
from types import ModuleType
from typing import Any, TypeVar

import torch
from torch import Tensor

from ppbench.corruptions.switches import switched
from ppbench.devices import is_out_of_memory

_F = TypeVar("_F", bound=Callable[..., Any])

_enabled: ContextVar[bool] = ContextVar("fused", default=True)
_interpreted: ContextVar[bool] = ContextVar("interpreted", default=False)


def disabled() -> AbstractContextManager[None]:
    """Run the torch functions on GPUs instead of the fused kernels within a ``with`` block: for comparisons."""
    return switched(_enabled, False)


def interpreted() -> AbstractContextManager[None]:
    """Run the fused kernels on CPU tensors, by Triton's interpreter, within a ``with`` block: slow, for tests."""
    return switched(_interpreted, True)


def are_enabled() -> bool:
    """Whether CUDA tensors go through fused kernels here, where Triton works."""
    return _enabled.get()


def are_interpreted() -> bool:
    """Whether CPU tensors go through fused kernels here."""
    return _interpreted.get()


def _contiguous(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(arg.contiguous() if isinstance(arg, Tensor) else arg for arg in args)


_works: dict[tuple[str, str], bool] = {}
"""Of each kernel that was called, by module and name: whether it could be compiled and started."""


def run_fused(module: str, name: str, function: _F, args: tuple[Any, ...], device: torch.device) -> Any:
    """Run a kernel, or its definition if this version of Triton cannot compile the kernel."""
    if not _works.get((module, name), True):
        return function(*args)
    try:
        kernel = getattr(importlib.import_module(f"{__name__}.{module}"), name)
        with torch.cuda.device(device):  # Triton starts kernels on the current device, not on that of the tensors
            made = kernel(*_contiguous(args))
    except Exception as error:  # whatever a compiler raises
        # Whoever called with so many images tries fewer.
        if (module, name) in _works or is_out_of_memory(error):
            raise
        _works[module, name] = False
        _warn(f"Triton cannot run the kernel {module}.{name} here", error)
        return function(*args)
    _works[module, name] = True
    return made


def _warn(what: str, error: Exception) -> None:
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    warnings.warn(f"{what} ({reason}); corruptions take longer", stacklevel=3)


def run_interpreted(module: str, name: str, args: tuple[Any, ...]) -> Any:
    """Run a kernel on CPU tensors."""
    return getattr(_kernels_for_interpreter(module), name)(*_contiguous(args))


@cache
def triton_works() -> bool:
    """Whether a kernel can be compiled and started on this machine's current GPU; tried once in a process."""
    if not torch.cuda.is_available():  # what says it is on a GPU has no values, as torch's fake tensors
        return False
    try:
        kernels = importlib.import_module(f"{__name__}.random")
        kernels.philox(torch.zeros(1, 2, dtype=torch.int32, device="cuda"), 0, 1)
    except ImportError:  # the builds of torch for CPUs, for Windows and for macOS come without it
        return False
    except Exception as error:  # whatever a compiler, a driver or a cache raises
        _warn("Triton does not work here", error)
        return False
    return True


@cache
def _kernels_for_interpreter(module: str) -> ModuleType:
    """Import a module of kernels with Triton's interpreter in place of its compiler.

    Triton decides when a kernel is decorated. Therefore these are second modules, apart from those that run on GPUs,
    and Triton itself is imported first, as it is for a GPU.
    """
    importlib.import_module("triton")
    prefix = f"{__name__}."
    compiled = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(prefix)}
    before = os.environ.get("TRITON_INTERPRET")
    os.environ["TRITON_INTERPRET"] = "1"
    try:
        return importlib.import_module(prefix + module)
    finally:
        os.environ.pop("TRITON_INTERPRET")
        if before is not None:
            os.environ["TRITON_INTERPRET"] = before
        for name in [name for name in sys.modules if name.startswith(prefix)]:
            del sys.modules[name]
        sys.modules.update(compiled)
