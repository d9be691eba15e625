"""The networks: shapes, sizes, stems, and the twins, plain and push-pull."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from ppbench.errors import UsageError
from ppbench.models.push_pull_2020 import PushPull2020Conv2d
from ppbench.models.pushpull import PushPullConv2d
from ppbench.models.resnet import create_model
from ppbench.models.shapes import RESNETS, SMALL_RESNETS, model_names
from ppbench.models.undrawn import WithoutDrawing

KINDS = ("resnet8", "resnet18", "resnet18-cifar", "resnet50", "resnet50-cifar", "resnext50_32x4d")
"""Of every kind of stem and block one: all variants of the stem are built in them."""

BUILT = [
    name
    for name in model_names()
    if name.rpartition("-")[2] in (*RESNETS, *SMALL_RESNETS, "cifar") or name.rpartition("-")[0] in KINDS
]
"""Of all networks the plain one."""


SUFFIXES = ("-pp", "-pp3", "-pp5", "-pp2020", "-blurpool", "-blurafter")


def parameters_of(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.fixture
def _without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors on the device "meta" have no values. To draw them all the same takes longer than all else."""
    for name in ("kaiming_normal_", "kaiming_uniform_", "uniform_", "constant_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *arguments, **options: tensor)


@pytest.mark.usefixtures("_without_values")
@pytest.mark.parametrize("name", BUILT)
def test_every_network_gives_logits(name: str) -> None:
    with torch.device("meta"):  # shapes only: no memory, no time
        model = create_model(name, 7).eval()
    for stage in (module for name, module in model.named_children() if name.startswith("layer")):
        assert len(set(map(repr, stage[1:]))) <= 1
        del stage[2:]  # its blocks from the second on are alike
    with torch.no_grad():
        assert model(torch.empty(2, 3, 64, 64, device="meta")).shape == (2, 7)
    push_pull = "-pp" in name and not name.endswith("-pp2020")
    assert isinstance(model.conv1, PushPullConv2d) == push_pull
    assert isinstance(model.conv1, PushPull2020Conv2d) == name.endswith("-pp2020")
    if push_pull:
        assert model.conv1.avg_kernel_size == int(name.rpartition("-pp")[2] or 3)


@pytest.mark.parametrize("name", ["resnet8", "resnet20-pp", "resnet18-cifar-pp5", "resnet18-pp3"])
def test_logits_and_gradients_are_finite(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, 5)
    logits = model(torch.randn(2, 3, 32, 32))
    logits.logsumexp(1).sum().backward()
    assert logits.shape == (2, 5)
    assert logits.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "suffixes", "options"),
    [
        ("resnet8", SUFFIXES, {}),
        ("resnet8", SUFFIXES, {"in_channels": 1, "stem_bias": True}),
        ("resnet18-cifar", ("-pp5", "-blurpool"), {"in_channels": 1, "stem_bias": True}),
    ],
    ids=["plain", "grey and biased", "cifar"],
)
def test_twins_of_one_seed_have_equal_weights(name: str, suffixes: tuple[str, ...], options: dict[str, int]) -> None:
    states = []
    for suffix in ("", *suffixes):
        torch.manual_seed(3)
        states.append(create_model(name + suffix, 10, **options).state_dict())
    assert all(state.keys() == states[0].keys() for state in states)
    assert all(torch.equal(state[key], states[0][key]) for state in states for key in state)


def test_pp_is_pp3() -> None:
    torch.manual_seed(0)
    short, long = create_model("resnet8-pp", 4).eval(), create_model("resnet8-pp3", 4).eval()
    long.load_state_dict(short.state_dict())
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(short(x), long(x))


@pytest.mark.usefixtures("_without_values")
@pytest.mark.parametrize(
    ("name", "parameters"),  # torchvision's documentation of its weights, "num_params"
    [
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("resnet101", 44_549_160),
        ("resnet152", 60_192_808),
        ("resnext50_32x4d", 25_028_904),
        ("resnext101_32x8d", 88_791_336),
    ],
)
def test_torchvision_networks(name: str, parameters: int) -> None:
    with torch.device("meta"):
        model, twin, original = create_model(name), create_model(f"{name}-pp"), getattr(torchvision.models, name)()
    assert parameters_of(model) == parameters_of(twin) == parameters
    shapes = {key: value.shape for key, value in original.state_dict().items()}
    assert {key: value.shape for key, value in model.state_dict().items()} == shapes
    assert {key: value.shape for key, value in twin.state_dict().items()} == shapes


def test_weights_of_torchvision_give_its_outputs() -> None:
    torch.manual_seed(0)
    original = torchvision.models.resnet18().eval()
    with WithoutDrawing():
        ours = create_model("resnet18").eval()
    ours.load_state_dict(original.state_dict())
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(x), original(x))


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85)])
def test_small_networks_have_the_sizes_of_the_paper(depth: int, millions: float) -> None:
    # He et al., table 6. The two 1x1 shortcuts (option B) with their norms are 2,752 parameters of ours only.
    with torch.device("meta"):
        model = create_model(f"resnet{depth}", 10)
    assert parameters_of(model) / 1e6 == pytest.approx(millions, abs=0.007)
    assert sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in model.modules()) == depth + 2
    if depth == 20:
        assert parameters_of(model) == 272_474


def test_cifar_stem() -> None:
    with torch.device("meta"):
        model = create_model("resnet18-cifar-pp5", 10)
    assert isinstance(model.conv1, PushPullConv2d)
    assert (model.conv1.kernel_size, model.conv1.stride, model.conv1.padding) == ((3, 3), (1, 1), (1, 1))
    assert isinstance(model.maxpool, nn.Identity)
    assert model.conv1.bias is None


def test_imagenet_stem() -> None:
    with torch.device("meta"):
        model = create_model("resnet18-pp", 10)
    assert (model.conv1.kernel_size, model.conv1.stride, model.conv1.padding) == ((7, 7), (2, 2), (3, 3))
    assert isinstance(model.maxpool, nn.MaxPool2d)


@pytest.mark.parametrize("name", ["resnet8", "resnet8-pp", "resnet18", "resnet18-cifar-pp"])
def test_grey_images_and_a_biased_stem(name: str) -> None:
    model = create_model(name, 10, in_channels=1, stem_bias=True)
    assert model.conv1.in_channels == 1
    assert model.conv1.bias.min() >= -1
    assert model.conv1.bias.max() < 1
    assert model.conv1.bias.unique().numel() > 1
    assert model(torch.randn(2, 1, 32, 32)).shape == (2, 10)


def test_settings_reach_the_layer() -> None:
    assert create_model("resnet8-pp", inhibition=2.5).conv1.inhibition == 2.5
    trainable = create_model("resnet8-pp", trainable_inhibition=True).conv1.inhibition
    assert isinstance(trainable, nn.Parameter)
    assert trainable.shape == (16,)
    assert type(create_model("resnet8").conv1) is nn.Conv2d


def test_unknown_name() -> None:
    with pytest.raises(UsageError, match="unknown model 'resnet21'\ndid you mean"):
        create_model("resnet21")


@pytest.mark.parametrize("settings", [{"inhibition": 2.0}, {"trainable_inhibition": True}])
def test_a_plain_network_has_no_inhibition_to_set(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="resnet8 has no inhibition to set"):
        create_model("resnet8", **settings)
