"""Plain functions as networks: the same counts as the network that they call, and what they must not do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ppbench.errors import DataError, UsageError
from ppbench.evaluation.api import evaluate
from ppbench.evaluation.loop import measure
from ppbench.evaluation.plan import prepare
from ppbench.evaluation.request import EvalRequest
from ppbench.models.card_options import CardOptions
from ppbench.models.from_callable import CallableNetwork, as_network
from ppbench.models.from_code import load_from_code
from ppbench.models.weights import identify_weights
from tests.evaluation.models import tiny_card

pytestmark = pytest.mark.usefixtures("_small_forwards")

CODE = """
import numpy as np
import torch
from torch import nn
import ppbench

CARD = ppbench.Card(architecture="mine", num_classes=10, in_channels=1, input_size=28, mean=(0.4,), std=(0.3,))
W = np.random.default_rng(0).normal(size=(784, 10)).astype(np.float32) / 28

def linear(images):
    assert type(images) is np.ndarray and images.dtype == np.float32 and images.flags.c_contiguous
    return images.reshape(len(images), -1) @ W

class Linear:
    def __init__(self, seed=0):
        self.weights = np.random.default_rng(seed).normal(size=(784, 10)).astype(np.float32) / 28
    def __call__(self, images):
        return (images.reshape(len(images), -1) @ self.weights).tolist()

def changes(images):
    images += 1
    return linear(images)

def module():
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10, bias=False))
    network[1].weight.data = torch.from_numpy(W.T.copy())
    return network, CARD

