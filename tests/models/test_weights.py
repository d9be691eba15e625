"""Which weights a network has: what the hash covers, and where it is not known."""

from __future__ import annotations

import functools
import logging
import mmap
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision import transforms

from ppbench.errors import DataError
from ppbench.models.build import build
from ppbench.models.resnet import create_model
from ppbench.models.weights import has_own_code, identify_weights, weights_hash
from tests.evaluation.models import tiny_subject
from tests.models.test_checkpoint import CARD, trained

SESSION = mmap.mmap(-1, 16)
"""Stands for a session of ONNX Runtime: an object of compiled code that computes with what nobody sees."""


class Net(nn.Module):
    """A network of one's own, with one parameter and whatever else it is given."""

    def __init__(self, **held: Any) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        for name, value in held.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) * self.scale


class NamesAGlobal(Net):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) * self.scale * SESSION.size()


def helper() -> int:
    return SESSION.size()


class CallsAFunctionThatNamesAGlobal(Net):
    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) * self.scale * helper()


class HoldsItInItsClass(Net):
    session = SESSION


class Wrapper:
    """An object of Python's, which holds something."""

    __slots__ = ("held",)

    def __init__(self, held: object) -> None:
        self.held = held


class Derived(mmap.mmap):
    """A class of Python's that is one of compiled code."""


def closure() -> Callable[[Tensor], Tensor]:
    session = mmap.mmap(-1, 16)
    return lambda x: x * session.size()


def hooked(network: nn.Module) -> nn.Module:
    network.register_forward_hook(lambda module, given, found: found * SESSION.size())
    return network


