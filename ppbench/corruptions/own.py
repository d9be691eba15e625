"""Corruptions of the user's own: functions named ``pkg.mod:function``, or offered by installed packages. Free of torch.

A function takes images ``(n, H, W, C)`` uint8, the constant of the severity, and one numpy generator per image. It
returns images of the same shape and type. Its generators are keyed, so that an image's pixels depend on the image, its
id and the seed, and on nothing else.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import CodeType
from typing import Any, TypeVar

import numpy as np
from numpy.random import Generator, Philox

from ppbench.corruptions.keys import key
from ppbench.corruptions.types import Pixels
from ppbench.errors import DataError, PpbenchError, UsageError, in_one_line
from ppbench.own_code import find_own, kind_of_thing, names_factory, working_directory_first
from ppbench.vocabulary import ALL_FAMILIES, CLEAN, KNOWN, NAME_PATTERN, OWN, SETS, SEVERITIES

GROUP = "ppbench.corruptions"
"""The group of entry points in which installed packages offer corruptions."""

_RESERVED = frozenset({*KNOWN, CLEAN, OWN, *SETS, *ALL_FAMILIES})
_OPTION = "--corruptions"
_CONSTANTS = "ppbench_severities"
"""The attribute of a function in which `corruption` leaves its constants."""

OwnFunction = Callable[[Pixels, Any, list[Generator]], Pixels]
_F = TypeVar("_F", bound=Callable[..., Any])


def corruption(severities: Sequence[Any]) -> Callable[[_F], _F]:
    """Say which constants a corruption of your own has at its five severities: ``@ppbench.corruption([…])``.

    Without this decorator a function gets the severity itself, 1 to 5.

    Args:
        severities: Five constants, from the mildest to the strongest: numbers, texts, or tuples, lists and dicts of
            these.

    Returns:
        A decorator, which returns the function itself.

    Raises:
        UsageError: If there are not five of them, or one is something else.
    """
    constants = tuple(severities) if isinstance(severities, Sequence) and not isinstance(severities, str) else ()
    if len(constants) != len(SEVERITIES):
        raise UsageError(
            f"severities {severities!r} are not allowed", "Give five constants: `@ppbench.corruption([1, 2, 3, 4, 5])`."
        )
    for constant in constants:
        try:
            is_plain = _is_plain(constant)
        except RecursionError:  # it holds itself
            is_plain = False
        if not is_plain:
            raise UsageError(
                f"a severity's constant is {kind_of_thing(constant)}",
                "It is a number, a text, or a tuple, list or dict of these: other values have no text of their own.",
            )

    def mark(function: _F) -> _F:
        setattr(function, _CONSTANTS, constants)
        return function

    return mark


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(_is_plain(name) and _is_plain(inner) for name, inner in value.items())
    return value is None or isinstance(value, bool | int | float | str)


@dataclass(frozen=True)
class OwnCorruption:
    """A corruption of the user's own. Pickled by its name, so that another process imports it again."""

    spec: str
    """``pkg.mod:function``."""
    name: str
    """The function's name, which tables, folders and run files have."""
    function: OwnFunction
    is_imported: bool = True
    """Whether it was found by its name; otherwise it was given as a function."""

    def __reduce__(self) -> tuple[Callable[..., OwnCorruption], tuple[Any]]:
        return (load_own, (self.spec,)) if self.is_imported else (of_function, (self.function,))

    @property
    def severities(self) -> tuple[Any, ...]:
        """The constants of the five severities."""
        return getattr(self.function, _CONSTANTS, SEVERITIES)

    def source_hash(self) -> str:
        """SHA-256 (hex) of the file in which the function is, and of its constants.

        Raises:
            DataError: If it is in no file, or the file has changed since it was imported.
        """
        function = inspect.unwrap(self.function)
        file = getattr(sys.modules.get(getattr(function, "__module__", "")), "__file__", None)
        if file is None or not Path(file).is_file():
            raise DataError(
                f"the source of {self.spec} is in no file, so that two versions of it could not be told apart",
                "Put the function into a file, `mine.py`, and give `mine:function`.",
            )
        text = Path(file).read_bytes()
        code = getattr(function, "__code__", None)
        if file.endswith(".py") and code is not None and code not in _codes_in(text, file):
            raise DataError(
                f"{file} has changed since {self.spec} was imported from it", "Start Python again, and evaluate then."
            )
        return hashlib.sha256(text + b"\0" + repr(self.severities).encode()).hexdigest()

    def make(self, images: Pixels, severity: int, seed: int, ids: Sequence[str]) -> Pixels:
        """Corrupt images ``(n, H, W, C)`` uint8; the result has the same shape and type.

        Raises:
            DataError: If the function raises, changes its input, or returns anything else.
        """
        given = np.ascontiguousarray(images).view()
        given.flags.writeable = False  # the clean images are needed again, for other cells
        constant = self.severities[severity - 1]
        generators = [Generator(Philox(key=key(seed, self.name, severity, image_id))) for image_id in ids]
        try:
            made = self.function(given, constant, generators)
        except PpbenchError:
            raise
        except (Exception, SystemExit) as error:  # the user's code may raise anything, or end the process
            if "read-only" in str(error):
                raise self.changes_its_input() from error
            raise DataError(
                f"{self.spec} raised {in_one_line(error)} for images of shape {images.shape}", self._how_to_try(images)
            ) from error
        return self._checked(made, images)

    def changes_its_input(self) -> DataError:
        """The error for a function that writes into the images that it is given."""
        return DataError(
            f"{self.spec} changes the images that it is given", "Let it work on a copy: `images = images.copy()`."
        )

    def _checked(self, made: Any, images: Pixels) -> Pixels:
        what = f"{self.spec} returns"
        if not isinstance(made, np.ndarray):
            raise DataError(f"{what} {kind_of_thing(made)}", "It must return a numpy array, uint8, of the same shape.")
        if made.dtype != np.uint8:
            invalid = made.dtype.kind == "f" and not np.isfinite(made).all()
            raise DataError(
                f"{what} {made.dtype}{' with values that are not finite' if invalid else ''} instead of uint8",
                "Round and clip it: `np.clip(np.rint(out), 0, 255).astype(np.uint8)`.",
            )
        if made.shape != images.shape:
            raise DataError(
                f"{what} an array of shape {made.shape} for images of shape {images.shape}",
                "It must return images of the same number and size.",
            )
        return made

    def _how_to_try(self, images: Pixels) -> str:
        module, _, name = self.spec.partition(":")
        shape = (2, *images.shape[1:])
        call = f"{module}.{name}(np.zeros({shape}, np.uint8), {self.severities[2]!r}, [np.random.default_rng(0)] * 2)"
        return f"This shows where it fails: `import numpy as np, {module}; {call}`."


