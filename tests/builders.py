"""Small synthetic results for tests: runs, their correctness bits, and CSVs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppbench.run import (
    CALIBRATION_BINS,
    MICRO,
    CellCounts,
    ClassSubset,
    ModelRecord,
    Predictions,
    Protocol,
    Provenance,
    Run,
    expected_cells,
)
from ppbench.vocabulary import C15, CLEAN, SEVERITIES

Key = tuple[str, int]

RESNET50_ACCURACY = {
    "brightness": 68.02,
    "contrast": 39.06,
    "defocus_blur": 38.75,
    "elastic_transform": 45.25,
    "fog": 45.83,
    "frost": 38.14,
    "gaussian_noise": 29.29,
    "glass_blur": 26.79,
    "impulse_noise": 23.81,
    "jpeg_compression": 53.41,
    "motion_blur": 38.67,
    "pixelate": 44.79,
    "shot_noise": 27.03,
    "snow": 32.53,
    "zoom_blur": 36.24,
}
"""ResNet-50 V1 on ImageNet-C, mean accuracy over severities in %, from bethgelab/game-of-noise."""


def make_cell(corruption: str, severity: int, top1: int, n: int, *, confidence: float = 0.9) -> CellCounts:
    """A cell of which every image has the same highest probability, and no label is second to fifth."""
    index = int(np.ceil(confidence * CALIBRATION_BINS)) - 1

    def bins(value: int) -> tuple[int, ...]:
        return tuple(value if place == index else 0 for place in range(CALIBRATION_BINS))

    return CellCounts(
        corruption=corruption,
        severity=severity,
        n=n,
        top1=top1,
        top5=top1,
        nll_micronats=n * MICRO // 2,
        bin_n=bins(n),
        bin_top1=bins(top1),
        bin_confidence=bins(round(n * confidence * MICRO)),
    )


def without_probabilities(cell: CellCounts) -> CellCounts:
    """The cell as it is where the predictions came as labels."""
    unknown = ("top5", "nll_micronats", "bin_n", "bin_top1", "bin_confidence")
    return cell.model_copy(update=dict.fromkeys(unknown))


def make_classes(n: int = 200, outputs: int = 1000, logits: str = "masked", names: str = "3") -> ClassSubset:
    """A class subset; ``names`` stands for which classes these are."""
    return ClassSubset(n=n, outputs=outputs, names_sha256=names * 64, logits=logits)


def make_run(
    errors: Mapping[Key, float] | None = None,
    *,
    name: str = "net",
    n: int = 1000,
    corruptions: Sequence[str] = C15,
    severities: Sequence[int] = SEVERITIES,
    status: str | None = None,
    classes: ClassSubset | None = None,
    labels_only: bool = False,
    **protocol: Any,
) -> Run:
    """A run with these errors (fractions; all one half if None); cells not among them are absent.

    Unless told, its status is "interrupted" if a corrupted cell is absent. ``labels_only`` leaves the counts of
    probabilities out.
    """
    keys = expected_cells(corruptions, severities)
    errors = dict.fromkeys(keys, 0.5) if errors is None else errors
    cells = tuple(make_cell(*key, round(n * (1 - errors[key])), n) for key in keys if key in errors)
    cells = tuple(map(without_probabilities, cells)) if labels_only else cells
    if status is None:
        status = "complete" if all(key in errors for key in keys[1:]) else "interrupted"
    fields = {
        "dataset": "fashion-mnist",
        "fingerprint": "1" * 64,
        "source": "generated",
        "recipe": "imagecorruptions",
        "engine": "imagecorruptions-imaug 1.1.5",
        "seed": 0,
        "total": n,
        "ids_sha256": "2" * 64,
        "preprocessing": "28 px",
        "precision": "fp32",
        "normalizer": "none",
        **protocol,
    }
    return Run(
        status=status,
        model=ModelRecord(name=name, weights_sha256="0" * 64, parameters=272_474, card={"architecture": "resnet20"}),
        protocol=Protocol(corruptions=corruptions, severities=severities, n=n, classes=classes, **fields),
        cells=cells,
        provenance=Provenance(
            command="ppbench eval",
            git_commit=None,
            versions={"ppbench": "0.1.0"},
            platform="Linux",
            device="cpu",
            started="2026-01-01T00:00:00+00:00",
            seconds=1.5,
        ),
    )


def make_bits(run: Run, seed: int = 0) -> dict[Key, NDArray[np.bool_]]:
    """Correctness bits that agree with a run's counts: at random places."""
    random = np.random.default_rng(seed)
    return {cell.key: random.permutation(np.arange(cell.n) < cell.top1) for cell in run.cells}


def make_predictions(bits: Mapping[Key, NDArray[np.bool_]], classes: int = 10, seed: int = 0) -> Predictions:
    """Predictions that agree with correctness bits: each wrong image gets one of the other classes."""
    random = np.random.default_rng(seed)
    images = len(next(iter(bits.values())))
    labels = (np.arange(images) % classes).astype(np.uint16)
    predicted, confidences = {}, {}
    for cell, right in bits.items():
        other = (labels + random.integers(1, classes, images)) % classes
        predicted[cell] = np.where(right, labels, other).astype(np.uint16)
        confidences[cell] = random.integers(30, 256, images).astype(np.uint8)
    return Predictions(labels, predicted, confidences, tuple(f"class {number}" for number in range(classes)))


def make_errors(
    seed: int, corruptions: Sequence[str] = C15, severities: Sequence[int] = SEVERITIES
) -> dict[Key, float]:
    """Random errors between .3 and .9 for every cell, and .2 clean."""
    random = np.random.default_rng(seed)
    keys = expected_cells(corruptions, severities)[1:]
    return {(CLEAN, 0): 0.2, **{key: float(random.uniform(0.3, 0.9)) for key in keys}}


def write_csv(path: Path, accuracies: Mapping[Key, float]) -> Path:
    """Write fractions as ``ppbench show`` reads them."""
    rows = [f"{corruption},{severity},{accuracy!r}" for (corruption, severity), accuracy in accuracies.items()]
    path.write_text("\n".join(["corruption,severity,accuracy", *rows]) + "\n")
    return path


def write_resnet50(path: Path) -> Path:
    """The published ResNet-50, every severity with its corruption's mean."""
    cells = {(name, s): round(value / 100, 4) for name, value in RESNET50_ACCURACY.items() for s in SEVERITIES}
    return write_csv(path, {(CLEAN, 0): 0.7613, **cells})
