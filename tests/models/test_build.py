"""The network that a card describes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppbench.errors import DataError
from ppbench.models.build import build
from ppbench.models.card import Card
from ppbench.models.checkpoint import load_checkpoint, save_checkpoint
from ppbench.models.resnet import create_model
from tests.models.test_checkpoint import authors_checkpoint, authors_state, trained


def test_a_claim_of_a_trillion_classes_costs_no_memory(tmp_path: Path) -> None:
    state = authors_state(trained(create_model("resnet8-pp", 10, stem_bias=True)))
    authors_checkpoint(tmp_path / "huge.ckpt", state, model="resnet8", num_classes=10**12)
    with pytest.raises(DataError, match=r"do not fit the network\ndiffering: fc.weight float .10, 64. instead of"):
        load_checkpoint(tmp_path / "huge.ckpt")


def test_a_stored_card_must_name_a_network_that_can_be_built(tmp_path: Path) -> None:
    """Only networks of ppbench, torchvision and timm can be read back from their card: no code that it names runs."""
    card = Card(architecture="resnet8", num_classes=10, input_size=32, mean=(0.5,) * 3, std=(0.5,) * 3)
    other = card.model_copy(update={"architecture": "pkg.mod:make"})
    save_checkpoint(tmp_path / "net.safetensors", build(card), other)
    with pytest.raises(DataError, match=r"the card in .* is not valid: unknown model 'pkg\.mod:make'"):
        load_checkpoint(tmp_path / "net.safetensors")
    other = card.model_copy(update={"architecture": "torchvision:resnet18"})
    save_checkpoint(tmp_path / "net.safetensors", build(card), other)
    with pytest.raises(DataError, match=r"(?s)do not fit the network.*missing: layer1\.1"):
        load_checkpoint(tmp_path / "net.safetensors")
