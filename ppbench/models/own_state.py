"""Find what decides a network's outputs besides its state dict: values, arrays and objects that its own code holds.

A network of one of `LIBRARIES` has everything in its state dict and its card. The user's own code may keep weights
anywhere. This module searches the attributes, hooks, closures and defaults of its modules, and the globals that its
methods name. The content of compiled objects, such as a session of ONNX Runtime, cannot be seen; it is
reported as hidden.
"""

from __future__ import annotations

import ctypes
import enum
import functools
import hashlib
import logging
import re
import sys
import threading
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ppbench.models.foreign import ForeignNetwork

LIBRARIES = {"torch", "torchvision", "timm", "transformers", "open_clip", "ppbench"}
"""Packages whose modules are determined by their state dict and the version of the package. What else decides the
outputs of a network of transformers or open_clip, `SettingsText` adds to the state dict."""

_PLAIN = (
    *(type(None), bool, int, float, complex, str, bytes, bytearray, range, slice, type(...), type(NotImplemented)),
    *(np.generic, np.dtype, np.ufunc, torch.dtype, torch.device, torch.Size, torch.memory_format, torch.layout),
    *(enum.Enum, PurePath, re.Pattern),
)
"""Types whose ``repr`` shows the whole value."""

_WITHOUT_STATE = (logging.Logger, logging.LoggerAdapter, type(threading.Lock()), type(threading.RLock()))

_PARTS: tuple[tuple[Any, Callable[[Any], tuple[Any, ...]]], ...] = (
    (functools.partial, lambda value: (value.func, value.args, value.keywords)),
    (types.MethodType, lambda value: (value.__self__, value.__func__)),
    (types.BuiltinFunctionType, lambda value: (value.__self__,)),
    (weakref.ref, lambda value: (value(),)),
    ((staticmethod, classmethod, type(functools.lru_cache(maxsize=1)(len))), lambda value: (value.__wrapped__,)),
    (property, lambda value: (value.fget, value.fset)),
)
"""Types of objects that only hold other objects, and how to get these."""

_OF_MODULES = frozenset(vars(nn.Module()))
"""Attributes that every module has."""

_DEEPEST, _MOST = 60, 50_000
"""Limits of the search: nesting of objects, and objects in total."""


