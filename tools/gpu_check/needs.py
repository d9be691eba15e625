"""What the check needs beside the standard library, found before any time is spent. Nothing heavy is imported."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"

IMPORTED_AS = {"opencv-python": "cv2", "pillow": "PIL", "imagecorruptions-imaug": "imagecorruptions"}
"""Import names of distributions that are not called like their module."""

ALSO = {
    "pydantic": ("pydantic_core", "annotated_types", "typing_inspection", "typing_extensions"),
    "numba": ("llvmlite",),
    "jinja2": ("markupsafe",),
    "pandas": ("dateutil",),
    "rich": ("pygments", "markdown_it"),
}
"""Modules that come with other wheels, which ``pip install --no-deps`` leaves out."""

FROST = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg", "frost6.jpg")

Find = Callable[[str], object]


def required() -> dict[str, str]:
    """The project's required distributions, and the oldest version of each."""
    listed = tomllib.loads(PYPROJECT.read_text())["project"]["dependencies"]
    pairs = (re.fullmatch(r"([\w-]+)>=([\w.]+)", line) for line in listed)
    return {found[1]: found[2] for found in pairs if found}


def missing(find: Find = find_spec) -> list[str]:
    """One line for each thing that is missing; ``find`` returns None for a module that is not there."""
    lines = []
    for name in required():
        module = IMPORTED_AS.get(name, name)
        if find(module) is None:
            lines.append(f"{name}: no module {module}; bring its wheel")
            continue
        lines += [f"{other}: needed by {name}; bring its wheel" for other in ALSO.get(name, ()) if find(other) is None]
        if module == "imagecorruptions":
            lines += _missing_pictures(find(module))
    return lines


def _missing_pictures(spec: object) -> list[str]:
    folders = getattr(spec, "submodule_search_locations", None) or []
    if any(all((Path(folder) / "frost" / name).is_file() for name in FROST) for folder in folders):
        return []
    return ["imagecorruptions-imaug: its pictures of frost are missing; bring the whole wheel"]


def old() -> list[str]:
    """One line for each package that is older than the project asks for; it may still do."""
    lines = []
    for name, oldest in required().items():
        try:
            there = version(name)
        except PackageNotFoundError:  # such as opencv-python, where opencv-python-headless is
            continue
        if _numbers(there) < _numbers(oldest):
            lines.append(f"{name} {there} is older than {oldest}")
    return lines


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text.partition("+")[0])]
