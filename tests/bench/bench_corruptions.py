"""The engine against the package imagecorruptions: every corruption, side by side in one run.

``python tests/bench/bench_corruptions.py`` on a quiet machine: one thread, one 224 px photograph at a time, the mean of
the five severities. Each pass is a fresh process (the state of an allocator that has run for a while moves the times
of either library), the two take turns, and the median of the passes counts. The allocator is told to keep its memory,
on both sides. ``--device cuda`` times the engine alone, on batches, and prints images per second.
Goals: the sum over the 15 common corruptions 8 times less, geometric mean of the ratios at least 5, none below 1;
on an H100 a geometric mean of 50,000 images/s.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "268435456",
}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
SEVERITIES = (1, 2, 3, 4, 5)


def photograph(size: int) -> Any:
    """A real photograph, ``(size, size, 3)`` uint8."""
    import numpy as np
    import skimage.data
    from PIL import Image

    return np.array(Image.fromarray(skimage.data.astronaut()).resize((size, size)))


def best(work: Callable[[], object], repeats: int) -> float:
    """Milliseconds of the quickest of some calls, after one that warms up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times) * 1000


def time_engine(names: Sequence[str], size: int, repeats: int) -> dict[str, float]:
    """Milliseconds an image, mean of the severities."""
    import torch

    from ppbench.corruptions.apply import corrupt

    torch.set_num_threads(1)
    image = photograph(size)
    return {
        # With an id, as commands give them; without one, `corrupt` also hashes the image's content.
        name: statistics.mean(
            best(lambda: corrupt(image, name, severity, ids=["photograph"]), repeats)  # noqa: B023
            for severity in SEVERITIES
        )
        for name in names
    }


def time_package(names: Sequence[str], size: int, repeats: int) -> dict[str, float]:
    """Milliseconds an image, mean of the severities."""
    import warnings

    import cv2
    from imagecorruptions import corrupt

    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)
    image = photograph(size)
    return {
        name: statistics.mean(
            best(lambda: corrupt(image, severity=severity, corruption_name=name), repeats)  # noqa: B023
            for severity in SEVERITIES
        )
        for name in names
    }


SIDES = {"ppbench": time_engine, "package": time_package}


def one_pass(side: str, names: Sequence[str], size: int, repeats: int) -> dict[str, float]:
    """Times of one side, in a process of its own."""
    command = [sys.executable, __file__, "--side", side, "--size", str(size), "--repeats", str(repeats), *names]
    environment = {**os.environ, **KEEP_MEMORY, **ONE_THREAD}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def compare(names: Sequence[str], size: int, passes: int, repeats: int) -> list[dict[str, Any]]:
    """Print the table of both sides, and return it as rows of the record."""
    from ppbench.vocabulary import C15
    from tests.bench import record

    times: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(passes):
        for side in SIDES:
            times[side].append(one_pass(side, names, size, repeats))
    ours, theirs = (
        {name: statistics.median(each[name] for each in times[side]) for name in names}
        for side in ("ppbench", "package")
    )
    print(f"{'ms an image':20} {'ppbench':>9} {'package':>9} {'ratio':>7}")
    for name in names:
        print(f"{name:20} {ours[name]:9.3f} {theirs[name]:9.3f} {theirs[name] / ours[name]:7.2f}")
    common = [name for name in names if name in C15]
    sums = [sum(side[name] for name in common) for side in (ours, theirs)]
    ratios = [theirs[name] / ours[name] for name in common]
    print(f"{f'sum of the {len(common)}':20} {sums[0]:9.3f} {sums[1]:9.3f} {sums[1] / sums[0]:7.2f}  (goal: 8)")
    print(f"{'geometric mean':20} {'':9} {'':9} {statistics.geometric_mean(ratios):7.2f}  (goal: 5)")
    slowest = min(names, key=lambda name: theirs[name] / ours[name])
    print(f"{'smallest ratio':20} {slowest:>19} {theirs[slowest] / ours[slowest]:7.2f}  (goal: 1)")
    rows: list[dict[str, Any]] = []
    for name in names:
        found = {side: [each[name] for each in times[side]] for side in SIDES}
        rows.append(row_of(name, found, at_least=1))
    totals = {side: [sum(each[name] for name in common) for each in times[side]] for side in SIDES}
    rows.append(row_of(f"**sum of the {len(common)}**", totals, at_least=8))
    passed = zip(times["ppbench"], times["package"], strict=True)
    means = [statistics.geometric_mean([b[name] / a[name] for name in common]) for a, b in passed]
    mean = {"ratio": record.figure(means), "goal": {"of": "ratio", "at_least": 5}}
    rows.append({"name": f"**geometric mean of the {len(common)}**", "ppbench": None, "package": None, **mean})
    return rows


def row_of(name: str, found: dict[str, list[float]], *, at_least: float) -> dict[str, Any]:
    """A row of the record: milliseconds of both sides, a value per pass, and their ratios."""
    from tests.bench import record

    ratios = [b / a for a, b in zip(found["ppbench"], found["package"], strict=True)]
    sides = {side: record.figure(values) for side, values in found.items()}
    return {"name": name, **sides, "ratio": record.figure(ratios), "goal": {"of": "ratio", "at_least": at_least}}


def time_on_gpu(names: Sequence[str], size: int, batch: int, repeats: int, device: str) -> None:
    """Print images per second of the engine on batches that lie on the device."""
    import torch

    from ppbench.corruptions.apply import corrupt

    images = torch.from_numpy(photograph(size)).to(device).expand(batch, -1, -1, -1).permute(0, 3, 1, 2)
    ids = [str(i) for i in range(batch)]
    rates = {}
    for name in names:
        seconds = []
        for severity in SEVERITIES:

            def work(name: str = name, severity: int = severity) -> None:
                corrupt(images, name, severity, ids=ids)
                torch.cuda.synchronize()

            seconds.append(best(work, repeats) / 1000)
        rates[name] = batch / statistics.mean(seconds)
        print(f"{name:20} {rates[name]:12,.0f} images/s")
    print(
        f"{'geometric mean':20} {statistics.geometric_mean(rates.values()):12,.0f} images/s  (goal: 50,000 on an H100)"
    )


def main() -> None:
    """Parse the options and run."""
    from ppbench.vocabulary import C19

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(C19), help="corruptions; default: all 19")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--passes", type=int, default=3, help="fresh processes per side")
    parser.add_argument("--repeats", type=int, default=7, help="calls per severity, of which the quickest counts")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--batch", type=int, default=256, help="images at once on a GPU")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.bench import record

    record.add_json_option(parser)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(SIDES[options.side](options.names, options.size, options.repeats)))
        return
    packages = ("pushpull-bench", "imagecorruptions-imaug", "torch", "numpy", "numba", "opencv-python")
    print(", ".join(f"{name} {version(name)}" for name in packages), f"Python {platform.python_version()}")
    if options.device == "cuda":
        time_on_gpu(options.names, options.size, options.batch, options.repeats, options.device)
    else:
        rows = compare(options.names, options.size, options.passes, options.repeats)
        columns = [record.column(side, side, 2, "ms") for side in ("ppbench", "package")]
        columns.append(record.column("ratio", "ratio", 1))
        settings = f"one thread, one {options.size} px photograph at a time, recipe imagenet-c, mean of five severities"
        record.save(options.json, __file__, settings, columns, rows, n=options.passes, first_column="corruption")


if __name__ == "__main__":
    main()
