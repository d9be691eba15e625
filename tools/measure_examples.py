"""Run the examples of the how-to pages in full: int8 networks, photographs and adaptation. Writes JSON.

``python -m tools.measure_examples photographs quantised adaptation`` replaces the files of these names in
docs/validation with what the commands of docs/models-anywhere.md, docs/your-images.md and docs/adaptation.md print;
``python -m tools.write_tables`` then writes their tables. All take about a quarter of an hour on 2 cores. Everything is
seeded; nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static
from PIL import Image

from examples.photographs import copy_photographs
from ppbench.corruptions.backends import ENGINE
from ppbench.data.catalog import EMBEDDED
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry
from ppbench.files import atomic_write
from ppbench.models.embedded import EMBEDDED_MODELS
from ppbench.models.load import resolve_model
from ppbench.models.normalise import mean_and_std, normalise
from ppbench.versions import versions_of
from tools.name_photographs import name_image

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "validation"
PUSH_PULL, LITE0 = "fashion-mnist-resnet8-pp3", "examples.lite0:network"
CALIBRATION = 100
"""Embedded images that set the scales of the static quantisation."""

Rows = dict[str, dict[str, float | None]]


def ppbench(*arguments: str) -> str:
    """Run a command and return what it prints."""
    settings = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    print("ppbench", *arguments, flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "ppbench", *arguments], stdout=subprocess.PIPE, text=True, check=True, env=settings
    )
    return done.stdout


def compared(first: str, second: str, *options: str) -> Rows:
    """The metrics and families of two runs: both values, the difference and the ends of its interval."""
    (found,) = json.loads(ppbench("compare", first, second, *options, "--format", "json"))["comparisons"]
    names = ("reference", "value", "difference", "low", "high")
    return {
        one["name"]: {name: one[name] for name in names}
        for one in found["differences"]
        if one["group"] in ("metric", "family") and one["difference"] is not None
    }


def counts(run: str) -> list[int]:
    """Right images of each cell."""
    return [cell["top1"] for cell in json.loads(Path(run).read_text())["cells"]]


class Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Every twentieth of the embedded images, as the network takes them."""

    def __init__(self) -> None:
        card = resolve_model(PUSH_PULL).card
        pixels = open_source(EMBEDDED, None, Geometry(28, None)).load("clean", 0, np.arange(CALIBRATION) * 20).pixels
        images = normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2), *mean_and_std(card))
        self.left = iter(images.numpy())

    def get_next(self) -> dict[str, Any] | None:
        image = next(self.left, None)
        return None if image is None else {"images": image[None]}


def quantised() -> dict[str, Rows]:
    """The push-pull network as an ONNX file, beside its quantised files."""
    ppbench("export", PUSH_PULL, "-o", "float.onnx")
    quantize_dynamic("float.onnx", "dynamic.onnx", weight_type=QuantType.QUInt8)
    quantize_static("float.onnx", "static.onnx", Calibration())
    files = ("float.onnx", "dynamic.onnx", "static.onnx")
    ppbench("eval", *(f"--model={name}" for name in (PUSH_PULL, *files)), "-o", "runs")
    runs = {name: f"runs/{name}--{EMBEDDED}.json" for name in (PUSH_PULL, "float", "dynamic", "static")}
    assert counts(runs["float"]) == counts(runs[PUSH_PULL])
    return {kind: compared(runs["float"], runs[kind]) for kind in ("dynamic", "static")}


def photographs() -> dict[str, Any]:
    """EfficientNet-Lite0 on the photographs: what it sees, and how steady it is."""
    ppbench("export", LITE0, "-o", "lite0.onnx")
    quantize_dynamic("lite0.onnx", "int8.onnx", weight_type=QuantType.QUInt8)
    models = {"torch": resolve_model(LITE0), "onnx": resolve_model("lite0.onnx"), "int8": resolve_model("int8.onnx")}
    seen = {
        path.name: {form: name_image(model, Image.open(path).convert("RGB")) for form, model in models.items()}
        for path in copy_photographs("photos")
    }
    for form, model in (("torch", LITE0), ("onnx", "lite0.onnx"), ("int8", "int8.onnx")):
        ppbench("eval", "--model", model, "--data", "photos", "--labels", "predicted", "-o", f"{form}.json")
    assert counts("torch.json") == counts("onnx.json")
    assert all(row["torch"] == row["onnx"] for row in seen.values())
    table = [line.rstrip() for line in ppbench("show", "torch.json").strip("\n").splitlines()]
    return {"seen": seen, "stability": compared("torch.json", "int8.json"), "shown": table}


def shown(run: str) -> dict[str, dict[str, float]]:
    """The headline metrics of a run with their intervals, and the mean errors of its families."""
    found = json.loads(ppbench("show", run, "--format", "json"))
    metrics = {
        one["name"]: {name: one[name] for name in ("value", "low", "high")}
        for one in found["metrics"]
        if one["name"] in ("clean_error", "mean_error")
    }
    return metrics | {one["family"]: {"value": one["mean_error"]} for one in found["families"]}


def adaptation() -> dict[str, Any]:
    """Both embedded networks on all embedded images, as they are and adapted to each cell."""
    ppbench("eval", "-o", "runs")
    ppbench("eval", "--adapt", "batchnorm", "-o", "runs")
    ends = {"plain": ".json", "adapted": "--batchnorm-adapted.json"}
    runs = {name: {how: f"runs/{name}--{EMBEDDED}{end}" for how, end in ends.items()} for name in EMBEDDED_MODELS}
    first, second = (of["adapted"] for of in runs.values())
    return {
        "shown": {name: {how: shown(run) for how, run in of.items()} for name, of in runs.items()},
        "paired": {name: compared(of["plain"], of["adapted"]) for name, of in runs.items()},
        "push_pull": compared(first, second),
    }


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "photographs": photographs,
    "quantised": quantised,
    "adaptation": adaptation,
}


def main(names: list[str]) -> None:
    """Run some examples, in a folder that is removed afterwards, and keep their figures."""
    torch.set_num_threads(1)
    sys.path.insert(0, str(ROOT))
    for name in names or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            found = PARTS[name]()
            os.chdir(ROOT)
        versions = versions_of("torch", "onnx", "onnxruntime", "timm", "numpy")
        record = {"made_with": {"ppbench corruptions": ENGINE, **versions}, name: found}
        atomic_write(FIGURES / f"{name}.json", json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
