"""How texts from outside are written in each output: names of models, files, classes and datasets can be anything.

One function for each output. None of them loses a letter of a harmless text, and none lets a text do what it was not
written for: move the cursor, reorder a line, end a cell, run as a formula, or make a document that cannot be read.
"""

from __future__ import annotations

import json
import re
from typing import Any

_UNSEEN = (
    r"\x7f-\x9f\xad\u061c\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff"
    r"\U000e0000-\U000e007f"
)
"""Control characters (C1), what turns the direction of writing, what nobody sees, and halves of characters."""

_CONTROL = re.compile(rf"[\x00-\x1f{_UNSEEN}]")
_BEYOND_JSON = re.compile(f"[{_UNSEEN}]")  # which has escapes of its own for the first 32
_FORBIDDEN_IN_XML = re.compile(r"[\ufffe\uffff]")
"""What XML 1.0 has no way to write (production 2, Char), besides what `for_terminal` has replaced."""
_FORMULA = re.compile(r"[=+\-@\t\r](?!\d+(\.\d+)?$)")
"""How a formula begins in spreadsheets; a number with its sign is none."""
_MARKDOWN = re.compile(r"[\\|*_<\[`~]|&(?=[#\w]+;)")

LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "…": r"\dots{}",
    "·": r"$\cdot$",
    "<": "$<$",
    ">": "$>$",
    "→": r"$\to$",
    "±": r"$\pm$",
}

NEGATIVE = re.compile(r"(?<![\w$-])-(?=\d)")
"""The sign of a number, which is no hyphen: -0.80, but not s1-5."""


def for_terminal(text: str) -> str:
    """A text without what a terminal obeys: ``\\x1b``, a line break or U+202E are written as such escapes."""
    return _CONTROL.sub(_visible, text)


def for_markdown(text: str) -> str:
    """The same for Markdown: names with underscores and brackets stay as they are, and a pipe ends no cell."""
    return _MARKDOWN.sub(r"\\\g<0>", for_terminal(text)).strip()


def for_latex(text: str) -> str:
    """The same for LaTeX; two blanks at the beginning are an indentation."""
    indent = r"\quad " if text.startswith("  ") else ""
    escaped = "".join(LATEX_ESCAPES.get(character, character) for character in for_terminal(text.strip()))
    return indent + NEGATIVE.sub("$-$", escaped)


def for_csv(value: Any) -> Any:
    """A field of a CSV; a text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if not isinstance(value, str):
        return value
    return f"'{for_terminal(value)}" if _FORMULA.match(value) else for_terminal(value)


def for_xml(text: str) -> str:
    """A text that XML 1.0 can have, with its line breaks."""
    return "\n".join(_FORBIDDEN_IN_XML.sub(_visible, for_terminal(line)) for line in text.split("\n"))


def to_json(content: Any, indent: int = 2) -> str:
    """A JSON document whose texts are whole: what terminals obey, or UTF-8 cannot write, stands as ``\\u….``

    Raises:
        ValueError: If a number is not finite, which JSON has no way to write.
    """
    text = json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False)
    return _BEYOND_JSON.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _visible(found: re.Match[str]) -> str:
    """``\\n``, ``\\x1b``, ``\\u202e``."""
    code = ord(found[0])
    named = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(found[0])
    return named or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}")
