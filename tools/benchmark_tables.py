"""The tables of docs/benchmarks.md, from one JSON file each. ``tests/bench/record.py`` writes such files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

UNKNOWN = "not recorded"

Figure = dict[str, Any]


def figure(found: Figure | None, digits: int) -> str:
    """Median, with quartiles or the lowest and highest where there are any."""
    if found is None:
        return UNKNOWN
    digits = found.get("digits", digits)
    text = f"{found['median']:,.{digits}f}"
    if found["quartiles"]:
        text += " ({:,.{d}f} to {:,.{d}f})".format(*found["quartiles"], d=digits)
    elif found["range"]:
        text += " [{:,.{d}f}, {:,.{d}f}]".format(*found["range"], d=digits)
    return text


def goal(row: dict[str, Any]) -> str:
    """What was wanted, and whether the median is as good."""
    wanted = row["goal"]
    if wanted is None:
        return "none"
    median = row[wanted["of"]]["median"]
    if "at_most" in wanted:
        return f"at most {wanted['at_most']:g}: {'met' if median <= wanted['at_most'] else '**missed**'}"
    return f"at least {wanted['at_least']:g}: {'met' if median >= wanted['at_least'] else '**missed**'}"


def spread(record: dict[str, Any]) -> str:
    """What the brackets are, and which columns have none."""
    cells = [(c["heading"], row[c["key"]]) for c in record["columns"] for row in record["rows"] if row[c["key"]]]
    parts = ["( ): quartiles"] if any(cell["quartiles"] for _, cell in cells) else []
    parts += ["[ ]: lowest and highest"] if any(cell["range"] for _, cell in cells) else []
    without = {c["heading"] for c in record["columns"] if not c.get("quartiles", True)}
    bare = dict.fromkeys(name for name, cell in cells if not cell["quartiles"] and name not in without)
    return "; ".join([*parts, f"quartiles of {', '.join(bare)}: {UNKNOWN}"] if bare else parts)


def provenance(record: dict[str, Any]) -> str:
    """One paragraph: how often, on which machine, with which versions and commit."""
    machine = record["machine"]
    where = f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, {machine['system']}"
    where += f", {machine['gpu'] or 'no GPU'}"
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    times = UNKNOWN if record["n"] is None else str(record["n"])
    return (
        f"*Medians, unless the column says otherwise; {spread(record)}. Repeats: {times}; {record['settings']}. "
        f"{where}. {versions}. Commit: {record['commit'] or UNKNOWN}.*"
    )


def benchmark_table(path: Path) -> str:
    """The table of one file in Markdown, with where its figures come from below it."""
    record = json.loads(path.read_text())
    columns = record["columns"]
    headings = [c["heading"] + (f", {c['unit']}" if c["unit"] else "") for c in columns]
    lines = [[record["first_column"], *headings, "goal"], ["---", *["---:"] * len(columns), "---"]]
    lines += [
        [row["name"], *(figure(row[c["key"]], c["digits"]) for c in columns), goal(row)] for row in record["rows"]
    ]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table}\n\n{provenance(record)}"
