"""Networks of a user's own code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ppbench.errors import DataError, UsageError
from ppbench.models.card import Card
from ppbench.models.card_options import CardOptions
from ppbench.models.from_code import load_from_code
from ppbench.own_code import names_factory

NOTHING = CardOptions()

CODE = """
import sys
import torch
from torch import nn
from ppbench import Card
from ppbench.errors import DataError
from ppbench.models.loaded import Checkpoint

CARD = Card(architecture="mine", num_classes=5, input_size=16, mean=(0.5,) * 3, std=(0.5,) * 3)


class Net(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, classes), nn.Dropout())

    def forward(self, x):
        return self.layers(x)


class Wrapped(Net):
    def forward(self, x):
        return {"logits": super().forward(x)}


class Flat(Net):
    def forward(self, x):
        return super().forward(x).flatten()


class Leaves(Net):
    def forward(self, x):
        sys.exit(0)


def bare(): return Net()
def pair(): return Net(), CARD
def checkpoint(): return Checkpoint(Net(), CARD)
def wrong_card(): return Net(7), CARD
def number(): return 3
def nothing(): pass
def pair_of_something(): return Net(), {"mean": 0.5}
def broken(): raise ValueError("no\\nweights")
def leaves(): sys.exit(2)
def explains(): raise DataError("no weights here", "Look elsewhere.")
def needs(argument): return Net()

