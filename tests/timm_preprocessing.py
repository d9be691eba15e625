"""The images of every network that timm has weights for, cut as ppbench cuts them and as timm does.

A script: it prints the largest difference of all names, in both sizes, and what is refused. The tests take a sample.

    python -m tests.timm_preprocessing
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import skimage.data
import torch
from PIL import Image
from torch import Tensor, nn

from ppbench.data.decode import decode_rgb
from ppbench.data.source import Geometry
from ppbench.errors import DataError
from ppbench.evaluation.inference import Inference
from ppbench.evaluation.subject import ClassHead, Subject
from ppbench.models.card import Card
from ppbench.models.from_timm import card_of

PHOTOGRAPHS = (("astronaut", 333, 217), ("coffee", 151, 401), ("chelsea", 299, 301), ("rocket", 427, 97))
"""Of scikit-image, with the width and height that they are cut to: odd, wide, high, and nearly square."""

ROUNDING = 2e-6
"""Of normalised values: the same pixels, but other operations."""

Key = tuple[Any, ...]


@dataclass
class Config:
    """One way of preprocessing, and the names that have it."""

    card: Card
    wanted: dict[str, Any]
    """What `timm.data.create_transform` takes."""
    names: list[str] = field(default_factory=list)


def photographs() -> list[bytes]:
    """Four of them, as PNG files."""
    files = []
    for name, width, height in PHOTOGRAPHS:
        whole = Image.fromarray(getattr(skimage.data, name)())
        buffer = io.BytesIO()
        whole.crop((20, 10, 20 + width, 10 + height)).save(buffer, "PNG")
        files.append(buffer.getvalue())
    return files


def configurations(timm: Any) -> tuple[list[Config], dict[str, str]]:
    """All ways that timm's pretrained networks are preprocessed, in both sizes; and why a name is refused."""
    found: dict[Key, Config] = {}
    refused: dict[str, str] = {}
    for name in timm.list_pretrained():
        source = timm.get_pretrained_cfg(name).to_dict()
        for test_size in (False, True):
            wanted = timm.data.resolve_data_config(pretrained_cfg=source, use_test_size=test_size)
            try:
                card = card_of(timm, source, source["num_classes"] or 1000, test_size=test_size)
            except DataError as error:
                refused[name] = error.message
                continue
            # Distinct in what the card and timm have of it.
            cut = (*wanted.values(), card.resize, card.crop_mode, card.mean, card.std)
            found.setdefault(cut, Config(card, wanted)).names.append(name)
    return list(found.values()), refused


def ours(config: Config, file: bytes) -> Tensor:
    """``(3, size, size)`` as it enters the network here."""
    pixels = decode_rgb(io.BytesIO(file), Geometry.of(config.card), "photograph.png")
    network = Inference(Subject("net", nn.Identity(), config.card, ClassHead(None, "own")), torch.device("cpu"))
    return network.preprocess(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None])[0]


def theirs(timm: Any, config: Config, file: bytes) -> Tensor:
    """The same by timm."""
    transform = timm.data.create_transform(**config.wanted, is_training=False)
    return transform(Image.open(io.BytesIO(file)).convert("RGB"))  # type: ignore[no-any-return]


def differences(timm: Any, configs: Sequence[Config]) -> Iterator[tuple[Config, float]]:
    """The largest difference of any value, for each way, over the photographs."""
    files = photographs()
    for config in configs:
        pairs = ((ours(config, file), theirs(timm, config, file)) for file in files)
        yield config, max(float((one - other).abs().max()) for one, other in pairs)


def main() -> int:
    import timm

    configs, refused = configurations(timm)
    found = list(differences(timm, configs))
    wrong = [(config.names[0], difference) for config, difference in found if not difference <= ROUNDING]
    names = {name for config in configs for name in config.names}
    print(f"timm {timm.__version__}: {len(names) + len(refused):,} pretrained configurations, {len(configs)} ways")
    print(f"largest difference of a normalised value: {np.max([difference for _, difference in found]):.2g}")
    print(f"refused: {len(refused)}", *refused.values(), *wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