def _codes_in(text: bytes, file: str) -> list[CodeType]:
    """The code of all functions in a source file."""
    try:
        found = [compile(text, file, "exec", dont_inherit=True)]
    except (SyntaxError, ValueError):
        return []
    for code in found:  # grows meanwhile
        found.extend(constant for constant in code.co_consts if isinstance(constant, CodeType))
    return found


def load_own(spec: str) -> OwnCorruption:
    """Import the corruption ``pkg.mod:function``. The module is also searched in the working directory.

    Raises:
        UsageError: If there is none, it is no function, or its name is not allowed.
        DataError: If importing the module raises.
    """
    with working_directory_first():
        function = find_own(spec, _OPTION, "def haze(images, severity, random): return …")
    return _checked_name(OwnCorruption(spec, re.split(r"[.:]", spec)[-1], function))


def of_function(function: Callable[..., Any]) -> OwnCorruption:
    """The corruption of a function that is at hand, such as one of a notebook.

    Raises:
        UsageError: If its name is not allowed.
    """
    name = getattr(function, "__name__", type(function).__name__)
    spec = f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', name)}"
    return _checked_name(OwnCorruption(spec, name, function, is_imported=False))


def _checked_name(own: OwnCorruption) -> OwnCorruption:
    if inspect.isclass(own.function):
        raise UsageError(f"{own.spec} is a class, not a function", "Give a function of it, or write one that calls it.")
    if own.name.lower() in _RESERVED:
        raise UsageError(
            f"{own.spec} has the name of a published corruption or set, {own.name}",
            "Rename the function: results of the two could not be told apart.",
        )
    if not re.fullmatch(NAME_PATTERN, own.name):
        raise UsageError(
            f"{own.spec}: {own.name!r} is no name for a corruption",
            "Name the function with ASCII letters, digits and _, a letter first, at most 64 of them.",
        )
    return own


def installed() -> dict[str, EntryPoint]:
    """The corruptions that installed packages offer, by name, sorted. Nothing is imported."""
    found = {point.name: point for point in entry_points(group=GROUP)}
    return dict(sorted(found.items()))


def find_corruption(name: Any) -> OwnCorruption | None:
    """Return the corruption of one's own that is named; None if it is none, perhaps one of the published ones.

    Args:
        name: ``pkg.mod:function``, the name of an installed one, or a function.

    Raises:
        UsageError: If it cannot be used as a corruption.
        DataError: If importing its module raises.
    """
    if isinstance(name, OwnCorruption):
        return name
    if callable(name):
        return of_function(name)
    text = str(name).strip()
    if names_factory(text):
        return load_own(text)
    if text.lower() in _RESERVED or (point := installed().get(text)) is None:
        return None
    own = load_own(f"{point.module}:{point.attr}")
    if own.name != text:
        package = point.dist.name if point.dist else "a package"
        raise UsageError(
            f"{package} offers {own.spec} under another name, {text}", f"Call the entry point {own.name} in {package}."
        )
    return own


def split_own(values: Sequence[Any]) -> tuple[list[str], tuple[OwnCorruption, ...]]:
    """Separate corruptions of one's own from names, families and sets that `expand_corruptions` knows.

    "own" stands for all installed ones. A function stands for itself.

    Raises:
        UsageError: If two functions have one name, or one cannot be used as a corruption.
        DataError: If importing a module raises.
    """
    rest: list[str] = []
    found: dict[str, OwnCorruption] = {}
    for value in _with_installed(values):
        if (own := find_corruption(value)) is None:
            rest.append(str(value))
        elif found.setdefault(own.name, own).spec != own.spec:
            raise UsageError(
                f"{found[own.name].spec} and {own.spec} have the same name, {own.name}", "Rename one of the functions."
            )
    return rest, tuple(found.values())


def _with_installed(values: Sequence[Any]) -> list[Any]:
    given: list[Any] = []
    for value in values:
        if callable(value) or str(value).strip().lower() != OWN:
            given.append(value)
        elif not (names := list(installed())):
            raise UsageError(
                f"{_OPTION} {OWN} stands for corruptions of installed packages, and there are none",
                "Give your function as `pkg.mod:function` (docs/own-corruptions.md).",
            )
        else:
            given += names
    return given