constant = 3
net = Net()
"""


class TestCode:
    OPTIONS = CardOptions(preset="half", input_size=16)

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        (tmp_path / "pkg_of_mine" / "sub").mkdir(parents=True)
        (tmp_path / "pkg_of_mine" / "__init__.py").touch()
        (tmp_path / "pkg_of_mine" / "nets.py").write_text(CODE)
        (tmp_path / "pkg_of_mine" / "imports.py").write_text("import nothing_of_this_name")
        (tmp_path / "pkg_of_mine" / "syntax.py").write_text("def (")
        monkeypatch.chdir(tmp_path)
        before = list(sys.path)
        yield
        assert sys.path == before
        for name in [name for name in sys.modules if name.startswith("pkg_of_mine")]:
            del sys.modules[name]

    @pytest.mark.parametrize("factory", ["bare", "Net"])
    def test_a_module_with_the_card_in_options(self, factory: str) -> None:
        name, (model, card) = load_from_code(f"pkg_of_mine.nets:{factory}", self.OPTIONS)
        assert name == factory
        assert not model.training
        assert card == Card(
            architecture=f"pkg_of_mine.nets:{factory}",
            num_classes=5,
            input_size=16,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
        )

    def test_the_architecture_may_be_named(self) -> None:
        options = CardOptions(preset="half", input_size=16, architecture="my net")
        assert load_from_code("pkg_of_mine.nets:bare", options)[1].card.architecture == "my net"
        assert load_from_code("pkg_of_mine.nets:pair", options)[1].card.architecture == "my net"

    @pytest.mark.parametrize("factory", ["pair", "checkpoint"])
    def test_a_module_with_its_card(self, factory: str) -> None:
        card = load_from_code(f"pkg_of_mine.nets:{factory}", NOTHING)[1].card
        assert (card.architecture, card.num_classes, card.mean) == ("mine", 5, (0.5, 0.5, 0.5))
        card = load_from_code(f"pkg_of_mine.nets:{factory}", CardOptions(preset="unit"))[1].card
        assert card.mean == (0, 0, 0)

    @pytest.mark.parametrize(
        ("spec", "options", "message", "hint"),
        [
            ("nowhere_to_be:f", NOTHING, "--model nowhere_to_be:f: there is no module nowhere_to_be", "PYTHONPATH"),
            ("pkg_of_mine.net:f", NOTHING, "--model pkg_of_mine.net:f: there is no module pkg_of_mine.net", ""),
            (
                "pkg_of_mine.nets:pare",
                NOTHING,
                "--model pkg_of_mine.nets:pare: pkg_of_mine.nets has no pare",
                "did you mean 'pair'",
            ),
            ("pkg_of_mine.nets:constant", NOTHING, "pkg_of_mine.nets:constant is a int, not a function", "def make"),
            ("pkg_of_mine.nets:net", NOTHING, "pkg_of_mine.nets:net is a Net, not a function", "def make"),
            ("pkg_of_mine.nets:number", NOTHING, "pkg_of_mine.nets:number returns a int", "nn.Module"),
            ("pkg_of_mine.nets:nothing", NOTHING, "pkg_of_mine.nets:nothing returns None", "nn.Module"),
            (
                "pkg_of_mine.nets:pair_of_something",
                NOTHING,
                "pkg_of_mine.nets:pair_of_something returns a tuple",
                "Card",
            ),
        ],
    )
    def test_what_is_no_factory(self, spec: str, options: CardOptions, message: str, hint: str) -> None:
        with pytest.raises(UsageError) as caught:
            load_from_code(spec, options)
        assert caught.value.message == message
        assert hint in caught.value.hint

    @pytest.mark.parametrize(
        ("factory", "message"),
        [
            ("nets:broken", "pkg_of_mine.nets:broken raised ValueError: no weights"),
            ("nets:leaves", "pkg_of_mine.nets:leaves raised SystemExit: 2"),
            ("nets:needs", "pkg_of_mine.nets:needs raised TypeError: needs() missing 1 required positional argument"),
            ("imports:f", "importing pkg_of_mine.imports raised ModuleNotFoundError: No module named 'nothing_of"),
            ("syntax:f", "importing pkg_of_mine.syntax raised SyntaxError: "),
        ],
    )
    def test_code_that_raises(self, factory: str, message: str) -> None:
        with pytest.raises(DataError) as caught:
            load_from_code(f"pkg_of_mine.{factory}", NOTHING)
        assert caught.value.message.startswith(message)
        assert "\n" not in caught.value.message
        shows = "without arguments" if "required positional" in message else 'python -c "import pkg_of_mine.'
        assert shows in caught.value.hint

    def test_errors_of_ppbench_stay_as_they_are(self) -> None:
        with pytest.raises(DataError, match=r"^no weights here\nLook elsewhere.$"):
            load_from_code("pkg_of_mine.nets:explains", NOTHING)

    def test_a_network_without_a_card_needs_one(self) -> None:
        missing = r"the preprocessing of pkg_of_mine\.nets:bare is not known: --mean, --std, --input-size missing"
        with pytest.raises(UsageError, match=missing):
            load_from_code("pkg_of_mine.nets:bare", NOTHING)

    @pytest.mark.parametrize(
        ("factory", "options", "message"),
        [
            (
                "bare",
                CardOptions(preset="cifar10"),
                "pkg_of_mine.nets:bare does not take images of 3 x 32 x 32 values: ",
            ),
            ("Leaves", OPTIONS, "pkg_of_mine.nets:Leaves raised SystemExit: 0 in its forward pass"),
            ("wrong_card", NOTHING, "pkg_of_mine.nets:wrong_card has 7 classes, but its card says 5"),
            ("Wrapped", OPTIONS, "pkg_of_mine.nets:Wrapped returns a dict for 2 images instead of logits (2, classes)"),
            (
                "Flat",
                OPTIONS,
                "pkg_of_mine.nets:Flat returns a Tensor (10,) for 2 images instead of logits (2, classes)",
            ),
        ],
    )
    def test_networks_that_do_not_do(self, factory: str, options: CardOptions, message: str) -> None:
        with pytest.raises(DataError) as caught:
            load_from_code(f"pkg_of_mine.nets:{factory}", options)
        assert caught.value.message.startswith(message)

    @pytest.mark.parametrize(
        ("spec", "yes"),
        [
            ("mod:f", True),
            ("a.b_1.c:Class.method", True),
            ("torchvision.models:resnet18", True),
            ("mod", False),
            ("mod:", False),
            (":f", False),
            ("C:\\nets\\net", False),
            ("C:/nets/net", False),
            ("a:b:c", False),
            ("1a:b", False),
            ("a..b:c", False),
        ],
    )
    def test_what_has_the_form_of_a_factory(self, spec: str, yes: bool) -> None:
        assert names_factory(spec) is yes