HIDDEN: dict[str, Callable[[], nn.Module]] = {
    "session": lambda: Net(session=SESSION),
    "in a list": lambda: Net(sessions=[1, {"deep": (SESSION,)}]),
    "in an object": lambda: Net(wrapped=Wrapper([SESSION])),
    "derived": lambda: Net(session=Derived(-1, 16)),
    "method": lambda: Net(call=SESSION.size),
    "partial": lambda: Net(call=functools.partial(max, SESSION)),
    "closure": lambda: Net(call=closure()),
    "weak": lambda: Net(session=weakref.ref(SESSION)),
    "generator": lambda: Net(generator=torch.Generator()),
    "generator of numpy": lambda: Net(generator=np.random.default_rng()),
    "global": NamesAGlobal,
    "function": CallsAFunctionThatNamesAGlobal,
    "class": HoldsItInItsClass,
    "hook of a library's module": lambda: hooked(nn.Linear(2, 2)),
    "inside": lambda: nn.Sequential(nn.Linear(2, 2), Net(session=SESSION)),
    "not registered": lambda: Net(networks=[Net(session=SESSION)]),
    "TorchScript": lambda: torch.jit.script(nn.Linear(2, 2)),
    "frozen TorchScript": lambda: torch.jit.freeze(torch.jit.script(nn.Linear(2, 2)).eval()),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("make", HIDDEN.values(), ids=HIDDEN)
def test_what_cannot_be_seen_makes_the_weights_unknown(make: Callable[[], nn.Module]) -> None:
    found = identify_weights(make())
    assert found.sha256 is None
    assert found.unknown
    assert "cannot be seen" in found.unknown


def test_a_network_without_weights() -> None:
    for network in (nn.Identity(), nn.Sequential(nn.ReLU(), nn.Flatten())):
        assert identify_weights(network)[:2] == (None, "it has no weights that torch knows of")


def test_what_is_no_tensor_in_the_state() -> None:
    class Extra(nn.Linear):
        def get_extra_state(self) -> object:
            return {"a": 1}

    found = identify_weights(Extra(2, 2))
    assert found.sha256 is None
    assert "its state cannot be looked at" in str(found.unknown)


def endless() -> list[Any]:
    held: list[Any] = []
    held.append(held)
    return held


def deep() -> list[Any]:
    held: list[Any] = []
    for _ in range(10_000):
        held = [held]
    return held


SEEN: dict[str, Any] = {
    "plain": [None, 0.5, "linear", b"x", {1, 2}, range(3), torch.float32, Path("net.onnx")],
    "functions": [torch.relu, np.mean, np.exp, len, Wrapper, functools.partial(torch.clamp, min=0), lambda x: 2 * x],
    "objects": [Wrapper(3), transforms.Compose([transforms.Resize(8)]), endless()],
    "of no concern": [logging.getLogger(__name__), threading.Lock()],
}


@pytest.mark.parametrize("held", SEEN.values(), ids=SEEN)
def test_what_is_seen_leaves_the_hash_of_the_state(held: Any) -> None:
    network = Net(held=held)
    found = identify_weights(network)
    assert found == identify_weights(Net(held=held))
    assert found[:2] == (weights_hash(network), None)


def test_a_network_of_the_libraries_has_the_hash_it_always_had() -> None:
    network = tiny_subject().model
    assert identify_weights(network) == (weights_hash(network), None, "")
    assert not has_own_code(network)
    assert has_own_code(nn.Sequential(Net()))
    assert identify_weights(hooked_harmlessly(create_model("resnet8", 10))).unknown is None


def test_what_torch_compile_puts_before_a_network_is_no_state() -> None:
    compiled = type("Optimized", (nn.Sequential,), {"__module__": "torch._dynamo.eval_frame"})(Net())
    compiled.forward = SESSION.size
    assert identify_weights(compiled).unknown is None


def hooked_harmlessly(network: nn.Module) -> nn.Module:
    network.register_forward_hook(lambda module, given, found: None)
    return network


@pytest.mark.parametrize(
    "held", [torch.ones, np.ones, lambda n: [torch.ones(n)], lambda n: [nn.Linear(n, 1, bias=False)]]
)
def test_arrays_that_are_not_in_the_state_are_part_of_the_hash(held: Callable[[int], Any]) -> None:
    torch.manual_seed(0)
    hashes = {identify_weights(network).sha256 for network in (Net(), Net(held=held(3)), Net(held=held(4)))}
    assert len(hashes) == 3
    assert None not in hashes


def test_buffers_that_are_not_saved_are_part_of_the_hash() -> None:
    one, other = Net(), Net()
    one.register_buffer("mean", torch.zeros(3), persistent=False)
    other.register_buffer("mean", torch.ones(3), persistent=False)
    assert identify_weights(one).sha256 != identify_weights(other).sha256


def test_plain_values_tell_measurements_apart_and_not_weights() -> None:
    one, other = (identify_weights(Net(factor=factor)) for factor in (0.5, 0.7))
    assert one.sha256 == other.sha256
    assert one.values != other.values


def test_files_that_are_named_are_part_of_the_hash(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    hashes = []
    for content in (b"one", b"other", b"one"):
        path.write_bytes(content)
        hashes.append(identify_weights(Net(session=SESSION), [path]).sha256)
    assert hashes[0] == hashes[2] != hashes[1]
    assert None not in hashes
    assert hashes[0] != identify_weights(Net(session=SESSION), [path, path]).sha256
    assert identify_weights(nn.Identity(), [path]).unknown is None


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "none.onnx", "is not a file"),
        (tmp_path, "is not a file"),
        (Path("/dev/zero"), "is"),
    ):
        with pytest.raises(DataError, match=message):
            identify_weights(Net(), [path])


def test_more_than_is_looked_at_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ppbench.models.own_state._MOST", 500)
    for held in (deep(), [object() for _ in range(1_000)]):
        assert "holds more than is looked at" in str(identify_weights(Net(held=held)).unknown)


class TestWeightsHash:
    def test_independent_of_layout_and_of_requires_grad(self) -> None:
        model = trained(build(CARD))
        first = weights_hash(model)
        assert len(first) == 64
        assert weights_hash(model.to(memory_format=torch.channels_last).requires_grad_(False)) == first

    @pytest.mark.parametrize("name", ["conv1.weight", "fc.bias", "bn1.running_var", "bn1.num_batches_tracked"])
    def test_changes_with_one_value(self, name: str) -> None:
        model = trained(build(CARD))
        before = weights_hash(model)
        model.state_dict()[name].view(-1)[0] += 1
        assert weights_hash(model) != before

    def test_changes_with_a_name_and_a_type(self) -> None:
        layer, other = nn.Sequential(nn.Linear(2, 2)), nn.ModuleDict({"1": nn.Linear(2, 2)})
        other["1"].load_state_dict(layer[0].state_dict())
        hashes = {weights_hash(layer), weights_hash(other), weights_hash(layer.double())}
        assert len(hashes) == 3
