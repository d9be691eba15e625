"""Corruptions as graphs that torch compiles into few kernels, for GPUs. They are used only within `enabled`.

What a corruption does to pixels is one function of tensors: images, tables and constants. The severity's constants are
tensors too, so that all severities share a graph, with any number of images. A graph is compiled at its first use for a
size of images, which takes seconds to a minute. Compiled code adds in another order than the definitions, so a value
may differ by a level where they round.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import cache, wraps
from itertools import count
from types import FunctionType
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from ppbench.corruptions.switches import switched
from ppbench.corruptions.uploads import numbers
from ppbench.devices import why_not_compiled
from ppbench.errors import PpbenchError, in_one_line

_Mode = Literal["compiled", "where possible", "eager"]

_F = TypeVar("_F", bound=Callable[..., Any])

_mode: ContextVar[_Mode | None] = ContextVar("graphs", default=None)


def enabled(how: _Mode = "compiled") -> AbstractContextManager[None]:
    """Corrupt by compiled graphs within a ``with`` block, on any device.

    Args:
        how: "compiled": a graph that cannot be compiled is an error. "where possible": the definition takes its place,
            with a warning, and `left_out` names it. "eager" runs the graphs' functions without a compiler, for tests.
    """
    return switched(_mode, how)


class NotCompiledError(PpbenchError):
    """A graph cannot be compiled here."""


_left_out: set[str] = set()


def left_out() -> list[str]:
    """Return the names of the functions whose graphs could not be compiled in this process, sorted."""
    return sorted(_left_out)


def is_enabled() -> bool:
    """Whether corruptions go through graphs here."""
    return _mode.get() is not None


def in_graph(graphed: Callable[..., Tensor]) -> Callable[[_F], _F]:
    """Run ``graphed``, which takes the same arguments, in place of the decorated function within `enabled`."""

    def decorate(function: _F) -> _F:
        @wraps(function)
        def run(*args: Any) -> Any:
            mode, name = _mode.get(), graphed.__name__
            if mode is None or (mode == "where possible" and name in _left_out):
                return function(*args)
            try:
                return graphed(*args)
            except NotCompiledError as error:
                if mode == "compiled":
                    raise
                _left_out.add(name)
                warnings.warn(f"{error.message}: {name} is left out, which takes longer", stacklevel=2)
                return function(*args)

        return run  # type: ignore[return-value]

    return decorate


class Graph:
    """A function of tensors that is compiled as a whole, once for all batch sizes and severities.

    Args:
        function: Takes tensors by position, and fixed flags and modes by keyword; returns a tensor with the images
            first. It never asks a tensor for its values.
        axes: For each tensor a word with a letter for each of its axes: ``n`` for the images, ``-`` for a length that
            never changes, any other letter for one that the severity decides. Axes without a letter never change.
        options: Options for the compiler, on top of those that all graphs have.
    """

    def __init__(self, function: Callable[..., Tensor], axes: str, options: Mapping[str, Any]) -> None:
        self.function, self.axes, self.options = function, axes.split(), options
        self._compiled: dict[Any, Callable[..., Tensor]] = {}

    def __call__(self, *tensors: Tensor, **fixed: Any) -> Tensor:
        """Run the graph, compiled or not, as `enabled` says.

        Raises:
            PpbenchError: If it cannot be compiled here.
        """
        if _mode.get() == "eager":
            return self.function(*tensors, **fixed)
        # Torch would compile for parts of larger tensors, and for whole ones, apart.
        tensors = tuple(torch.from_dlpack(x) if x.storage_offset() else x for x in tensors)
        of_images = [axes.startswith("n") for axes in self.axes]
        number = tensors[of_images.index(True)].shape[0]
        if number == 1:  # torch compiles a batch of one apart from all others
            tensors = tuple(
                torch.cat((x, x)) if per_image else x for x, per_image in zip(tensors, of_images, strict=True)
            )
        key = tuple(self._sides(tensors)), tensors[0].device, tuple(fixed.items())
        is_new = key not in self._compiled
        if is_new:
            self._compiled[key] = _compiled(self.function, fixed, self.options)
        for x, axes in zip(tensors, self.axes, strict=True):
            for axis, letter in enumerate(axes):
                if letter != "-":
                    torch._dynamo.mark_dynamic(x, axis)
        with torch.no_grad(), _translated(), _first_time() if is_new else nullcontext():
            return self._compiled[key](*tensors)[:number]

    def _sides(self, tensors: tuple[Tensor, ...]) -> Iterator[tuple[Any, ...]]:
        """Yield what each tensor has in common with those of other severities and batches."""
        for x, axes in zip(tensors, self.axes, strict=True):
            yield x.dtype, *(side for axis, side in enumerate(x.shape) if axes[axis : axis + 1] in ("", "-"))


def graph(axes: str, **options: Any) -> Callable[[Callable[..., Tensor]], Graph]:
    """Decorate the function of a `Graph`."""
    return lambda function: Graph(function, axes, options)


INLINED = {"realize_reads_threshold": 10**6, "realize_acc_reads_threshold": 10**6, "realize_opcount_threshold": 10**6}
"""Options with which the compiler computes intermediate results where they are used, and stores none but sums. By
itself it stores what reads more than a few values, which for sums over taps takes many times the images' memory."""


