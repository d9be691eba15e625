"""Networks that are built for the weights of a file: nothing is drawn, and nothing else is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from ppbench.models.card import Card
from ppbench.models.card_options import CardOptions
from ppbench.models.checkpoint import load_checkpoint, save_checkpoint
from ppbench.models.from_timm import load_timm
from ppbench.models.from_torchvision import load_torchvision
from ppbench.models.loaded import Checkpoint
from ppbench.models.resnet import create_model
from ppbench.models.undrawn import WithoutDrawing
from ppbench.models.weights import weights_hash


class Drawing(nn.Module):
    """Draws its parameters in all the ways that networks do, and has buffers that no state dict holds."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.table = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Embedding(5, 4)
        self.linear, self.attention = nn.Linear(8, 5), nn.MultiheadAttention(8, 2)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out")
        nn.init.trunc_normal_(self.linear.weight, std=0.02)
        nn.init.xavier_uniform_(self.attention.out_proj.weight)
        nn.init.constant_(self.norm.weight, 0.25)
        self.scale = nn.Parameter(torch.full((8,), 1e-6))
        self.register_buffer("places", torch.arange(9).view(3, 3), persistent=False)
        self.register_buffer("mixing", torch.empty(4, 4).normal_(), persistent=False)


@pytest.fixture
def _memory_of_nan() -> Iterator[None]:
    """New memory holds no number, so that values nobody wrote show."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("_memory_of_nan")
def test_parameters_are_not_drawn_and_all_else_is_as_it_was() -> None:
    torch.manual_seed(4)
    with WithoutDrawing():
        model = Drawing()
        after = torch.get_rng_state()
    torch.manual_seed(4)
    assert torch.equal(model.mixing, torch.empty(4, 4).normal_())  # the first that is drawn, and the only one
    assert torch.equal(after, torch.get_rng_state())
    usual = Drawing()
    drawn = ("conv.weight", "table.weight", "linear.weight", "attention.in_proj_weight", "attention.out_proj.weight")
    for name in drawn:
        assert model.get_parameter(name).isnan().all(), name
        assert usual.get_parameter(name).isfinite().all(), name
    assert torch.equal(model.places, usual.places)
    state = usual.state_dict()
    constant = [name for name in state if name not in (*drawn, "conv.bias", "linear.bias")]
    assert {"norm.weight", "norm.running_var", "scale", "attention.in_proj_bias"} <= set(constant)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items() if name in constant)


def _own(path: Path) -> tuple[nn.Module, Callable[[], Checkpoint]]:
    model = create_model("resnet8-pp5", 5, stem_bias=True)
    card = Card(
        architecture="resnet8-pp5", num_classes=5, stem_bias=True, input_size=32, mean=(0.5,) * 3, std=(0.2,) * 3
    )
    save_checkpoint(path.with_suffix(".safetensors"), model, card)
    return model, lambda: load_checkpoint(path.with_suffix(".safetensors"))


def _stored(path: Path) -> tuple[nn.Module, Callable[[], Checkpoint]]:
    name = "torchvision:shufflenet_v2_x0_5"
    model = torchvision.models.shufflenet_v2_x0_5(num_classes=5)
    card = Card(architecture=name, num_classes=5, input_size=32, mean=(0.5,) * 3, std=(0.2,) * 3)
    save_checkpoint(path.with_suffix(".safetensors"), model, card)
    return model, lambda: load_checkpoint(path.with_suffix(".safetensors"))


def _torchvision(path: Path) -> tuple[nn.Module, Callable[[], Checkpoint]]:
    model = torchvision.models.squeezenet1_1(num_classes=5)
    torch.save(model.state_dict(), path)
    options = CardOptions(preset="half", input_size=32)
    return model, lambda: load_torchvision(f"squeezenet1_1@{path}", options)[1]


def _timm(path: Path) -> tuple[nn.Module, Callable[[], Checkpoint]]:
    model = timm.create_model("convnext_atto", num_classes=5)
    torch.save(model.state_dict(), path)
    options = CardOptions(preset="half", input_size=32)
    return model, lambda: load_timm(f"convnext_atto@{path}", options)[1]


@pytest.mark.usefixtures("_memory_of_nan")
@pytest.mark.parametrize("door", [_own, _stored, _torchvision, _timm])
def test_what_is_loaded_is_equal_bit_for_bit(
    door: Callable[[Path], tuple[nn.Module, Callable[[], Checkpoint]]], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model, load = door(tmp_path / "net.pth")
    before = torch.get_rng_state()
    loaded = load().model
    assert torch.equal(before, torch.get_rng_state())
    assert weights_hash(loaded) == weights_hash(model)
    theirs = dict([*model.named_parameters(), *model.named_buffers()])  # buffers that no file holds, too
    ours = dict([*loaded.named_parameters(), *loaded.named_buffers()])
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
        assert _kind(tensor) == _kind(theirs[name]), name


def _kind(tensor: Tensor) -> tuple[object, ...]:
    return tensor.dtype, tensor.device, tensor.stride(), tensor.requires_grad, isinstance(tensor, nn.Parameter)


def test_without_weights_the_same_numbers_are_drawn_as_ever() -> None:
    """Those of torchvision's network with the seed, also after weights were loaded."""
    with WithoutDrawing():
        nn.Linear(3, 3)
    states = []
    for build in (torchvision.models.resnet18, create_model):
        torch.manual_seed(7)
        states.append((build("resnet18", 3) if build is create_model else build(num_classes=3)).state_dict())
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
    assert states[1]["conv1.weight"].std() == pytest.approx((2 / (64 * 49)) ** 0.5, rel=0.05)  # kaiming, fan-out
