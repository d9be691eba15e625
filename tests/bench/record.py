"""What a benchmark found, as a JSON file from which a table of docs/benchmarks.md is made.

A script adds ``--json FILE`` with `add_json_option`, and gives its columns and rows to `save`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ppbench.versions import __version__

ROOT = Path(__file__).parents[2]
PACKAGES = ("torch", "torchvision", "numpy", "numba", "opencv-python", "imagecorruptions-imaug")


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """The option that all benchmarks have."""
    parser.add_argument("--json", type=Path, help="write the figures, machine and commit to this file")


def figure(values: Sequence[float]) -> dict[str, Any]:
    """Median, quartiles (of four values or more) and extremes of some measurements."""
    quartiles = statistics.quantiles(values, n=4) if len(values) > 3 else None
    return {
        "median": statistics.median(values),
        "quartiles": [quartiles[0], quartiles[2]] if quartiles else None,
        "range": [min(values), max(values)],
    }


def single(value: float) -> dict[str, Any]:
    """A figure that was measured or computed once."""
    return {"median": value, "quartiles": None, "range": None}


def wanted(of: str, goal: str) -> dict[str, Any] | None:
    """A goal such as ``<= 1.05`` for the figure of one column; None for ``none``."""
    found = re.match(r"(<=|>=) ([\d.]+)", goal)
    if found is None:
        return None
    return {"of": of, "at_most" if found[1] == "<=" else "at_least": float(found[2])}


def column(key: str, heading: str, digits: int, unit: str | None = None) -> dict[str, Any]:
    """A column of the table."""
    return {"key": key, "heading": heading, "unit": unit, "digits": digits}


def machine() -> dict[str, Any]:
    """Processor, cores that may be used, memory, system, and GPU if there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    cpu = f"{cpu} ({torch.backends.cpu.get_cpu_capability()})"  # of one name, some have wider vectors than others
    gib = round(memory / 2**30) if memory else None
    return {"cpu": cpu, "cores": cores, "memory_gib": gib, "system": platform.system(), "gpu": gpu}


def commit() -> str | None:
    """The commit that was measured, with a + if files were changed; None outside a clone."""
    git = ["git", "-C", str(ROOT)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    except OSError:  # no git here
        return None
    if head.returncode:
        return None
    changed = subprocess.run([*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True)
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def versions() -> dict[str, str]:
    """Of Python and of the packages that matter, as far as they are installed."""
    found = {"Python": platform.python_version(), "ppbench": __version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def save(
    path: Path | None,
    script: str,
    settings: str,
    columns: list[dict[str, Any]],
    rows: list[dict[str, Any]],
    *,
    n: int,
    first_column: str,
) -> None:
    """Write the record, if the user asked for it."""
    if path is None:
        return
    record = {
        "script": f"tests/bench/{Path(script).name}",
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": versions(),
        "n": n,
        "settings": settings,
        "first_column": first_column,
        "columns": columns,
        "rows": rows,
    }
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