def stored(x: Tensor) -> Tensor:
    """Make the compiler store an intermediate result, which many others are made of."""
    # It has no other way to say so than the operator of its own tests.
    return torch.ops._inductor_test.realize(x) if torch.compiler.is_compiling() else x


_numbers = count()

# The definitions' arithmetic: no multiplication is fused with an addition, and float32 divisions are rounded. The names
# differ between versions of torch, and those that a version lacks are left out. Indices come from our own tables.
_OPTIONS = {
    "emulate_precision_casts": True,
    "emulate_divison_rounding": True,
    "eager_numerics.division_rounding": True,
    "assert_indirect_indexing": False,
}


def _compiled(function: Callable[..., Tensor], fixed: dict[str, Any], more: Mapping[str, Any]) -> Callable[..., Tensor]:
    import torch._inductor.test_operators  # for `stored`

    known = set(torch._inductor.list_options())
    options: dict[str, Any] = {name: value for name, value in {**_OPTIONS, **more}.items() if name in known}
    return torch.compile(_own(function, fixed), fullgraph=True, dynamic=False, options=options)


def _own(function: Callable[..., Tensor], fixed: dict[str, Any]) -> Callable[..., Tensor]:
    """Return a copy with code of its own: torch counts and limits how often it compiles the same code."""
    assert isinstance(function, FunctionType)
    name = f"{function.__name__}_{next(_numbers)}"
    own = FunctionType(function.__code__.replace(co_name=name), function.__globals__, name, function.__defaults__)
    own.__kwdefaults__ = {**(function.__kwdefaults__ or {}), **fixed}
    return own


@contextmanager
def _first_time() -> Iterator[None]:
    """Compile such that two lengths that are equal by chance may differ later; without warnings about the compiler."""
    shapes = torch.fx.experimental._config
    unequal: AbstractContextManager[Any] = shapes.patch(use_duck_shape=False)  # type: ignore[attr-defined]
    with warnings.catch_warnings(), unequal:
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _translated() -> Iterator[None]:
    """Turn torch's errors about compiling into one line; most often a compiler or Triton is missing."""
    try:
        yield
    except Exception as error:
        if (reason := why_not_compiled(error)) is None:
            raise
        raise NotCompiledError(
            f"torch.compile cannot compile the corruptions here ({reason})",
            "Leave --compile out; or install what is missing (on Debian: `apt-get install g++`).",
        ) from error


@graph("n -")
def _trial(images: Tensor, factor: Tensor) -> Tensor:
    return (images * factor).to(torch.uint8)


@cache
def why_not(device: torch.device) -> str | None:
    """Return in one line why no graph can be compiled for a device; None if they can. It takes seconds, once."""
    if torch._dynamo.config.disable:
        return "TORCH_COMPILE_DISABLE is set"
    try:
        with enabled():
            _trial(torch.zeros(2, 8, dtype=torch.uint8, device=device), numbers(1, device=device))
    except Exception as error:  # whatever a compiler, a driver or a cache raises
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        return why_not_compiled(cause) or in_one_line(cause)
    return None
