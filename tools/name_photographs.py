"""Write a table of what ImageNet networks see in the photographs of scikit-image, for docs/models-anywhere.md.

``python -m tools.name_photographs examples.lite0:network lite0.onnx int8.onnx``
"""

from __future__ import annotations

import sys
import tempfile

import numpy as np
import open_clip
import torch
from PIL import Image

from examples.photographs import copy_photographs
from ppbench.data.decode import cut_image
from ppbench.data.source import Geometry
from ppbench.models.load import LoadedModel, resolve_model
from ppbench.models.normalise import mean_and_std, normalise


def name_image(model: LoadedModel, image: Image.Image) -> str:
    """Return the class that comes first, and its probability."""
    cut = cut_image(image, "the photograph", Geometry.of(model.card))
    pixels = torch.from_numpy(np.array(cut)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        probabilities = model.model(normalise(pixels, *mean_and_std(model.card))).softmax(1)[0]
    highest, place = probabilities.max(0)
    return f"{open_clip.IMAGENET_CLASSNAMES[int(place)]} {highest:.2f}"


def main(specs: list[str]) -> None:
    models = [resolve_model(spec) for spec in specs]
    print(f"| photograph | {' | '.join(model.name for model in models)} |")
    print(f"| --- |{' --- |' * len(models)}")
    with tempfile.TemporaryDirectory() as folder:
        for path in copy_photographs(folder):
            image = Image.open(path).convert("RGB")
            print(f"| `{path.name}` | {' | '.join(name_image(model, image) for model in models)} |")


if __name__ == "__main__":
    main(sys.argv[1:])
