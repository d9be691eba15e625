"""A network like a published rival's, stochastic and with another normalisation, loaded through its own package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ppbench.evaluation.api import evaluate
from ppbench.models.card_options import parse_card_options
from ppbench.models.load import resolve_model
from ppbench.run import Run
from tests.evaluation.stochastic import Gabors
from tests.trees import write_class_folders

pytestmark = pytest.mark.usefixtures("_small_forwards")

PACKAGE = """
from tests.evaluation.stochastic import gabor_net


def get_model():
    return gabor_net()
"""

FACTORY = """
import ppbench
from vonelike import get_model

CARD = ppbench.Card(architecture="gabors", num_classes=10, input_size=32, mean=(0.5,) * 3, std=(0.5,) * 3)


def with_card():
    return get_model(), CARD
"""


@pytest.fixture(autouse=True)
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vonelike").mkdir()
    (tmp_path / "vonelike" / "__init__.py").write_text(PACKAGE)
    (tmp_path / "rival.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    for name in ("vonelike", "rival"):
        monkeypatch.delitem(__import__("sys").modules, name, raising=False)


def test_its_card_comes_from_the_factory_or_from_options() -> None:
    name, _, card = resolve_model("rival:with_card")
    assert (name, card.mean, card.std) == ("with_card", (0.5,) * 3, (0.5,) * 3)
    options = parse_card_options(preset="half", input_size=32)
    _, model, made = resolve_model("vonelike:get_model", options)
    assert (made.mean, made.std, made.num_classes) == ((0.5,) * 3, (0.5,) * 3, 10)
    assert torch.equal(model.state_dict()["front.odd"], Gabors().odd)  # type: ignore[arg-type]


def test_the_noise_has_the_variance_of_the_response() -> None:
    torch.manual_seed(0)
    front, x = Gabors(), torch.rand(1, 3, 32, 32)
    rates = front.rates(x)
    drawn = torch.stack([front(x) for _ in range(400)])
    large = rates > 9  # so that the rectification cuts nothing off
    assert large.any()
    assert torch.allclose(drawn.mean(0)[large], rates[large], atol=1.0)
    assert float((drawn.var(0)[large] / rates[large]).mean()) == pytest.approx(1, abs=0.05)


def test_it_is_measured_with_its_noise_keyed_by_image(tmp_path: Path) -> None:
    data = write_class_folders(tmp_path / "photos", per_class=10, size=40)
    options: dict[str, Any] = {"data": data, "corruptions": "fog", "severities": 2, "passes": 4, "force": True}
    card = {"preset": "half", "input_size": 32}

    def measured(**more: Any) -> Run:
        return evaluate("vonelike:get_model", **options | card | more)

    labels = tmp_path / "labels.csv"
    names = sorted(path.relative_to(data) for path in data.glob("*/*.png"))
    labels.write_text("".join(f"{name},{number % 10}\n" for number, name in enumerate(names)))
    one, other = measured(labels=labels), measured(labels=labels, batch_size=1)
    assert one.cells == other.cells
    assert one.protocol.passes == 4
    assert one.model.weights_sha256 == other.model.weights_sha256 is not None
    assert "mean 0.5/0.5/0.5, std 0.5/0.5/0.5" in one.protocol.preprocessing
    rights = np.array([cell.right_by_pass for cell in one.cells])
    assert rights.shape == (2, 4)
    assert len(np.unique(rights)) > 1
