"""The model names."""

from __future__ import annotations

import pytest

from ppbench.errors import UsageError
from ppbench.models.shapes import model_names, parse_model_name


def test_all_names() -> None:
    names = model_names()
    assert len(names) == len(set(names)) == (7 + 7 + 6) * 8
    promised = (
        "resnet152 resnext101_32x8d-pp resnet18-cifar resnet18-cifar-pp5 resnet20 resnet20-pp resnet56-pp3 "
        "resnet8-blurpool resnet50-blurafter resnet18-cifar-pp2020"
    )
    assert set(promised.split()) <= set(names)


@pytest.mark.parametrize("name", model_names())
def test_every_name_parses_and_its_canonical_form_means_the_same(name: str) -> None:
    architecture = parse_model_name(name)
    assert parse_model_name(architecture.name) == architecture
    assert architecture.name == (f"{name}3" if name.endswith("-pp") else name)


@pytest.mark.parametrize(
    ("name", "network", "stem", "avg_kernel_size", "input_size"),
    [
        ("resnet50", "resnet50", "imagenet", None, 224),
        ("resnext50_32x4d-pp5", "resnext50_32x4d", "imagenet", 5, 224),
        ("resnet18-cifar-pp", "resnet18", "cifar", 3, 32),
        ("resnet20", "resnet20", "cifar", None, 32),
        ("resnet8-pp5", "resnet8", "cifar", 5, 32),
        ("resnet50-pp2020", "resnet50", "imagenet", None, 224),
        ("resnet18-cifar-blurafter", "resnet18", "cifar", None, 32),
    ],
)
def test_what_a_name_says(name: str, network: str, stem: str, avg_kernel_size: int | None, input_size: int) -> None:
    a = parse_model_name(name)
    assert (a.network, a.stem, a.avg_kernel_size, a.input_size) == (network, stem, avg_kernel_size, input_size)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet5O", "unknown model 'resnet5O'\ndid you mean 'resnet56' or 'resnet50' or"),
        ("ResNet50-pp", "unknown model 'ResNet50-pp'\ndid you mean 'resnet50-pp'"),
        ("resnet50-pp4", "unknown model 'resnet50-pp4'\ndid you mean 'resnet50-pp"),
        ("resnet20-cifar", "unknown model 'resnet20-cifar'\ndid you mean '"),
        ("", "unknown model ''\n`ppbench list models` lists all 160."),
    ],
)
def test_unknown_names(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_model_name(name)
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith("`ppbench list models` lists all 160.")
