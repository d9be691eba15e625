"""A pair of runs as large as those of ImageNet-C, 50,000 images in 76 cells; errors go together as real ones do."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ppbench.run import image_keys, write_run
from tests.builders import make_predictions, make_run
from tests.metrics.synthetic import draw, truth

IMAGES = 50_000


def write_pair(folder: Path, images: int = IMAGES, *, predicted: bool = False) -> tuple[Path, Path]:
    """Write ``old.json`` and ``new.json``, the second one point better in every cell, with bits and keys.

    Args:
        folder: Where to write them.
        images: Images of each cell.
        predicted: Whether to add predictions of 1,000 classes, whose wrong ones are at random.
    """
    old = truth()
    new = {key: error - 0.01 for key, error in old.items()}
    drawn = draw(np.random.default_rng(0), [old, new], images)
    keys = image_keys([f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, images + 1)])
    paths = folder / "old.json", folder / "new.json"
    for path, wrong, weights in zip(paths, drawn, "01", strict=True):
        right = {key: ~row for key, row in zip(old, wrong, strict=True)}
        errors = {key: 1 - float(bits.mean()) for key, bits in right.items()}
        run = make_run(
            errors, name=path.stem, n=images, dataset="imagenet-c", source="published", engine="published",
            recipe="imagenet-c", normalizer="alexnet", preprocessing="224 px",
        )  # fmt: skip
        model = run.model.model_copy(update={"weights_sha256": weights * 64})
        predictions = make_predictions(right, 1000) if predicted else None
        write_run(path, run.model_copy(update={"model": model}), right, keys, predictions)
    return paths
