"""Measure how far metrics, layers and loaded networks are from what they are checked against; writes JSON.

``python -m tools.measure_validation`` replaces docs/validation/metrics.json, layers.json and models.json. The tables of
docs/validation.md come from them (``python -m tools.write_tables``). Everything is seeded; nothing is downloaded.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import torchvision
from torch import Tensor, nn

from ppbench.files import atomic_write
from ppbench.metrics import headline_metrics, mean_corruption_error, mean_error, relative_mean_corruption_error
from ppbench.metrics.calibration import expected_calibration_error
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.references import ALEXNET
from ppbench.models.card_options import CardOptions
from ppbench.models.from_timm import load_timm
from ppbench.models.from_torchvision import load_torchvision
from ppbench.models.push_pull_2020 import PushPull2020Conv2d
from ppbench.vocabulary import C15, FAMILIES, SEVERITIES
from tests import timm_preprocessing
from tests.builders import write_resnet50
from tests.metrics.test_calibration import random_cell
from tests.metrics.test_quantities import CIFAR_STANDARD
from tests.models import test_push_pull_2020 as earlier
from tests.models import test_pushpull as current
from tests.oracles import corruption_error as oracle

FOLDER = Path(__file__).parents[1] / "docs" / "validation"
TABLES, CELLS, LAYERS, SMALL_LAYERS = 1000, 1000, 300, 40

Row = dict[str, Any]


def relative(got: float, expected: float) -> float:
    """Their distance, relative to what is expected."""
    return abs(got - expected) / abs(expected) if expected else abs(got)


def random_model(name: str, random: np.random.Generator) -> CellErrors:
    """Errors of all cells well above the clean one, so that no denominator is near zero."""
    errors = {cell: float(random.uniform(0.35, 1)) for cell in product(C15, SEVERITIES)}
    return CellErrors.from_errors(name, errors, float(random.uniform(0.01, 0.3)))


def by_corruption(model: CellErrors) -> dict[str, dict[int, float]]:
    """The errors as the oracle takes them."""
    return {name: {s: model.errors[name, s] for s in SEVERITIES} for name in C15}


def tables_against_oracle() -> list[Row]:
    """The headline metrics and CE of random pairs of models against plain loops."""
    random = np.random.default_rng(0)
    worst: dict[str, float] = {}
    for _ in range(TABLES):
        one, two = (random_model(name, random) for name in ("one", "two"))
        mine, other = by_corruption(one), by_corruption(two)
        means = [oracle.mean_error(errors) for errors in (mine, other)]
        assert one.clean is not None
        assert two.clean is not None
        expected = {
            "mean_error": means[0],
            "mCE": oracle.mean_corruption_error(mine, other),
            "relative_mCE": oracle.relative_mean_corruption_error(mine, one.clean, other, two.clean),
            "R_net": oracle.net_robustness(one.clean, means[0] / 100, two.clean, means[1] / 100),
        }
        got = {metric.name: metric.value for metric in headline_metrics(one, two, two)}
        for corruption in C15:
            name = f"CE of {corruption}"
            expected[name] = oracle.corruption_error(mine, other, corruption)
            got[name] = mean_corruption_error(one, two, [corruption]).value
        for name, value in expected.items():
            kind = name.partition(" ")[0]
            worst[kind] = max(worst.get(kind, 0.0), relative(float(got[name] or 0), value))
    reference = "plain loops, written separately (tests/oracles)"
    return [
        {"metric": name, "reference": reference, "cases": TABLES * (15 if name == "CE" else 1), "relative": value}
        for name, value in worst.items()
    ]


def calibration_against_definition() -> Row:
    """The calibration error of random cells of 400 images, from counts, against each image's probability."""
    worst = 0.0
    for seed in range(CELLS):
        cell, confidence, right = random_cell(seed=seed)
        bins = np.ceil(confidence * 15).astype(int) - 1
        parts = [abs(right[bins == b].sum() - confidence[bins == b].sum()) for b in range(15)]
        worst = max(worst, relative(expected_calibration_error(cell), sum(parts) / len(right)))
    reference = "the definition, image by image"
    return {"metric": "expected_calibration_error", "reference": reference, "cases": CELLS, "relative": worst}


def published() -> list[Row]:
    """What published inputs give here, beside what was published for them."""
    with tempfile.TemporaryDirectory() as folder:
        resnet = CellErrors.from_csv(write_resnet50(Path(folder) / "resnet50.csv"))
    named = {n: e for family, all_ in CIFAR_STANDARD.items() for n, e in zip(FAMILIES[family], all_, strict=True)}
    cifar = CellErrors.from_errors("Standard", {(n, s): e / 100 for n, e in named.items() for s in SEVERITIES}, None)
    game = "ResNet-50 on ImageNet-C (bethgelab/game-of-noise)"
    rows = [
        (game, mean_corruption_error(resnet, ALEXNET), 76.70),
        (game, relative_mean_corruption_error(resnet, ALEXNET), 105.0),
        (game, mean_error(resnet), 60.83),
        ("Standard on CIFAR-10-C (RobustBench)", mean_error(cifar), 26.54),
    ]
    return [
        {"input": name, "label": metric.label, "published": figure, "here": round(metric.value or 0.0, 4)}
        for name, metric, figure in rows
    ]


