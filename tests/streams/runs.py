"""Runs on streams without a network: which frames are right is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppbench.run import Adaptation, CellCounts, ModelRecord, Protocol, Provenance, Run, StreamRecord, image_keys
from ppbench.run import write_run as write

SPEED = 10


def stream_run(right: NDArray[np.bool_], name: str = "net", **protocol: Any) -> Run:
    """A run whose frames are right as given ``(n,)``."""
    fields: dict[str, Any] = {
        "dataset": "imagenet-c", "fingerprint": "f", "source": "generated-jpeg85", "recipe": "imagenet-c",
        "engine": "ppbench corruptions 1", "seed": 43, "corruptions": ("ccc",), "severities": (1,), "n": len(right),
        "total": 7_500_000, "ids_sha256": f"ids of {len(right)}", "preprocessing": "p", "precision": "fp32",
        "normalizer": "none", "stream": StreamRecord(level="easy", speed=SPEED, calibration="c" * 64),
    }  # fmt: skip
    cell = CellCounts(
        corruption="ccc", severity=1, n=len(right), top1=int(right.sum()), top5=None, nll_micronats=None, bin_n=None,
        bin_top1=None, bin_confidence=None,
    )  # fmt: skip
    provenance = Provenance(command="", git_commit=None, versions={}, platform="", device="cpu", started="", seconds=0)
    return Run(
        status="complete", model=ModelRecord(name=name, weights_sha256=name, parameters=1, card={}),
        protocol=Protocol(**{**fields, **protocol}), cells=(cell,), provenance=provenance,
    )  # fmt: skip


def write_stream_run(path: Path, right: NDArray[np.bool_], name: str = "net", **protocol: Any) -> Path:
    """The same in a file, with its bits and keys."""
    keys = image_keys([f"ccc/{frame}" for frame in range(len(right))])
    write(path, stream_run(right, name, **protocol), {("ccc", 1): right}, keys)
    return path


ADAPTED = Adaptation().in_stream()


def uneven(points: int = 40, seed: int = 0, level: float = 0.4) -> NDArray[np.bool_]:
    """StreamBatch of which each point has a share of its own that is right."""
    draw = np.random.default_rng(seed)
    shares = np.clip(level + 0.3 * np.sin(np.arange(points)) + 0.1 * draw.normal(size=points), 0, 1)
    return (draw.random((points, SPEED)) < shares[:, None]).ravel()
