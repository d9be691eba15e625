"""Write the versions installed in this environment into pyproject.toml as uv's constraints: names and versions only.

uv sync --upgrade --all-extras && uv run pytest -n auto && uv run python tools/pin_versions.py
"""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
TABLE = re.compile(r"\n\[tool\.uv\]\n# Tested versions.*?\n\]\n", re.DOTALL)


def main() -> None:
    """Replace the table of constraints, or add it at the end."""
    installed = {re.sub(r"[-_.]+", "-", d.name).lower(): d.version for d in distributions()}
    installed.pop("pushpull-bench", None)
    pins = "".join(f'    "{name}=={version}",\n' for name, version in sorted(installed.items()))
    table = f"\n[tool.uv]\n# Tested versions, written by tools/pin_versions.py.\nconstraint-dependencies = [\n{pins}]\n"
    text = PROJECT.read_text()
    PROJECT.write_text(TABLE.sub(lambda _: table, text) if TABLE.search(text) else text + table)


if __name__ == "__main__":
    main()
