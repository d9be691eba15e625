"""A table in miniature: two rows of real images that train in a second each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ppbench.reproduce.table import Table

MINI = """
name = "mini"
title = "A miniature"
source = "a made-up publication"
baseline = "plain"
metrics = ["clean_error", "mean_error[fog+gaussian_noise,s1-5]", "R_net[plain,fog+gaussian_noise,s1-5]"]
seeds = [0]
gpu = "cpu-core"
protocol_differences = ["Everything is smaller."]

[training]
dataset = "fashion-mnist"
recipe = "fashion-mnist"
overrides = { epochs = 2, batch_size = 40, lr = 0.05 }
images = 120
size = 28

[evaluation]
dataset = "fashion-mnist-2k"
corruptions = ["gaussian_noise", "fog"]
limit = 30
images = 2000

[[rows]]
id = "plain"
label = "ResNet-8"
model = "resnet8"
published = { clean_error = 26.9, "mean_error[fog+gaussian_noise,s1-5]" = 66.7 }

[[rows]]
id = "pp3"
label = "+ PP3"
model = "resnet8-pp3"
published = { clean_error = 28.2 }

[[rows]]
id = "prime"
label = "+ PRIME"
model = "resnet8"
augment = "prime"
"""


def write_mini(folder: Path, *replacements: tuple[str, str]) -> Path:
    """The table as a file, with some of its text replaced."""
    text = MINI
    for before, after in replacements:
        assert before in text, before
        text = text.replace(before, after)
    path = folder / "mini.toml"
    path.write_text(text)
    return path


def make_table(**values: Any) -> Table:
    """A valid table of two rows, with some values replaced."""
    rows = [
        {"id": "plain", "label": "ResNet-8", "model": "resnet8"},
        {"id": "pp3", "label": "+ PP3", "model": "resnet8-pp3"},
    ]
    content: dict[str, Any] = {
        "name": "made", "title": "Made", "source": "nobody", "baseline": "plain", "rows": rows,
        "metrics": ["clean_error", "mean_error[c15,s1-5]", "R_net[plain,c15,s1-5]"],
        "training": {"dataset": "fashion-mnist", "recipe": "fashion-mnist", "images": 60_000, "size": 28},
        "evaluation": {"dataset": "fashion-mnist-2k", "images": 2000},
    }  # fmt: skip
    return Table.model_validate({**content, **values})
