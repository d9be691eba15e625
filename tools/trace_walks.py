"""Trace the two walks of docs/architecture.md: an image to the run file, and a run file to a table.

``python -m tools.trace_walks`` runs a small ``ppbench eval`` and ``ppbench show`` in this process, looks at every call
of a function of ppbench, and prints the modules that each walk passes through and the types that carry it.

A module counts if one of its functions returns or yields the image, the number, or what has become of it; if one takes
it (not as ``self``) and returns something else; or if it writes it at the end. The command's own module counts too.
"""

from __future__ import annotations

import dataclasses
import io
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from inspect import CO_VARARGS
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from ppbench.cli.main import app

NETWORK = """
import torch


def network():
    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 2))
"""
SIDE = 32
MOST = 8
"""Entries of a list or a dict that are looked at."""
DEPTH = 3
"""How deep a carrier may lie in the records, lists and dicts that a function takes or returns."""


class Walk(NamedTuple):
    """What a walk passes through."""

    modules: list[str]
    """Without ``ppbench.``, in the order in which it first comes by."""
    types: list[str]
    """Types of ppbench that carry it, in the same order."""


class Rule(NamedTuple):
    """What a walk is."""

    arguments: tuple[str, ...]
    carriers: frozenset[str]
    """Names of the types that carry it."""
    is_bare: Callable[[Any], bool]
    """Whether a value of another library is the image or the number itself."""
    first: str
    """The function with which the walk begins, ``module:name``."""
    last: str
    """The function that writes what has become of it."""
    beside: frozenset[str] = frozenset()
    """Modules that keep a copy, check it, or make another file or other numbers of it: it does not go on from them."""


def is_pixels_or_scores(value: Any) -> bool:
    """Whether a value is images, three axes or more of uint8, or scores ``(4, n)`` or ``(3, n)``."""
    if isinstance(value, Image.Image):
        return True
    if not isinstance(value, np.ndarray | torch.Tensor):
        return False
    is_image = value.ndim >= 3 and value.dtype in (np.uint8, torch.uint8)
    return is_image or (value.ndim == 2 and value.shape[0] in (3, 4) and value.dtype in (np.int64, torch.int64))


IMAGE = Rule(
    (
        *("eval", "-m", "net:network", "--input-size", str(SIDE), "--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5"),
        *("--data", "images", "-c", "gaussian_noise", "-s", "1", "--workers", "0", "--force", "-o", "run.json"),
    ),
    frozenset({"ImageBlock", "Loaded", "Batch", "Piece", "Tally", "Scored", "MeasuredRun", "Run"}),
    is_pixels_or_scores,
    "evaluation.loop:measure",
    "run.store:write_run",
    frozenset({"evaluation.journal", "evaluation.journal_lines", "evaluation.labels", "evaluation.profile"})
    | {"evaluation.sanity", "run.predictions"},
)

NUMBER = Rule(
    ("show", "run.json"),
    frozenset({"Run", "CellErrors", "PerImage", "Metric", "Interval", "RunSummary", "RunReport", "Sheet"}),
    lambda value: False,
    "cli.show:show_command",
    "cli.output:render",
    frozenset({"metrics.calibration"}),
)


def walk(rule: Rule) -> Walk:
    """Run a command in the present folder, and follow what the rule says.

    Raises:
        RuntimeError: If the command fails.
    """
    modules: dict[str, None] = {f"cli.{rule.arguments[0]}": None}
    types: dict[str, None] = {}
    state = "before"

    def look(frame: FrameType, event: str, value: Any) -> None:
        nonlocal state
        name = frame.f_globals.get("__name__", "")
        if event not in ("call", "return") or not name.startswith("ppbench."):
            return
        name = name.removeprefix("ppbench.")
        function = f"{name}:{frame.f_code.co_name}"
        if function == rule.first and event == "call":
            state = "on"
        if state != "on" or name in rule.beside:
            return
        taken = [*carried(arguments(frame), rule)]
        # A validator returns what it has checked.
        given = [one for one in carried(value, rule) if one is not frame.f_locals.get("self")]
        types.update(dict.fromkeys(kind for kind in map(kind_of, (*taken, *given)) if kind in rule.carriers))
        if event == "call":
            return
        if given or function == rule.last or (value is not None and taken):
            modules.setdefault(name)
        if function == rule.last:
            state = "after"

    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        sys.setprofile(look)
        try:
            app(list(rule.arguments), standalone_mode=False)
        finally:
            sys.setprofile(None)
    if state != "after":
        raise RuntimeError(f"the walk never came to {rule.last}")
    return Walk([*modules], [*types])


def kind_of(value: Any) -> str:
    """The name of a value's type."""
    return type(value).__name__


def arguments(frame: FrameType) -> list[Any]:
    """The arguments of a call, as they are at its end, without ``self``."""
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & CO_VARARGS)]
    return [frame.f_locals.get(name) for name in names if name not in ("self", "cls")]


def carried(value: Any, rule: Rule, depth: int = DEPTH) -> Iterator[Any]:
    """The carriers in a value, and in what it holds."""
    if kind_of(value) in rule.carriers or rule.is_bare(value):
        yield value
        return
    if depth == 0:
        return
    inner: Iterable[Any] = ()
    if isinstance(value, Mapping):
        inner = value.values()
    elif isinstance(value, list | tuple):
        inner = value
    elif dataclasses.is_dataclass(value):
        inner = vars(value).values()
    for one in islice(inner, MOST):
        yield from carried(one, rule, depth - 1)


def write_inputs(folder: Path) -> None:
    """Write a network and six small images of two classes."""
    (folder / "net.py").write_text(NETWORK)
    pixels = np.random.default_rng(0).integers(0, 256, (6, SIDE, SIDE, 3), np.uint8)
    for number, image in enumerate(pixels):
        path = folder / "images" / f"class{number % 2}" / f"{number}.jpeg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        write_inputs(Path(folder))
        for title, rule in (("An image to the run file", IMAGE), ("A run file to a table", NUMBER)):
            found = walk(rule)
            print(f"{title}: {len(found.modules)} modules, {len(found.types)} types")
            print("  " + " ".join(found.modules))
            print("  " + " ".join(found.types))


if __name__ == "__main__":
    main()
