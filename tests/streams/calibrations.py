"""Calibrations without a network: accuracy falls with severity, at a speed of each corruption's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ppbench.streams.calibration import Calibration, write_calibration
from ppbench.vocabulary import C15


def falling(clean: float = 0.75) -> Calibration:
    """Accuracies of the 15 corruptions alone."""
    steps = np.arange(21)
    return Calibration(singles={name: clean * np.exp(-steps / (4 + place / 2)) for place, name in enumerate(C15)})


def write_falling(path: Path) -> Path:
    """The same in a file."""
    write_calibration(path, falling(), "made up")
    return path
