"""Write the versions installed in this environment into pyproject.toml as uv's constraints: names and versions only.

uv sync --upgrade --all-extras && uv run pytest -n auto && uv run python tools/pin_versions.py
"""

from __future__ import annotations

import re
from importlib.metadata import Distribution, distributions
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
TABLE = re.compile(r"\n\[tool\.uv\]\n# Tested versions.*?\n\]\n", re.DOTALL)


def main() -> None:
    """Replace the table of constraints, or add it at the end."""
    pinned = {re.sub(r"[-_.]+", "-", found.name).lower(): _pin(found) for found in distributions()}
    pinned.pop("pushpull-bench", None)
    pins = "".join(f'    "{name}{pin}",\n' for name, pin in sorted(pinned.items()))
    table = f"\n[tool.uv]\n# Tested versions, written by tools/pin_versions.py.\nconstraint-dependencies = [\n{pins}]\n"
    text = PROJECT.read_text()
    PROJECT.write_text(TABLE.sub(lambda _: table, text) if TABLE.search(text) else text + table)


def _pin(found: Distribution) -> str:
    """Pin a version, only for those Pythons that it supports: the project supports all of 3.11."""
    lowest = re.search(r">=\s*(3\.11\.\d+)", found.metadata["Requires-Python"] or "")
    return f"=={found.version}" + (f" ; python_full_version >= '{lowest[1]}'" if lowest else "")


if __name__ == "__main__":
    main()
