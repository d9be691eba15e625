"""Which network a bare state dict is of."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch
import torchvision

from ppbench.errors import DataError
from ppbench.models.card_options import CardOptions
from ppbench.models.checkpoint import load_checkpoint
from ppbench.models.resnet import create_model
from ppbench.models.statedict import StateFile
from ppbench.models.undrawn import WithoutDrawing
from tests.models.test_checkpoint import authors_state, same_outputs, trained


@pytest.mark.parametrize(
    "name", ["resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d"]
)
def test_networks_are_recognised_by_their_tensors(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with WithoutDrawing(), torch.device("meta"):
        state = getattr(torchvision.models, name)().state_dict()
    monkeypatch.setattr("ppbench.models.checkpoint.read_state_file", lambda path, ema: StateFile(state, {}, None))
    monkeypatch.setattr("ppbench.models.statedict.fill", lambda model, state: None)  # shapes are all there is
    (tmp_path / "weights.pth").write_bytes(b"\0")
    assert load_checkpoint(tmp_path / "weights.pth").card.architecture == name


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_push_pull_weights_are_not_taken_for_a_plain_network(tmp_path: Path, ending: str) -> None:
    """Their names tell push-pull, but nothing in the file tells the size of the mean filter: no guess."""
    model = trained(create_model("resnet8-pp5", 10))
    path = tmp_path / f"net.{ending}"
    state = {name: tensor.clone() for name, tensor in authors_state(model).items()}
    safetensors.torch.save_file(state, path) if ending == "safetensors" else torch.save(state, path)
    with pytest.raises(DataError, match="holds the weights of a push-pull network") as caught:
        load_checkpoint(path)
    assert "architecture='resnet50-pp3'" in caught.value.hint
    options = CardOptions(preset="cifar10")
    assert same_outputs(load_checkpoint(path, architecture="resnet8-pp5", options=options).model, model)
