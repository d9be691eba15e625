"""How many modules an image and a number pass through: docs/architecture.md says it, and it may only become less."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.trace_walks import IMAGE, NUMBER, Walk, walk, write_inputs

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> list[Walk]:
    folder = tmp_path_factory.mktemp("walks")
    write_inputs(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COLUMNS", "80")
        return [walk(rule) for rule in (IMAGE, NUMBER)]


def test_the_walks_are_short(walks: list[Walk]) -> None:
    image, number = walks
    assert len(image.modules) <= 15, image.modules
    assert len(number.modules) <= 15, number.modules
    assert max(len(one.types) for one in walks) <= 8, walks


def test_the_page_names_every_module_and_type_of_a_walk(walks: list[Walk]) -> None:
    parts = PAGE.read_text().split("\n## The walk of ")[1:]
    for part, (modules, types) in zip(parts, walks, strict=True):
        named = set(re.findall(r"`([\w/]+)`", part))
        missing = [one for one in types if one not in named]
        missing += [one for one in modules if not any(one.endswith(name.replace("/", ".")) for name in named)]
        assert not missing, "python -m tools.trace_walks"
        assert f"{len(modules)} modules" in part
        assert f"{len(types)} types" in part
