"""The run without arguments, ``ppbench eval``: both embedded networks, 2,000 images, 76 cells, a fresh process a round.

The goal is for two quiet cores. Processor time, of the whole command, shows whether they were: it is twice the time of
the evaluation, and some seconds for the start. Run it on a quiet machine: ``python tests/bench/bench_embedded.py``.
With ``--package`` each round also measures 200 images through the recipe `imagecorruptions`, made by ppbench's engine
and by the package, in turn.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench import record  # noqa: E402

IMAGES, CELLS, NETWORKS = 2000, 76, 2
GOAL = 90
"""Seconds of the run without arguments on two quiet cores."""
SOME = 200
"""Images for the package, which takes many times as long."""


def seconds(folder: Path, *options: str) -> tuple[float, float]:
    """Seconds from the first image to the last, as the run file says; and processor time of the command."""
    before = _processor_time()
    command = [sys.executable, "-m", "ppbench", "eval", "--force", "-o", str(folder), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    run = next(path for path in sorted(folder.glob("*.json")))
    return float(json.loads(run.read_text())["provenance"]["seconds"]), _processor_time() - before


def _processor_time() -> float:
    """Seconds of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def row(name: str, images: int, rounds: list[tuple[float, float]]) -> dict[str, Any]:
    """Times and rates of one way to run."""
    times, used = zip(*rounds, strict=True)
    rates = [images * CELLS * NETWORKS / time for time in times]
    goal = {"of": "time", "at_most": GOAL} if images == IMAGES else None
    figures = {"time": times, "used": used, "rate": rates}
    return {"name": name, **{key: record.figure(values) for key, values in figures.items()}, "goal": goal}


def main() -> None:
    """Time all ways in turns, and print medians with quartiles."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--package", action="store_true", help="also compare with the package's corruptions")
    record.add_json_option(parser)
    options = parser.parse_args()
    ways: dict[str, tuple[int, tuple[str, ...]]] = {"all 2,000": (IMAGES, ())}
    if options.package:
        some = ("--limit", str(SOME), "--recipe", "imagecorruptions")
        ways[f"{SOME}, recipe `imagecorruptions`, ppbench's engine"] = (SOME, some)
        ways[f"{SOME}, recipe `imagecorruptions`, the package"] = (SOME, (*some, "--backend", "imagecorruptions"))
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(options.rounds):
            for number, (name, (_, arguments)) in enumerate(ways.items()):
                times[name].append(seconds(Path(scratch) / str(number), *arguments))
    rows = [row(name, images, times[name]) for name, (images, _) in ways.items()]
    for line in rows:
        time, used, rate = (line[key]["median"] for key in ("time", "used", "rate"))
        print(f"{line['name']}: {time:.1f} s, {used:.0f} s of processor time, {rate:.0f} images/s")
    columns = [
        record.column("time", "first image to last", 1, "s"),
        record.column("used", "processor time of the command", 0, "s"),
        record.column("rate", "forward passes", 0, "images/s"),
    ]
    settings = "both embedded networks, 76 cells, a fresh process each"
    record.save(options.json, __file__, settings, columns, rows, n=options.rounds, first_column="images")


if __name__ == "__main__":
    main()
