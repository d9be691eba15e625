"""Results of functions that are kept for the next call, as many as some bytes hold."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])


def kept_within(limit: int) -> Callable[[_F], _F]:
    """Keep a function's results for calls with the same arguments, the latest used ones first.

    Where a number of results is the bound, as of `functools.lru_cache`, tables of large images could fill the memory.

    Args:
        limit: Bytes of all results of the function together. A larger one is made again in every call.

    Returns:
        A decorator of functions with positional, hashable arguments that return an array, a tensor or a tuple of them.
        The function gets an attribute ``cache_clear``.
    """

    def decorate(function: _F) -> _F:
        results: OrderedDict[tuple[Any, ...], tuple[int, Any]] = OrderedDict()
        lock = Lock()

        @wraps(function)
        def run(*args: Any) -> Any:
            with lock:
                if args in results:
                    results.move_to_end(args)
                    return results[args][1]
            made = function(*args)
            size = sum(part.nbytes for part in (made if isinstance(made, tuple) else (made,)))
            with lock:
                if size <= limit:
                    results[args] = size, made
                while sum(kept for kept, _ in results.values()) > limit:
                    results.popitem(last=False)
            return made

        run.cache_clear = results.clear  # type: ignore[attr-defined]
        return run  # type: ignore[return-value]

    return decorate
