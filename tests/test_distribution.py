"""The distribution: its page on the package index, its addresses, and the container file."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tools.build_hook import ReadmeHook, absolute_links

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REPOSITORY = PROJECT["urls"]["Repository"]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](docs/a.md)", "[a](https://github.com/o/p/blob/main/docs/a.md)"),
        ("[a](docs/a.md#b) [c](LICENSE)", "[a](https://github.com/o/p/blob/main/docs/a.md#b) [c](https://github.com/o/p/blob/main/LICENSE)"),
        ("![a](a.png)", "![a](https://raw.githubusercontent.com/o/p/main/a.png)"),
        ("[![a](a.png)](a.md)", "[![a](https://raw.githubusercontent.com/o/p/main/a.png)](https://github.com/o/p/blob/main/a.md)"),
        ("[a](https://b.org) [c](#d) [e](mailto:f@g)", "[a](https://b.org) [c](#d) [e](mailto:f@g)"),
        ("value[500 of 2000] (docs)", "value[500 of 2000] (docs)"),
    ],
)  # fmt: skip
def test_relative_links_become_absolute(text: str, expected: str) -> None:
    assert absolute_links(text, "https://github.com/o/p") == expected


def test_every_link_of_the_index_page_leads_to_a_file_of_the_repository() -> None:
    hook = ReadmeHook()
    hook.root = str(ROOT)
    metadata = {"urls": PROJECT["urls"]}
    hook.update(metadata)
    links = re.findall(r"\]\(([^)\s]+)\)", metadata["readme"]["text"])
    assert len(links) == len(re.findall(r"\]\(([^)\s]+)\)", README))
    assert all(link.startswith("https://") for link in links)
    raw = REPOSITORY.replace("github.com", "raw.githubusercontent.com")
    own = [link.removeprefix(f"{REPOSITORY}/blob/main/").removeprefix(f"{raw}/main/") for link in links]
    paths = [link.partition("#")[0] for link in own if not link.startswith("https://")]
    assert len(paths) > 20
    assert not [path for path in paths if not (ROOT / path).is_file()]


def test_the_addresses_are_of_one_repository_and_of_files_that_exist() -> None:
    assert re.fullmatch(r"https://github\.com/[\w-]+/ppbench", REPOSITORY)
    for address in PROJECT["urls"].values():
        path = address.removeprefix(REPOSITORY).removeprefix("/blob/main/")
        assert not path or (ROOT / path).is_file()
    assert "readme" not in PROJECT  # written by the hook


def test_nobody_is_told_to_install_another_project() -> None:
    """The package index has another project of the name ppbench."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "Containerfile", *(ROOT / "action").iterdir()]
    for page in (page for page in pages if page.is_file()):
        assert not re.search(r"(pip|pipx|uv tool|uvx)\s+(install\s+)?['\"]?ppbench\b", page.read_text()), page.name


def test_the_container_copies_what_the_build_needs() -> None:
    lines = (ROOT / "Containerfile").read_text().splitlines()
    copied = [
        name for line in lines if line.startswith("COPY ") and "--from" not in line for name in line.split()[1:-1]
    ]
    assert all((ROOT / name).exists() for name in copied)
    hook = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["metadata"]["hooks"]["custom"]["path"]
    needed = {"pyproject.toml", "README.md", "ppbench", hook, *PROJECT["license-files"]}
    assert needed <= set(copied)
    arguments = [line.split("=")[0].removeprefix("ARG ") for line in lines if line.startswith("ARG ")]
    assert arguments == ["BASE", "TORCH", "PYTHON"]
