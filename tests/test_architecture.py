"""Who may import whom: the layers of the design, checked on the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "ppbench"

BASE = {
    "errors",
    "extras",
    "versions",
    "devices",
    "registry",
    "vocabulary",
    "files",
    "pickles",
    "launch",
    "parsing",
    "pool",
    "bits",
    "run",
}
"""Layer 0: import each other only."""

ALLOWED: dict[str, set[str]] = {
    **dict.fromkeys(BASE, BASE),
    "corruptions": BASE,
    "data": BASE,
    "models": BASE,
    "metrics": BASE,
    "tables": BASE | {"metrics"},
    "report": BASE | {"metrics", "tables"},
    "compare": BASE | {"metrics", "tables", "report"},
    "check": BASE | {"metrics", "tables", "report", "compare"},
    "pytest_plugin": BASE | {"check"},
    "train": BASE | {"data", "models"},
    "evaluation": BASE | {"corruptions", "data", "models", "metrics", "tables"},
    "copies": BASE | {"corruptions", "data"},
    "inspection": BASE | {"corruptions", "data", "metrics", "models", "tables", "report"},
    "reproduce": BASE | {"data", "models", "metrics", "tables", "report", "compare", "train", "evaluation"},
    "cli": BASE
    | {"corruptions", "data", "models", "metrics", "tables", "report", "compare", "check", "train", "evaluation"}
    | {"copies", "inspection", "reproduce"},
}
EXCEPTIONS = {("data/generated.py", "corruptions")}

TORCH_FREE = {*BASE - {"devices"}, "metrics", "tables", "report", "compare", "check", "pytest_plugin", "data"}
"""Parts that must be usable without torch: the right half, and what lists and opens data."""

TORCH_FREE_FILES = {f"corruptions/{name}.py" for name in ("backends", "constants", "keys", "recipes", "reference")} | {
    f"reproduce/{name}.py"
    for name in ("cost", "export", "figures", "listing", "macs", "networks", "plan", "quantities", "sheets", "tables")
}


def imports(path: Path) -> Iterator[str]:
    """Modules a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def part_of(module: str) -> str | None:
    """``ppbench.data.folder`` -> ``data``; None for what is not ppbench's or is the package itself."""
    names = module.split(".")
    return names[1] if names[0] == "ppbench" and len(names) > 1 else None


FILES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT or path.stem in ALLOWED)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_follow_the_layers(path: Path) -> None:
    relative = path.relative_to(ROOT)
    own = relative.parts[0].removesuffix(".py")
    for module in imports(path):
        part = part_of(module)
        if part is None or part == own or (relative.as_posix(), part) in EXCEPTIONS:
            continue
        assert part in ALLOWED[own], f"{relative} imports {module}"
    if own in TORCH_FREE or relative.as_posix() in TORCH_FREE_FILES:
        heavy = [m for m in imports(path) if m.split(".")[0] in ("torch", "torchvision", "lightning")]
        assert not heavy, f"{relative} imports {heavy}"


def test_every_part_is_in_a_layer() -> None:
    parts = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in FILES}
    assert parts - {"assets"} <= set(ALLOWED)
    assert {"cli", "models", "data", "metrics"} <= parts


def test_nothing_heavy_is_imported_to_list_and_open_data() -> None:
    code = "import sys, ppbench.data.catalog; assert not {'torch', 'numba', 'cv2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
