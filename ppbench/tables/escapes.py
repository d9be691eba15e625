"""Escaping: names of models, files, classes and datasets can be anything.

There is one function for each output. None of them changes a harmless text, and none lets a text move the cursor,
reorder a line, end a cell, run as a formula, or make a document unreadable.
"""

from __future__ import annotations

import json
import re
from typing import Any

_UNSEEN = (
    r"\x7f-\x9f\xad\u061c\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff"
    r"\U000e0000-\U000e007f"
)
"""C1 control characters, marks of writing direction, invisible characters, and surrogates."""

_CONTROL = re.compile(rf"[\x00-\x1f{_UNSEEN}]")
_BEYOND_JSON = re.compile(f"[{_UNSEEN}]")  # JSON itself escapes the first 32
_FORBIDDEN_IN_XML = re.compile(r"[\ufffe\uffff]")
"""Characters that XML 1.0 cannot write (production 2, Char), besides those that `for_terminal` replaces."""
_FORMULA = re.compile(r"[=+\-@\t\r](?!\d+(\.\d+)?$)")
"""The beginning of a formula in spreadsheets. A number with a sign is not a formula."""
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
    "≤": r"$\leq$",
}

NEGATIVE = re.compile(r"(?<![\w$-])-(?=\d)")
"""The minus sign of a number, as in -0.80, but not the hyphen of s1-5."""


_CODE = re.compile("`([^`]+)`")
"""A word of a program in a note, as Markdown writes it."""


def for_terminal(text: str) -> str:
    """Write what a terminal would obey, such as ``\\x1b``, a line break or U+202E, as escapes."""
    return _CONTROL.sub(_visible, text)


def for_markdown(text: str) -> str:
    """Escape for Markdown: underscores and brackets in names stay literal, and a pipe does not end a cell."""
    return _MARKDOWN.sub(r"\\\g<0>", for_terminal(text)).strip()


def for_latex(text: str) -> str:
    """Escape for LaTeX. Two blanks at the beginning become an indentation, and words in backticks a typewriter's."""
    indent = r"\quad " if text.startswith("  ") else ""
    escaped = "".join(LATEX_ESCAPES.get(character, character) for character in for_terminal(text.strip()))
    return indent + _CODE.sub(_typewriter, NEGATIVE.sub("$-$", escaped))


def _typewriter(code: re.Match[str]) -> str:
    # Two hyphens would become a dash.
    return rf"\texttt{{{code[1].replace('--', '-{}-')}}}"


def for_csv(value: Any) -> Any:
    """Escape a field of a CSV. A text that a spreadsheet would run as a formula gets an apostrophe."""
    if not isinstance(value, str):
        return value
    return f"'{for_terminal(value)}" if _FORMULA.match(value) else for_terminal(value)


def for_xml(text: str) -> str:
    """Escape for XML 1.0, keeping line breaks."""
    return "\n".join(_FORBIDDEN_IN_XML.sub(_visible, for_terminal(line)) for line in text.split("\n"))


def to_json(content: Any, indent: int = 2) -> str:
    """Write a JSON document. Characters that terminals obey or UTF-8 cannot write become ``\\u…`` escapes.

    Raises:
        ValueError: If a number is not finite, which JSON cannot write.
    """
    text = json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False)
    return _BEYOND_JSON.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _visible(found: re.Match[str]) -> str:
    """``\\n``, ``\\x1b``, ``\\u202e``."""
    code = ord(found[0])
    named = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(found[0])
    return named or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}")
