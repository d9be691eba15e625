"""Bound the size of a network while a library builds it by settings that come from outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch.nn.modules.module import register_module_parameter_registration_hook

_MOST_PARAMETERS = 5000
"""Of a network; the largest ones of timm have 3,000. Each takes a fifth of a millisecond to make."""

_SPARE = 10_000_000
"""Values that a network may have beyond those that its files can hold: weights that are used twice are stored once."""


@contextmanager
def no_larger_than(files: Iterable[Path]) -> Iterator[None]:
    """Stop the building of a network that cannot be the one whose weights are in some files.

    A few bytes of settings can ask for a million layers, or for layers of terabytes; the weights would be found not to
    fit, but only when all that is built. Here each parameter is counted when it becomes part of a module.

    Args:
        files: The files of weights.

    Raises:
        ValueError: Inside the block, for more than `_MOST_PARAMETERS`, or more values than bytes in the files.
    """
    most = sum(path.stat().st_size for path in files) + _SPARE
    sizes: dict[tuple[int, str], int] = {}
    total = 0

    def count(module: Any, name: str, parameter: Any) -> None:
        nonlocal total
        # By place, since a parameter is registered again when its values are loaded.
        key = id(module), name
        values = 0 if parameter is None else parameter.numel()
        total += values - sizes.get(key, 0)
        sizes[key] = values
        if len(sizes) > _MOST_PARAMETERS or total > most:
            raise ValueError("its settings ask for a network of many times the size of its weights")

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()
