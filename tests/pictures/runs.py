"""Runs on the embedded images, made by hand, whose pictures can be made again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ppbench.corruptions.backends import ENGINE
from ppbench.data.arrays import embedded_images
from ppbench.data.source import ids_hash
from ppbench.run import MeasuredRun, image_keys
from ppbench.vocabulary import CLEAN
from tests.builders import make_predictions, make_run

CORRUPTIONS = ("brightness", "contrast")
FLIPS = (3, 3, 1, 5)
"""The first severity at which each of the four images is wrong."""


def embedded_run(places=(7, 700, 1400, 1999), flips=FLIPS, **fields) -> MeasuredRun:
    """A run of a few embedded images; each is wrong from its severity on."""
    images = embedded_images()
    ids = [images.ids[place] for place in places]
    bits = {(CLEAN, 0): np.ones(len(ids), bool)}
    bits |= {(name, s): np.array([s < flip for flip in flips]) for name in CORRUPTIONS for s in range(1, 6)}
    run = make_run(
        {cell: 1 - float(right.mean()) for cell, right in bits.items()},
        n=len(ids), corruptions=CORRUPTIONS,
        **{
            "dataset": "fashion-mnist-2k", "fingerprint": images.fingerprint(), "recipe": "cifar-c", "engine": ENGINE,
            "total": 2000, "ids_sha256": ids_hash(ids), "preprocessing": "28 px as is, grey, mean 0.286, std 0.353",
            **fields,
        },
    )  # fmt: skip
    predictions = replace(
        make_predictions(bits), labels=images.labels[list(places)].astype(np.uint16), class_names=images.class_names
    )
    right = {cell: np.where(bits[cell], predictions.labels, (predictions.labels + 1) % 10) for cell in bits}
    return MeasuredRun(run, bits, image_keys(ids), replace(predictions, classes=right))
