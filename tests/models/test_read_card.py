"""The card of a checkpoint, without its weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from ppbench.errors import DataError, UsageError
from ppbench.models.build import build
from ppbench.models.card import METADATA_KEY
from ppbench.models.checkpoint import load_checkpoint, save_checkpoint
from ppbench.models.embedded import EMBEDDED_MODELS, embedded_path
from ppbench.models.read_card import read_card
from ppbench.models.resnet import create_model
from tests.models.test_checkpoint import CARD


@pytest.mark.parametrize("name", sorted(EMBEDDED_MODELS))
def test_it_is_the_card_that_is_loaded(name: str) -> None:
    assert read_card(embedded_path(name)) == load_checkpoint(embedded_path(name)).card


def test_neither_torch_nor_weights_are_needed() -> None:
    code = (
        "import sys; from ppbench.models.embedded import embedded_path; from ppbench.models.read_card import read_card;"
        "read_card(embedded_path('fashion-mnist-resnet8')); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_other_kinds_are_loaded(tmp_path: Path) -> None:
    torch.save(create_model("resnet18").state_dict(), tmp_path / "weights.pth")
    assert read_card(tmp_path / "weights.pth") == load_checkpoint(tmp_path / "weights.pth").card
    safetensors.torch.save_file(create_model("resnet8", 10).state_dict(), tmp_path / "bare.safetensors")
    with pytest.raises(UsageError, match=r"is a bare state dict \(resnet8, 10 classes\)"):
        read_card(tmp_path / "bare.safetensors")


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_file_that_is_cut_short(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, build(CARD), CARD)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"is a damaged safetensors file|is empty"):
        read_card(path)


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the checkpoint"):
        read_card(tmp_path / "none.safetensors")
    with pytest.raises(DataError, match="Is a directory"):
        read_card(tmp_path)
    safetensors.torch.save_file({"x": torch.zeros(1)}, tmp_path / "w.safetensors", {METADATA_KEY: "{}"})
    with pytest.raises(DataError, match=r"the card in .* is not valid: architecture: Field required"):
        read_card(tmp_path / "w.safetensors")
