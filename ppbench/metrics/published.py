"""Figures that others published, each with its source and with the label of what it measures.

A row enters only after its source was opened and read. Figures with different labels measure different things, and
are never put in one column.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from ppbench.lookup import NameTable
from ppbench.metrics.metric import Metric
from ppbench.metrics.references import PublishedErrors
from ppbench.vocabulary import SEVERITIES

LINKS = {
    "hendrycks/robustness": "hendrycks/robustness/blob/8190fe329f5f072a06e3a2aea02bb5dda69aed9f/README.md",
    "amodas/PRIME-augmentations": "amodas/PRIME-augmentations/blob/0290f6be3771215bac78693b3a27d3e2da341a55/README.md",
    "bethgelab/game-of-noise": "bethgelab/game-of-noise/blob/2989b432a4b46b6ed16058a769c6f6953b3cbb24/README.md",
    "bethgelab/robustness": (
        "bethgelab/robustness/blob/0ef82b178e3526f63d8017dc870072d611d883e9/examples/batchnorm/README.md"
    ),
    "alibaba/easyrobust": "alibaba/easyrobust/blob/c8b6c085b38c6ebbbfde4cbed2cc1fa81dd29927/README.md",
    "alibaba/easyrobust, DAT": (
        "alibaba/easyrobust/blob/c8b6c085b38c6ebbbfde4cbed2cc1fa81dd29927/"
        "examples/imageclassification/imagenet/dat/README.md"
    ),
    "clovaai/assembled-cnn": "clovaai/assembled-cnn/blob/9cdc29761d828ecd3708ea13e5acc44c696ec30f/README.md",
    "RobustBench/robustbench": (
        "RobustBench/robustbench/blob/78fcc9e48a07a861268f295a777b975f25155964/model_info/imagenet/corruptions"
    ),
}
"""Where each source can be read: paths below https://github.com, at the commit that was read."""


class Published(NamedTuple):
    """One model's published results, in percent."""

    name: str
    values: dict[str, float]
    """Values by label in ppbench's grammar. Results with another label measure something else."""
    source: str
    """One of `LINKS`."""
    accuracies: Mapping[str, tuple[float, ...]] | None = None
    """Accuracy by corruption at severities 1 to 5, fractions; None where no source has it."""

    @property
    def link(self) -> str:
        """The address at which the figures can be read."""
        return f"https://github.com/{LINKS[self.source]}"

    @property
    def metrics(self) -> dict[str, Metric]:
        """The values as metrics without intervals, by label."""
        return {label: Metric(label.partition("[")[0], label, value, "%") for label, value in self.values.items()}


