"""A small run with predictions, made by hand, of which every number can be counted."""

import numpy as np

from ppbench.run import Predictions
from ppbench.vocabulary import CLEAN
from tests.builders import make_run

NAMES = ("cat", "dog", "owl")
GRID = {"corruptions": ("fog", "snow"), "severities": (1, 2)}
CELLS = [(name, severity) for name in ("fog", "snow") for severity in (1, 2)]
LABELS = np.repeat([0, 1, 2], 4).astype(np.uint16)

CLASSES = {
    # four cats, four dogs, four owls; 3 is an output of the model that is no class of the dataset
    (CLEAN, 0): "0001 1111 2222",
    ("fog", 1): "0011 1111 2222",
    ("fog", 2): "1101 1113 2222",
    ("snow", 1): "0001 1111 2222",
    ("snow", 2): "0111 1110 2220",
}


def predictions(names=NAMES):
    classes = {
        cell: np.array([int(digit) for digit in row.replace(" ", "")], np.uint16) for cell, row in CLASSES.items()
    }
    return Predictions(LABELS, classes, None, names)


def bits(found=None):
    return {cell: own == LABELS for cell, own in (found or predictions()).classes.items()}


def run(**fields):
    """The run of these predictions."""
    errors = {cell: 1 - float(right.mean()) for cell, right in bits().items()}
    return make_run(errors, n=len(LABELS), **GRID, **fields)
