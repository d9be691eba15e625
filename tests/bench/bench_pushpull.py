"""What push-pull costs: resnet50-pp3 against resnet50, forward and training step, paired in one run.

Run it on a quiet machine: ``python tests/bench/bench_pushpull.py --batch 8 --repeats 20``. The two networks take
turns, so that a slower moment of the machine meets both; the ratio is the median over the pairs, with quartiles.
Goals (CPU, channels_last): forward at most 1.04, training step at most 1.10.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn

from ppbench.models.resnet import create_model

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench import record

GOALS = {"forward": 1.04, "training step": 1.10}


def forward_of(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    """One forward pass in inference mode, as a function without arguments."""
    del labels

    def run() -> None:
        model.eval()
        with torch.inference_mode():
            model(images)

    return run


def training_step_of(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    """One whole step of SGD on cross entropy, as a function without arguments."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def run() -> None:
        model.train()
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return run


def seconds(work: Callable[[], None], device: str) -> float:
    """Wall time of one call; on a GPU until its work is done."""
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def paired(
    first: Callable[[], None], second: Callable[[], None], repeats: int, device: str
) -> list[tuple[float, float]]:
    """Times of ``repeats`` pairs after two to warm up; which of a pair goes first alternates."""
    pairs = []
    for turn in range(repeats + 2):
        if turn % 2:
            b = seconds(second, device)
            a = seconds(first, device)
        else:
            a = seconds(first, device)
            b = seconds(second, device)
        pairs.append((a, b))
    return pairs[2:]


def measure(device: str, batch: int, repeats: int) -> list[dict[str, Any]]:
    """Print one line for each kind of work, and return it as a row of the record."""
    rows = []
    models = [create_model(name).to(device, memory_format=torch.channels_last) for name in ("resnet50", "resnet50-pp3")]
    images = torch.randn(batch, 3, 224, 224, device=device).to(memory_format=torch.channels_last)
    labels = torch.randint(1000, (batch,), device=device)
    for kind, maker in {"forward": forward_of, "training step": training_step_of}.items():
        plain, push_pull = (maker(model, images, labels) for model in models)
        pairs = paired(plain, push_pull, repeats, device)
        low, middle, high = statistics.quantiles([b / a for a, b in pairs], n=4)
        times = [1000 * statistics.median(column) for column in zip(*pairs, strict=True)]
        print(
            f"{device:<6} {kind:<14} {times[0]:>11.1f} {times[1]:>15.1f} "
            f"{middle:>7.3f} [{low:.3f}, {high:.3f}]  {GOALS[kind]:.2f}"
        )
        plain_ms, push_pull_ms = ([1000 * value for value in column] for column in zip(*pairs, strict=True))
        sides = {"plain": record.figure(plain_ms), "push_pull": record.figure(push_pull_ms)}
        ratio = {"ratio": record.figure([b / a for a, b in pairs])}
        rows.append({"name": f"{kind}, {device}", **sides, **ratio, "goal": {"of": "ratio", "at_most": GOALS[kind]}})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8, help="images in a batch")
    parser.add_argument("--repeats", type=int, default=20, help="pairs measured, at least 2")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads (default: torch's choice)")
    record.add_json_option(parser)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, Python {platform.python_version()}")
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, batch {options.batch}, {options.repeats} pairs")
    if torch.cuda.is_available():
        print(torch.cuda.get_device_name())
    print("device work           resnet50 ms resnet50-pp3 ms   ratio [quartiles]      goal")
    rows = []
    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        torch.manual_seed(0)
        rows += measure(device, options.batch, options.repeats)
    columns = [
        record.column("plain", "resnet50", 0, "ms"),
        record.column("push_pull", "resnet50-pp3", 0, "ms"),
        record.column("ratio", "ratio", 3),
    ]
    settings = f"224 px, channels_last, float32, batch {options.batch}, {torch.get_num_threads()} threads; pairs"
    record.save(options.json, __file__, settings, columns, rows, n=options.repeats, first_column="work")


if __name__ == "__main__":
    main()
