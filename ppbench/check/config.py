"""The table ``[tool.ppbench.check]`` of a pyproject.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ppbench.check.rules import parse_points
from ppbench.errors import DataError, UsageError
from ppbench.files import read_text
from ppbench.lookup import check_name
from ppbench.parsing import parse_toml

DEFAULT_FILE = Path("pyproject.toml")
TABLE = ("tool", "ppbench", "check")
KEYS = ("max-drop", "baseline", "confidence", "fail-on", "on-powerless", "on-inconclusive", "allow")


@dataclass(frozen=True)
class CheckConfig:
    """The settings of the file; None or empty if it does not set them."""

    rules: Mapping[str, float] = field(default_factory=dict)
    file: Path | None = None
    """The file that was read; None if there is none."""
    baseline: Path | None = None
    """Relative to the working directory; in the file it is relative to the file's folder."""
    confidence: float | None = None
    fail_on: str | None = None
    on_powerless: str | None = None
    on_inconclusive: str | None = None
    """The older name of ``fail_on``."""
    allow: tuple[str, ...] = ()


def read_config(path: Path | None) -> CheckConfig:
    """Read the table from a file, or from the pyproject.toml of the working directory if there is one.

    Raises:
        DataError: If the file cannot be read.
        UsageError: If it is not TOML, or has keys or values that are not allowed.
    """
    if path is None and not DEFAULT_FILE.exists():
        return CheckConfig()
    where = path or DEFAULT_FILE
    try:
        text = read_text(where)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read {where}: {reason}", "`--config FILE` takes a pyproject.toml.") from error
    try:
        content = parse_toml(text)
    except ValueError as error:
        raise UsageError(
            f"{where} is not TOML: {error}", "Repair it, or give the rules as `--max-drop NAME=POINTS`."
        ) from error
    return _from_table(where, _table_of(where, content))


def _table_of(where: Path, content: dict[str, Any]) -> dict[str, Any]:
    """The table tool.ppbench.check; empty if there is none."""
    for depth, key in enumerate(TABLE):
        content = content.get(key, {})
        if not isinstance(content, dict):
            raise UsageError(f"{where}: {'.'.join(TABLE[: depth + 1])} is not a table", "Write `[tool.ppbench.check]`.")
    return content


def _from_table(where: Path, table: dict[str, Any]) -> CheckConfig:
    for key in table:
        check_name("key of [tool.ppbench.check]", key, KEYS, "docs/ci.md")
    rules = _typed(where, table, "max-drop", dict, {})
    baseline = _typed(where, table, "baseline", str, None)
    confidence = _typed(where, table, "confidence", (int, float), None)
    return CheckConfig(
        file=where,
        rules={name: parse_points(name, value) for name, value in rules.items()},
        baseline=None if baseline is None else where.parent / baseline,
        confidence=None if confidence is None else float(confidence),
        fail_on=_typed(where, table, "fail-on", str, None),
        on_powerless=_typed(where, table, "on-powerless", str, None),
        on_inconclusive=_typed(where, table, "on-inconclusive", str, None),
        allow=tuple(map(str, _typed(where, table, "allow", list, []))),
    )


def _typed(where: Path, table: dict[str, Any], key: str, kind: type | tuple[type, ...], default: Any) -> Any:
    value = table.get(key, default)
    if value is not default and (not isinstance(value, kind) or isinstance(value, bool)):
        raise UsageError(
            f"{where}: {key} = {value!r} in [tool.ppbench.check] is not allowed", "docs/ci.md has an example."
        )
    return value
