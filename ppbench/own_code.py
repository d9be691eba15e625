"""Functions of the user's own code, named on the command line as ``pkg.mod:function``. Free of torch."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from ppbench.errors import DataError, PpbenchError, UsageError, in_one_line
from ppbench.lookup import did_you_mean

_T = TypeVar("_T")


def names_factory(spec: str) -> bool:
    """Whether ``spec`` has the form ``pkg.mod:factory``, unlike a path with a drive letter (``C:\\net``)."""
    name = r"[^\W\d]\w*"
    return re.fullmatch(rf"{name}(\.{name})*:{name}(\.{name})*", spec) is not None


@contextmanager
def working_directory_first() -> Iterator[None]:
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


def find_own(spec: str, option: str, example: str = "def make(): return …") -> Callable[..., Any]:
    """Import the module of ``pkg.mod:function`` and return the function. The module's code runs.

    Args:
        spec: ``pkg.mod:function``; call this within `working_directory_first`.
        option: The option that names it, for messages: ``--model``.
        example: Such a function, for the message about something that is none.

    Raises:
        UsageError: If there is no such module or name, or the name is not callable.
        DataError: If importing the module raises.
    """
    module_name, _, name = spec.partition(":")
    module = _import(module_name, spec, option)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            public = [other for other in dir(found) if not other.startswith("_")]
            raise UsageError(
                f"{option} {spec}: {getattr(found, '__name__', type(found).__name__)} has no {part}",
                did_you_mean(part, public) + f"It has: {', '.join(public[:12]) or 'nothing'}.",
            )
        found = getattr(found, part)
    if not callable(found):
        raise not_a_function(found, spec, example)
    return found


def not_a_function(found: object, spec: str, example: str = "def make(): return …") -> UsageError:
    """The error for a name that stands for something else than a function."""
    return UsageError(
        f"{spec} is {kind_of_thing(found)}, not a function",
        f"Write `{example}` and give `{spec.partition(':')[0]}:{example.partition('(')[0].removeprefix('def ')}`.",
    )


def run_own(function: Callable[[], _T], spec: str, what: str) -> _T:
    """Run the user's code and turn any exception into a `DataError`; a `PpbenchError` passes unchanged.

    Args:
        function: What to run.
        spec: ``pkg.mod:function``, for the hint.
        what: The beginning of the message: "mine:net raised".
    """
    try:
        return function()
    except PpbenchError:
        raise
    # A script without a main guard may end the process when it is imported.
    except (Exception, SystemExit) as error:
        module, _, factory = spec.partition(":")
        hint = f'`python -c "import {module}; {module}.{factory}()"` shows where it fails.'
        if isinstance(error, TypeError) and "required positional argument" in str(error):
            hint = f"ppbench calls {factory}() without arguments. Name a function that returns what it should use."
        raise DataError(f"{what} {in_one_line(error)}", hint) from error


def kind_of_thing(thing: object) -> str:
    """The type of a value, for messages: ``a list``, ``None``."""
    return f"a {type(thing).__name__}" if thing is not None else "None"


def _import(name: str, spec: str, option: str) -> ModuleType:
    try:
        return run_own(lambda: importlib.import_module(name), spec, f"importing {name} raised")
    except DataError as error:
        absent = error.__cause__.name if isinstance(error.__cause__, ModuleNotFoundError) else None
        # The module, or a package that it is in, is missing. Otherwise it exists and imports one that is missing.
        if absent is not None and f"{name}.".startswith(f"{absent}."):
            raise UsageError(
                f"{option} {spec}: there is no module {absent}",
                f"It is neither in {Path.cwd()} nor on Python's path: go to its folder, or `export PYTHONPATH=FOLDER`.",
            ) from error
        raise
