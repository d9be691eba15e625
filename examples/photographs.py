"""The photographs in scikit-image as a folder of files: ``python -m examples.photographs photos``.

They are real and small, and an installed scikit-image has them without a download. Two show what a class of ImageNet
is named after (a tabby cat, an espresso); others show one among much else.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import skimage

NAMES = (
    "astronaut.png", "camera.png", "chelsea.png", "clock_motion.png", "coffee.png", "coins.png", "grass.png",
    "gravel.png", "motorcycle_left.png", "motorcycle_right.png", "rocket.jpg",
)  # fmt: skip


def copy_photographs(folder: str | Path) -> list[Path]:
    """Copy the photographs to ``folder``, which is made if it is missing, and return their paths."""
    target, stored = Path(folder), Path(skimage.__file__).parent / "data"
    target.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copyfile(stored / name, target / name)) for name in NAMES]


if __name__ == "__main__":
    for path in copy_photographs(*sys.argv[1:]):
        print(path)
