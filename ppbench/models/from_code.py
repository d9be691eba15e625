"""Load networks that the user's own code makes: ``pkg.mod:factory``."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from torch import nn

from ppbench.errors import DataError, PpbenchError, UsageError
from ppbench.lookup import did_you_mean
from ppbench.models.card import Card
from ppbench.models.card_options import CardOptions
from ppbench.models.loaded import Checkpoint
from ppbench.models.trial import check_runs, count_classes, in_one_line

_T = TypeVar("_T")


def names_factory(spec: str) -> bool:
    """Whether ``spec`` has the form ``pkg.mod:factory``, unlike a path with a drive letter (``C:\\net``)."""
    name = r"[^\W\d]\w*"
    return re.fullmatch(rf"{name}(\.{name})*:{name}(\.{name})*", spec) is not None


def load_from_code(spec: str, options: CardOptions) -> tuple[str, Checkpoint]:
    """Import a module, call its factory without arguments, and return the network it makes. The user's code runs.

    Args:
        spec: ``pkg.mod:factory``. The module is also searched in the working directory. The factory returns an
            ``nn.Module``, for which ``options`` have to give the card, or a pair of an ``nn.Module`` and a `Card`.
        options: Values of the card, or replacements for them.

    Returns:
        The factory's name, and the network, in eval mode on the CPU, with its card.

    Raises:
        UsageError: If there is no such module or factory, the factory returns something else, or it gives no card and
            the options do not make one.
        DataError: If the code raises, or the network does not fit its card.
    """
    module_name, _, factory_name = spec.partition(":")
    with _working_directory_first():
        factory = _find(_import(module_name, spec), factory_name, spec)
        made = _run(factory, spec, f"{spec} raised")
    network, card = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(network, nn.Module) or not isinstance(card, Card | None):
        raise UsageError(
            f"{spec} returns {_kind(made)}", "It must return an nn.Module, or a pair (nn.Module, ppbench.Card)."
        )
    network = network.cpu().eval()
    card = _make_card(spec, network, options) if card is None else options.override(card, spec)
    if options.architecture is not None:
        card = card.model_copy(update={"architecture": options.architecture})
    check_runs(spec, network, card)
    return factory_name, Checkpoint(network, card)


@contextmanager
def _working_directory_first() -> Iterator[None]:
    """Put the working directory first in Python's path, as ``python -m`` does.

    The path of an installed command begins with the command's own folder instead.
    """
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    # Python may remember that a module written a moment ago did not exist.
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with suppress(ValueError):  # the user's code may have changed the path
            sys.path.remove(folder)


def _import(name: str, spec: str) -> ModuleType:
    try:
        return _run(lambda: importlib.import_module(name), spec, f"importing {name} raised")
    except DataError as error:
        absent = error.__cause__.name if isinstance(error.__cause__, ModuleNotFoundError) else None
        # The module, or a package that it is in, is missing. Otherwise it exists and imports one that is missing.
        if absent is not None and f"{name}.".startswith(f"{absent}."):
            raise UsageError(
                f"--model {spec}: there is no module {absent}",
                f"It is neither in {Path.cwd()} nor on Python's path: go to its folder, or `export PYTHONPATH=FOLDER`.",
            ) from error
        raise


def _find(module: ModuleType, name: str, spec: str) -> Callable[[], Any]:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            public = [other for other in dir(found) if not other.startswith("_")]
            raise UsageError(
                f"--model {spec}: {getattr(found, '__name__', type(found).__name__)} has no {part}",
                did_you_mean(part, public) + f"It has: {', '.join(public[:12]) or 'nothing'}.",
            )
        found = getattr(found, part)
    if not callable(found) or isinstance(found, nn.Module):
        raise UsageError(
            f"{spec} is {_kind(found)}, not a function",
            f"Write `def make(): return …` and give `{module.__name__}:make`.",
        )
    return found


def _run(function: Callable[[], _T], spec: str, what: str) -> _T:
    """Run the user's code and turn any exception into a `DataError`; a `PpbenchError` passes unchanged."""
    try:
        return function()
    except PpbenchError:
        raise
    # A script without a main guard may end the process when it is imported.
    except (Exception, SystemExit) as error:
        module, _, factory = spec.partition(":")
        raise DataError(
            f"{what} {in_one_line(error)}",
            f'`python -c "import {module}; {module}.{factory}()"` shows where it fails.',
        ) from error


def _make_card(spec: str, network: nn.Module, options: CardOptions) -> Card:
    """Make the card of a network that came without one: the options give all but the number of classes."""
    blank = options.make(spec, architecture=spec, num_classes=1)
    classes = count_classes(spec, network, blank.in_channels, blank.input_size)
    return options.make(spec, architecture=spec, num_classes=classes)


def _kind(thing: Any) -> str:
    return f"a {type(thing).__name__}" if thing is not None else "None"