class OwnState:
    """The state of a network besides its state dict.

    Args:
        model: The network.
    """

    def __init__(self, model: nn.Module) -> None:
        self.hidden: str | None = None
        """The first thing whose content cannot be seen, in words; None if there is none."""
        self.arrays = 0
        """Number of tensors and arrays with values that are not in the state dict."""
        self._tensors, self._values = hashlib.sha256(), hashlib.sha256()
        self._seen: dict[int, Any] = {id(module): module for module in model.modules()}
        self._depth = 0
        for module in model.modules():
            self._see_module(module, type(module).__name__)

    @property
    def tensors(self) -> str:
        """SHA-256 of the tensors and arrays."""
        return self._tensors.hexdigest()

    @property
    def values(self) -> str:
        """SHA-256 of the plain values."""
        return self._values.hexdigest()

    def _see(self, value: Any, where: str) -> None:
        """Add a value and everything it holds, unless that was done before."""
        # Before the test for what was seen: Python shares small numbers and texts between places.
        if isinstance(value, _PLAIN):
            self._values.update(f"{where} {type(value).__name__} {value!r}\n".encode(errors="backslashreplace"))
            return
        if id(value) in self._seen or self.hidden is not None or _is_named_in_a_library(value):
            return
        self._seen[id(value)] = value  # a reference, so that the id is not reused
        if self._depth >= _DEEPEST or len(self._seen) > _MOST:
            self.hidden = f"{where} holds more than is looked at"
            return
        self._depth += 1
        self._take_in(value, where)
        self._depth -= 1

    @functools.singledispatchmethod
    def _take_in(self, value: Any, where: str) -> None:
        """Add an object of any other type: its attributes show all of it, or it is hidden."""
        if isinstance(value, _WITHOUT_STATE):
            return
        for kinds, parts in _PARTS:
            if isinstance(value, kinds):
                self._see_all(parts(value), where)
                return
        kind = type(value)
        if isinstance(value, ctypes.CDLL) or not _is_transparent(kind):
            self.hidden = f"{where} is a {kind.__module__}.{kind.__qualname__}, whose content cannot be seen"
            return
        for name, held in _attributes(value):
            self._see(held, f"{where}.{name}")
        self._see(kind, kind.__qualname__)

    @_take_in.register
    def _(self, value: nn.Module, where: str) -> None:
        """Add a module that is not among the network's submodules: its tensors are in no state dict."""
        for module in value.modules():
            self._seen[id(module)] = module
            for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
                self._see(tensor, f"{where}.{name}")
            self._see_module(module, where)

    @_take_in.register
    def _(self, value: Tensor, where: str) -> None:
        try:
            plain = value.detach().cpu().contiguous()
            content = plain.view(-1).view(torch.uint8).numpy().tobytes()
        except (RuntimeError, TypeError, NotImplementedError):  # sparse, quantised or on the meta device
            self.hidden = f"{where} is a tensor whose values cannot be seen"
            return
        self._add_array(where, f"{plain.dtype} {tuple(plain.shape)}", content)

    @_take_in.register
    def _(self, value: np.ndarray, where: str) -> None:
        if value.dtype.hasobject:
            self._see_all(value.ravel().tolist(), where)
        else:
            self._add_array(where, f"{value.dtype} {value.shape}", np.ascontiguousarray(value).tobytes())

    @_take_in.register(dict)
    @_take_in.register(types.MappingProxyType)
    def _(self, value: Any, where: str) -> None:
        for name, held in list(value.items()):
            self._see(name, where)
            self._see(held, f"{where}[{name!r}]" if isinstance(name, str | int) else where)
        if type(value) is not dict:
            self._see_all((held for _, held in _attributes(value)), where)

    @_take_in.register(list)
    @_take_in.register(tuple)
    @_take_in.register(deque)
    def _(self, value: Any, where: str) -> None:
        self._values.update(f"{where} {len(value)}\n".encode(errors="backslashreplace"))
        self._see_all(value, where)

    @_take_in.register(set)
    @_take_in.register(frozenset)
    def _(self, value: Any, where: str) -> None:
        # Sets have no order that is the same in every process.
        self._see_all(sorted(value, key=repr), where)

    @_take_in.register(types.ModuleType)
    def _(self, value: types.ModuleType, where: str) -> None:
        """Skip it: the names that the code uses from it are followed in `_see_globals`."""

    @_take_in.register(type)
    def _(self, value: type, where: str) -> None:
        """Add what the methods and attributes of the user's own classes hold."""
        for base in value.__mro__:
            if _is_own_code(base.__module__):
                names = [name for name in vars(base) if not name.startswith("__") or callable(vars(base)[name])]
                for name in names:
                    if not isinstance(vars(base)[name], types.GetSetDescriptorType | types.MemberDescriptorType):
                        self._see(vars(base)[name], f"{base.__qualname__}.{name}")

    @_take_in.register
    def _(self, value: types.FunctionType, where: str) -> None:
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        self._see_all((*cells, value.__defaults__, value.__kwdefaults__, vars(value)), where)
        if _is_own_code(value.__module__):
            self._see_globals(value)

    def _see_globals(self, function: types.FunctionType) -> None:
        """Add the globals that a function names, also as attributes of the user's own modules."""
        names = sorted(_names(function.__code__))
        named = [function.__globals__.get(name) for name in names]
        own = [vars(found) for found in named if isinstance(found, types.ModuleType) and _is_own_code(found.__name__)]
        for space in (function.__globals__, *own):
            for name in names:
                if name in space and not name.startswith("__"):
                    self._see(space[name], name)

    def _see_module(self, module: nn.Module, where: str) -> None:
        """Add what a module holds besides its parameters, buffers and submodules."""
        if isinstance(module, torch.jit.ScriptModule):
            self.hidden = self.hidden or f"{where} is TorchScript, whose code and constants cannot be seen"
            return
        attributes = vars(module)
        for name in _OF_MODULES:
            if "hooks" in name and attributes.get(name):
                self._see(attributes[name], f"{where}.{name}")
        # `torch.compile` sets this attribute too, and its code is not the user's.
        if "forward" in attributes and not type(module).__module__.startswith("torch._dynamo"):
            self._see(attributes["forward"], f"{where}.forward")
        if isinstance(module, ForeignNetwork) and module.function is not None:
            self._see(module.function, where)
        if type(module).__module__.partition(".")[0] in LIBRARIES:
            return
        for name in module._non_persistent_buffers_set:
            self._see(module._buffers.get(name), f"{where}.{name}")
        for name, held in attributes.items():
            if name not in _OF_MODULES:
                self._see(held, f"{where}.{name}")
        self._see(type(module), type(module).__qualname__)

    def _see_all(self, values: Iterable[Any], where: str) -> None:
        for value in values:
            self._see(value, where)

    def _add_array(self, where: str, kind: str, content: bytes) -> None:
        if content:
            self.arrays += 1
            self._tensors.update(f"{where} {kind}\n".encode(errors="backslashreplace"))
            self._tensors.update(content)


def _is_named_in_a_library(value: Any) -> bool:
    """Whether a function, class or the like can be imported by name from an installed package or from Python."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or _is_own_code(module):
        return False
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is value


@functools.cache
def _is_own_code(module: str) -> bool:
    """Whether a module is the user's, not part of an installed package or of Python."""
    root = module.partition(".")[0]
    if root in LIBRARIES or (root in sys.stdlib_module_names and root != "__main__"):
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is None or not {"site-packages", "dist-packages"} & {*Path(file).parts}


def _is_transparent(kind: type) -> bool:
    """Whether objects of a class keep all their state in attributes, as objects of classes written in Python do.

    The rule is the one by which ``object.__reduce_ex__`` refuses to pickle other objects.
    """
    pointers = (kind.__dictoffset__ != 0) + (kind.__weakrefoffset__ != 0) + sum(1 for _ in _slots(kind))
    return not kind.__itemsize__ and kind.__basicsize__ <= object.__basicsize__ + 8 * pointers


def _slots(kind: type) -> Iterator[str]:
    """Yield the slots of classes written in Python; compiled classes have similar descriptors that are no slots."""
    for base in kind.__mro__:
        for name, held in vars(base).items():
            if isinstance(held, types.MemberDescriptorType) and "__slots__" in vars(base):
                yield name


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what an object holds in its dictionary and its slots."""
    yield from list(getattr(value, "__dict__", {}).items())
    for name in _slots(type(value)):
        with_value = getattr(value, name, None)
        if with_value is not None:
            yield name, with_value


def _names(code: types.CodeType) -> set[str]:
    """Return the globals and attributes that a function and its inner functions name."""
    inner = (_names(held) for held in code.co_consts if isinstance(held, types.CodeType))
    return set(code.co_names).union(*inner)


def _is_filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
