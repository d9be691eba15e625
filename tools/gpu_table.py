"""The tables of a GPU in docs/benchmarks.md, from the record that ``python -m tools.gpu_check`` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tools.gpu_check.goals import MISSED
from tools.gpu_check.report import figure, wanted

NOT_MEASURED = "**Not measured**: no GPU was available. `python -m tools.gpu_check` measures it in 8 minutes."

Rows = list[dict[str, Any]]


def gpu_tables(path: Path) -> str:
    """The tables in Markdown; that nothing was measured, if there is no record, or one of a CPU."""
    record = json.loads(path.read_text()) if path.is_file() else None
    if record is None or (record["device"] or {}).get("type") != "cuda":
        return NOT_MEASURED
    made = (goals(record), engine(record), networks(record), phases(record), status(record), provenance(record))
    return "\n\n".join(part for part in made if part)


def table(columns: list[str], rows: list[list[str]], words: int = 1) -> str:
    """A table, whose columns but the first ``words`` are aligned to the right; none without rows."""
    if not rows:
        return ""
    lines = [columns, [*["---"] * words, *["---:"] * (len(columns) - words)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def goals(record: dict[str, Any]) -> str:
    """Every figure that has a goal."""
    rows = []
    for goal in record["goals"]:
        verdict = f"**{MISSED}**" if goal["verdict"] == MISSED else goal["verdict"]
        asked = "none" if wanted(goal) == "none" else f"{wanted(goal)}: {verdict}"
        rows.append([goal["name"], figure(goal), asked])
    return "\n".join(["| what | figure | goal |", "| --- | ---: | --- |", *(f"| {' | '.join(row)} |" for row in rows)])


def engine(record: dict[str, Any]) -> str:
    """Per corruption: images per second in each size of batch, and how its pixels differ from the CPU's."""
    speeds, pixels = rows_of(record, "engine"), rows_of(record, "corruptions")
    columns = sorted({(row["way"], row["batch"]) for row in speeds if "rate" in row}, key=lambda column: column[::-1])
    rows = []
    for name in dict.fromkeys(row["name"] for row in speeds if "rate" in row):
        found = {(row["way"], row["batch"]): row for row in speeds if row["name"] == name}
        share = max((row["share_of_bandwidth"] for row in found.values() if row["is_main"]), default=None)
        rows.append(
            [
                name,
                *(f"{found[column]['rate']:,.0f}" if column in found else "not measured" for column in columns),
                "not measured" if share is None else f"{100 * share:.2g} %",
                levels([row for row in pixels if row.get("corruption") == name]),
                levels([row for row in found.values() if "largest" in row]),
            ]
        )
    heads = [f"images/s, {way}, batch {batch:,}" for way, batch in columns]
    last = ["of the memory's limit", "pixels, all recipes", "compiled pixels"]
    return table(["corruption", *heads, *last], rows)


def levels(rows: Rows) -> str:
    """How far pixels are from the CPU's."""
    if not rows:
        return "not measured"
    differing, values = (sum(row[key] for row in rows) for key in ("differing", "values"))
    largest = max(row["largest"] for row in rows)
    return f"{largest} level in {100 * differing / values:.2g} %" if differing else "equal"


def networks(record: dict[str, Any]) -> str:
    """Forward passes of ResNet-50."""
    rows = [row for part in ("forward", "forward-compiled") for row in rows_of(record, part)]
    return table(["ResNet-50 forward", "images/s"], [[row["name"], f"{row['rate']:,.0f}"] for row in rows])


def phases(record: dict[str, Any]) -> str:
    """Per phase: how much of the time the GPU computes, and the kernel that takes most of it."""
    rows = []
    for row in rows_of(record, "profile"):
        first = row["kernels"][0] if row["kernels"] else None
        most = f"`{first['name']}`, {first['ms']:.2f} ms".replace("|", "\\|") if first else "none"
        share = "none" if row["busy_share"] is None else f"{100 * row['busy_share']:.0f} %"
        rows.append([row["name"], most, f"{row['events']:,}", f"{row['span_ms']:,.2f}", share])
    made = [table(["work", "kernel that takes most", "kernels", "ms", "GPU busy"], rows, words=2), loop(record)]
    return "\n\n".join(part for part in made if part)


def loop(record: dict[str, Any]) -> str:
    """The phases of an evaluation: milliseconds of the machine and of the GPU for some of its batches."""
    rows = [
        [f"evaluation: {phase['name']}", f"{phase['calls']:,}", f"{phase['cpu_ms']:,.1f}", f"{phase['gpu_ms']:,.1f}"]
        for row in rows_of(record, "profile")
        for phase in row.get("phases", ())
    ]
    return table(["phase", "times", "ms, process", "ms, GPU"], rows)


def status(record: dict[str, Any]) -> str:
    """The parts of the check that did not end."""
    open_parts = [f"{name}: {found['status']}" for name, found in record["parts"].items() if found["status"] != "done"]
    return f"Not complete: {'; '.join(open_parts)}." if open_parts else ""


def rows_of(record: dict[str, Any], part: str) -> Rows:
    """The rows of a part; none if it did not run."""
    return record["parts"].get(part, {}).get("rows", [])  # type: ignore[no-any-return]


def provenance(record: dict[str, Any]) -> str:
    """One paragraph: which card, driver, versions, commit and day."""
    device = record["device"]
    card = f"{device['name']}, {device['memory_gib']} GiB, driver {device['driver']}, CUDA {device['cuda']}, "
    card += f"cuDNN {device['cudnn']}, Triton {device['triton']}"
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    machine, day = record["machine"], record["date"][:10]
    return (
        f"*Medians of repeats. {card}; {machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB. "
        f"{versions}. Commit: {record['commit'] or 'not recorded'}. {day}, {record['seconds']} s in all.*"
    )
