"""Extras are named as they are installed, and never by the name that another project has on the package index."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from ppbench.errors import UsageError
from ppbench.extras import how_to_install, import_extra

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

TAKEN = re.compile(
    r"(?:(?:pip3?|pipx|uv|uv tool|uv pip) (?:install|add|run)|uvx)\s[^\n`]*?(?<![\w./-])ppbench(?:\[|==|['\"\s`]|$)"
)
"""Commands that would fetch the package index's ppbench, which is another project."""


def texts() -> list[Path]:
    files = [path for folder in ("ppbench", "docs", "tools") for path in sorted((ROOT / folder).rglob("*"))]
    return [*ROOT.glob("*.md"), *(path for path in files if path.suffix in (".py", ".md"))]


def test_nothing_tells_anyone_to_install_the_other_project_of_this_name() -> None:
    allowed = re.compile(r"uv run (?:--\S+ )*ppbench")  # runs what is installed in the clone
    for path in texts():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert not TAKEN.search(allowed.sub("", line)), f"{path.relative_to(ROOT)}:{number}: {line}"


@pytest.mark.parametrize(
    "command", ["pip install '{}[train]'", "pip install --upgrade {}", "uv add {}", "uvx {} eval", "pip install {}"]
)
def test_the_old_forms_would_be_found(command: str) -> None:
    assert TAKEN.search(command.format("ppbench"))
    assert not TAKEN.search(command.format("./ppbench"))


def test_the_distribution_has_a_name_of_its_own() -> None:
    assert PROJECT["name"] == "pushpull-bench"
    assert PROJECT["scripts"] == {"ppbench": "ppbench.cli.main:main"}


def test_every_extra_that_is_named_exists() -> None:
    pattern = r"""(?:--extra |import_extra\(\s*"\w+", "|how_to_install\(['"])(\w+)"""
    used = {name for path in texts() for name in re.findall(pattern, path.read_text())}
    assert {"train", "timm", "plots"} <= used
    assert used <= set(PROJECT["optional-dependencies"])


def test_a_missing_extra_is_one_line_and_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning", None)
    with pytest.raises(UsageError) as caught:
        import_extra("lightning", "train", "`ppbench train`")
    assert caught.value.message == "`ppbench train` needs lightning, which is not installed"
    assert caught.value.hint == how_to_install("train")
    assert "uv sync --extra train" in caught.value.hint
    assert "pip install '.[train]'" in caught.value.hint


def test_an_extra_that_lacks_something_itself_is_not_called_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "half_there.py").write_text("import not_there_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        import_extra("half_there", "train", "a test")