def function(): return linear
def pair(): return linear, CARD
def instance(): return Linear(), CARD
def other(): return Linear(1), CARD
def changer(): return changes, CARD
def tensors(): return lambda images: torch.from_numpy(linear(images)).double(), CARD
def nans(): return lambda images: linear(images) * np.where(images[:, :1, 14, 14] > 0.5, np.nan, 1), CARD
def flat(): return lambda images: linear(images).ravel(), CARD
def one_less(): return lambda images: linear(images)[1:], CARD
def more_classes(): return lambda images: np.zeros((len(images), 11)), CARD
def words(): return lambda images: ["cat"] * len(images), CARD
def nothing(): return lambda images: None, CARD
def ragged(): return lambda images: [[1], [2, 3]], CARD
def broken(): return lambda images: 1 / 0, CARD
def leaves(): return lambda images: exit(3), CARD
def a_class(): return Linear, CARD
"""
OPTIONS = CardOptions(mean=(0.4,), std=(0.3,), input_size=28)
FEW: dict[str, Any] = {"corruptions": ["fog"], "severities": ["1-2"], "limit": 30, "force": True}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    Path("functions_of_mine.py").write_text(CODE)
    yield
    sys.modules.pop("functions_of_mine", None)


def load(name: str) -> CallableNetwork:
    network = load_from_code(f"functions_of_mine:{name}", OPTIONS)[1].model
    assert isinstance(network, CallableNetwork)
    return network


def test_the_card_comes_from_the_pair_or_from_the_options() -> None:
    assert load_from_code("functions_of_mine:pair", CardOptions())[1].card.architecture == "mine"
    card = load_from_code("functions_of_mine:function", OPTIONS)[1].card
    assert (card.architecture, card.num_classes, card.mean) == ("functions_of_mine:function", 10, (0.4,))


def test_all_kinds_give_the_counts_of_the_module() -> None:
    specs = [f"functions_of_mine:{name}" for name in ("module", "pair", "instance", "tensors")]
    runs = [run.run for run in measure(prepare(EvalRequest(tuple(specs), **FEW))).runs]
    assert [[cell.top1 for cell in run.cells] for run in runs] == 4 * [[cell.top1 for cell in runs[0].cells]]
    assert [run.model.runtime for run in runs] == [None, *3 * ["a function of the user's"]]
    import functions_of_mine  # type: ignore[import-not-found]

    given = evaluate(functions_of_mine.linear, card=functions_of_mine.CARD, **FEW)
    assert given.cells == runs[1].cells
    assert given.model.weights_sha256 == runs[1].model.weights_sha256


def test_arrays_that_the_function_holds_are_its_weights() -> None:
    found = {name: identify_weights(load(name)) for name in ("pair", "instance", "other")}
    assert all(identity.unknown is None for identity in found.values())
    assert len({identity.sha256 for identity in found.values()}) == 3
    nothing = identify_weights(as_network(lambda images: np.zeros((len(images), 10)), "nothing"))
    assert nothing.unknown == "it has no weights that torch knows of"


BAD = {
    "changer": "functions_of_mine:changer changes the images that it is given",
    "flat": r"functions_of_mine:flat returns a Tensor \(20,\) for 2 images instead of logits \(2, classes\)",
    "one_less": r"functions_of_mine:one_less returns a Tensor \(1, 10\) for 2 images",
    "more_classes": "functions_of_mine:more_classes has 11 classes, but its card says 10",
    "words": "functions_of_mine:words returns a list for 2 images, not numbers",
    "nothing": "functions_of_mine:nothing returns None for 2 images, not numbers",
    "ragged": "functions_of_mine:ragged raised ValueError: .*inhomogeneous",
    "broken": r"functions_of_mine:broken raised ZeroDivisionError: division by zero for images \(2, 1, 28, 28\)",
    "leaves": "functions_of_mine:leaves raised SystemExit: 3 in its forward pass",
}


@pytest.mark.parametrize("name", BAD)
def test_what_a_function_must_not_do(name: str) -> None:
    with pytest.raises(DataError, match=BAD[name]) as caught:
        load(name)
    assert "\n" not in caught.value.message


def test_nans_end_the_evaluation() -> None:
    reason = measure(prepare(EvalRequest(("functions_of_mine:nans",), **FEW))).stopped_by
    assert isinstance(reason, DataError)
    assert "not finite" in reason.message


def test_a_function_that_changes_its_input_ends_the_evaluation() -> None:
    def whiten(images: NDArray[np.float32]) -> NDArray[np.float32]:
        images *= 2
        return np.zeros((len(images), 10), np.float32)

    with pytest.raises(DataError, match="whiten changes the images that it is given"):
        evaluate(whiten, card=tiny_card(), **FEW)


def test_what_is_no_function() -> None:
    with pytest.raises(UsageError, match="functions_of_mine:a_class returns a tuple") as caught:
        load_from_code("functions_of_mine:a_class", OPTIONS)
    assert "a function from images to logits" in caught.value.hint
    with pytest.raises(UsageError, match="model is of type int"):
        evaluate(3, **FEW)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a function needs its card"):
        evaluate(lambda images: images, **FEW)


@pytest.mark.parametrize("given", [{"precision": "fp16"}, {"compiled": True}, {"passes": 2}])
def test_settings_that_only_torch_follows(given: dict[str, Any]) -> None:
    function: Callable[[NDArray[np.float32]], Any] = lambda images: images  # noqa: E731
    with pytest.raises(UsageError, match=r"is not for .*lambda.*, a function: torch does not run it"):
        evaluate(function, card=tiny_card(), **FEW, **given)


def test_too_little_memory_is_left_to_the_evaluation() -> None:
    def full(images: NDArray[np.float32]) -> Any:
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        as_network(full, "full")(torch.zeros(2, 1, 8, 8))


def test_memory_that_numpy_lacks_is_left_to_the_evaluation() -> None:
    def full(images: NDArray[np.float32]) -> Any:
        raise MemoryError("40 GB")

    with pytest.raises(torch.OutOfMemoryError, match="40 GB"):
        as_network(full, "full")(torch.zeros(2, 1, 8, 8))


def test_an_error_without_words_and_complex_tensors() -> None:
    class Silent(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise RuntimeError

    def raises(images: NDArray[np.float32]) -> Any:
        raise Silent

    with pytest.raises(DataError, match="net raised Silent for images"):
        as_network(raises, "net")(torch.zeros(2, 1, 8, 8))
    with pytest.raises(DataError, match="net returns a Tensor for 2 images, not numbers"):
        as_network(lambda images: torch.zeros(2, 3, dtype=torch.complex64), "net")(torch.zeros(2, 1, 8, 8))
