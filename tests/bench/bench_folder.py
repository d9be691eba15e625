"""The whole folder job (decode, 75 cells, JPEG) against a plain loop over the package with Pillow, in one run.

Run it on a quiet machine: ``python tests/bench/bench_folder.py``. Both sides take the same photographs (224 px, JPEG),
the same cores, a fresh process per pass and an allocator that keeps its memory; they take turns. They write to memory
where they can, since a slow disk takes the same time from both. Counted is the time
from the first finished image to the last, so that neither side's start is. Goal: 5 times the images per second.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from ppbench.vocabulary import expand_corruptions  # noqa: E402
from tests.bench import record  # noqa: E402

GOAL = 5.0
MORE = 8
"""Times as many images for the faster side, so that its passes take long enough to be timed."""
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "67108864",
}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}


def write_photographs(folder: Path, count: int) -> None:
    """``count`` different photographs of 224 x 224 as JPEGs in four class folders."""
    import skimage.data

    for number in range(count):
        whole = Image.fromarray(
            getattr(skimage.data, ("astronaut", "chelsea", "coffee", "rocket")[number % 4])()
        ).convert("RGB")
        start = 3 * (number // 4)
        cut = whole.crop((start, start, start + 270, start + 270)).resize((224, 224))
        path = folder / f"n{number % 4:08}" / f"{number:05}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        cut.save(path, quality=95)


def plain(path: Path, root: Path, dest: Path, corruptions: tuple[str, ...]) -> None:
    """What a user of the package writes: open, corrupt, save as ImageNet-C does."""
    import warnings

    from imagecorruptions import corrupt

    warnings.simplefilter("ignore")
    image = np.asarray(Image.open(path).convert("RGB"))
    for corruption in corruptions:
        for severity in range(1, 6):
            made = corrupt(image, severity=severity, corruption_name=corruption)
            target = dest / corruption / str(severity) / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(made).save(target, quality=85, optimize=True)


def plain_job(root: Path, dest: Path, corruptions: tuple[str, ...], cores: int) -> Iterator[int]:
    """The loop over all images, in as many processes as there are cores; yields after each image."""
    work = partial(plain, root=root, dest=dest, corruptions=corruptions)
    paths = sorted(root.rglob("*.JPEG"))
    if cores == 1:
        for path in paths:
            work(path)
            yield 1
        return
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        for _ in pool.imap_unordered(work, paths):
            yield 1


def time_plain(root: Path, dest: Path, corruptions: tuple[str, ...], cores: int) -> list[tuple[float, int]]:
    """When how many images were finished."""
    return [(time.perf_counter(), images) for images in plain_job(root, dest, corruptions, cores)]


def time_ppbench(root: Path, dest: Path, corruptions: tuple[str, ...], cores: int) -> list[tuple[float, int]]:
    """When how many images were finished."""
    from ppbench.copies.api import corrupt_folder

    times: list[tuple[float, int]] = []
    corrupt_folder(
        root,
        dest,
        corruptions=corruptions,
        workers=0 if cores == 1 else cores,
        device="cpu",
        advance=lambda images: times.append((time.perf_counter(), images)),
    )
    times[-1] = (time.perf_counter(), times[-1][1])  # the manifest too
    return times


SIDES = {"ppbench": time_ppbench, "plain": time_plain}


def run_side(side: str, root: Path, corruptions: tuple[str, ...], cores: int) -> None:
    """One pass in this process; prints images per second."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    with tempfile.TemporaryDirectory(dir=root.parent) as dest:
        times = SIDES[side](root, Path(dest) / "c", corruptions, cores)
    # Of several processes each has begun its first image before any is finished: those are left out.
    begun = times[cores - 1][0] if len(times) > cores else times[0][0]
    images = sum(images for _, images in times[cores:])
    print(json.dumps(images / (times[-1][0] - begun)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--images",
        type=int,
        default=20,
        help=f"photographs in a pass of the plain loop; {MORE} times as many in ppbench's",
    )
    parser.add_argument("--rounds", type=int, default=3, help="passes of each side")
    parser.add_argument("--corruption", action="append", help="names, families or sets (default c15)")
    parser.add_argument("--folder", type=Path, help="where to write (default: in memory, where there is /dev/shm)")
    parser.add_argument("--side", choices=list(SIDES), help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--cores", type=int, action="append", help="cores to use; repeatable (default: 1 and all)")
    record.add_json_option(parser)
    options = parser.parse_args()
    corruptions = expand_corruptions(options.corruption or ["c15"])
    if options.side:
        run_side(options.side, options.root, corruptions, options.cores[0])
        return
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    environment = {**os.environ, **ALLOCATOR, **ONE_THREAD, "PYTHONPATH": str(ROOT)}
    print(f"Python {platform.python_version()}, {platform.platform()}, {usable} cores")
    memory = Path("/dev/shm")
    where = options.folder or (memory if memory.is_dir() else Path(tempfile.gettempdir()))
    print(f"{options.images} images, {5 * len(corruptions)} cells, JPEG, {options.rounds} rounds, in {where}")
    print("cores  ppbench images/s  plain images/s  ratio [lowest, highest]  goal")
    rows = []
    with tempfile.TemporaryDirectory(dir=where) as folder:
        roots = {side: Path(folder) / side for side in SIDES}
        for side, root in roots.items():
            write_photographs(root, options.images * (MORE if side == "ppbench" else 1))
        for cores in options.cores or sorted({1, usable}):
            passes: dict[str, list[float]] = {side: [] for side in SIDES}
            for _ in range(options.rounds):
                for side in SIDES:
                    command = [
                        sys.executable,
                        __file__,
                        "--side",
                        side,
                        "--root",
                        str(roots[side]),
                        "--cores",
                        str(cores),
                    ]
                    for name in corruptions:
                        command += ["--corruption", name]
                    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
                    passes[side].append(float(done.stdout.splitlines()[-1]))
            ours, theirs = passes["ppbench"], passes["plain"]
            ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
            print(
                f"{cores:>5}  {statistics.median(ours):>16.2f}  {statistics.median(theirs):>14.2f}  "
                f"{statistics.median(ratios):>5.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]{'':>9}{GOAL}"
            )
            sides = {"ours": record.figure(ours), "loop": record.figure(theirs), "ratio": record.figure(ratios)}
            rows.append({"name": str(cores), **sides, "goal": {"of": "ratio", "at_least": GOAL}})
    columns = [record.column("ours", "ppbench", 2, "images/s"), record.column("loop", "plain loop", 2, "images/s")]
    columns.append(record.column("ratio", "ratio", 1))
    settings = (
        f"{5 * len(corruptions)} cells and JPEG for 224 px photographs; {options.images} images in the plain loop"
    )
    record.save(options.json, __file__, settings, columns, rows, n=options.rounds, first_column="cores")


if __name__ == "__main__":
    main()
