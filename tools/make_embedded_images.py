"""Write the embedded slice of the Fashion-MNIST test set: 2,000 images, 200 of each class.

python tools/make_embedded_images.py /usr/share/datasets/fashion-mnist
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np

from ppbench.data.arrays import EMBEDDED_FILE, fashion_mnist_images
from ppbench.data.source import stratified_subset
from ppbench.files import atomic_write


def main(folder: Path) -> None:
    """Choose the images by the keyed, class-stratified order of seed 0, and store them with their places."""
    whole = fashion_mnist_images(folder)
    index = stratified_subset(whole.ids, whole.labels, 2000, seed=0)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        images=whole.images[index, ..., 0],
        labels=whole.labels[index].astype(np.uint8),
        index=index.astype(np.uint16),
    )
    atomic_write(Path(__file__).parents[1] / "ppbench" / "assets" / EMBEDDED_FILE, buffer.getvalue())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