class PublishedSet(NamedTuple):
    """Results of one kind, best first."""

    dataset: str
    images: str
    """Which images they are for, as a sentence for a note."""
    rows: tuple[Published, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, in the order in which they first appear."""
        return tuple(dict.fromkeys(label for row in self.rows for label in row.values))


MCE, CLEAN_ERROR = "mCE[alexnet,c15,s1-5]", "clean_error"
ADAPTED_MCE = "mCE[alexnet,c15,s1-5,batchnorm-adapted in batches of 512]"
"""Each batch of 512 images of a cell was scored by its own statistics: not the label of ``--adapt batchnorm``."""

MFR, MT5D = "mFR[alexnet,p10,d1,h264]", "mT5D[alexnet,p10,d1,h264]"

_ALL = "Published figures are for all 50,000 images"


def _best_first(rows: Iterable[Published]) -> tuple[Published, ...]:
    return tuple(sorted(rows, key=lambda row: (next(iter(row.values.values())), row.name)))


def _rows(source: str, *rows: tuple[str, float] | tuple[str, float, float]) -> list[Published]:
    """Rows of name, mCE and, if it is known, clean error."""
    return [Published(name, dict(zip((MCE, CLEAN_ERROR), values, strict=False)), source) for name, *values in rows]


def _adapted(*rows: tuple[str, float, float]) -> list[Published]:
    return [Published(name, {MCE: plain, ADAPTED_MCE: by}, "bethgelab/robustness") for name, plain, by in rows]


_RESNET50 = _best_first(
    [
        *_rows(
            "hendrycks/robustness",
            ("DeepAugment+AugMix", 53.6, 24.2),
            ("Assemble-ResNet-50", 56.5, 17.90),
            ("BlurAfterConv", 64.9, 21.2),
            ("AugMix", 65.3, 22.47),
            ("SIN", 69.3, 25.41),
            ("Group-wise Inhibition+DataAug", 69.6, 22.4),
            ("Patch Uniform", 74.3, 24.5),
            ("Group-wise Inhibition", 75.3, 23.1),
            ("Standard", 76.7, 23.85),
        ),
        *_rows(
            "amodas/PRIME-augmentations",
            ("PRIME", 55.5, 24.7),
            ("PRIME (no JSD)", 57.5, 23.0),
            ("DeepAugment", 60.4, 23.3),
        ),
        # ANT and ANT+SIN are later weights of the two methods; the paper has those with a generator of 3x3 patches.
        *_rows(
            "bethgelab/game-of-noise",
            ("ANT3x3+SIN", 60.7, 25.9),
            ("ANT+SIN", 61.2, 25.1),
            ("ANT", 62.5, 23.9),
            ("ANT3x3", 63.4, 23.9),
            ("Gaussian noise, 0.5", 64.5, 24.1),
            ("Gaussian noise, several widths", 65.0, 23.9),
            ("Speckle noise", 68.3, 24.2),
        ),
        *_rows("bethgelab/robustness", ("Fixup", 72.0), ("GroupNorm", 72.4)),
        *_rows(
            "alibaba/easyrobust",
            ("APR", 65.56, 24.39),
            ("Shape-Texture Debiased", 67.55, 23.09),
            ("AdvProp (another's training)", 70.81, 22.96),
            ("PRIME (EasyRobust's training)", 57.62, 23.36),
            ("DeepAugment (EasyRobust's training)", 60.27, 23.42),
            ("AugMix (EasyRobust's training)", 64.14, 22.19),
            ("APR (EasyRobust's training)", 64.89, 23.72),
            ("SIN+IN (EasyRobust's training)", 67.73, 24.54),
            ("Shape-Texture Debiased (EasyRobust's training)", 70.98, 22.79),
            ("AdvProp (EasyRobust's training)", 77.64, 23.36),
        ),
        *_rows("alibaba/easyrobust, DAT", ("DAT", 74.16, 23.48)),
    ]
)

# The figures are in the README of examples/batchnorm, the size of the batches in scripts/paper/table1.sh beside it.
# Partial adaptation is left out: neither says with how many images.
_RESNET50_ADAPTED = _best_first(
    _adapted(
        ("DeepAugment+AugMix", 53.6, 45.4),
        ("DeepAugment", 60.4, 49.4),
        ("AugMix", 65.3, 51.0),
        ("ANT3x3+SIN", 60.7, 53.6),
        ("ANT3x3", 63.4, 53.6),
        ("SIN", 69.3, 59.5),
        ("Standard", 76.7, 62.2),
    )
)

_OTHERS = _best_first(
    [
        *_rows(
            "alibaba/easyrobust",
            ("DAT, ViT-B/16 (EasyRobust's training)", 45.59, 18.62),
            ("RVT-S*", 49.42, 18.18),
            ("RVT-S* (EasyRobust's training)", 48.22, 17.90),
            ("DrViT-S", 56.89, 22.97),
            ("DrViT-S (EasyRobust's training)", 49.96, 19.34),
        ),
        *_rows("alibaba/easyrobust, DAT", ("DAT, ViT-B/16", 44.65, 18.54), ("DAT, MAE ViT-H", 31.40, 12.98)),
        *_rows(
            "bethgelab/robustness",
            ("Fixup, ResNet-101", 68.2),
            ("Fixup, ResNet-152", 67.6),
            ("GroupNorm, ResNet-101", 67.6),
            ("GroupNorm, ResNet-152", 65.4),
        ),
        *_adapted(
            ("DeepAugment+AugMix, ResNeXt-101", 44.5, 38.0),
            ("AssembleNet", 52.3, 50.1),
            ("Standard, ResNet-101", 69.0, 59.1),
            ("Standard, ResNet-152", 69.3, 58.0),
        ),
    ]
)

# Videos as published; noise is compared with the first frame. AlexNet's own flip rates are in no source that was read.
_SEQUENCES = (
    Published("Assemble-ResNet-50", {MFR: 32.3}, "clovaai/assembled-cnn"),
    Published("AugMix", {MFR: 37.4}, "hendrycks/robustness"),
    Published("Low-pass pooling (bin-5)", {MFR: 51.2, MT5D: 71.9}, "hendrycks/robustness"),
    Published("Standard (assembled-cnn's)", {MFR: 57.7}, "clovaai/assembled-cnn"),
    Published("Standard", {MFR: 58.0, MT5D: 78.4}, "hendrycks/robustness"),
)

SAME_IMAGES = "robustbench's 5000 images"
"""The images that RobustBench lists by name. Its AlexNet was measured on them too, and is their normaliser."""


@lru_cache(maxsize=1)
def _robustbench() -> dict[str, Any]:
    text = files("ppbench").joinpath("assets", "robustbench-5000.json").read_text(encoding="utf-8")
    models: dict[str, Any] = json.loads(text)["models"]
    return models


def robustbench_errors(dataset: str, model: str) -> PublishedErrors:
    """Return a model's errors on RobustBench's 5,000 images of ``imagenet-c`` or ``imagenet-3dcc``.

    Raises:
        KeyError: If there is no such dataset or model.
    """
    about = _robustbench()[model]
    by_severity = {
        corruption: tuple(1 - accuracy for accuracy in accuracies)
        for corruption, accuracies in about["accuracies"][dataset].items()
    }
    means = {corruption: sum(errors) / len(errors) for corruption, errors in by_severity.items()}
    return PublishedErrors(f"{model} on {SAME_IMAGES}", SEVERITIES, 1000, 1 - about["clean"] / 100, means, by_severity)


def _robustbench_rows(dataset: str, corruptions: str) -> tuple[Published, ...]:
    rows = []
    for model, about in _robustbench().items():
        errors = robustbench_errors(dataset, model)
        values = {
            f"mCE[alexnet on the same images,{corruptions},s1-5,{SAME_IMAGES}]": about["mce"][dataset],
            f"mean_error[{corruptions},s1-5,{SAME_IMAGES}]": 100 * errors.mean_error(list(errors.means), SEVERITIES),
            f"clean_error[{SAME_IMAGES}]": 100 * errors.clean,
        }
        accuracies = {name: tuple(values) for name, values in about["accuracies"][dataset].items()}
        rows.append(Published(f"{model} ({about['architecture']})", values, "RobustBench/robustbench", accuracies))
    return _best_first(rows)


def published_sets() -> NameTable[PublishedSet]:
    """Return all sets of published results by name. An unknown name raises a `UsageError`."""
    five_thousand = "RobustBench's figures are for the 5,000 images that it lists, AlexNet's errors included"
    sets = {
        "imagenet-c-resnet50": PublishedSet("imagenet-c", f"{_ALL}, by ResNet-50", _RESNET50),
        "imagenet-c-resnet50-batchnorm": PublishedSet("imagenet-c", f"{_ALL}, by ResNet-50", _RESNET50_ADAPTED),
        "imagenet-c-others": PublishedSet("imagenet-c", f"{_ALL}, by other networks", _OTHERS),
        "imagenet-c-robustbench": PublishedSet("imagenet-c", five_thousand, _robustbench_rows("imagenet-c", "c15")),
        "imagenet-3dcc-robustbench": PublishedSet(
            "imagenet-3dcc", five_thousand, _robustbench_rows("imagenet-3dcc", "3dcc")
        ),
        "imagenet-p-resnet50": PublishedSet("imagenet-p", f"{_ALL}, as videos, by ResNet-50", _SEQUENCES),
    }
    return NameTable(sets, "set of published results", "ppbench list published")
