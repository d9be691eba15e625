"""The C-bar corruptions against their plain definitions: every corruption of both sets, side by side in one run.

``python tests/bench/bench_c_bar.py --json docs/benchmarks/c-bar.json`` on a quiet machine. The other side is
``tests/oracles/bar``: numpy on whole arrays, one image at a time, with the draws of the published code (whose own
loops over pixels take hundreds of times as long). ppbench corrupts batches, as commands do. One thread, processor time,
the mean of the five severities, and the quickest of some calls after one that warms up; the two sides take turns.
Goal: every ratio at least 5.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BATCH = {"imagenet-c-bar": 16, "cifar-c-bar": 256}
SIDES = {"imagenet-c-bar": 224, "cifar-c-bar": 32}
SEVERITIES = (1, 2, 3, 4, 5)


def quickest(work: Callable[[], object], repeats: int) -> float:
    """Milliseconds of processor time."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times) * 1000


def times_of(recipe: str, name: str, image: Any, repeats: int) -> tuple[float, float]:
    """Milliseconds an image of ppbench and of the oracle."""
    import numpy as np

    from ppbench.corruptions.apply import corrupt
    from tests.oracles.bar import oracle, random_draws, strength

    count, rng = BATCH[recipe], np.random.RandomState(0)
    images, ids = np.repeat(image[None], count, axis=0), [str(i) for i in range(count)]

    def plain(severity: int) -> Any:
        draws = random_draws(name, strength(recipe, name, severity), len(image), rng)
        return oracle(image, name, severity, recipe, draws)

    pairs = [
        (
            quickest(lambda: corrupt(images, name, severity, recipe=recipe, ids=ids), repeats) / count,  # noqa: B023
            quickest(lambda: plain(severity), repeats),  # noqa: B023
        )
        for severity in SEVERITIES
    ]
    ours, theirs = zip(*pairs, strict=True)
    return statistics.mean(ours), statistics.mean(theirs)


def main() -> None:
    """Parse the options and run."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.bench import record

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3, help="calls per severity, of which the quickest counts")
    record.add_json_option(parser)
    options = parser.parse_args()
    import torch

    from ppbench.corruptions.strengths import STRENGTHS
    from tests.bench.bench_corruptions import photograph

    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for recipe, names in STRENGTHS.items():
        for name in names:
            found = [times_of(recipe, name, photograph(SIDES[recipe]), options.repeats) for _ in range(options.passes)]
            ours, theirs = zip(*found, strict=True)
            ratio = record.figure([b / a for a, b in found])
            medians = statistics.median(ours), statistics.median(theirs), ratio["median"]
            print(f"{recipe:15} {name:32} {medians[0]:8.3f} {medians[1]:8.3f} {medians[2]:7.1f}")
            sides = {"ppbench": record.figure(ours), "plain": record.figure(theirs), "ratio": ratio}
            rows.append({"name": f"{name}, {SIDES[recipe]} px", **sides, "goal": {"of": "ratio", "at_least": 5}})
    columns = [record.column("ppbench", "ppbench", 3, "ms"), record.column("plain", "plain definition", 3, "ms")]
    columns.append(record.column("ratio", "ratio", 1))
    settings = "one thread, processor time an image, mean of five severities; batches of 16 (224 px) and 256 (32 px)"
    record.save(options.json, __file__, settings, columns, rows, n=options.passes, first_column="corruption")


if __name__ == "__main__":
    main()