def layers_of(
    make: Callable[[Any, torch.dtype], nn.Module], cases: Iterable[tuple[Any, tuple[int, ...], int]], definition: Any
) -> dict[str, float]:
    """Largest relative error of the output over some layers, in both precisions, against doubles."""
    worst = {"float32": 0.0, "float64": 0.0}
    for geometry, shape, seed in cases:
        for dtype in (torch.float32, torch.float64):
            torch.manual_seed(seed)
            layer = make(geometry, dtype)
            x = torch.randn(shape, dtype=dtype)
            leaves = {name: p.detach().double() for name, p in layer.named_parameters()}
            with torch.no_grad():
                expected = definition(layer, x.double(), leaves)[0]
                found = current.relative_error(layer(x), expected)
            name = str(dtype).removeprefix("torch.")
            worst[name] = max(worst[name], found)
    return worst


def random_layers(module: Any, number: int, channels: int, side: int, more: dict[str, Any]) -> Iterable[Any]:
    """Geometries as the tests of a layer draw them, with an input each."""
    random = np.random.default_rng(0)

    def pair(low: int, high: int) -> tuple[int, int]:
        return int(random.integers(low, high + 1)), int(random.integers(low, high + 1))

    for seed in range(number):
        groups = int(random.choice([1, 1, 2]))
        geometry = module.Geometry(
            in_channels=groups * int(random.integers(1, channels // groups + 1)),
            out_channels=groups * int(random.integers(1, channels // groups + 1)),
            kernel_size=pair(1, side), stride=pair(1, 3), padding=pair(0, 2), dilation=pair(1, 2), groups=groups,
            bias=bool(random.integers(2)), inhibition=float(random.choice([0.5, 1.0, 6.0])),
            trainable_inhibition=bool(random.integers(2)),
            **{name: int(random.choice(values)) for name, values in more.items()},
        )  # fmt: skip
        least = [d * (k - 1) + 1 for d, k in zip(geometry.dilation, geometry.kernel_size, strict=True)]
        height, width = (span + int(random.integers(0, 6)) for span in least)
        yield geometry, (2, geometry.in_channels, height, width), seed


def layers() -> list[Row]:
    """The push-pull layers against their definitions in double precision."""
    new = random_layers(current, LAYERS, 64, 7, {"avg_kernel_size": [0, 3, 5]})
    old = random_layers(earlier, SMALL_LAYERS, 6, 5, {})
    both = {
        "PushPullConv2d": (LAYERS, "two convolutions", layers_of(current.layer_of, new, current.oracle_of)),
        "PushPull2020Conv2d": (
            SMALL_LAYERS,
            "loops over every output",
            layers_of(lambda geometry, dtype: PushPull2020Conv2d(**asdict(geometry), dtype=dtype), old,
                      earlier.oracle_of),
        ),
    }  # fmt: skip
    return [
        {"layer": name, "reference": f"{reference}, in float64", "layers": number, **worst}
        for name, (number, reference, worst) in both.items()
    ]


def logits(model: nn.Module, size: int) -> Tensor:
    """For two seeded images."""
    with torch.no_grad():
        return model.eval()(torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0)))


def loaded(library: str, names: dict[str, int]) -> Row:
    """Networks of a library with random weights, saved and loaded by ppbench: the largest difference of a logit."""
    worst = 0.0
    for name, size in names.items():
        torch.manual_seed(0)
        model = (timm.create_model if library == "timm" else torchvision.models.get_model)(name)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "net.pth"
            torch.save(model.state_dict(), file)
            load = load_timm if library == "timm" else load_torchvision
            _, (again, _) = load(f"{name}@{file}", CardOptions())
        worst = max(worst, float((logits(model, size) - logits(again, size)).abs().max()))
    checked = f"logits of {len(names)} networks with random weights: {', '.join(names)}"
    return {"source": f"`{library}:`", "reference": library, "checked": checked, "largest": worst}


def preprocessing() -> Row:
    """Every way in which timm's pretrained networks are preprocessed, on four photographs."""
    configs, refused = timm_preprocessing.configurations(timm)
    worst = max(difference for _, difference in timm_preprocessing.differences(timm, configs))
    names = len({name for config in configs for name in config.names})
    checked = f"normalised values of 4 photographs in {len(configs)} ways of preprocessing, of {names:,} names"
    if refused:
        checked += f"; {len(refused)} more names are refused"
    reference = f"timm {timm.__version__}, `create_transform`"
    return {"source": "`timm:`", "reference": reference, "checked": checked, "largest": worst}


def main() -> None:
    """Measure all and write the files."""
    torch.set_num_threads(1)
    versions = {"numpy": np.__version__, "torch": torch.__version__.partition("+")[0], "timm": timm.__version__}
    small = {"resnet18": 64, "resnet50": 64, "mobilenet_v3_small": 64, "densenet121": 64, "convnext_tiny": 64}
    tiny = {"resnet18": 64, "convnext_atto": 64, "mobilenetv3_small_050": 64, "vit_tiny_patch16_224": 224}
    documents = {
        "metrics": {"against_references": [*tables_against_oracle(), calibration_against_definition()],
                    "published": published()},
        "layers": {"layers": layers()},
        "models": {"models": [loaded("torchvision", small), loaded("timm", tiny), preprocessing()]},
    }  # fmt: skip
    FOLDER.mkdir(exist_ok=True)
    for name, content in documents.items():
        record = {"made_with": versions, **content}
        text = json.dumps(record, indent=1, default=float)
        atomic_write(FOLDER / f"{name}.json", text + "\n")
        print(text)


if __name__ == "__main__":
    main()
