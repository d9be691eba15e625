"""The summary that the check prints at its end. Free of torch."""

from __future__ import annotations

from typing import Any

from tools.gpu_check.goals import MISSED, NO_GOAL, faster_way
from tools.gpu_check.runner import DONE, FAILED, NO_TIME, STOPPED, headline

Record = dict[str, Any]


def is_good(record: Record) -> bool:
    """Whether no part failed, and no result differs from the CPU's."""
    failed = any(found["status"] == FAILED for found in record["parts"].values())
    return not failed and not any(goal["is_equality"] and goal["verdict"] == MISSED for goal in record["goals"])


def wanted(goal: Record) -> str:
    """A goal in words."""
    if goal["at_most"] is not None:
        return f"at most {goal['at_most']:,g}"
    return f"at least {goal['at_least']:,g}" if goal["at_least"] is not None else NO_GOAL


def figure(goal: Record) -> str:
    """A goal's figure."""
    return "-" if goal["value"] is None else f"{goal['value']:,.{goal['digits']}f}"


def summary(record: Record) -> str:
    """The device, every goal with its figure, and what to look at first."""
    device, settings = record["device"] or {"name": "no device"}, record["settings"]
    names = ("name", "memory_gib", "driver", "cuda", "cudnn", "triton")
    said = [f"{name} {device[name]}" if name != "name" else str(device[name]) for name in names if name in device]
    lines = ["", ", ".join(said)]
    lines.append(", ".join(f"{name} {version}" for name, version in record["versions"].items()))
    quick = ", quick: too little work for figures that mean anything" if settings["quick"] else ""
    lines += [f"commit {record['commit']}, {record['seconds']} s{quick}", ""]
    width = max((len(goal["name"]) for goal in record["goals"]), default=0)
    for goal in record["goals"]:
        verdict = goal["verdict"].upper() if goal["verdict"] == MISSED else goal["verdict"]
        lines.append(f"{goal['name']:{width}} {figure(goal):>12}  {wanted(goal):18} {verdict}")
    first = look_at(record)
    return "\n".join([*lines, "", "Look at this first:" if first else "Nothing failed, no goal is missed.", *first])


def look_at(record: Record) -> list[str]:
    """What is wrong, the worst first: failures, results that differ, goals that are missed by much, parts left out."""
    parts = record["parts"]
    lines = [
        f"- {name} failed: {headline(found['error'])}" for name, found in parts.items() if found["status"] == FAILED
    ]
    missed = [goal for goal in record["goals"] if goal["verdict"] == MISSED]
    missed.sort(key=lambda goal: (not goal["is_equality"], -_factor(goal)))
    for goal in missed:
        by = "" if goal["is_equality"] else f" (by a factor of {_factor(goal):.2f})"
        lines.append(f"- {goal['name']}: {figure(goal)}, wanted {wanted(goal)}{by}")
        lines += [f"    {line}" for line in _reasons(goal, parts[goal["part"]]["rows"])]
    said = [line for found in parts.values() for row in found["rows"] for line in row.get("warnings", ())]
    lines += [f"- warning: {line[:300]}" for line in dict.fromkeys(said)]
    if left := [name for name, found in parts.items() if found["status"] == STOPPED]:
        lines.append(f"- out of time, with a part of their results: {', '.join(left)}")
    if left := [name for name, found in parts.items() if found["status"] == NO_TIME]:
        lines.append(f"- not begun, no time left: {', '.join(left)}")
    if lines and (none := [n for n, found in parts.items() if found["status"] == DONE and not found["rows"]]):
        lines.append(f"- without any result: {', '.join(none)}")
    return lines


def _factor(goal: Record) -> float:
    """How far a figure is from its goal, as a factor of at least 1."""
    if goal["at_most"] is not None:
        return goal["value"] / goal["at_most"] if goal["at_most"] else float("inf")  # type: ignore[no-any-return]
    return goal["at_least"] / max(goal["value"], 1e-9)  # type: ignore[no-any-return]


def _reasons(goal: Record, rows: list[Record]) -> list[str]:
    """The rows that decide a goal that is missed."""
    if goal["part"] == "engine" and not goal["is_equality"]:
        slow = sorted(faster_way(rows) or (), key=lambda row: row["rate"])[:5]
        return [f"{row['name']}, {row['way']}: {row['rate']:,.0f} images/s" for row in slow]
    keys = ("largest", "differing", "flipped", "differ")
    bad = [row for row in rows if any((row.get(key) or 0) > (goal["at_most"] or 0) for key in keys)]
    return [f"{row['name']}: " + ", ".join(f"{key} {row[key]}" for key in keys if key in row) for row in bad[:8]]
