"""Files with names of classes and templates of prompts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ppbench.errors import DataError, PpbenchError, UsageError
from ppbench.models.prompts import PromptClass, in_words, prompt_classes, prompt_templates, prompts_of


def test_classes_by_folder_or_in_order(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("# mine\ncat\n\n dog \nn02\tbig  elk\n\tbird\n", encoding="utf-8-sig")
    expected = (("cat", "cat"), ("dog", "dog"), ("n02", "big  elk"), ("bird", "bird"))
    assert prompt_classes(path) == tuple(PromptClass(*pair) for pair in expected)
    assert prompt_classes(str(path)) == prompt_classes(path)
    assert prompt_classes(["cat", "n02\telk"]) == (PromptClass("cat", "cat"), PromptClass("n02", "elk"))
    assert in_words("golden_retriever__2") == PromptClass("golden_retriever__2", "golden retriever 2")


def test_prompts() -> None:
    """Only ``{}`` is replaced; whatever else is in braces belongs to the text."""
    assert prompts_of("cat", ["a {}.", "{} and {}", "{} {0} {x}"]) == ["a cat.", "cat and cat", "cat {0} {x}"]
    assert prompts_of("{}", ["a {}."]) == ["a {}."]


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (prompt_classes, "\n# nothing\n", "has no class names"),
        (prompt_classes, "cat\ndog\ncat\n", "has the class 'cat' twice"),
        (prompt_classes, "a\tcat\nb\tcat\n", "has the text 'cat' twice"),
        (prompt_templates, "", "has no templates"),
        (prompt_templates, "a {}\na photo\n", "the template 'a photo' of --templates .* has no {}"),
        (
            prompt_templates,
            "a {}\n" + 5000 * "so " + "{}",
            "a template of --templates .* has 15,002 characters",
        ),
        (prompt_templates, "a {}\na {}\n", "has the template 'a {}' twice"),
    ],
)
def test_bad_files(tmp_path: Path, read: Callable[[Path], object], text: str, message: str) -> None:
    (tmp_path / "texts.txt").write_text(text)
    with pytest.raises(UsageError, match=message):
        read(tmp_path / "texts.txt")


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_unreadable_files(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "texts.txt").write_bytes(content)
    with pytest.raises(DataError, match="cannot read --templates") as caught:
        prompt_templates(tmp_path / "texts.txt")
    assert "\n" not in caught.value.message
    assert isinstance(caught.value, PpbenchError)


def test_texts_from_python() -> None:
    assert prompt_templates(["a\n{}", " "]) == ("a {}",)
    for given in (5, [5]):
        with pytest.raises(UsageError, match="--templates is "):
            prompt_templates(given)  # type: ignore[arg-type]
