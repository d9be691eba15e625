"""Memory does not grow with the number of images."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.forks import run
from tests.trees import photographs

SCRIPT = """
import re, sys
from pathlib import Path
from torch import nn
from ppbench.evaluation.api import evaluate
from ppbench.models.card import Card

# The network is not what grows: nearly nothing, and quick.
net = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(48, 10))
card = Card.cifar10("resnet8")
dataset, *folders = sys.argv[1:]
for data in folders:
    evaluate(net, dataset, card=card, data=data, corruptions=["brightness", "contrast"], severities="2-3", force=True,
             output=data + ".json")
    # The peak since the start. Not getrusage: its peak is inherited from the process that started this one.
    print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def png_of(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def write_images(root: Path, count: int, dataset: str) -> Path:
    """``count`` images, in class folders or as CIFAR-10-C's arrays."""
    cuts = np.stack(photographs(32, 8))
    if dataset == "imagefolder":
        files = [png_of(cut) for cut in cuts]
        for number in range(count):
            path = root / f"n{number % 10:08d}" / f"{number:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[number % 8])
        return root
    root.mkdir()
    rows = cuts[np.arange(count) % 8]
    for corruption in ("brightness", "contrast"):
        np.save(root / f"{corruption}.npy", np.concatenate([rows // s for s in range(1, 6)]))
    np.save(root / "labels.npy", np.tile(np.arange(count) % 10, 5))
    return root


@pytest.mark.parametrize("dataset", ["imagefolder", "cifar10-c"])
def test_a_hundred_times_the_images_take_as_much_memory(tmp_path: Path, dataset: str) -> None:
    folders = [str(write_images(tmp_path / f"{count}", count, dataset)) for count in (32, 3200)]
    done = run(SCRIPT, dataset, *folders)
    assert done.returncode == 0, done.stderr
    few, many = map(int, done.stdout.split())
    assert many < 1.05 * few
