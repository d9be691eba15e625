"""Measure what H.264 does to the frames of each perturbation: the table of docs/sequences.md, as Markdown.

``python tools/measure_videos.py`` takes some minutes. The photographs are scikit-image's. Differences are in levels of
255, means over photographs and frames; sizes are means in kB.
"""

from __future__ import annotations

import numpy as np
import skimage.data
from PIL import Image

from ppbench.copies.video import encode_video, encoder_versions
from ppbench.corruptions.sequences.apply import perturb
from ppbench.corruptions.sequences.recipes import EXTRA_PERTURBATIONS, NOISES, TEST_PERTURBATIONS
from ppbench.data.decode import resize_shorter
from ppbench.data.video import decode_video

PHOTOGRAPHS = ("astronaut", "coffee", "chelsea")


def measure(image: np.ndarray, name: str) -> tuple[float, ...]:
    """Mean and largest difference, bias, change from frame to frame before and after, kB; of one photograph."""
    frames = perturb(image[None], name, ids=["photograph"])[0]
    content = encode_video(frames, is_noise=name in NOISES)
    before, after = frames.astype(int), decode_video(content).astype(int)
    difference = after - before
    changes = (np.abs(np.diff(sequence, axis=0)).mean() for sequence in (before, after))
    return np.abs(difference).mean(), np.abs(difference).max(), difference.mean(), *changes, len(content) / 1000


def main() -> None:
    """Print the table."""
    print(f"encoder: {encoder_versions()}\n")
    print("| perturbation | mean difference | largest | bias | change between frames, before | after | kB |")
    print("| --- " * 7 + "|")
    for name in (*TEST_PERTURBATIONS, *EXTRA_PERTURBATIONS):
        found = []
        for photograph in PHOTOGRAPHS:
            image = Image.fromarray(getattr(skimage.data, photograph)())
            found.append(measure(np.asarray(resize_shorter(image, 256)), name))
        mean, _, bias, first, second, size = np.mean(found, axis=0)
        largest = max(one[1] for one in found)
        print(f"| {name} | {mean:.2f} | {largest:.0f} | {bias:+.2f} | {first:.2f} | {second:.2f} | {size:.0f} |")


if __name__ == "__main__":
    main()
